"""`k8s check` and `k8s plan`, run as a team runs them, in a project made from the answers."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import ADVANCED, EXAMPLE, K8S, ROOT, own_target, write_kubeconfig
from mf_k8s.check.compare import check_flows, compare_workflow
from mf_k8s.check.live import check_live
from mf_k8s.check.print_reports import show_reports
from mf_k8s.check.report import as_json
from mf_k8s.cluster.target import Target
from mf_k8s.deploy.create import compile_to_deploy
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.plan.differences import differences as compare_plans
from mf_k8s.plan.differences import planned_settings
from mf_k8s.pods.configure_template import configure_template
from mf_k8s.project.environments import Environment
from mf_k8s.project.k8s_toml import read_config
from mf_k8s.project.merge_settings import shared_settings
from mf_k8s.project.project import Project

Run = Callable[..., subprocess.CompletedProcess[str]]

FLOW = """from churn_model import BaseFlow, k8s
from metaflow import step{more}


class OneFlow(BaseFlow):
{override}    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    OneFlow()
"""


def flow(override: str = "", more: str = "") -> str:
    return FLOW.format(override=f"    {override}\n" if override else "", more=more)


@pytest.fixture
def project(example: Path, tmp_path: Path) -> Path:
    """Return a copy of the example that a test may spoil."""
    project = tmp_path / "churn-model"
    leave = shutil.ignore_patterns(".venv", "__pycache__", ".metaflow")
    shutil.copytree(example, project, ignore=leave)
    return project


@pytest.fixture
def k8s(project: Path, tmp_path: Path) -> Run:
    """Return a function that runs `k8s` there, without credentials and with a home of its own."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        measured = {k: v for k, v in os.environ.items() if k.startswith("COVERAGE_")}
        return subprocess.run(
            [K8S, *arguments],
            cwd=project,
            env={
                **measured,
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "COLUMNS": "200",
                "GIT_CONFIG_GLOBAL": "/dev/null",
                **env,
            },
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def settings(done: subprocess.CompletedProcess[str], number: int = 0) -> dict[str, Any]:
    """Return what was found, by pod and setting, in the JSON of a check."""
    pods = json.loads(done.stdout)["flows"][number]["pods"]
    return {pod: {key: item["found"] for key, item in table.items()} for pod, table in pods.items()}


def differences(done: subprocess.CompletedProcess[str]) -> set[tuple[str, str]]:
    return {
        (pod, key)
        for item in json.loads(done.stdout)["flows"]
        for pod, table in item["pods"].items()
        for key, setting in table.items()
        if not setting["equal"]
    }


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("k8s: ")
    return line


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


def test_the_example_has_its_configuration_on_every_pod(k8s: Run) -> None:
    done = k8s("check", "train", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    found = settings(done)
    step = {
        "image": "ghcr.io/acme/churn:1.2.3",
        "service_account": "metaflow",
        "cpu": "1",
        "memory": "4096M",
        "disk": "10240M",
        "qos": "Burstable",
        "gpu": {"nvidia.com/gpu": "1"},
        "shared_memory": "8196Mi of Memory at /dev/shm",
        "persistent_volume_claims": {"metaflow-training": "/cache"},
        "timeout": 432000,
    }
    assert found["start"] == found["end"] == found["choose"] == step
    assert found["train"] == {**step, "memory": "8192M"}
    assert found["error-msg-capture-hook"] == {
        "image": "ghcr.io/acme/churn:1.2.3",
        "service_account": "metaflow",
    }
    (report,) = json.loads(done.stdout)["flows"]
    assert report["next"] == {
        "start": ["train"],
        "train": ["choose"],
        "choose": ["end"],
        "end": [],
    }
    marked = [(pod, key) for pod, t in report["pods"].items() for key in t if t[key]["override"]]
    assert marked == [("train", "memory")]


def test_table_and_markdown_say_the_same(k8s: Run) -> None:
    table, markdown = k8s("check"), k8s("check", "train", "--format=markdown")
    assert (table.returncode, markdown.returncode) == (0, 0)
    for text in (
        "TrainFlow (compiled): every pod matches k8s.toml",
        "8192M *",
        "metaflow-training: /cache",
    ):
        assert text in table.stdout and text in markdown.stdout
    assert 's_end["end<br>nvidia.com/gpu: 1<br>4096M"]' in markdown.stdout
    assert "s_start --> s_train" in markdown.stdout
    assert "HelloFlow" in table.stdout and "HelloFlow" not in markdown.stdout


BROKEN = {
    "a lost key": ('settings["gpu"]', ("gpu", 'settings.pop("gpu", None)')),
    "a wrong precedence": ("memory", ("memory", 'settings["memory"] = 4096')),
    "a lost table": (
        "claims",
        ("persistent_volume_claims", 'settings["persistent_volume_claims"] = {}'),
    ),
}


@pytest.mark.parametrize(("setting", "bug"), [item for _, item in BROKEN.values()], ids=BROKEN)
def test_a_bug_of_base_flow_is_a_difference(
    k8s: Run, project: Path, setting: str, bug: str
) -> None:
    base = project / "src/churn_model/base.py"
    line = "        settings = step_settings(read_config(), overrides, where)\n"
    assert line in base.read_text()
    base.write_text(base.read_text().replace(line, f"{line}        {bug}\n"))
    done = k8s("check", "train", "--format=json")
    assert done.returncode == 1
    assert ("train", setting) in differences(done)
    assert {key for _, key in differences(done)} == {setting}
    if setting == "gpu":  # a table says so of each alike
        shown = k8s("check", "train").stdout
        assert "TrainFlow (compiled): does not match k8s.toml" in shown
        assert "expected" in shown and "found" in shown


def test_a_flow_without_base_flow_names_the_fix(k8s: Run, project: Path) -> None:
    text = (
        flow()
        .replace("import BaseFlow, k8s", "import k8s")
        .replace("import step", "import FlowSpec, step")
    )
    (project / "flows/one.py").write_text(text.replace("(BaseFlow)", "(FlowSpec)"))
    done = k8s("check", "one")
    assert done.returncode == 1
    remedy = "write `from churn_model import BaseFlow` and `class OneFlow(BaseFlow)`"
    assert remedy in done.stdout


def test_overrides_may_be_written_in_any_way(k8s: Run, project: Path) -> None:
    """Variables, Metaflow's own decorators, Configs; and nothing of a shared table is lost."""
    (project / "flows/one.py").write_text(
        flow(
            "@k8s(gpu=GPU, labels=config_expr('extra.labels'))\n"
            "    @timeout(hours=2)\n    @resources(memory=9000, shared_memory=64)",
            ", Config, config_expr, resources, timeout\n\nGPU = 3",
        ).replace(
            "BaseFlow):\n",
            'BaseFlow):\n    extra = Config("extra", default_value={"labels": {"team": "a"}})\n\n',
        )
    )
    done = k8s("check", "one", "--format=json")
    assert done.returncode == 0, done.stdout + done.stderr
    start = settings(done)["start"]
    assert start["gpu"] == {"nvidia.com/gpu": "3"}
    assert start["labels"] == {"team": "a"}
    assert (start["memory"], start["timeout"]) == ("9000M", 7200)
    assert start["shared_memory"] == "64Mi of Memory at /dev/shm"
    assert start["persistent_volume_claims"] == {"metaflow-training": "/cache"}


def test_hooks_get_what_metaflow_leaves_off(k8s: Run, project: Path) -> None:
    """And a step that took a shared value away does not get it back from the workflow."""
    with (project / "k8s.toml").open("r+") as file:
        shared = 'image_pull_secrets = ["regcred"]\ntolerations = [{ operator = "Exists" }]\n'
        text = file.read().replace(
            "\ncpu", '\nimage_pull_policy = "Always"\n' + shared + "\ncpu", 1
        )
        file.seek(0)
        file.write(text + '\n[node_selector]\npool = "gpu"\n')
    own = (
        "@k8s(node_selector=None, tolerations=None, image_pull_secrets=None, service_account=None)"
    )
    (project / "flows/one.py").write_text(flow(own))
    done = k8s("check", "one", "--format=json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = settings(done)
    hook = found["error-msg-capture-hook"]
    assert hook["node_selector"] == {"pool": "gpu"}
    assert hook["tolerations"] == [{"operator": "Exists"}]
    assert hook["image_pull_secrets"] == ["regcred"]
    for key in ("node_selector", "tolerations", "image_pull_secrets"):
        assert found["start"][key] is None
        assert found["end"][key] == hook[key]
    assert found["start"]["service_account"] == "default"
    (report,) = json.loads(done.stdout)["flows"]
    left_off = {"node_selector", "tolerations", "image_pull_secrets", "service_account"}
    assert report["by_deploy"].keys() == {"error-msg-capture-hook"}
    assert {*report["by_deploy"]["error-msg-capture-hook"]} == left_off
    (never,) = report["notes"]
    assert never.endswith(": image_pull_policy")


LABELLED = """
[labels]
team = "churn"

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
        file.write(LABELLED)
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
        "Metaflow gives these to steps only, not to helper pods: labels",
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


def test_packages_and_prints_do_not_disturb(k8s: Run, project: Path) -> None:
    decorated = flow(
        "@pypi(packages={'requests': '2.32.3'})", ', pypi\n\nprint(\'{"not": "json"}\')'
    )
    (project / "flows/one.py").write_text(decorated)
    (project / "flows/helpers.py").write_text("VALUE = 1\n")
    without = k8s("check", "one")
    assert without.returncode == 2
    remedy = '; write options = ["--environment=pypi"] into the flow\'s table in tests/kind.toml'
    assert one_line(without).endswith(remedy)
    with open(project / "tests/kind.toml", "a") as settings:
        settings.write('\n[one]\noptions = ["--environment=pypi"]\n')
    replace(project / "flows/one.py", "        self.next", "        import yaml\n        self.next")
    replace(project / "flows/one.py", "        pass", "        import numpy, requests")
    done = k8s("check", "--format=json", HTTPS_PROXY="http://127.0.0.1:9")
    assert done.returncode == 0, done.stdout + done.stderr
    reports = {item["flow"]: item for item in json.loads(done.stdout)["flows"]}
    assert [*reports] == ["HelloFlow", "OneFlow", "TrainFlow"]
    (lacking,) = (note for note in reports["OneFlow"]["notes"] if "imports" in note)
    assert lacking.startswith("flows/one.py imports numpy, which a step without packages of its ow")


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


FILES_BESIDE = """
    config = Config("my-config", default="mine.json")
    data = IncludeFile("data", default={default})
"""


def test_files_beside_a_flow(project: Path) -> None:
    """As in Metaflow's own examples, which people start in the flow's folder."""
    one, file = Project(project, "churn_model"), project / "flows/score/one.py"
    file.parent.mkdir()
    (file.parent / "mine.json").write_text('{"alpha": 2}')
    (file.parent / "data.csv").write_text("1\n")

    def error_with(default: str) -> str:
        beside = FILES_BESIDE.format(default=default).strip()
        file.write_text("import os\n" + flow(beside, ", Config, IncludeFile"))
        (compiled,) = compile_flows(one, [file])
        return compiled.error or ""

    options = '["--config", "my-config", "flows/score/mine.json"]'
    assert error_with('"data.csv"') == (
        "Bad values passed for configuration options: default configuration file 'mine.json' could"
        f" not be read for 'my-config'; write options = {options} into the flow's table in"
        " tests/kind.toml"
    )
    with (project / "tests/kind.toml").open("a") as settings:
        settings.write(f"\n[one]\noptions = {options}\n")
    error = error_with('"data.csv"')
    default = 'os.path.join(os.path.dirname(__file__), "data.csv")'
    remedy = f"; the file is beside the flow: write default={default}"
    assert error.endswith(f"IncludeFile: could not open file 'data.csv' for reading{remedy}")
    assert "Traceback" not in error and "includefile.py" not in error
    assert error_with(default) == ""


READS = "\n\nimport os\n\nURL = os.environ['API_URL']"
VALUES = '[variables]\nAPI_URL = "test-url"\n[secrets.db]\npassword = { from = "DB_PASSWORD" }\n'


def test_a_flow_that_reads_variables(k8s: Run, project: Path) -> None:
    """It compiles where nobody has set them, and runs here with those of a Secret besides.

    Not for a deploy, in which Metaflow's create has no values of tests either.
    """
    text = flow(more=READS).replace("        pass", "        print(URL, os.environ['password'])")
    (project / "flows/one.py").write_text(text)
    (project / "tests/kind.toml").write_text(VALUES)
    done = k8s("check", "one")
    assert done.returncode == 0, done.stdout + done.stderr
    run_here = [sys.executable, "-m", "pytest", "-q", "tests", "-k", "one"]
    env = os.environ | {"DB_PASSWORD": "test-only", "PYTHONPATH": str(project / "src")}
    here = subprocess.run(run_here, cwd=project, env=env, timeout=120, stdout=subprocess.PIPE)
    assert here.returncode == 0, here.stdout.decode()
    root = "s3://bucket/metaflow"
    own = own_target(METAFLOW_DEFAULT_DATASTORE="s3", METAFLOW_DATASTORE_SYSROOT_S3=root)
    kind = Target(Environment("kind"), own.configuration)
    files = [project / "flows/one.py"]
    (deployed,) = compile_to_deploy(Project(project, "churn_model"), files, kind)
    assert "API_URL" in str(deployed.error)


PACKAGES = """
from metaflow import FlowMutator, pypi

class Packages(FlowMutator):
    def mutate(self, mutable_flow):
        for _, step in mutable_flow.steps:
            step.add_decorator(pypi, deco_kwargs={"packages": {"requests": "2.32.3"}})

BaseFlow = Packages()(type("TeamFlow", (BaseFlow,), {}))
"""


def test_packages_that_a_mutator_adds(k8s: Run, project: Path) -> None:
    (project / "flows/one.py").write_text(flow(more=f"\n{PACKAGES}"))
    without = k8s("check", "one")
    assert without.returncode == 2 and "--environment=pypi" in one_line(without)
    with open(project / "tests/kind.toml", "a") as settings:
        settings.write('\n[one]\noptions = ["--environment=pypi"]\n')
    done = k8s("check", "one", HTTPS_PROXY="http://127.0.0.1:9")
    assert done.returncode == 0, done.stdout + done.stderr


def test_helpers_and_scripts_are_not_run(k8s: Run, project: Path) -> None:
    (project / "flows/helper.py").write_text("open('written', 'w')\n")
    done = k8s("check")
    assert done.returncode == 0, done.stdout
    assert done.stderr == "k8s: flows/helper.py starts no flow, so it is left out\n"
    assert not (project / "written").exists()


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


def test_one_bad_flow_does_not_hide_the_others(k8s: Run, project: Path) -> None:
    (project / "flows/one.py").write_text(f"1 / 0\n{flow()}")
    done = k8s("check")
    assert done.returncode == 2
    assert "ZeroDivisionError" in one_line(done)
    assert "TrainFlow (compiled): every pod matches k8s.toml" in done.stdout


@pytest.fixture
def history(project: Path) -> Callable[..., str]:
    """Return git, in a project whose present state is committed."""

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
        command = ["git", *identity, *arguments]
        done = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
        return done.stdout

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    return git


def replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


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


def test_check_takes_json_and_numbers_in_any_spelling(k8s: Run, project: Path) -> None:
    """1.0 GPU is 1, and 1000000 of a resource is 1M, as the pods have it."""
    config = {"image": "ghcr.io/acme/o:2", "gpu": None, "cpu": 1, "memory": 4096}
    config["extended_resources"] = {"example.com/x": "1000000"}
    (project / "other.json").write_text(json.dumps(config))
    replace(project / "flows/hello.py", "    @step", "    @k8s(gpu=2 / 2)\n    @step")
    replace(project / "flows/hello.py", "import BaseFlow", "import BaseFlow, k8s")
    done = k8s("check", "hello", "--format=json", K8S_CONFIG="other.json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    (report,) = json.loads(done.stdout)["flows"]
    start = report["pods"]["start"]
    assert start["image"]["found"] == "ghcr.io/acme/o:2"
    assert start["gpu"]["found"] == {"nvidia.com/gpu": "1"}
    assert start["extended_resources"]["found"] == {"example.com/x": "1M"}
    (project / "other.json").write_text("{")
    done = k8s("check", "hello", K8S_CONFIG="other.json")
    assert done.returncode == 2 and "other.json is not JSON: " in done.stderr


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


OF_WORKFLOW = """
[workflow]
parallelism = 5
priority_class = "batch-low"
ttl.seconds_after_completion = 86400
pod_gc = { strategy = "OnWorkflowSuccess", delete_delay_duration = "60s" }
synchronization.semaphores = [{ config_map_key_ref = { name = "limits", key = "train" } }]
"""
IN_ARGO = {
    "parallelism": 5,
    "priority_class": "batch-low",
    "ttl": {"secondsAfterCompletion": 86400},
    "pod_gc": {"strategy": "OnWorkflowSuccess", "deleteDelayDuration": "60s"},
    "synchronization": {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "train"}}]},
}


def test_settings_of_the_whole_workflow(
    k8s: Run, project: Path, history: Callable[..., str]
) -> None:
    """`deploy` writes them, `check` compares them, `plan` shows them; no step has them."""
    with (project / "k8s.toml").open("a") as file:
        file.write(OF_WORKFLOW)
    done = k8s("check", "hello", "--format=json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert settings(done)["(workflow)"] == IN_ARGO
    (report,) = json.loads(done.stdout)["flows"]
    assert sorted(report["by_deploy"]["(workflow)"]) == sorted(IN_ARGO)
    assert not IN_ARGO.keys() & report["pods"]["start"].keys()
    table = k8s("check", "hello").stdout
    assert "the whole workflow †" in table
    assert "Pods: start, end, error-msg-capture-hook\n" in table
    plan = json.loads(k8s("plan", "--format=json").stdout)
    of_hello = [change for change in plan["changes"] if change["flow"] == "HelloFlow"]
    assert {change["pod"] for change in of_hello} == {"(workflow)"}
    assert {change["setting"]: change["new"] for change in of_hello} == IN_ARGO
    assert {change["old"] for change in of_hello} == {None, 100}  # Metaflow's --max-workers


@pytest.mark.parametrize(
    ("config", "spec", "differ"),
    [
        ({}, {"parallelism": 100}, set()),
        ({"workflow": {"ttl": {"seconds_after_success": 0}}}, {}, {"ttl"}),
        ({}, {"ttlStrategy": {"secondsAfterSuccess": 0}}, {"ttl"}),
        ({"workflow": {"parallelism": 5}}, {"parallelism": 100}, {"parallelism"}),
        ({"workflow": {"priority_class": "a"}}, {"podPriorityClassName": "a"}, set()),
    ],
)
def test_a_workflow_that_is_deployed(config: Any, spec: Any, differ: set[str]) -> None:
    """What is there and not in k8s.toml is a difference, but for Metaflow's own parallelism."""
    compared = compare_workflow(config, {"spec": spec})
    assert {key for key, setting in compared.items() if not setting["equal"]} == differ


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
    assert changed.keys() == {("start", "retry"), ("start", "retry after"), ("(workflow)", "cron")}
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


def test_two_files_with_a_flow_of_one_name(k8s: Run, project: Path) -> None:
    """On Argo one would replace the other: the check says so."""
    shutil.copy(project / "flows/hello.py", project / "flows/other.py")
    done = k8s("check")
    assert done.returncode == 1
    clash = "flows/hello.py and flows/other.py define HelloFlow, which are one name on"
    assert clash in done.stdout


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


def test_a_shortened_name_is_said(k8s: Run, project: Path) -> None:
    """Metaflow does so from 46 characters on; the branch is user.check here."""
    hello = project / "flows/hello.py"
    long = "ThisIsTheFlowThatGreetsTheWholeWorldFlow"
    hello.write_text(hello.read_text().replace("HelloFlow", long))
    (report,) = json.loads(k8s("check", "hello", "--format=json").stdout)["flows"]
    (note,) = [note for note in report["notes"] if "shortens" in note]
    assert note.startswith(f"Metaflow shortens churn_model.user.check.{long} to ")


def test_a_flow_that_is_killed(k8s: Run, project: Path) -> None:
    """As for want of memory: the check goes on, and says so at once."""
    code = "import os, signal\n\nos.kill(os.getpid(), signal.SIGKILL)\n"
    (project / "flows/one.py").write_text(code + flow())
    done = k8s("check", "one", "hello")
    assert done.returncode == 2
    assert one_line(done).startswith(
        "k8s: flows/one.py: the process that compiled it ended with exit code -9"
    )
    assert "HelloFlow (compiled): every pod matches" in done.stdout


def test_check_ignores_metaflow_configuration_above_the_flow(k8s: Run, project: Path) -> None:
    """Metaflow lays .metaflow/config.json over its configuration."""
    (project / ".metaflow").mkdir()
    hers = {"METAFLOW_KUBERNETES_LABELS": "team=hers", "METAFLOW_DEFAULT_DATASTORE": "local"}
    (project / ".metaflow/config.json").write_text(json.dumps(hers))
    done = k8s("check", "hello")
    assert done.returncode == 0, done.stdout + done.stderr


class Cluster(BaseHTTPRequestHandler):
    """The lists of Kubernetes' API that `check --live` reads."""

    templates: list[Any] = []
    pods: list[Any] = []
    events: list[Any] = []
    forbidden = ""

    def do_GET(self) -> None:
        what = self.path.partition("?")[0].rpartition("/")[2]
        assert f"/namespaces/team-a/{what}" in self.path
        status = 403 if self.forbidden == what else 200
        lists = {
            "workflowtemplates": self.templates,
            "pods": self.pods,
            "events": self.events,
        }
        body = json.dumps({"items": lists[what]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[type[Cluster], dict[str, str]]]:
    """Return a fake cluster, and the environment that leads to it."""
    handler = type("OneCluster", (Cluster,), {"templates": [], "pods": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = write_kubeconfig(tmp_path / "kubeconfig", server.server_port)
    yield handler, {"KUBECONFIG": str(config), "METAFLOW_KUBERNETES_NAMESPACE": "team-a"}
    server.shutdown()


RECORDED = ROOT / "tests/recorded"  # from Argo Workflows 3.7.12 on Kubernetes 1.34
TAKEN = (
    "@k8s(node_selector=None, tolerations=None, image_pull_secrets=None, service_account=None,"
    " gpu=None)"
)


@pytest.fixture
def recorded(project: Path, cluster: Any) -> tuple[list[Any], dict[str, str]]:
    """Return the pods of a cluster on which the project's flows have run, and how to reach it."""
    shutil.copy(RECORDED / "k8s.toml", project)
    shutil.copy(ROOT / "tests/flows/gang.py", project / "flows")
    (project / "flows/one.py").write_text(flow(TAKEN))
    cluster[0].pods = json.loads((RECORDED / "pods.json").read_text())
    for pod in cluster[0].pods:
        pod["status"] = {"phase": "Succeeded"}
    return cluster[0].pods, cluster[1]


def test_live_pods_are_as_the_code_says(k8s: Run, recorded: Any) -> None:
    _, env = recorded
    done = k8s("check", "gang", "one", "--live", "--format=json", **env)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    pods = {item["of"]: set(item["pods"]) for item in json.loads(done.stdout)["flows"]}
    assert pods == {
        "run argo-gangflow-89dv4": {"train/control", "train/worker", "train/creator"},
        "run argo-oneflow-wfq5v": {"start"},
    }
    by_hand = k8s("check", "hello", "--live", METAFLOW_KUBERNETES_SECRETS="s3-on-kind", **env)
    assert (by_hand.returncode, by_hand.stderr) == (0, ""), by_hand.stdout
    assert "HelloFlow (run 1795460926675445): every pod matches k8s.toml" in by_hand.stdout


def test_live_pod_that_cannot_start(k8s: Run, recorded: Any, cluster: Any) -> None:
    """Its run does not pass, though what was made of it matches; events may be forbidden."""
    pods, env = recorded
    (pod,) = [item for item in pods if item["metadata"]["name"].startswith("oneflow-wfq5v-start")]
    waiting = {"reason": "ErrImagePull", "message": "ghcr.io/acme/churn:1.2.3: not found"}
    pod["status"] = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
    cluster[0].forbidden = "events"
    pending = k8s("check", "one", "--live", **env)
    assert (pending.returncode, pending.stderr) == (1, "")
    assert "OneFlow (run argo-oneflow-wfq5v): a pod cannot start" in pending.stdout
    assert "- pods since 2026-11-23T19:06:23Z: 1 pending\n" in pending.stdout
    reason = "cannot start: ErrImagePull: ghcr.io/acme/churn:1.2.3: not found"
    assert f"- oneflow-wfq5v-start-3370577347 {reason}\n" in pending.stdout


def test_live_state_and_deployment_of_a_run(
    project: Path, recorded: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A run of an older deployment may differ: what is deployed now is what counts."""
    pods, _ = recorded
    (pod,) = [item for item in pods if item["metadata"]["name"].startswith("oneflow-wfq5v-start")]
    monkeypatch.chdir(project)
    one = Project(project, "churn_model")
    (compiled,) = compile_flows(one, [project / "flows/one.py"])
    assert compiled.template
    config = read_config(one.config_file)
    template = configure_template(compiled.template, shared_settings(config), {})
    event = {"involvedObject": {"name": pod["metadata"]["name"]}, "message": "no volume data"}
    listed = {"pods": pods, "events": [event]}
    monkeypatch.setattr(Target, "list", lambda _, path, **__: listed[path.rpartition("/")[2]])

    pod["status"] = {"phase": "Pending"}
    (report,) = check_live(one, [compiled], own_target(), templates=[])
    assert (report.matches, report.phases, report.older_deployment) == (False, {"pending": 1}, "")
    assert report.cannot_start == {"oneflow-wfq5v-start-3370577347": "no volume data"}
    pod["status"] = {"phase": "Succeeded"}

    deployed = template["metadata"]["annotations"]
    deployed["metaflow/deployment_timestamp"] = "2026-11-29T13:46:30.858961+00:00"
    container = next(each for each in pod["spec"]["containers"] if each["name"] == "main")
    container["image"] = "ghcr.io/acme/churn:1.2.2"
    container["env"].append({"name": "METAFLOW_CODE_SHA", "value": "a1b2c3d4e5f6"})
    for part in template["spec"]["templates"]:
        for variable in part.get("container", {}).get("env", ()):
            if variable["name"] == "METAFLOW_CODE_SHA":
                variable["value"] = "0f9e8d7c6b5a"
    reports = list(check_live(one, [compiled], own_target(), templates=[template]))
    assert [report.matches for report in reports] == [True, True]
    show_reports(reports, markdown=True)
    output = capsys.readouterr().out
    assert "OneFlow (WorkflowTemplate oneflow): every pod matches k8s.toml" in output
    title = "OneFlow (run argo-oneflow-wfq5v)"
    assert f"{title}: differs from k8s.toml, as an older deployment may" in output
    assert "- pods since 2026-11-23T19:06:23Z: 1 succeeded\n" in output
    assert (
        "- started from an older deployment (code package a1b2c3d, now 0f9e8d7; deployed at"
        " 2026-11-23T19:05:27, now 2026-11-29T13:46:30)" in output
    )
    pod["metadata"]["annotations"]["metaflow/deployment_timestamp"] = "2026-11-29T13:46:30.858961"
    container["env"][-1]["value"] = "0f9e8d7c6b5a"
    (_, same) = check_live(one, [compiled], own_target(), templates=[template])
    assert (same.older_deployment, same.matches) == ("", False)


HERS = {
    "METAFLOW_KUBERNETES_NODE_SELECTOR": "pool=hers",
    "METAFLOW_KUBERNETES_LABELS": "floor=hers",
    "METAFLOW_KUBERNETES_TOLERATIONS": '[{"key": "hers", "operator": "Exists"}]',
    "METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "hers",
    "METAFLOW_KUBERNETES_CPU": "3",  # k8s.toml has its own, so this has no effect
}


def test_live_pods_have_what_metaflows_configuration_gives(k8s: Run, recorded: Any) -> None:
    """The step has taken k8s.toml's values away, so the company's are what is left."""
    pods, env = recorded
    (pod,) = [item for item in pods if item["metadata"]["name"].startswith("oneflow-wfq5v-start")]
    pod["metadata"]["labels"]["floor"] = "hers"
    pod["spec"]["nodeSelector"] = {"pool": "hers"}
    pod["spec"]["tolerations"].append({"key": "hers", "operator": "Exists"})
    pod["spec"]["serviceAccountName"] = "hers"
    done = k8s("check", "one", "--live", "--format=json", **env, **HERS)
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = json.loads(done.stdout)["flows"]
    assert report["notes"] == [
        "labels: from METAFLOW_KUBERNETES_LABELS",
        "node_selector: from METAFLOW_KUBERNETES_NODE_SELECTOR",
        "service_account: from METAFLOW_KUBERNETES_SERVICE_ACCOUNT",
        "tolerations: from METAFLOW_KUBERNETES_TOLERATIONS",
    ]
    without = k8s("check", "one", "--live", "--format=json", **env)
    assert without.returncode == 1
    assert differences(without) == {
        ("start", "node_selector"),
        ("start", "service_account"),
        ("start", "tolerations"),
    }


def test_live_names_a_setting_that_cannot_be_read(k8s: Run, cluster: Any) -> None:
    done = k8s("check", "hello", "--live", **cluster[1], METAFLOW_KUBERNETES_TOLERATIONS="hers")
    assert done.returncode == 2
    assert "METAFLOW_KUBERNETES_TOLERATIONS of Metaflow's configuration" in one_line(done)


def test_live_hook_of_an_older_run(k8s: Run, recorded: Any) -> None:
    done = k8s("check", "one", "--live", "--run=argo-oneflow-n2fdq", "--format=json", **recorded[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(settings(done)) == {"error-msg-capture-hook"}


def test_live_run_by_the_name_that_argo_shows(k8s: Run, recorded: Any) -> None:
    done = k8s("check", "one", "--live", "--run=oneflow-wfq5v", "--format=json", **recorded[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert [report["of"] for report in json.loads(done.stdout)["flows"]] == [
        "run argo-oneflow-wfq5v"
    ]


def test_live_run_that_is_not_there(k8s: Run, recorded: Any, cluster: Any) -> None:
    annotations = {"metaflow/flow_name": "OneFlow"}
    metadata = {"name": "oneflow", "annotations": annotations}
    cluster[0].templates = [{"metadata": metadata, "spec": {"templates": []}}]
    done = k8s("check", "one", "--live", "--run=oneflow-nowhere", **recorded[1])
    assert done.returncode == 2
    assert (
        "no pod of run oneflow-nowhere of OneFlow in namespace team-a is this project's: "
        in one_line(done)
    )


def test_live_drift_is_named(k8s: Run, recorded: Any, project: Path) -> None:
    pods, env = recorded
    replace(project / "k8s.toml", "gpu = 1", "gpu = 2")
    worker = next(pod for pod in pods if pod["metadata"]["name"].startswith("js-x-worker"))
    mounts = worker["spec"]["containers"][0]["volumeMounts"]
    mounts[:] = [item for item in mounts if item["name"] != "metaflow-training"]
    done = k8s("check", "gang", "--live", "--format=json", **env)
    assert done.returncode == 1
    assert differences(done) == {
        ("train/control", "gpu"),
        ("train/worker", "gpu"),
        ("train/worker", "persistent_volume_claims"),
    }
    claims = settings(done)["train/worker"]["persistent_volume_claims"]
    assert claims == {"metaflow-training": "no path"}


def test_live_template_of_a_hand_made_create(k8s: Run, project: Path, cluster: Any) -> None:
    """Its step lost its service account, and its hook a toleration that only `deploy` gives."""
    handler, env = cluster
    shutil.copy(RECORDED / "k8s.toml", project)
    (project / "flows/one.py").write_text(flow())
    pod = json.loads((RECORDED / "pods.json").read_text())[1]
    initial = pod["spec"]["initContainers"][0]["env"]
    (template,) = [json.loads(v["value"]) for v in initial if v["name"] == "ARGO_TEMPLATE"]
    del template["serviceAccountName"]
    end = json.loads(json.dumps(template))
    end["metadata"]["annotations"]["metaflow/step_name"] = "end"
    hook = {"name": "error-msg-capture-hook", "container": {"image": "ghcr.io/acme/churn:1.2.3"}}
    annotations = {"metaflow/flow_name": "OneFlow"}
    metadata = {"name": "oneflow", "annotations": annotations}
    handler.templates = [{"metadata": metadata, "spec": {"templates": [template, end, hook]}}]
    done = k8s("check", "one", "--live", "--format=json", **env)
    assert done.returncode == 1, done.stderr
    hook_lost = {"node_selector", "tolerations", "image_pull_secrets", "secrets", "service_account"}
    steps_lost = {("start", "service_account"), ("end", "service_account")}
    assert differences(done) == steps_lost | {("error-msg-capture-hook", key) for key in hook_lost}


def test_live_looks_at_this_projects_flows_only(
    k8s: Run, project: Path, cluster: Any, recorded: Any
) -> None:
    """Another project has a flow of the same class: marked by its deploy, or by its @project."""
    pods, env = recorded
    of_one = [pod for pod in pods if "oneflow" in pod["metadata"]["name"]]
    for pod in of_one:
        pod["metadata"].setdefault("labels", {})["mf-k8s/project"] = "churn-model"
    assert k8s("check", "one", "--live", **env).returncode == 0
    annotations = {"metaflow/flow_name": "OneFlow", "metaflow/project_name": "vision"}
    metadata = {"name": "vision.prod.oneflow", "annotations": annotations}
    cluster[0].templates = [{"metadata": metadata, "spec": {"templates": []}}]
    for pod in of_one:
        pod["metadata"]["labels"]["mf-k8s/project"] = "vision"
    nothing = k8s("check", "one", "--live", **env)
    assert nothing.returncode == 2
    assert "no WorkflowTemplate and no pod of OneFlow in namespace team-a is this" in one_line(
        nothing
    )


def test_live_says_what_is_missing(k8s: Run, cluster: Any) -> None:
    handler, env = cluster
    nothing = k8s("check", "hello", "--live", **env)
    assert nothing.returncode == 2
    assert (
        "no WorkflowTemplate and no pod of HelloFlow in namespace team-a is this project's: deploy"
        " it, or name another --env or --namespace" in one_line(nothing)
    )
    handler.forbidden = "pods"
    done = k8s("check", "hello", "--live", **env)
    assert done.returncode == 2
    assert one_line(done) == (
        "k8s: your account is not allowed to list pods in namespace team-a: ask for a Role that"
        " allows it"
    )
