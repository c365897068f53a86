"""How `k8s` compiles flows: packages, files and variables that they need, and what breaks."""

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import own_target
from mf_k8s.cluster.target import Target
from mf_k8s.deploy.create import compile_to_deploy
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.project.environments import Environment
from mf_k8s.project.project import Project
from own_copy import Run, flow, k8s, one_line, project, replace

__all__ = ["k8s", "project"]  # fixtures


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


def test_one_bad_flow_does_not_hide_the_others(k8s: Run, project: Path) -> None:
    (project / "flows/one.py").write_text(f"1 / 0\n{flow()}")
    done = k8s("check")
    assert done.returncode == 2
    assert "ZeroDivisionError" in one_line(done)
    assert "TrainFlow (compiled): every pod matches k8s.toml" in done.stdout


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
