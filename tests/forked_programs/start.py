"""Starts programs that import Metaflow as forks of a server that has imported it already.

The tests start hundreds of processes: flows, the command `k8s`, and what it compiles with. Most of
their time went into imports, which a server (server.py) does once. Each program is a process
of its own as before, with its own command line, environment, folder, outputs and exit code.

Metaflow reads its configuration when it is imported. So a server runs only programs for which every
variable that was read then has the same value. The second program with the same variables starts
a server for them. Programs start as usual where Metaflow has a configuration file or an extension
on PYTHONPATH, and where coverage is measured.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

CLIENT = Path(__file__).with_name("client.py")
SERVER = Path(__file__).with_name("server.py")
OF_LIBRARIES = ("METAFLOW_", "AWS_")  # the variables that Metaflow and boto3 read
OF_PYTHON = ("LANG", "LC_ALL", "LC_CTYPE", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONHASHSEED")
LOCAL_ROOT = "METAFLOW_DATASTORE_SYSROOT_LOCAL"
AT_THE_START = ("sitecustomize.py", "usercustomize.py", "metaflow_extensions")

start_as_usual = subprocess.Popen
Key = dict[str, str | None]  # the values of variables, and which Python and program it is
servers: Path | None = None  # the folder that has a file for each; None: all start as usual


class Popen(subprocess.Popen):
    """A process that a server runs, if there is one for it."""

    def __init__(self, args: Any, *positional: Any, **named: Any) -> None:
        if isinstance(args, (list, tuple)):
            args = forked_command([*map(os.fspath, args)], named.get("env"), named.get("cwd"))
        super().__init__(args, *positional, **named)


@contextlib.contextmanager
def fork_programs(folder: Path, owner: int) -> Iterator[None]:
    """Let this process start its programs from servers, which end with the process `owner`.

    `folder` is theirs; other processes of the same tests may use it too.
    """
    global servers
    servers = folder
    folder.mkdir(exist_ok=True)
    (folder / "owner").write_text(str(owner))
    subprocess.Popen = Popen
    yield
    subprocess.Popen = start_as_usual
    servers = None


def forked_command(
    command: list[str], env: Mapping[str, str] | None = None, folder: str | Path | None = None
) -> list[str]:
    """Return the command that has a server run this one, or this command itself."""
    env = os.environ if env is None else env
    python, program = split(command)
    if not servers or not program or any(name.startswith("COVERAGE_") for name in env):
        return command
    if changes_the_start(env) or not is_k8s(program) and is_configured(env, Path(folder or "")):
        return command
    key = variables(env, program) | {"python": python, "k8s": str(is_k8s(program))}
    key["packages"] = changed_last(python)
    server = find_server(key)
    if not server and is_known(key):
        start_server(key, env)
        server = find_server(key)
    return [sys.executable, "-IS", str(CLIENT), str(server), *program] if server else command


def split(command: list[str]) -> tuple[str, list[str]]:
    """Return the interpreter and its arguments; no arguments for what may import little."""
    if is_k8s(command):
        return str(Path(command[0]).with_name("python")), command
    behind_flags = [argument for argument in command[1:5] if argument not in ("-P", "-u")]
    is_script = behind_flags[:1] and behind_flags[0].endswith(".py")
    is_module = behind_flags[:1] == ["-m"] and behind_flags[1].startswith("mf_k8s.")
    is_python = Path(command[0]).name.startswith("python")
    return command[0], command[1:] if is_python and (is_script or is_module) else []


def is_k8s(program: Sequence[str]) -> bool:
    return Path(program[0]).name == "k8s"


def changed_last(python: str) -> str:
    """Return when a package was last installed where an interpreter has them, in nanoseconds."""
    folders = Path(python).parent.parent.glob("lib/python*/site-packages")
    return str([folder.stat().st_mtime_ns for folder in folders])


def changes_the_start(env: Mapping[str, str]) -> bool:
    """Return whether folders of PYTHONPATH have what Python or Metaflow import by themselves."""
    folders = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    return any(Path(folder, name).exists() for folder in folders for name in AT_THE_START)


def is_configured(env: Mapping[str, str], folder: Path) -> bool:
    """Return whether Metaflow would find a configuration file."""
    home = env.get("METAFLOW_HOME") or os.path.join(env.get("HOME", "~"), ".metaflowconfig")
    here = folder.resolve()
    local = any((place / ".metaflow/config.json").exists() for place in (here, *here.parents))
    return local or any(Path(home).expanduser().glob("*.json"))


def variables(env: Mapping[str, str], program: Sequence[str]) -> Key:
    """Return the variables that may be read at the start; `k8s` reads none of Metaflow's then."""
    prefixes = () if is_k8s(program) else OF_LIBRARIES
    found: Key = {k: v for k, v in env.items() if k.startswith(prefixes) or k in OF_PYTHON}
    if LOCAL_ROOT in found and found[LOCAL_ROOT] == env.get("TMPDIR"):
        found[LOCAL_ROOT] = "TMPDIR"  # the folder of one compilation is as good as any other
    found.pop("METAFLOW_HOME", None)  # which has no file
    return found


def find_server(key: Key) -> Path | None:
    """Return the address of a server that has read the same variables."""
    assert servers
    for file in servers.glob("*.json"):
        if all(key.get(name) == value for name, value in json.loads(file.read_text()).items()):
            return file.with_suffix("")
    return None


def is_known(key: Key) -> bool:
    """Return whether a program with the same variables has been started before."""
    assert servers
    file, line = servers / "known", json.dumps(key, sort_keys=True)
    known = file.read_text().splitlines() if file.exists() else []
    with file.open("a") as lines:
        lines.write(f"{line}\n")
    return line in known


def start_server(key: Key, env: Mapping[str, str]) -> None:
    """Start a server that has these variables, and wait until it answers or has failed."""
    assert servers and key["python"]
    own = {name: value for name, value in key.items() if name.isupper() and value is not None}
    own |= {name: env[name] for name in ("PATH", "HOME") if name in env}
    own |= {"METAFLOW_HOME": str(servers)}
    if LOCAL_ROOT in own:
        own[LOCAL_ROOT] = str(servers)
    with (servers / "errors").open("a") as errors:
        server = start_as_usual(
            [key["python"], "-P", SERVER, servers, json.dumps(key)],
            env=own,
            cwd=servers,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert server.stdout
    server.stdout.readline()
    server.stdout.close()
    server.returncode = 0  # it runs on: no warning of Python's
