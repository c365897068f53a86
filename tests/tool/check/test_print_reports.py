"""How `k8s check` shows what it found: tables, Markdown, notes that are given once."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from mf_k8s.check.compare import check_flows
from mf_k8s.check.print_reports import show_reports
from mf_k8s.check.report import Report, as_json
from mf_k8s.errors import Finding
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.project.project import Project
from own_copy import Run, history, k8s, project, replace
from terminal_svg import text_of

__all__ = ["history", "k8s", "project"]  # fixtures


TRAIN = """flowchart LR
  subgraph f1["TrainFlow (compiled): every pod matches k8s.toml"]
  f1_s1["start<br>cpu 1, memory 4096M<br>gpu 1"]
  f1_s1 -->|"foreach strengths"| f1_s2
  f1_s2["train<br>cpu 1, memory 8192M #42;<br>gpu 1"]
  f1_s2 --> f1_s3
  f1_s3["choose<br>cpu 1, memory 4096M<br>gpu 1"]
  f1_s3 --> f1_s4
  f1_s4["end<br>cpu 1, memory 4096M<br>gpu 1"]
  end
  classDef override stroke:#2563eb,stroke-width:3px
  class f1_s2 override
""".splitlines()


def test_table_markdown_and_graph_say_the_same(k8s: Run) -> None:
    table, markdown = k8s("check"), k8s("check", "train", "--format=markdown")
    assert (table.returncode, markdown.returncode) == (0, 0)
    for text in (
        "TrainFlow (compiled): every pod matches k8s.toml",
        "8192M *",
        "metaflow-training: /cache",
    ):
        assert text in table.stdout and text in markdown.stdout
    assert "HelloFlow" in table.stdout and "HelloFlow" not in markdown.stdout
    drawn = text_of((ROOT / "docs/check.svg").read_text(encoding="utf-8"))
    of_train = table.stdout[table.stdout.index("TrainFlow (compiled)") :].split()
    assert " ".join(of_train) in " ".join(drawn), "`make pictures` draws it anew"
    graph = k8s("check", "train", "--format=mermaid")
    assert (graph.returncode, graph.stdout.splitlines()) == (0, TRAIN)


CONFIGURED = """
[security_context]
run_as_user = 1000

[node_selector]
pool = "gpu"
"""


def test_what_is_said_once(
    project: Path,
    history: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    """Of the project on its first flow; what only users of `create` need, with a dagger.

    Copier's answers are not compared: an edit of k8s.toml is no fault.
    """
    lock = project / "uv.lock"
    if not lock.exists():  # else another test has locked the example, and it was committed
        lock.write_text("version = 1\n")
    with (project / "k8s.toml").open("a") as file:
        file.write(CONFIGURED)
    replace(project / "k8s.toml", "memory = 4096", "memory = 5000")
    history("add", "-A")
    history("commit", "-qm", "configured")
    replace(project / "Dockerfile", "WORKDIR", "ENV A=1\nWORKDIR")
    replace(project / "flows/hello.py", "import Parameter", "import schedule, Parameter")
    replace(project / "flows/hello.py", "class Hello", "@schedule(daily=True)\nclass Hello")
    shutil.copy(ROOT / "tests/flows/conditional.py", project / "flows")
    monkeypatch.chdir(project)
    one = Project(project, "churn_model")
    joining, hello, train = reports = list(check_flows(one, compile_flows(one, one.flow_files())))
    assert joining.matches and hello.matches and train.matches
    (waiting,) = joining.release_problems
    assert waiting.startswith("meet: by a plain `argo-workflows create`, this join waits forever")
    assert hello.notes == []
    assert joining.notes == [
        "what the image is built of changed (Dockerfile), but the tag of ghcr.io/acme/churn:1.2.3"
        " did not: run `uv run k8s image --bump`",
        "Metaflow gives these to steps only, not to helper pods: security_context",
    ]
    assert (train.notes, train.release_problems) == ([], [])
    (problem,) = hello.release_problems
    assert problem.startswith("Argo 4 refuses the schedule that a plain `argo-workflows create`")
    assert hello.by_deploy == {"error-msg-capture-hook": ["node_selector"]}
    reports = [hello, train]
    monkeypatch.setenv("COLUMNS", "200")
    for markdown in (False, True):
        show_reports(reports, markdown)
        output = capsys.readouterr().out
        assert output.count("error-msg-capture-hook †") == 2
        by_deploy = "† set by `k8s deploy`, not by a plain `argo-workflows create`: node_selector"
        assert output.splitlines().count(by_deploy) == 1
        assert output.splitlines().count(f"- † {problem}") == 1
        assert "start †" not in output and "end †" not in output
    in_json = json.loads(as_json(reports))
    assert in_json["equal"] and in_json["flows"][0]["release_problems"] == [problem]


def test_nothing_is_marked_where_create_gives_all(k8s: Run) -> None:
    """The example has nothing that Metaflow leaves off a hook."""
    done = k8s("check", "hello")
    assert done.returncode == 0, done.stdout
    assert "†" not in done.stdout


def test_a_shortened_name_is_said(k8s: Run, project: Path) -> None:
    """Metaflow does so from 46 characters on; the branch is user.check here."""
    hello = project / "flows/hello.py"
    long = "ThisIsTheFlowThatGreetsTheWholeWorldFlow"
    hello.write_text(hello.read_text().replace("HelloFlow", long))
    (report,) = json.loads(k8s("check", "hello", "--format=json").stdout)["flows"]
    (note,) = [note for note in report["notes"] if "shortens" in note]
    assert note.startswith(f"Metaflow shortens churn_model.user.check.{long} to ")


def test_a_flow_that_does_not_compile_has_its_path_as_title(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the comment on a pull request, too: relative to where the command runs."""
    monkeypatch.chdir(tmp_path)
    error = Finding("flow-not-compiled", "no module churn", "flows/train.py")
    report = Report(file=tmp_path / "flows/train.py", error=error)
    show_reports([report], markdown=True)
    assert capsys.readouterr().out == (
        "## flows/train.py (compiled): could not be checked\n\n- no module churn\n\n"
    )
