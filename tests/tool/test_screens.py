"""What people see in a terminal of 80 columns, as text files to read: tests/screens.

`make screens` writes them anew. Read what has changed: this is where a line that is cut shows.
"""

import copy
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BIN, QUESTIONS, Compare, copy_project
from mf_k8s.check.compare import check_flows
from mf_k8s.check.print_reports import show_graphs, show_reports
from mf_k8s.cli import main
from mf_k8s.cluster.target import Target
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.plan.differences import differences, planned_settings, show_plan
from mf_k8s.plan.graph import PlannedFlow, graph_of_change
from mf_k8s.project.project import Project
from mf_k8s.show import progress
from questions import COMPUTED, FREE_TEXT
from rich.console import Console
from terminal import CLEAR, ENTER, Terminal

# What people type that is refused, once for each message, and then what is accepted. Of a question
# that is not here, the first wrong answer of tests/questions.py is typed, then its default.
TYPED: dict[str, tuple[list[str], str]] = {
    "project_name": (["Churn Model", "metaflow"], "churn"),
    "image": (["churn", "churn:latest", "ghcr.io/Acme/churn:1.0"], "ghcr.io/acme/churn:1.0"),
    "gpu": (["1 A100", "0.5", "none"], "1"),
    "service_account": (["Metaflow", "system:serviceaccount:ml:metaflow"], "metaflow"),
    "shared_memory": (["8Gi", "-1"], "8192"),
    "persistent_volume_claims": (
        [
            "metaflow-training",
            "data:data",
            "Data:/data",
            "a:/x, a:/y",
            "a:/x, b:/x/y",
            "a:/dev/shm",
        ],
        "metaflow-training:/cache",
    ),
    "cpu": (["0", "500m"], "2"),
    "memory": (["16GB", "4.5"], "16000"),
    "namespace": (["Team A"], "team-a"),
    "datastore_root": (["s3://bucket/", "bucket/Folder/"], "s3://acme-ml/metaflow"),
    "advanced": ([], "y"),
    "image_pull_secrets": (["REGCRED"], "regcred"),
    "secrets": (["DB_PASSWORD"], "db-password"),
    "node_selector": (["gpu", "pool=a, pool=b"], "pool=gpu"),
    "tolerations": (["nvidia.com/gpu"], "nvidia.com/gpu:NoSchedule"),
    "metadata_service_url": (["metadata.example.com"], "https://metadata.example.com"),
}


def typed(question: str) -> tuple[list[str], str]:
    """Return wrong answers of a question, and one that is accepted; empty for the default."""
    if question in TYPED or question not in FREE_TEXT:
        return TYPED.get(question, ([], ""))
    bad = (str(answer) for answer, _ in FREE_TEXT[question].bad)
    return [next(text for text in bad if text.isprintable() and text.strip())], ""


@pytest.fixture
def terminal(template: Path, tmp_path: Path) -> Iterator[Terminal]:
    settings = os.environ["COPIER_SETTINGS_PATH"]
    command = (BIN / "copier", "copy", template, "churn")
    with Terminal(*command, folder=tmp_path, COPIER_SETTINGS_PATH=settings) as terminal:
        yield terminal


def test_questions_and_wrong_answers(terminal: Terminal, compare: Compare) -> None:
    """Each question as it is asked, and what Copier shows of the message for a wrong answer."""
    questions, messages = [], []
    for question in [name for name in QUESTIONS if name not in COMPUTED]:
        wrong, right = typed(question)
        first = QUESTIONS[question]["help"].split("?")[0]
        asked = terminal.until_shown(f"{first}?")
        start = asked.rindex("🎤")
        questions.append(asked[start:])
        for answer in wrong:
            terminal.type(CLEAR + answer + ENTER)
            messages.append(terminal.until_shown(answer, "Validation error")[start:])
        terminal.type(right if right in ("", "y") else CLEAR + right)
        if right != "y":
            terminal.type(ENTER)
    compare("questions", "\n\n".join(questions))
    compare("wrong-answers", "\n\n".join(messages))


IMAGE = "registry.acme.example.com:5000/vision/churn:2024.11.3-cuda12.4"
SHARED = f"""image = "{IMAGE}"
service_account = "metaflow"
gpu = 1
node_selector.pool = "a100"
tolerations = [{{ key = "nvidia.com/gpu", operator = "Exists" }}]
persistent_volume_claims.metaflow-training = "/cache"
"""
SCORE = """from metaflow import step

from churn_model import BaseFlow, k8s


class ScoreFlow(BaseFlow):
    @k8s(memory=8000)
    @step
    def start(self):
        self.next(self.prepare_features)

    @k8s(image="ghcr.io/acme/spark:3.5.1", gpu=None)
    @step
    def prepare_features(self):
        self.next(self.score)

    @step
    def score(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ScoreFlow()
"""
BUG = """        if function.__name__ == "score":
            settings.pop("gpu")
"""


@pytest.fixture
def project(example: Path, tmp_path: Path) -> Project:
    """Return a project with long values, in which one step of two has lost its GPU."""
    root = tmp_path / "churn-model"
    copy_project(example, root)
    (root / "k8s.toml").write_text(SHARED)
    (root / "flows/score.py").write_text(SCORE)
    base = root / "src/churn_model/base.py"
    line = "        settings = step_settings(read_config(), overrides, where)\n"
    assert line in base.read_text()
    base.write_text(base.read_text().replace(line, line + BUG))
    return Project(root, "churn_model")


def test_check_and_plan(
    project: Project,
    compare: Compare,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Readable at each width, and in a log, where nothing says how wide it is."""
    compiled = list(compile_flows(project, project.flow_files()))
    reports = list(check_flows(project, compiled))
    old = {flow.flow["name"]: planned_settings(flow.template) for flow in compiled}  # type: ignore
    new = copy.deepcopy(old)
    for pod in new["TrainFlow"].values():
        if "image" in pod:
            pod["image"] = IMAGE.replace("11.3", "11.4")
    new["TrainFlow"]["train"]["memory"] = "16000M"
    new["ScoreFlow"]["score"]["gpu"] = {"nvidia.com/gpu": "1"}
    plan = differences(old, new, "HEAD")
    for width in ("80", "100", "160"):
        monkeypatch.setenv("COLUMNS", width)
        show_reports(reports, markdown=False)
        compare(f"check-{width}", capsys.readouterr().out)
        show_plan(plan, markdown=False)
        compare(f"plan-{width}", capsys.readouterr().out)
    graphs = {}
    for name, steps in {each.flow["name"]: each.flow["steps"] for each in compiled}.items():  # type: ignore
        before, after = (PlannedFlow(flows[name], steps) for flows in (old, new))
        graphs[name] = graph_of_change(before, after)
    show_reports(reports, markdown=True)
    show_plan(plan, markdown=True, graphs=graphs)
    compare("check-and-plan-markdown", capsys.readouterr().out)
    show_graphs(reports)
    compare("check-mermaid", capsys.readouterr().out)

    def no_terminal(_: int) -> os.terminal_size:
        raise OSError

    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(os, "get_terminal_size", no_terminal)
    show_reports(reports, markdown=False)
    compare("check-80", capsys.readouterr().out)


def on_terminal(output: str) -> str:
    """Return lines as a terminal of 80 columns shows them."""
    parts = [re.findall(".{1,80}", line) or [""] for line in output.splitlines()]
    return "\n".join(line for lines in parts for line in lines)


FORGOTTEN_STEP = SCORE.replace("    @step\n    def prepare", "    def prepare")
FORGOTTEN_BASE = SCORE.replace("(BaseFlow)", "(FlowSpec)").replace(
    "import step", "import FlowSpec, step"
)
BELOW = SHARED + '\n[labels]\nteam = "churn"\ngpu = 2\n'
# What is typed: the file of a flow and k8s.toml that are wrong, and the environment.
MISTAKES: dict[str, tuple[str, str, dict[str, str]]] = {
    "a step without @step": (FORGOTTEN_STEP, SHARED, {}),
    "a flow without BaseFlow": (FORGOTTEN_BASE, SHARED, {}),
    "a key below a table": (SCORE, BELOW, {}),
    "a misspelt key": (SCORE.replace("memory=", "memroy="), SHARED, {}),
    "a pool that is not there": (SCORE.replace("memory=8000", "'a100'"), SHARED, {}),
    "nobody's name": (SCORE, SHARED, {"METAFLOW_USER": "root"}),
}


def test_mistakes_in_flows(example: Path, tmp_path: Path, compare: Compare) -> None:
    """What `run` prints, which needs no cluster, and stops before a step has run."""
    project, screens = tmp_path / "churn-model", []
    copy_project(example, project)
    for mistake, (flow, shared, variables) in MISTAKES.items():
        (project / "flows/score.py").write_text(flow)
        (project / "k8s.toml").write_text(shared)
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "METAFLOW_USER": "ann"}
        env |= {"PYTHONPATH": str(project / "src"), **variables}
        command = [BIN / "python", "flows/score.py", "run"]
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
        assert done.returncode == 1
        output = done.stderr[max(0, done.stderr.find("    Kubernetes")) :].rstrip()
        screens.append(f"# {mistake}\n$ python flows/score.py run\n{output}")
    compare("mistakes-in-flows", on_terminal("\n\n".join(screens)))


NO_DOCKER = """#!/bin/sh
echo "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?" >&2
exit 1
"""


def test_errors_of_the_command(
    example: Path,
    tmp_path: Path,
    compare: Compare,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line each, and exit code 2."""
    (tmp_path / "docker").write_text(NO_DOCKER)
    (tmp_path / "docker").chmod(0o755)
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("METAFLOW_", "KUBE", "K8S_"))
    }
    clean |= {"METAFLOW_HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    no_project = Path("/")
    commands: list[tuple[str, str, Path, dict[str, str]]] = [
        ("k8s check", "not in a project", no_project, {}),
        ("k8s check scores", "no such flow", example, {}),
        ("k8s kind up", "Docker is not running", example, {}),
        ("k8s image", "Docker is not running", example, {}),
        ("k8s kind test", "before kind up", example, {}),
        ("k8s deploy hello --env staging", "no such file", example, {}),
        ("k8s deploy hello --env prod", "as it comes", example, {}),
        ("k8s deploy hello", "as Metaflow comes", example, {}),
        ("k8s deploy hello", "half of a datastore", example, {"METAFLOW_DEFAULT_DATASTORE": "s3"}),
        ("k8s deploy hello", "no kubeconfig", example, {"KUBECONFIG": "/nowhere"}),
    ]
    terminal = Console(stderr=True, force_terminal=True, width=80, highlight=False)
    monkeypatch.setattr(progress, "console", lambda stderr=False: terminal)
    screens = []
    for command, when, folder, variables in commands:
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(os, "environ", clean | variables)
            patch.setattr(sys, "argv", command.split())
            patch.setattr("signal.signal", lambda *_: None)  # pytest's process keeps its own
            # these have no part in the messages: one takes seconds, the other needs a cluster
            patch.setattr("mf_k8s.deploy.create.compile_flows", lambda *_: [])
            if "KUBECONFIG" not in variables:
                patch.setattr("mf_k8s.cluster.target.argo_findings", lambda _: ())
                patch.setattr(Target, "__str__", lambda _: "")
                patch.setattr("mf_k8s.cluster.user_rights.missing_rights", lambda *_: ())
            with pytest.raises(SystemExit) as end:
                main()
        assert end.value.code == 2
        screens.append(f"$ {command}  # {when}\n{capsys.readouterr().err}")
    compare("errors", "\n".join(screens))
