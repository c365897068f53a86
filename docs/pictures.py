"""Draws the pictures of README and docs/ from what the real programs print: `make pictures`.

The same commit gives the same bytes: time is made up, and the address of the simulated cluster and
the minor version of Python are replaced. tests/tool/test_pictures.py finds a picture that no longer
shows what the programs print.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler
from itertools import groupby
from pathlib import Path
from typing import Any

import copier
import pyte
import yaml

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "tests")]
from cluster_manifests import healthy, manifest, node  # noqa: E402
from kubernetes_api import served  # noqa: E402
from released import copy_without_tool, copy_working_tree, git  # noqa: E402
from s3_server import serve_objects  # noqa: E402
from simulated_cluster import Cluster  # noqa: E402
from terminal import CLEAR, ENTER, Terminal  # noqa: E402
from terminal_svg import Frame, Row, draw, rows_of  # noqa: E402

DOCS = ROOT / "docs"
BIN = Path(sys.executable).parent
WIDTH = 100
PROMPT = "\x1b[1;32m$\x1b[0m"
ANSWERS = yaml.safe_load((ROOT / "tests/example-answers.yml").read_text())
COPY = "copier copy gh:org/mf-template churn-model"
URL = "https://github.com/org/mf-template.git"  # which Copier makes of it
REFUSED = {"image": "ghcr.io/acme/churn:latest"}  # what is typed first
ROWS = 30  # of the terminal of the questions
# Seconds for a key, and for reading a question, an answer and a message.
KEY, QUESTION, ANSWER, MESSAGE = 0.07, 0.9, 0.4, 2.5


class Film:
    """What a terminal shows while somebody answers questions, with a clock that is made up."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal, self.time, self.asked = terminal, 0.0, 0
        self.frames: list[Frame] = []

    def shoot(self, seconds: float) -> None:
        """Take what is on the screen, and leave it there for a while."""
        rows = rows_of(self.terminal.screen, cursor=not self.terminal.ended)
        self.frames.append(Frame(round(self.time, 2), tuple(folded(rows))))
        self.time += seconds

    def is_next(self) -> bool:
        return self.terminal.ended or self.terminal.text.count("🎤") > self.asked

    def next_question(self) -> str:
        """Take the next question, and return it; an empty text after the last."""
        self.terminal.until(self.is_next)
        self.shoot(QUESTION)
        self.asked += 1
        return "" if self.terminal.ended else self.terminal.text.rpartition("🎤 ")[2]

    def is_typed(self, answer: str) -> bool:
        return self.terminal.before_cursor.strip() == answer

    def type(self, answer: str) -> None:
        """Replace a default by an answer, key by key."""
        if not self.is_typed(answer):
            for end in range(len(answer) + 1):
                self.terminal.type(answer[end - 1] if end else CLEAR)
                self.terminal.until(partial(self.is_typed, answer[:end]), quiet=1)
                self.shoot(KEY)
        self.time += ANSWER


def folded(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows, with one for all files that Copier creates: in an order of the file system."""
    for what, group in groupby(rows, key=lambda row: row[0].text if row else ""):
        row, *others = group
        yield (row[0], replace(row[-1], text="…")) if what == "create" else row
        yield from others if what != "create" else ()


def questions(template: Path, folder: Path) -> str:
    """Draw `copier copy` with the answers of the README's example, and one that is refused."""
    helps = {
        key: question["help"].split("?")[0]
        for key, question in yaml.safe_load((template / "copier.yml").read_text()).items()
        if "help" in question
    }
    (folder / "settings.yml").write_text("{}\n")
    environment = {
        "TERM": "xterm-256color",
        "COPIER_SETTINGS_PATH": str(folder / "settings.yml"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{template}.insteadOf",
        "GIT_CONFIG_VALUE_0": URL,
    }
    command = (str(BIN / "copier"), *COPY.split()[1:])
    with Terminal(*command, folder=folder, columns=WIDTH, rows=120, **environment) as terminal:
        film = Film(terminal)
        terminal.stream.feed(f"{PROMPT} uvx {COPY}\r\n")
        film.shoot(QUESTION)
        while text := film.next_question():
            question = next(key for key, help in helps.items() if text.startswith(help))
            if question in REFUSED:
                film.type(REFUSED[question])
                terminal.type(ENTER)
                terminal.until_shown("Validation error")
                film.shoot(MESSAGE)
            if question in ANSWERS:
                film.type(str(ANSWERS[question]))
            terminal.type(ENTER)
    return draw(f"uvx {COPY}", WIDTH, film.frames, ROWS)


class Shell:
    """Commands in a project, and what a terminal shows of them."""

    def __init__(self, project: Path, width: int = WIDTH, **variables: str) -> None:
        self.project, self.screen = project, pyte.Screen(width, 200)
        self.stream = pyte.Stream(self.screen)
        self.env = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(project.parent),
            "LANG": "C.UTF-8",
            "METAFLOW_HOME": str(project.parent / "metaflow"),
            "METAFLOW_USER": "ann",
            "PYTHONPATH": "src",
            "COLUMNS": str(width),
            "FORCE_COLOR": "1",
            "TERM": "xterm",
            **variables,
        }

    def run(self, command: str, changed: Sequence[tuple[str, str]] = ()) -> None:
        """Show a command and what it prints; patterns in it are replaced."""
        arguments = command.replace("uv run k8s", str(BIN / "k8s")).split()
        done = subprocess.run(arguments, cwd=self.project, env=self.env, capture_output=True)
        printed = done.stdout.decode() or sys.exit(done.stderr.decode())
        for pattern, text in changed:
            printed = re.sub(pattern, text, printed)
        printed = printed.strip().replace("\n", "\r\n")
        self.stream.feed(f"{PROMPT} {command}\r\n{printed}\r\n\r\n")

    def picture(self, title: str) -> str:
        return draw(title, self.screen.columns, [Frame(0, rows_of(self.screen))])


def adopt(project: Path) -> str:
    """Draw what a flow that configures one of its steps loses on Argo, and what BaseFlow gives."""
    flow = (ROOT / "tests/flows/plain.py").read_text().partition("\n\n")[2]
    flow = flow.replace("PlainFlow", "TrainFlow").replace("middle", "train")
    (project / "flows/train.py").write_text(flow)
    shell = Shell(project)
    imports = (r"(?s)\A.*?(?=\x1b\[31m-class)", "")
    image = (rf"python:3\.{sys.version_info.minor}\b", "python:3.13")  # of the Python that compiles
    shell.run("uv run k8s adopt train", [imports, image])
    return shell.picture("k8s adopt: a flow before and after")


def check(project: Path) -> str:
    """Draw the check of a flow, and the plan of an edit that gives one of its steps another GPU."""
    shell = Shell(project)
    shell.run("uv run k8s check train")
    for command in ("init -q", "add -A", "commit -qm first"):
        git(project, *command.split())
    flow = project / "flows/train.py"
    flow.write_text(flow.read_text().replace("@k8s(memory=8192)", "@k8s(gpu=2, memory=8192)"))
    shell.run("git diff -U0 --color flows", [(r"(?s)^.*?(?=\S*@@)", "")])
    shell.run("uv run k8s plan")
    return shell.picture("k8s check and k8s plan")


class Proxy(BaseHTTPRequestHandler):
    """Lets nobody out, so that no registry is asked."""

    def do_CONNECT(self) -> None:
        self.send_error(403)

    def log_message(self, *_: Any) -> None:
        pass


def doctor(project: Path) -> str:
    """Draw the doctor's answers on a cluster without the claim, whose node with GPUs is tainted."""
    storage = manifest("StorageClass", "standard", provisioner="nfs.csi.k8s.io")
    storage["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    gpus = node("gpu-1", "nvidia.com/gpu:NoSchedule", allocatable={"nvidia.com/gpu": "2"})
    cluster = Cluster(*healthy(), storage, gpus)
    address = (r"http://127.0.0.1:\d+ \(context fake\)", "https://k8s.example.com (context dev)")
    with cluster.serve(project.parent), serve_objects({}) as (_, s3), served(Proxy) as port:
        variables = {
            "METAFLOW_DEFAULT_DATASTORE": "s3",
            "METAFLOW_DATASTORE_SYSROOT_S3": "s3://acme-ml/metaflow",
            "METAFLOW_S3_ENDPOINT_URL": s3,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "HTTPS_PROXY": f"http://127.0.0.1:{port}",
            "NO_PROXY": "127.0.0.1",
        }
        shell = Shell(project, 120, **cluster.variables, **variables)
        refusal = (
            ": Tunnel connection failed: 403 Forbidden",
            "",
        )  # the proxy
        shell.run("uv run k8s doctor train", [address, refusal])
    return shell.picture("k8s doctor")


STILLS: dict[str, Callable[[Path], str]] = {"adopt": adopt, "check": check, "doctor": doctor}


def main() -> None:
    names = sys.argv[1:] or ["questions", *STILLS]
    with tempfile.TemporaryDirectory() as place:
        whole, small, home = (Path(place, name) for name in ("whole", "mf-template", "home"))
        home.mkdir()
        copy_working_tree(whole)
        copy_without_tool(whole, small)
        example = Path(place, "churn-model")
        minor = min(sys.version_info.minor, 13)  # that of the environment which compiles the flows
        data = {**ANSWERS, "python_version": f"3.{minor}"}
        copier.run_copy(str(whole), example, data=data, defaults=True, quiet=True)
        for name in names:
            project = home / name / "churn-model"
            if name in STILLS:
                shutil.copytree(example, project)
            drawn = STILLS[name](project) if name in STILLS else questions(small, home)
            (DOCS / f"{name}.svg").write_text(drawn, encoding="utf-8")
            print(f"docs/{name}.svg: {len(drawn.encode()) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
