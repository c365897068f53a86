"""`k8s adopt` as a command: what it prints, and what it asks."""

import os
import re
from pathlib import Path

import pytest
from adopting import add, adopt, empty, plain, project, section, status
from conftest import ROOT
from mf_k8s.adopt import adoption
from mf_k8s.adopt.adoption import Adoption
from mf_k8s.adopt.print_adoption import show_difference
from mf_k8s.adopt.prove_same_pods import Proof
from mf_k8s.cli import app
from mf_k8s.commands.adopt import answers
from mf_k8s.errors import CommandError
from mf_k8s.plan.differences import Change
from mf_k8s.show.tables import Printer
from teams import commit
from typer.testing import CliRunner

__all__ = ["empty", "project"]  # fixtures

FLOWS = ROOT / "tests/tool/adopt/flows"


def test_the_flow_of_the_report(project: Path) -> None:
    add(project, report=(FLOWS / "report.py").read_text())
    printed, errors = adopt(project, "report", "--prefer=flows", "--apply")
    assert "Changes:" not in printed
    lost = section(printed, "Added, and nothing is lost")
    for pod in ("start", "end", "error-msg-capture-hook"):
        assert re.search(rf"\b{pod}\b", lost)
    assert not re.search(r"\btrain\b", lost)
    assert "Unchanged: ReportFlow: train\n" in printed
    assert "+gpu = 1\n" in printed
    undo = "git checkout -- k8s.toml flows/report.py"
    assert errors == f"k8s: written; `git diff` shows it, `{undo}` undoes it\n"
    written = (project / "flows/report.py").read_text()
    assert written == (FLOWS / "report.adopted.py").read_text()
    assert status(project).split() == ["M", "flows/report.py", "M", "k8s.toml"]

    commit(project)
    printed, _ = adopt(project, "report", "--prefer=flows", "--apply")
    assert printed == "flows/report.py: ReportFlow derives from BaseFlow already\n"
    assert status(project) == ""


def test_what_changes_must_be_accepted(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or nothing is written, and the exit code is 1."""
    add(project, plain=plain())
    file = project / "flows/plain.py"
    change = Change(flow="PlainFlow", pod="start", setting="memory", old="9000M", new="4096M")
    result = Adoption({file: b"new"}, Proof([], [change], {}), [])
    monkeypatch.setattr(adoption, "adopt_flows", lambda *_: result)
    monkeypatch.chdir(project)
    for accepted, code, content in (((), 1, plain().encode()), (("--yes",), 0, b"new")):
        done = CliRunner().invoke(app, ["adopt", "plain", "--apply", *accepted])
        assert (done.exit_code, file.read_bytes()) == (code, content)
        assert "PlainFlow" in section(done.output, "Changes")


def test_where_nobody_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))
    assert answers("flows", "k8s.toml")("image", "a:1", "b:2")
    assert not answers("config", "k8s.toml")("image", "a:1", "b:2")
    with pytest.raises(CommandError) as stopped:
        answers("ask", "k8s.toml")("image", "a:1", "b:2")
    assert str(stopped.value) == (
        "k8s.toml has image = a:1, most of the steps b:2. Take b:2? Answer with --prefer=flows or"
        " --prefer=config"
    )


def test_difference_has_colours_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As git's. Where it may be a file that `patch` reads, a tab stays one."""
    difference = "--- a/f.py\n+++ b/f.py\n@@ -1,2 +1,2 @@\n same\n-\told[0]\n+\tnew[0]\n"
    for variable in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    show_difference(difference, Printer(markdown=False))
    assert capsys.readouterr().out == difference
    monkeypatch.setenv("FORCE_COLOR", "1")
    show_difference(difference, Printer(markdown=False))
    assert capsys.readouterr().out == (
        "\x1b[1m--- a/f.py\x1b[0m\n\x1b[1m+++ b/f.py\x1b[0m\n"
        "\x1b[36m@@ -1,2 +1,2 @@\x1b[0m\n same\n"
        "\x1b[31m-       old[0]\x1b[0m\n\x1b[32m+       new[0]\x1b[0m\n"
    )
