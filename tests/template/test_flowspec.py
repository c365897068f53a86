"""Whatever works on a plain FlowSpec works on BaseFlow: each flow here is tried on both."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import UV, run
from mf_k8s.check.compare import check_flows
from mf_k8s.metaflow.compile_flows import CompiledFile, compile_flows
from mf_k8s.project.merge_settings import step_settings
from mf_k8s.project.project import Project
from pods import variables
from shapes import SHARED, Api, Metaflow, compiled, metaflow, posted, project

__all__ = ["compiled", "metaflow", "posted", "project"]  # fixtures
BASES = pytest.mark.parametrize("base", ["FlowSpec", "BaseFlow"])
FLOW = """
import os
from metaflow import {base}
from metaflow import *
{head}

class {name}({base}):
{body}
    {decorators}
    @step
    def start(self):
        {start}
        self.next(self.end)

    @step
    def end(self):
        {end}

if __name__ == "__main__":
    {name}()
"""


@pytest.fixture
def write(project: Path) -> Any:
    """Return a function that writes a flow's file, and deletes it in the end."""
    written = []

    def write(base: str, name: str = "TriedFlow", **parts: str) -> str:
        """Return the name of its file; `parts` are those of FLOW."""
        usual = {"head": "", "body": "", "decorators": "", "start": "pass", "end": "pass"}
        text = FLOW.format(base=base, name=name, **usual | parts)
        text = text.replace("import BaseFlow\n", "import Flow\n")  # metaflow has none
        text = "from churn_model import BaseFlow, k8s\n" + text
        file = project / "flows" / f"{name.lower()}.py"
        file.write_text(text)
        written.append(file)
        return file.name

    yield write
    for file in written:
        file.unlink(missing_ok=True)


def must_end(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


MEMORY = re.compile(r"(?m)^memory = .*$")


def test_resume_uses_what_k8s_toml_says_now(
    posted: Callable[..., Any], metaflow: Metaflow, s3: dict[str, str], project: Path, write: Any
) -> None:
    """A step was killed for want of memory, and k8s.toml gives more."""
    flow = write("BaseFlow", end="assert 'ALIVE' in os.environ")
    assert metaflow(flow, "run", **s3).returncode == 1
    config = project / "k8s.toml"
    text = config.read_text()
    config.write_text(MEMORY.sub("memory = 16000", text))
    try:
        pod = posted(flow, "resume", "--with", "kubernetes")
    finally:
        config.write_text(text)
    assert pod == SHARED | {"memory": 16000}


@BASES
def test_a_run_from_before_is_resumed(base: str, metaflow: Metaflow, write: Any) -> None:
    """One that was made when the flow was a plain FlowSpec."""
    flow = write("FlowSpec", end="assert 'ALIVE' in os.environ")
    assert metaflow(flow, "run").returncode == 1
    write(base, end="assert 'ALIVE' in os.environ")
    must_end(metaflow(flow, "resume", ALIVE="1"))


MUTATORS = """
def add(step):
    duplicates = getattr(step, "{duplicates}")
    if "{by}" == "name":
        step.add_decorator("kubernetes:memory=7000", duplicates=duplicates)
    else:
        deco = "kubernetes" if "{by}" == "name and values" else kubernetes
        step.add_decorator(deco, deco_kwargs={{"memory": 7000}}, duplicates=duplicates)

class OfFlow(FlowMutator):
    def {phase}(self, mutable_flow):
        for _, step in mutable_flow.steps:
            add(step)

class OfStep(StepMutator):
    def {phase}(self, mutable_step):
        add(mutable_step)
"""
# What is left of @kubernetes(cpu=3) on a step, to which a mutator adds one with memory=7000.
DUPLICATES = {"IGNORE": {"cpu": 3}, "OVERRIDE": {"memory": 7000}}


@pytest.mark.parametrize("mutator", ["OfFlow", "OfStep"])
@pytest.mark.parametrize("phase", ["pre_mutate", "mutate"])
@pytest.mark.parametrize("by", ["name", "name and values", "object"])
@pytest.mark.parametrize("duplicates", DUPLICATES)
def test_kubernetes_of_a_mutator_is_the_steps_own(
    mutator: str, phase: str, by: str, duplicates: str, project: Path, write: Any
) -> None:
    """The pods have it and k8s.toml, and `k8s check` expects that."""
    head = MUTATORS.format(phase=phase, by=by, duplicates=duplicates)
    if mutator == "OfFlow":
        head += "\nBaseFlow = OfFlow()(type('TeamFlow', (BaseFlow,), {}))\n"
    decorators = "@OfStep\n    @kubernetes(cpu=3)" if mutator == "OfStep" else "@kubernetes(cpu=3)"
    write("BaseFlow", head=head, decorators=decorators)
    (result,) = compile_flows(Project(project, "churn_model"), [project / "flows/triedflow.py"])
    assert result.template and result.flow, result.error
    pods = {
        template["name"]: template["container"]["resources"]
        for template in result.template["spec"]["templates"]
        if template["name"] in ("start", "end")
    }
    own = DUPLICATES[duplicates]
    usual = {"cpu": "1", "memory": "4096M", "ephemeral-storage": "10240M"}
    changed = {key: f"{value}M" if key == "memory" else str(value) for key, value in own.items()}
    assert pods["start"]["requests"] == usual | changed
    assert pods["start"]["limits"]["nvidia.com/gpu"] == "1"
    added = {"memory": "7000M"} if mutator == "OfFlow" else {}
    assert pods["end"]["requests"] == usual | added
    expected = step_settings({}, result.flow["steps"]["start"])
    assert expected == own


LINTER = """
class Linter(FlowMutator):
    def mutate(self, mutable_flow):
        for _, step in mutable_flow.steps:
            for name, _, _, attributes in step.decorator_specs:
                if name == "kubernetes":
                    attributes["memory"] = min(attributes["memory"], 16000)
                    step.add_decorator({which}, deco_kwargs=attributes, duplicates=step.OVERRIDE)

BaseFlow = Linter()(type("TeamFlow", (BaseFlow,), {{}}))
"""


@pytest.mark.parametrize("which", ["name", "kubernetes"])
def test_a_mutator_that_changes_kubernetes(
    which: str, compiled: Callable[..., Any], write: Any
) -> None:
    """As in https://docs.metaflow.org/metaflow/composing-flows/mutators, by name or object."""
    head = LINTER.format(which=which)
    flow = write("BaseFlow", head=head, decorators="@kubernetes(memory=64000, cpu=3)")
    assert compiled(flow)["start"] == SHARED | {"memory": 16000, "cpu": 3}


@BASES
def test_a_mutator_given_on_the_command_line(
    base: str, metaflow: Metaflow, write: Any, project: Path
) -> None:
    """And one that another mutator adds: both come after BaseFlow's own."""
    (project / "flows/stamps.py").write_text(
        "from metaflow import FlowMutator, StepMutator\n"
        "class stamp(StepMutator):\n"
        "    def mutate(self, step):\n"
        '        step.add_decorator(\'environment:vars={"STAMP": "1"}\')\n'
        "class Stamps(FlowMutator):\n"
        "    def pre_mutate(self, flow):\n"
        "        for _, step in flow.steps:\n"
        "            step.add_decorator(stamp)\n"
    )
    flow = write(base, start="assert os.environ['STAMP'] == '1'")
    must_end(metaflow(flow, "run", "--with", "stamps.stamp"))
    head = f"from stamps import Stamps\n{base} = Stamps()(type('TeamFlow', ({base},), {{}}))"
    must_end(metaflow(write(base, head=head, start="assert os.environ['STAMP'] == '1'"), "run"))
    (project / "flows/stamps.py").unlink()


# What @kubernetes is given, and what that is in the pod.
REQUESTS, LIMITS = ("container", "resources", "requests"), ("container", "resources", "limits")
SPELLINGS: dict[str, tuple[tuple[Any, ...], Any]] = {
    'cpu=".5"': ((*REQUESTS, "cpu"), "0.5"),
    'cpu="1e1"': ((*REQUESTS, "cpu"), "10"),
    'cpu=" 4 "': ((*REQUESTS, "cpu"), "4"),
    "cpu=2.0": ((*REQUESTS, "cpu"), "2"),
    'memory="12000"': ((*REQUESTS, "memory"), "12000M"),
    'memory="4000.0"': ((*REQUESTS, "memory"), "4000M"),
    "memory=2e4": ((*REQUESTS, "memory"), "20000M"),
    'disk="2e4"': ((*REQUESTS, "ephemeral-storage"), "20000M"),
    'gpu="2"': ((*LIMITS, "nvidia.com/gpu"), "2"),
    'gpu="0"': ((*LIMITS, "nvidia.com/gpu"), "0"),
    'gpu_vendor="AMD"': ((*LIMITS, "amd.com/gpu"), "1"),
    'qos="guaranteed"': ((*LIMITS, "memory"), "4096M"),
    'port="8080"': (("container", "ports", 0, "containerPort"), 8080),
    'tmpfs_size="512"': (("volumes", "tmpfs-ephemeral-volume", "emptyDir", "sizeLimit"), "512Mi"),
    'node_selector="a=b,c=d"': (("nodeSelector",), {"a": "b", "c": "d"}),
    'node_selector="a="': (("nodeSelector",), {"a": ""}),
    'secrets="db"': (("container", "envFrom", 0, "secretRef", "name"), "db"),
    'secrets=("db",)': (("container", "envFrom", 0, "secretRef", "name"), "db"),
    'tolerations=({"key": "a"},)': (("tolerations",), [{"key": "a"}]),
}
# What Metaflow does not take, and BaseFlow stops at with a line that names the key.
NO_SPELLINGS = (
    'cpu=""',
    'memory="12GB"',
    'gpu="0.5"',
    'shared_memory="64"',
    'node_selector="a"',
    'node_selector="a=b,a=c"',
    'tolerations="a"',
)


@pytest.fixture
def compile_texts(project: Path, tmp_path: Path) -> Callable[..., list[CompiledFile]]:
    """Return a function that compiles flows."""

    def compile_texts(*texts: str) -> list[CompiledFile]:
        files = [tmp_path / f"{number}.py" for number in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        return list(compile_flows(Project(project, "churn_model"), files))

    return compile_texts


def spelled(base: str, *spellings: str) -> str:
    """Return a flow with a step for each spelling of a value, between start and end."""
    head = f"from churn_model import BaseFlow\nfrom metaflow import *\nclass Spelled({base}):"
    names = ["start", *(f"s{number}" for number in range(len(spellings))), "end"]
    steps = []
    for name, after, spelling in zip(names, [*names[1:], ""], ["", *spellings, ""], strict=True):
        decorator = f"    @kubernetes({spelling})\n" if spelling else ""
        body = f"self.next(self.{after})" if after else "pass"
        steps.append(f"{decorator}    @step\n    def {name}(self):\n        {body}")
    return "\n".join([head, *steps, "Spelled()"])


def test_every_spelling_that_metaflow_takes(
    project: Path, compile_texts: Callable[..., list[CompiledFile]]
) -> None:
    """BaseFlow takes it too, and `k8s check` reads it."""
    plain, ours = compile_texts(*(spelled(base, *SPELLINGS) for base in ("FlowSpec", "BaseFlow")))
    assert plain.template, plain.error
    assert ours.template, ours.error
    pods = {template["name"]: template for template in ours.template["spec"]["templates"]}
    found = {}
    for number, (spelling, (path, _)) in enumerate(SPELLINGS.items()):
        pod = pods[f"s{number}"]
        value: Any = pod | {"volumes": {volume["name"]: volume for volume in pod["volumes"]}}
        for key in path:
            value = value[key]
        found[spelling] = value
    assert found == {spelling: value for spelling, (_, value) in SPELLINGS.items()}
    (report,) = check_flows(Project(project, "churn_model"), [ours])
    assert report.matches, report


def test_no_spelling_that_metaflow_does_not_take(
    compile_texts: Callable[..., list[CompiledFile]],
) -> None:
    cases = [(base, spelling) for base in ("FlowSpec", "BaseFlow") for spelling in NO_SPELLINGS]
    results = compile_texts(*(spelled(base, spelling) for base, spelling in cases))
    for (base, spelling), result in zip(cases, results, strict=True):
        key = spelling.partition("=")[0]
        assert result.error, (base, spelling)
        assert base == "FlowSpec" or f"step s0: @kubernetes: {key} = " in result.error


CHILD = "with Runner(__file__.replace('triedflow', 'childflow'){how}).run({run}) as running: "
STATUS = "assert running.status == 'successful', running.stderr"


NOBODY = dict.fromkeys(("METAFLOW_USER", "SUDO_USER", "USER", "USERNAME"), "")


@BASES
def test_without_a_user_only_a_command_stops(
    base: str, metaflow: Metaflow, project: Path, write: Any
) -> None:
    """As root in a container: a flow can be constructed, and its help printed."""
    flow = write(base)
    file = project / "flows" / flow
    file.write_text(
        file.read_text().replace("    TriedFlow()", "    TriedFlow(False)\n    TriedFlow()")
    )
    assert "Usage:" in must_end(metaflow(flow, "--help", **NOBODY))
    done = metaflow(flow, "show", **NOBODY)
    assert done.returncode == 1
    remedy = "$USER is not set, or is root: type export METAFLOW_USER=your-name"
    assert (remedy in done.stderr) == (base == "BaseFlow")


@BASES
@pytest.mark.parametrize("place", ["here", "in a pod"])
def test_a_step_starts_another_flow(
    base: str, place: str, metaflow: Metaflow, write: Any, tmp_path: Path
) -> None:
    """In a pod its steps are run in that pod."""
    write(base, name="ChildFlow")
    flow = write(base, start=CHILD.format(how="", run="") + STATUS)
    in_pod = {"METAFLOW_KUBERNETES_WORKLOAD": "1"} if place == "in a pod" else {}
    must_end(metaflow(flow, "run", cwd=tmp_path, KUBECONFIG="/nowhere", **in_pod))


@BASES
def test_no_pod_of_argo_has_the_configuration_of_a_flow(
    base: str, metaflow: Metaflow, s3: dict[str, str], write: Any
) -> None:
    """With METAFLOW_FLOW_CONFIG_VALUE, a step could start no other flow (Netflix/metaflow#2717)."""
    flow = write(base)
    done = metaflow(flow, "--quiet", "argo-workflows", "create", "--only-json", **s3)
    assert "METAFLOW_FLOW_CONFIG_VALUE" not in must_end(done)


def test_a_child_of_a_pod_gets_the_configuration(
    posted: Callable[..., Any], venv: Path, s3: dict[str, str], tmp_path: Path
) -> None:
    """`run --with kubernetes` in a pod, with nothing but what the first run has sent."""
    posted("hello.py", "run", "--with", "kubernetes")
    container = Api.jobs[0]["spec"]["template"]["spec"]["containers"][0]
    set_up = container["command"][-1].partition(" && mflog 'Task is starting.'")[0]
    child = "python hello.py --no-pylint run --with kubernetes"
    env = variables(container) | s3 | {"METAFLOW_SKIP_INSTALL_DEPENDENCIES": "1"}
    env |= {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "kubeconfig")}
    env["PATH"] = f"{venv}/bin:/usr/bin:/bin"
    (tmp_path / "pod").mkdir()
    Api.jobs.clear()
    subprocess.run(
        ["bash", "-c", f"{set_up} && {child}"],
        cwd=tmp_path / "pod",
        env=env,
        timeout=120,
        capture_output=True,
    )
    pod = Api.jobs[0]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == SHARED["image"]
    assert pod["serviceAccountName"] == SHARED["service_account"]


@BASES
def test_a_flow_with_an_init_of_its_own(base: str, metaflow: Metaflow, write: Any) -> None:
    init = "    def __init__(self):\n        super().__init__()\n"
    printed = must_end(metaflow(write(base, body=init), "run"))
    head = f"class Mixin:\n{init}class Team({base}):\n{init}{base} = type('B', (Mixin, Team), {{}})"
    twice = must_end(metaflow(write(base, head=head, body=init), "run"))
    assert printed.count("executing") == twice.count("executing") == 1


def test_spin_without_decorators(metaflow: Metaflow, write: Any) -> None:
    flow = write("BaseFlow")
    must_end(metaflow(flow, "run"))
    assert "failed" not in must_end(metaflow(flow, "spin", "start", "--skip-decorators"))


def test_an_attribute_of_base_flow_is_not_replaced(metaflow: Metaflow, write: Any) -> None:
    body = '    k8s_config = Parameter("k8s_config", default="mine")\n'
    done = metaflow(write("BaseFlow", body=body), "run")
    assert done.returncode == 1
    assert "k8s_config is BaseFlow's: give this attribute another name" in done.stderr


def test_k8s_without_parentheses_above_a_mutator(compiled: Callable[..., Any], write: Any) -> None:
    head = "class Nothing(StepMutator):\n    pass\n"
    flow = write("BaseFlow", head=head, decorators="@k8s\n    @Nothing")
    assert compiled(flow) == {"start": SHARED, "end": SHARED}


@BASES
def test_another_file_is_found_from_another_folder(
    base: str, metaflow: Metaflow, write: Any, tmp_path: Path
) -> None:
    """A step changes the folder and starts a flow, for which K8S_CONFIG is a relative path."""
    (tmp_path / "other.toml").write_text('image = "ghcr.io/acme/other:2"\n')
    read = (
        "assert self.k8s_config.image == 'ghcr.io/acme/other:2'" if base == "BaseFlow" else "pass"
    )
    write(base, name="ChildFlow", start=read)
    flow = write(base, start="os.chdir('/')\n        " + CHILD.format(how="", run="") + STATUS)
    must_end(metaflow(flow, "run", cwd=tmp_path, K8S_CONFIG="other.toml"))


@pytest.mark.parametrize("bases", ["FlowSpec", "BaseFlow, FlowSpec"])
def test_a_class_of_a_notebook(bases: str, venv: Path, project: Path, tmp_path: Path) -> None:
    """NBRunner looks for the name FlowSpec (format_flowfile in metaflow/runner/utils.py)."""
    run(UV, "pip", "install", "-q", "--python", venv / "bin/python", "ipython", cwd=tmp_path)
    cell = (
        "from metaflow import FlowSpec, NBRunner, step\nfrom churn_model import BaseFlow\n"
        f"class CellFlow({bases}):\n    @step\n    def start(self):\n        self.next(self.end)\n"
        "    @step\n    def end(self):\n        pass\n"
        "run = NBRunner(CellFlow).nbrun()\nassert run.successful"
    )
    script = tmp_path / "notebook.py"
    script.write_text(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        f"shell.run_cell({cell!r}, store_history=True).raise_error()\n"
    )
    home = {"METAFLOW_HOME": str(tmp_path), "METAFLOW_USER": "tests", "HOME": str(tmp_path)}
    env = os.environ | home | {"PYTHONPATH": str(project / "src")}
    run(venv / "bin/python", script, cwd=tmp_path, **env)


def test_an_installed_package_finds_k8s_toml(
    project: Path, metaflow: Metaflow, venv: Path, tmp_path: Path
) -> None:
    """As after `uv sync --no-editable`: by the folder of the flow."""
    run(UV, "build", "-q", "--wheel", "--out-dir", tmp_path / "dist", cwd=project)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    target = tmp_path / "installed"
    run(UV, "pip", "install", "-q", "--no-deps", "--target", target, wheel, cwd=tmp_path)
    script = "from churn_model import settings; print(settings.__file__, settings.read_config())"
    (project / "flows/where.py").write_text(script)
    done = metaflow("where.py", cwd=tmp_path, PYTHONPATH=str(target))
    (project / "flows/where.py").unlink()
    assert str(target) in done.stdout and SHARED["image"] in done.stdout, done.stderr


@pytest.mark.parametrize("name", ["big", "missing"])
def test_the_name_of_a_pool_may_come_from_a_config(
    name: str, compiled: Callable[..., Any], metaflow: Metaflow, s3: dict[str, str], write: Any
) -> None:
    body = f'    config = Config("config", default_value=\'{{"pool": "{name}"}}\')\n'
    flow = write("BaseFlow", body=body, decorators="@k8s(config.pool)")
    if name == "big":
        assert compiled(flow)["start"] == SHARED | {"memory": 64000, "gpu": {"nvidia.com/gpu": 4}}
    else:
        done = metaflow(flow, "argo-workflows", "create", "--only-json", **s3)
        assert "no pool missing in k8s.toml; its pools: big" in done.stdout + done.stderr


@BASES
def test_parameter_names(base: str, metaflow: Metaflow, write: Any) -> None:
    flow = write(
        base,
        body='    alpha = Parameter("alpha", default=1)\n',
        start='assert current.parameter_names == ["alpha"], current.parameter_names',
    )
    must_end(metaflow(flow, "run"))


def test_a_run_keeps_what_configured_it(metaflow: Metaflow, write: Any, tmp_path: Path) -> None:
    flow = write("BaseFlow", start="print(self.k8s_config.image, self.k8s_config['memory'])")
    printed = must_end(metaflow(flow, "run", "--run-id-file", str(tmp_path / "id"), cwd=tmp_path))
    assert f"{SHARED['image']} 4096" in printed
    run_id = (tmp_path / "id").read_text()
    dumped = metaflow(flow, "dump", f"{run_id}/start", cwd=tmp_path)
    assert SHARED["image"] in must_end(dumped)
