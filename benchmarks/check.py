"""Times `k8s check` against one `argo-workflows create --only-json` process for each flow.

    .venv/bin/python benchmarks/check.py [--flows 1 20 200] [--creates 20]

Makes a project from the example answers, gives it copies of its hello flow, and prints the time of
each check, the memory of the largest process, and the ratio to as many creates. The creates get a
server on this machine in S3's place, and 20 of them stand for more.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pairs import record

ROOT = Path(__file__).parent.parent
LARGEST = """
import os, resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--flows", type=int, nargs="+", default=[1, 20, 200])
    options.add_argument("--creates", type=int, default=20)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        each = time_creates(project, chosen.creates) / chosen.creates
        print(f"{chosen.creates} creates: {each * chosen.creates:.1f} s, {each:.2f} s each")
        for number in chosen.flows:
            seconds, megabytes = time_check(project, number)
            ratio = f"{100 * seconds / (each * number):.1f} % of as many creates"
            print(f"check of {number:3} flows: {seconds:5.1f} s, {ratio}, at most {megabytes} MB")
            if number == chosen.creates:
                creates = f"{number} times `argo-workflows create --only-json`"
                base = each * number
                record(f"`k8s check` of {number} flows", creates, seconds, base, seconds / base)


def make_project(folder: Path) -> Path:
    """Return a new project with its environment, made without the network if uv's cache has it."""
    project, tools = folder / "churn-model", Path(sys.executable).parent
    copy = ["--defaults", "--quiet", "--vcs-ref=HEAD", "--data-file=tests/example-answers.yml"]
    sync = ["--quiet", "--python", sys.executable, "--compile-bytecode"]
    subprocess.run([tools / "copier", "copy", *copy, ".", project], cwd=ROOT, check=True)
    subprocess.run([tools / "uv", "sync", *sync], cwd=project, check=True)
    (project / "tests/kind.toml").unlink()  # it names a flow whose copies have other names
    return project


class Bucket(BaseHTTPRequestHandler):
    """As much of an S3 server as it takes to upload a code package."""

    def do_HEAD(self) -> None:
        self.send_error(404)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD

    def log_message(self, *_: object) -> None:
        pass


def time_creates(project: Path, number: int) -> float:
    """Return the seconds that `number` processes of Metaflow take to compile the hello flow."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = os.environ | {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bench/metaflow",
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DEFAULT_METADATA": "local",
        "METAFLOW_HOME": str(project.parent),
        "METAFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "METAFLOW_USER": "bench",
    }
    create = ["--quiet", "--no-pylint", "argo-workflows", "create", "--only-json"]
    command = [project / ".venv/bin/python", "flows/hello.py", *create]
    start = time.monotonic()
    for _ in range(number):
        subprocess.run(command, cwd=project, env=env, capture_output=True, check=True, timeout=120)
    seconds = time.monotonic() - start
    server.shutdown()
    return seconds


def time_check(project: Path, number: int) -> tuple[float, int]:
    """Return the seconds and the MB of the largest process of a check of `number` flows."""
    flows, spare = project / "flows", project / "spare"
    if flows.exists() and not spare.exists():
        flows.rename(spare)
    shutil.rmtree(flows, ignore_errors=True)
    flows.mkdir()
    for index in range(number):
        text = (spare / "hello.py").read_text().replace("HelloFlow", f"Hello{index}Flow")
        (flows / f"hello{index}.py").write_text(text)
    command = [sys.executable, "-c", LARGEST, project / ".venv/bin/k8s", "check", "--format=json"]
    start = time.monotonic()
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    code, megabytes = done.stdout.split()
    assert code == "0", done.stderr
    return time.monotonic() - start, int(megabytes)


if __name__ == "__main__":
    main()
