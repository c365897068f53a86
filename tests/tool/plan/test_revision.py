"""The revision with which `k8s plan` compares: its own configuration, or none yet."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from own_copy import Run, history, k8s, project

__all__ = ["history", "k8s", "project"]  # fixtures


def test_plan_compares_the_file_that_k8s_config_names(
    k8s: Run, project: Path, history: Callable[..., str]
) -> None:
    """In both revisions: a change of prod.toml is not compared with itself."""
    prod = project / "prod.toml"
    shutil.copy(project / "k8s.toml", prod)
    history("add", "-A")
    history("commit", "-q", "-m", "prod")
    with prod.open("a") as file:
        file.write("disk = 20000\n")
    done = k8s("plan", "--exit-code", "--format=json", K8S_CONFIG="prod.toml")
    assert (done.returncode, done.stderr) == (1, "")
    assert {change["setting"] for change in json.loads(done.stdout)["changes"]} == {"disk"}
    assert k8s("plan", "--exit-code").returncode == 0


@pytest.mark.parametrize("missing", ["k8s.toml", "flows"])
def test_plan_against_a_revision_before_the_template(
    k8s: Run, project: Path, history: Callable[..., str], missing: str
) -> None:
    """The pull request that adopts the template has a plan: every flow is added."""
    kept = project / missing
    kept.rename(project / "aside")
    history("add", "-A")
    history("commit", "-qm", "without")
    (project / "aside").rename(kept)
    done = k8s("plan", "--format=json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["added"] == ["HelloFlow", "TrainFlow"]


def test_plan_shows_where_a_flow_starts_by_itself(
    k8s: Run, project: Path, history: Callable[..., str]
) -> None:
    """A place that says nothing starts it, in both revisions, and one that says no does not."""
    hello = project / "flows/hello.py"
    text = hello.read_text().replace("import Par", "import schedule, Par")
    hello.write_text(text.replace("class Hello", "@schedule(hourly=True)\nclass Hello"))
    staging = project / "environments/staging.json"
    staging.write_text('{"branch": "staging"}')
    history("add", "-A")
    history("commit", "-qm", "hourly")
    assert k8s("plan", "--exit-code").returncode == 0
    staging.write_text('{"branch": "staging", "schedules": false}')
    done = k8s("plan", "--exit-code", "--format=json")
    assert done.returncode == 1, done.stderr
    (change,) = json.loads(done.stdout)["changes"]
    assert change == {
        "flow": "HelloFlow",
        "pod": "(workflow)",
        "setting": "starts by itself in",
        "old": "prod, staging",
        "new": "prod",
    }
