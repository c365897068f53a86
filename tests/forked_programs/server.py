"""The server of start.py: imports what programs import, and forks itself for each program.

Its arguments are the folder of all servers, and the values of variables that it stands for.
"""

import atexit
import contextlib
import gc
import importlib
import importlib.metadata
import json
import os
import runpy
import select
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent))
from forked_programs import start  # noqa: E402

sys.path.pop()

# All but metaflow.cli, which binds the options of the first flow's Configs.
IMPORTS = (
    *("metaflow.plugins", "metaflow.lint", "metaflow.pylint_wrapper", "kubernetes.client"),
    *("boto3.session", "boto3.s3.transfer", "boto3.s3.inject", "botocore.retries.adaptive"),
    *("multiprocessing.managers", "multiprocessing.shared_memory", "xml.etree.ElementTree"),
)
# Not mf_k8s itself, whose modules look at the terminal and at variables.
IMPORTS_OF_K8S = (
    *("typer.main", "typer._adapters", "pydantic.type_adapter", "pydantic.json_schema"),
    *("rich.progress", "rich.table", "packaging.requirements", "packaging.version", "tarfile"),
    *("yaml", "tomlkit", "jsonschema", "libcst", "kubernetes.client", "kubernetes.config"),
)


def serve(folder: Path, key: start.Key) -> None:
    """Run programs until the tests have ended."""
    start.servers, owner = folder, int((folder / "owner").read_text())
    with recorded_variables() as read:
        load(IMPORTS_OF_K8S if key["k8s"] == "True" else IMPORTS)
    gc.freeze()  # or each fork copies what the collector touches
    address = folder / str(os.getpid())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        names = (*read, *start.OF_PYTHON, "python", "k8s", "packages")
        new = address.with_suffix(".new")
        new.write_text(json.dumps({name: key.get(name) for name in names}))
        new.rename(address.with_suffix(".json"))
        print("ready", flush=True)
        while is_running(owner):
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if select.select([listener], [], [], 1)[0]:
                connection, _ = listener.accept()
                if os.fork() == 0:
                    listener.close()
                    answer(connection)
                connection.close()


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def recorded_variables() -> Iterator[set[str]]:
    """Yield the names of the libraries' variables that are read meanwhile."""
    environment, read = type(os.environ), set[str]()
    get = environment.__getitem__

    def record(self: Any, name: str) -> str:
        if name.startswith(start.OF_LIBRARIES) and name != "METAFLOW_HOME":
            read.add(name)
        return get(self, name)

    environment.__getitem__ = record
    yield read
    environment.__getitem__ = get


def load(modules: Sequence[str]) -> None:
    gc.disable()
    # Metaflow reads these names for each flow
    importlib.metadata.packages_distributions = cache(importlib.metadata.packages_distributions)
    importlib.metadata.packages_distributions()
    for module in modules:
        with contextlib.suppress(ImportError):  # which this environment lacks
            importlib.import_module(module)
    gc.enable()


def answer(connection: socket.socket) -> None:
    """Become the program that a client asks for; tell it the process and the exit code."""
    _, files, *_ = socket.recv_fds(connection, 1, 3)
    request = json.loads(connection.makefile().read())
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = map(opened_anew, (sys.stdin, sys.stdout, sys.stderr))
    connection.sendall(f"{os.getpid()}\n".encode())
    code = 1
    try:
        command, env = map(as_here, request["command"]), request["env"].items()
        named = {as_here(name): as_here(value) for name, value in env}
        code = run_program([*command], as_here(request["folder"]), named)
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    connection.sendall(f"{code}\n".encode())
    os._exit(0)


def as_here(text: str) -> str:
    """Return a text of the client, which decodes UTF-8, as the locale of this process has it."""
    return os.fsdecode(text.encode(errors="surrogateescape"))


def opened_anew(stream: Any) -> Any:
    """Return a stream on the file that has taken the place of another one."""
    return open(
        stream.fileno(),
        stream.mode,
        encoding=stream.encoding,
        errors=stream.errors,
        closefd=False,
        buffering=1 if stream is sys.stderr else -1,
    )


def run_program(command: list[str], folder: str, env: dict[str, str]) -> int:
    """Run a program as Python does, and return its exit code."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    if config := sys.modules.get("kubernetes.config.kube_config"):  # has read it at its import
        config.KUBE_CONFIG_DEFAULT_LOCATION = env.get("KUBECONFIG", "~/.kube/config")
    subprocess.Popen = start.Popen
    sys.dont_write_bytecode = bool(env.get("PYTHONDONTWRITEBYTECODE"))
    path = list(filter(None, env.get("PYTHONPATH", "").split(os.pathsep)))
    flags = {part for part in command[:2] if part in ("-P", "-u")}
    command = command[len(flags) :]
    if "-P" not in flags and not start.is_k8s(command):
        path.insert(0, str(Path(command[0]).resolve().parent))
    sys.path[:0] = path
    is_module = command[0] == "-m"
    sys.argv = command[is_module:]
    try:
        if is_module:
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    serve(Path(sys.argv[1]), json.loads(sys.argv[2]))
