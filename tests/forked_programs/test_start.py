"""Programs that a server of start.py runs do what they do when they start as usual."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forked_programs import start

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="nothing is forked on macOS")

SHOW = """
import json, os, sys
from metaflow import metaflow_config
from metaflow.util import get_username
print(json.dumps([
    sys.argv, sys.path, os.getcwd(), sorted(os.environ), __name__, sys.stdin.read(),
    sys.stdout.encoding, sys.dont_write_bytecode, metaflow_config.DEFAULT_DATASTORE,
    get_username(),
]))
print("é", file=sys.stderr)
"""
ENDS = {
    "import atexit; atexit.register(print, 'last')": 0,
    "raise SystemExit(3)": 3,
    "raise SystemExit('why')": 1,
    "1 / 0": 1,
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": -9,
}


def run(script: Path, *flags: str, **env: str) -> list["subprocess.CompletedProcess[str]"]:
    """Return how a program ends as usual, and how it ends where a server runs it."""
    assert start.servers
    results = []
    env |= {"PATH": os.environ["PATH"], "HOME": str(script.parent)}
    command = [sys.executable, *flags, str(script), "a", "b c"]
    servers, start.servers = start.servers, None
    for place in (None, servers, servers):  # the second makes the variables known
        start.servers = place
        is_forked = len(start.forked_command(command, env, script.parent)) > len(command)
        results.append(
            subprocess.run(
                command, env=env, cwd=script.parent, input="in", capture_output=True, text=True
            )
        )
    assert is_forked
    return [results[0], results[-1]]


@pytest.fixture(scope="module", autouse=True)
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have servers, which the other tests do without if LONG=1."""
    own = start.fork_programs(tmp_path_factory.mktemp("servers"), os.getpid())
    with contextlib.nullcontext() if start.servers else own:
        yield


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "script.py"


@pytest.mark.parametrize(
    ("flags", "env"),
    [
        ([], {"PYTHONPATH": "/nowhere"}),
        (["-P", "-u"], {"METAFLOW_USER": "ann", "PYTHONUTF8": "1"}),
        ([], {"METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_DATASTORE_SYSROOT_S3": "s3://b/c"}),
    ],
)
def test_a_program_sees_the_same(script: Path, flags: list[str], env: dict[str, str]) -> None:
    script.write_text(SHOW)
    usual, by_server = run(script, *flags, **env)
    assert json.loads(by_server.stdout) == json.loads(usual.stdout)
    assert (by_server.returncode, by_server.stderr) == (0, usual.stderr)


@pytest.mark.parametrize("end", ENDS)
def test_a_program_ends_the_same(script: Path, end: str) -> None:
    script.write_text(f"print('first')\n{end}\n")
    usual, by_server = run(script)
    assert by_server.returncode == usual.returncode == ENDS[end]
    assert by_server.stdout == usual.stdout
    assert by_server.stderr.splitlines()[-1:] == usual.stderr.splitlines()[-1:]


def test_a_configuration_file_of_metaflow_counts(script: Path) -> None:
    command, env = [sys.executable, str(script)], {"HOME": str(script.parent)}
    for _ in range(2):
        start.forked_command(command, env, script.parent)
    assert start.forked_command(command, env, script.parent) != command
    (script.parent / ".metaflow").mkdir()
    (script.parent / ".metaflow/config.json").write_text("{}")
    assert start.forked_command(command, env, script.parent) == command


@pytest.mark.parametrize("name", ["metaflow_extensions", "sitecustomize.py"])
def test_what_is_imported_at_the_start_counts(script: Path, name: str) -> None:
    command = [sys.executable, str(script)]
    env = {"HOME": str(script.parent), "PYTHONPATH": f"/nowhere:{script.parent}"}
    for _ in range(2):
        start.forked_command(command, env, script.parent)
    assert start.forked_command(command, env, script.parent) != command
    (script.parent / name).touch()
    assert start.forked_command(command, env, script.parent) == command


def test_an_installation_counts(tmp_path: Path) -> None:
    python, packages = tmp_path / "bin/python", tmp_path / "lib/python3/site-packages"
    packages.mkdir(parents=True)
    before = start.changed_last(str(python))
    (packages / "a.dist-info").mkdir()
    assert start.changed_last(str(python)) != before
