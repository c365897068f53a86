"""What `k8s plan` shows of two states of the flows, and what it hides."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import ROOT
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.plan.differences import differences as compare_plans
from mf_k8s.plan.differences import planned_settings
from mf_k8s.project.project import Project
from own_copy import Run, flow, history, k8s, project, replace

__all__ = ["history", "k8s", "project"]  # fixtures


def test_plan_shows_one_step_alone(k8s: Run, project: Path, history: Callable[..., str]) -> None:
    replace(project / "flows/train.py", "@k8s(memory=8192)", "@k8s(memory=8192, gpu=2)")
    done = k8s("plan", "--format=json")
    assert (done.returncode, done.stderr) == (0, "")
    plan = json.loads(done.stdout)
    old, new = {"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "2"}
    change = {"flow": "TrainFlow", "pod": "train", "setting": "gpu", "old": old, "new": new}
    assert plan["changes"] == [change]
    assert (plan["added"], plan["removed"]) == ([], [])
    assert plan["unchanged"]["TrainFlow"] == ["start", "choose", "end", "error-msg-capture-hook"]
    done = k8s("plan", "--exit-code", "--format=markdown")
    assert done.returncode == 1  # and not 2, as for an error
    assert "nvidia.com/gpu: 1 | nvidia.com/gpu: 2" in done.stdout
    assert len(history("worktree", "list").splitlines()) == 1


MORE_OF_GANG = """    @retry(times=4, minutes_between_retries=3)
    @timeout(hours=2)
    @environment(vars={"GH_PAT": "sesame"})
    @parallel
"""


def test_plan_sees_pods_that_a_jobset_makes(project: Path) -> None:
    """Their template has no step's name, and they are in a text; nothing secret is shown."""
    file, other = project / "flows/gang.py", project / "flows/other/gang.py"
    shutil.copy(ROOT / "tests/flows/gang.py", file)
    imports = "import current, environment, project, retry, timeout,"
    text = file.read_text().replace("import current,", imports)
    text = text.replace("class Gang", '@project(name="team")\nclass Gang')
    other.parent.mkdir()
    other.write_text(text.replace("    @parallel\n", MORE_OF_GANG))
    one = Project(project, "churn_model")
    old, new = compile_flows(one, [file, other])
    (again,) = compile_flows(one, [file])
    assert old.template and new.template and again.template, (old.error, new.error)
    before, after = planned_settings(old.template), planned_settings(new.template)
    assert planned_settings(again.template) == before
    plan = compare_plans({"GangFlow": before}, {"GangFlow": after}, "HEAD")
    assert "sesame" not in json.dumps(plan)
    changes: dict[str, dict[str, Any]] = {}
    for item in plan["changes"]:
        changes.setdefault(item["pod"], {})[item["setting"]] = (item["old"], item["new"])
    retried = {"retry": (None, 4), "retry after": (None, "3m")}
    of_job = {**retried, "timeout": (432000, 7200), "variable GH_PAT": (None, "a value")}
    assert changes == {
        "train/control": of_job,
        "train/worker": of_job,
        "train/creator": retried,
        "(workflow)": {"name": ("gangflow", "team.user.check.gangflow")},
    }
    renamed = json.loads(json.dumps(old.template).replace("gang.py", "band.py"))
    plan = compare_plans({"GangFlow": before}, {"GangFlow": planned_settings(renamed)}, "HEAD")
    hidden = {"setting": "command", "old": "a value", "new": "another value"}
    assert plan["changes"] == [
        {"flow": "GangFlow", "pod": pod, **hidden}
        for pod in ("end", "join", "start", "train/control", "train/worker")
    ]


def test_plan_shows_no_noise(k8s: Run, project: Path, history: Callable[..., str]) -> None:
    """A change of code alone changes the package, not what the pods get."""
    replace(project / "flows/hello.py", "print(self.greeting)", "print(self.greeting, '!')")
    history("commit", "-aqm", "second")
    done = k8s("plan", "--against", "HEAD~1", "--exit-code", "--format=json")
    assert (done.returncode, json.loads(done.stdout)["changes"]) == (0, []), done.stderr


def test_plan_shows_flows_and_what_is_not_in_k8s_toml(
    k8s: Run, project: Path, history: Callable[..., str]
) -> None:
    (project / "flows/hello.py").unlink()
    (project / "flows/one.py").write_text(flow())
    replace(
        project / "flows/train.py",
        "    @step\n    def start",
        "    @retry(times=4)\n    @step\n    def start",
    )
    replace(project / "flows/train.py", "import card,", "import retry, schedule, card,")
    replace(project / "flows/train.py", "class TrainFlow", "@schedule(daily=True)\nclass TrainFlow")
    plan = json.loads(k8s("plan", "--format=json").stdout)
    assert (plan["added"], plan["removed"]) == (["OneFlow"], ["HelloFlow"])
    changed = {
        (item["pod"], item["setting"]): (item["old"], item["new"]) for item in plan["changes"]
    }
    assert changed.keys() == {
        *(("start", "retry"), ("start", "retry after")),
        *(("(workflow)", "cron"), ("(workflow)", "starts by itself in")),
    }
    assert changed["start", "retry"] == (None, 4)
    assert "0 0 * * ?" in changed["(workflow)", "cron"][1]


SECRETIVE = """
    dsn = Parameter("dsn", default={dsn!r})

    @environment(vars={{"DATABASE": {dsn!r}, "GH_PAT": {token!r}, {more}}})
"""


def test_plan_shows_no_secret(k8s: Run, project: Path, history: Callable[..., str]) -> None:
    """That a variable or a parameter's default changed, never what it is."""

    def write(dsn: str, token: str, more: str) -> None:
        own = SECRETIVE.format(dsn=dsn, token=token, more=more).strip()
        (project / "flows/one.py").write_text(flow(own, ", Parameter, environment"))

    write("postgres://u:sesame@db", "barley", "'KEPT': 'rice'")
    history("add", "-A")
    history("commit", "-qm", "second")
    write("postgres://u:open@db", "barley", "'KEPT': 'rice', 'NEW_KEY': 'millet'")
    done = k8s("plan", "--format=json")
    assert done.returncode == 0, done.stderr
    for secret in ("sesame", "barley", "open", "millet", "rice"):
        assert secret not in done.stdout
    changes = {
        (item["pod"], item["setting"]): (item["old"], item["new"])
        for item in json.loads(done.stdout)["changes"]
    }
    assert changes == {
        ("start", "variable DATABASE"): ("a value", "another value"),
        ("start", "variable NEW_KEY"): (None, "a value"),
        ("(workflow)", "parameter dsn"): ("a value", "another value"),
    }


def test_plan_shows_a_label_of_kubernetes_own_names(
    k8s: Run, project: Path, history: Callable[..., str]
) -> None:
    labels = '[labels]\n"app.kubernetes.io/version" = "{}"\n'
    text = (project / "k8s.toml").read_text()
    (project / "k8s.toml").write_text(text + labels.format(1))
    history("commit", "-qam", "second")
    (project / "k8s.toml").write_text(text + labels.format(2))
    changes = json.loads(k8s("plan", "--format=json").stdout)["changes"]
    assert {(item["setting"], str(item["new"])) for item in changes} == {
        ("labels", "{'app.kubernetes.io/version': '2'}")
    }
