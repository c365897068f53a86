"""`k8s check` as a whole: answers that pass it, bad input, and that it writes nothing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ADVANCED, EXAMPLE, K8S
from own_copy import Run, flow, history, k8s, one_line, project

__all__ = ["history", "k8s", "project"]  # fixtures

READY = {"project_name": "ready", "image": "python:3.13-slim", "image_source": "existing"}


@pytest.mark.parametrize("answers", [{}, EXAMPLE, ADVANCED, READY], ids=lambda item: len(item))
def test_answers_pass_the_check(
    copy: Callable[..., Path], tmp_path: Path, answers: dict[str, Any]
) -> None:
    folder = copy(tmp_path / "project", **answers)
    own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [K8S, "check"], cwd=folder, env=own, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": every pod matches k8s.toml") == 2


def test_imports_that_pods_lack(k8s: Run, project: Path, history: Callable[..., str]) -> None:
    """At the top, in a step, in a module: all that the code package and the image do not have."""
    source = project / "src"
    (source / "churn_plots").mkdir()
    (source / "churn_plots/__init__.py").touch()
    (source / "churn_model/features.py").write_text("def load():\n    import hypothesis\n")
    (project / "flows/beside.py").write_text("import joblib\n")
    text = flow(more="\n\nimport beside, churn_plots, yaml\nfrom churn_model import features")
    text = text.replace("        pass", "        import sklearn, rich, missing_package")
    (project / "flows/one.py").write_text(text)
    (report,) = json.loads(k8s("check", "one", "--format=json").stdout)["flows"]
    named = {note.partition(",")[0]: note for note in report["notes"] if " imports " in note}
    assert [*named] == [
        "flows/one.py imports churn_plots",
        "flows/one.py imports missing_package",
        "flows/one.py imports rich",
        "flows/one.py imports yaml",
        "src/churn_model/features.py imports hypothesis",
    ]
    assert named["flows/one.py imports rich"].endswith("so the image may lack it: uv add rich")
    planned = json.loads(k8s("plan", "--format=json").stdout)
    assert [note for note in planned["notes"] if " imports " in note] == [*named.values()]


def test_table_of_a_flow_that_is_gone_or_misspelt(k8s: Run, project: Path) -> None:
    """Whoever deletes an example need not know of tests/kind.toml; a misspelt name is an error."""
    (project / "flows/hello.py").unlink()
    done = k8s("check")
    assert done.returncode == 0, done.stdout
    assert (
        done.stderr == "k8s: tests/kind.toml: no flow has the name of [hello]: delete this table\n"
    )
    (project / "tests/kind.toml").write_text("[trian]\nskip = 'slow'\n")
    message = "tests/kind.toml: no flow is called trian; did you mean train?"
    assert one_line(k8s("check", "train")) == f"k8s: {message}"
    pytest_alone = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert message in pytest_alone.stdout


def test_nothing_is_written(k8s: Run, project: Path, tmp_path: Path) -> None:
    assert k8s("check", "hello").returncode == 0  # Python's own cache of src/ is there now
    before = sorted(tmp_path.rglob("*"))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    assert k8s("check", TMPDIR=str(temporary)).returncode == 0
    after = sorted(path for path in tmp_path.rglob("*") if path != temporary)
    assert after == before


def empty(project: Path) -> None:
    shutil.rmtree(project / "flows")


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda project: (project / name).write_text(text) and None


LINT = flow().replace("self.next(self.end)", "pass", 1)
BAD: dict[str, tuple[Any, tuple[str, ...], str]] = {
    "no flows": (empty, ("check", "hello"), "no flow is called hello; flows/ has no flow"),
    "no such flow": (None, ("check", "trian"), "train"),
    "not a flow": (
        write("flows/one.py", "x = 1\n"),
        ("check", "one"),
        "flows/one.py",
    ),
    "raises": (write("flows/one.py", f"1 / 0\n{flow()}"), ("check", "one"), "ZeroDivisionError"),
    "does not lint": (write("flows/one.py", LINT), ("check", "one"), "self.next"),
    "dies": (write("flows/one.py", f"raise SystemExit(3)\n{flow()}"), ("check", "one"), "3"),
    "not TOML": (write("k8s.toml", "image = \n"), ("check",), "k8s.toml is not TOML: "),
    "no k8s.toml": (lambda project: (project / "k8s.toml").unlink(), ("check",), "k8s.toml"),
    "claims are no table": (
        write("k8s.toml", 'image = "a/b:1"\npersistent_volume_claims = "data"\n'),
        ("check", "hello"),
        "persistent_volume_claims",
    ),
    "a misspelt key": (write("k8s.toml", "gpus = 1\n"), ("check", "hello"), "did you mean gpu"),
    "no context": (None, ("check", "hello", "--live"), "kubectl's configuration has no context"),
    "an option of --live": (None, ("check", "--run", "1"), "need --live"),
    "an unknown option": (None, ("check", "--verbos"), "--verbos"),
    "no repository": (
        None,
        ("plan", "--exit-code", "--against", "nowhere"),
        "is in no git repository: run",
    ),
}


@pytest.mark.parametrize(("spoil", "command", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line(
    k8s: Run, project: Path, spoil: Any, command: Any, says: str
) -> None:
    if spoil:
        spoil(project)
    done = k8s(*command)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in one_line(done)


def test_debug_shows_the_traceback(k8s: Run, project: Path) -> None:
    (project / "flows/one.py").write_text(f"1 / 0\n{flow()}")
    assert 'one.py", line 1, in <module>' in k8s("check", "one", "--debug").stderr
    assert "Traceback" in k8s("check", "nothing", "--debug").stderr
