"""BaseFlow and k8s(), held against what Metaflow really compiles, posts and runs."""

import ast
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import FIGURES, UV, find_python, run
from mf_k8s.check.compare import compare_pods
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.pods.configure_template import configure_template
from mf_k8s.pods.expected_pods import expected_pods
from mf_k8s.pods.read_pods import workflow_pods
from mf_k8s.project.k8s_toml import read_toml
from mf_k8s.project.project import Project
from pods import by_step, variables
from shapes import SHARED, Api, Metaflow, compiled, metaflow, posted, project, without_jobset_labels

__all__ = ["compiled", "metaflow", "posted", "project"]  # fixtures

SHAPES: dict[str, dict[str, dict[str, Any]]] = {
    "hello.py": {"start": {}, "end": {}},
    "train.py": {"start": {}, "train": {"memory": 8192}, "choose": {}, "end": {}},
    "shapes/branch.py": {
        "start": {},
        "left": {"memory": 9000},
        "right": {"cpu": 3},  # Metaflow takes the larger of @resources and @kubernetes
        "join": {},
        "end": {},
    },
    "shapes/nested.py": {
        step: {} for step in ("start", "middle", "work_item", "join_inner", "join_outer", "end")
    },
    "shapes/conditional.py": {
        "start": {},
        "left": {"memory": 9000},
        "right_hand": {},
        "meet": {},
        "end": {},
    },
    "shapes/recursion.py": {"start": {}, "again": {"memory": 9000}, "end": {}},
    "shapes/gang.py": {"start": {}, "train": {"memory": 9000}, "join": {}, "end": {}},
    "shapes/inherited.py": {"start": {}, "work": {}, "more": {}, "end": {}},
    "shapes/single.py": {"everything": {}},
    "shapes/named.py": {"fetch": {}, "publish": {}},
    "shapes/hooked.py": {"start": {}, "end": {}},
    "shapes/first.py": {"start": {"memory": 5000}, "end": {}},
    "shapes/merged.py": {
        "start": {},
        "scalar": {"memory": 7000},
        "plain": {"memory": 5000, "labels": {"team": "churn"}},
        "both": {"cpu": 2, "memory": 5000},
        "taken": {"gpu": {}, "claims": {}, "shared_memory": None},
        "table": {
            "claims": {"metaflow-training": "/cache", "scratch": "/scratch"},
            "secrets": ["db"],
        },
        "one_claim": {"claims": {"scratch": "/scratch"}},
        "pool": {"cpu": 3, "memory": 64000, "gpu": {"nvidia.com/gpu": 4}},
        "resource": {"cpu": 4, "gpu": {"nvidia.com/gpu": 2}},
        "end": {},
    },
}


@pytest.mark.parametrize("flow", SHAPES)
def test_every_step_has_the_configuration(flow: str, compiled: Callable[..., Any]) -> None:
    expected = {step: SHARED | own for step, own in SHAPES[flow].items()}
    assert without_jobset_labels(compiled(flow)) == expected


def test_without_base_flow_it_is_lost(compiled: Callable[..., Any]) -> None:
    pods = compiled("shapes/plain.py")
    assert pods["middle"] == SHARED
    for step in ("start", "end"):
        lost = {"service_account": None, "gpu": {}, "shared_memory": None, "claims": {}}
        assert pods[step] | {"image": "", "labels": {}} == SHARED | lost | {"image": ""}
        assert pods[step]["image"].startswith("python:")


def test_top_level_with_reaches_argo(compiled: Callable[..., Any]) -> None:
    pods = compiled("shapes/first.py", "--with", "kubernetes:cpu=2")
    assert pods == {"start": SHARED | {"cpu": 2, "memory": 5000}, "end": SHARED | {"cpu": 2}}


def test_default_decospecs_reach_argo(compiled: Callable[..., Any]) -> None:
    pods = compiled("hello.py", METAFLOW_DEFAULT_DECOSPECS="kubernetes:cpu=2")
    assert pods == {"start": SHARED | {"cpu": 2}, "end": SHARED | {"cpu": 2}}


def test_another_file_replaces_the_configuration(
    compiled: Callable[..., Any], tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text('image = "ghcr.io/acme/other:2"\nmemory = 1000\n')
    pods = compiled("hello.py", K8S_CONFIG=str(other))
    for settings in pods.values():
        assert (settings["image"], settings["memory"]) == ("ghcr.io/acme/other:2", 1000)
        assert (settings["gpu"], settings["claims"]) == ({}, {})


def test_a_json_file_replaces_the_configuration(
    compiled: Callable[..., Any], tmp_path: Path
) -> None:
    """As pods get it; null is as if it were not there."""
    other = tmp_path / "other.json"
    text = '{"image": "ghcr.io/acme/other:2", "memory": 1000, "labels": {"team": "a"}, "gpu": null}'
    other.write_text(text)
    pods = compiled("hello.py", K8S_CONFIG=str(other))
    for settings in pods.values():
        assert (settings["image"], settings["memory"]) == ("ghcr.io/acme/other:2", 1000)
        assert (settings["labels"], settings["gpu"]) == ({"team": "a"}, {})


def test_an_environment_lies_over_the_configuration(
    compiled: Callable[..., Any], metaflow: Metaflow, s3: dict[str, str], tmp_path: Path
) -> None:
    """In the pods that are made, and in what travels into them."""
    layer = {
        "service_account": "team-b",
        "gpu": None,
        "secrets": ["vault"],
        "labels": {"team": "a"},
        "pools": {"big": {"cpu": 8}},
    }
    file, archive = tmp_path / "dev.json", tmp_path / "code.tgz"
    file.write_text(json.dumps({"context": "acme", "k8s": layer}))
    own = {"K8S_ENVIRONMENT": str(file)}
    for settings in compiled("hello.py", **own).values():
        expected = {"service_account": "team-b", "gpu": {}, "labels": {"team": "a"}}
        assert settings == SHARED | expected | {"secrets": ["vault"]}
    done = metaflow("hello.py", "--quiet", "package", "save", str(archive), **s3, **own)
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(archive) as code:
        sent = code.extractfile(".mf_code/churn_model/k8s.json")
        assert sent
        config = json.load(sent)
    assert config["pools"] == {"big": {"memory": 64000, "gpu": 4, "cpu": 8}}
    assert config["service_account"] == "team-b" and "gpu" not in config
    file.write_text('{"k8s": {"gpus": 1}}')
    done = metaflow("hello.py", "show", **own)
    assert f"{file}: no key k8s.gpus; did you mean gpu?" in done.stdout + done.stderr


def test_a_byte_order_mark_is_no_part_of_the_configuration(
    compiled: Callable[..., Any], tmp_path: Path
) -> None:
    marked = tmp_path / "marked.toml"
    marked.write_bytes(b'\xef\xbb\xbfimage = "ghcr.io/acme/other:2"\n')
    pods = compiled("hello.py", K8S_CONFIG=str(marked))
    assert [item["image"] for item in pods.values()] == ["ghcr.io/acme/other:2"] * 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"image": }', "bad.json is not JSON: "),
        ('{"gpus": 1}', "bad.json: no key gpus; did you mean gpu?"),
    ],
)
def test_bad_json_stops_in_one_line(
    text: str, line: str, metaflow: Metaflow, tmp_path: Path
) -> None:
    (tmp_path / "bad.json").write_text(text)
    done = metaflow("hello.py", "show", K8S_CONFIG=str(tmp_path / "bad.json"))
    assert done.returncode != 0
    assert line in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


# The trap: a decorator lists its defaults as if they had been written, and merging those over
# the shared values loses everything on these entry points.
RUNS = {
    "with": (("run", "--with", "kubernetes"), {}, {}),
    "with a value": (("run", "--with", "kubernetes:cpu=2"), {}, {"cpu": 2}),
    "with JSON": (
        ("run", "--with", 'kubernetes:persistent_volume_claims={"scratch": "/scratch"}'),
        {},
        {"claims": {"metaflow-training": "/cache", "scratch": "/scratch"}},
    ),
    "with null": (("run", "--with", "kubernetes:gpu=null"), {}, {"gpu": {}}),
    # Metaflow attaches the first of several, and ignores the others in silence
    "several": (
        ("--with", "kubernetes:cpu=2", "run", "--with", "kubernetes:memory=9000"),
        {"METAFLOW_DEFAULT_DECOSPECS": "kubernetes:cpu=3,gpu=2"},
        {"cpu": 2, "memory": 9000, "gpu": {"nvidia.com/gpu": 2}},
    ),
    "default decospecs": (("run",), {"METAFLOW_DEFAULT_DECOSPECS": "kubernetes:cpu=2"}, {"cpu": 2}),
}


@pytest.mark.parametrize("case", RUNS)
def test_run_posts_the_configuration(case: str, posted: Callable[..., Any]) -> None:
    arguments, env, own = RUNS[case]
    assert posted("hello.py", *arguments, **env) == SHARED | own


def test_a_run_says_once_what_argo_alone_can_have(
    compiled: Callable[..., Any], metaflow: Metaflow, s3: dict[str, str], tmp_path: Path
) -> None:
    """[pod]: it is no parameter of @kubernetes, and the flow compiles and starts without it."""
    other = tmp_path / "other.toml"
    other.write_text('image = "ghcr.io/acme/other:2"\n[pod]\nsecurity_context.fs_group = 1000\n')
    env = {"K8S_CONFIG": str(other), "KUBECONFIG": "/nowhere", **s3}
    line = "[pod] has no effect on `run --with kubernetes`: `k8s deploy` writes it\n"
    done = metaflow("shapes/branch.py", "run", "--with", "kubernetes", **env)
    assert (done.stdout + done.stderr).count(line) == 1, done.stdout + done.stderr
    assert line not in metaflow("shapes/branch.py", "run", cwd=tmp_path, **env).stderr
    for settings in compiled("hello.py", K8S_CONFIG=str(other)).values():
        assert settings["image"] == "ghcr.io/acme/other:2"


def test_run_with_adds_to_a_step_with_its_own_kubernetes(posted: Callable[..., Any]) -> None:
    job = posted("shapes/first.py", "run", "--with", "kubernetes:cpu=2")
    assert job == SHARED | {"memory": 5000, "cpu": 2}


def test_run_with_wins_over_the_step(posted: Callable[..., Any]) -> None:
    job = posted("shapes/first.py", "run", "--with", "kubernetes:memory=6000")
    assert job == SHARED | {"memory": 6000}


@pytest.mark.parametrize("flow", ["hello.py", "shapes/first.py", "shapes/merged.py"])
def test_run_stays_on_this_machine(flow: str, metaflow: Metaflow, tmp_path: Path) -> None:
    done = metaflow(flow, "run", cwd=tmp_path, KUBECONFIG="/nowhere")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    message = "first.py: step start: @kubernetes is ignored in a local run"
    assert (message in done.stderr) == (flow == "shapes/first.py")


def test_show_resume_and_spin_need_no_cluster(metaflow: Metaflow, tmp_path: Path) -> None:
    for arguments in (["show"], ["run"], ["resume", "end"], ["spin", "start"]):
        done = metaflow("shapes/first.py", *arguments, cwd=tmp_path)
        assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-2000:])


@pytest.mark.parametrize("arguments", [["show"], ["run"]], ids=lambda item: item[0])
def test_a_flow_started_inside_a_pod_stays_in_it(
    arguments: list[str], metaflow: Metaflow, tmp_path: Path
) -> None:
    """A step may start another flow, as with a plain FlowSpec: its steps make no Jobs."""
    in_pod = {"METAFLOW_KUBERNETES_WORKLOAD": "1", "KUBECONFIG": "/nowhere"}
    done = metaflow("hello.py", *arguments, cwd=tmp_path, **in_pod)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_runner_and_deployer(project: Path, venv: Path, s3: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\n"
        "from metaflow import Deployer, Runner\n"
        "with Runner(sys.argv[1], env={'METAFLOW_DEFAULT_DATASTORE': 'local'}).run() as running:\n"
        "    assert running.status == 'successful', running.stderr\n"
        "flow = Deployer(sys.argv[1]).argo_workflows().create(only_json=True)\n"
        "open('template.json', 'w').write(json.dumps(flow.workflow_template))\n"
    )
    env = os.environ | s3 | {"METAFLOW_HOME": str(tmp_path), "METAFLOW_USER": "tests"}
    done = subprocess.run(
        [venv / "bin/python", script, project / "flows/shapes/first.py"],
        env=env | {"PYTHONPATH": str(project / "src")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    template = (tmp_path / "template.json").read_text()
    assert by_step(template) == {"start": SHARED | {"memory": 5000}, "end": SHARED}


# The text of k8s.toml, and what the one line about it must say.
BAD_FILES = {
    'image_pul_policy = "Always"': ("no key image_pul_policy", "image_pull_policy"),
    'shared_memory = "8Gi"': ('shared_memory = "8Gi"', "MiB", "8192"),
    "shared_memory = 8": ("shared_memory = 8", "8192 for 8 GiB", "or 0 for"),
    "gpu = 0.5": ("gpu = 0.5", "cannot be split"),
    "gpu = true": ("gpu = true", "Whole number"),
    "cpu = 0": ("cpu = 0", "above 0"),
    "memory = 16": ("memory = 16", "16000 for 16 GB"),
    'image = "churn:latest"': ("image", "stale image"),
    'image = "churn"': ("image", "fixed tag"),
    'gpu_vendor = "intel"': ("gpu_vendor", "nvidia or amd"),
    'qos = "BestEffort"': ("qos", "Guaranteed"),
    'namespace = "team-a"': ("namespace", "environment", "METAFLOW_KUBERNETES_NAMESPACE"),
    'secrets = "db"': ("secrets", "List of names"),
    'secrets = ["Db"]': ("secrets[0]", "lower-case"),
    'persistent_volume_claims = "a:/b"': ("persistent_volume_claims", "Table of claim = path"),
    '[persistent_volume_claims]\na = "b"': ("persistent_volume_claims.a", "absolute"),
    '[persistent_volume_claims]\na = "/dev/shm"': ("persistent_volume_claims.a", "/dev/shm"),
    '[persistent_volume_claims]\nout = "/b"': ("persistent_volume_claims", "Metaflow's"),
    '[persistent_volume_claims]\na = "/b"\nb = "/b"': ("persistent_volume_claims", "/b"),
    '[extended_resources]\n"nvidia.com/mig-1g.5gb" = 1': ("extended_resources", "as text"),
    '[[tolerations]]\nkey = "a"\ntoleration_seconds = 5': ("toleration_seconds", "tolerations"),
    "[security_context]\nrun_as_usr = 1": ("security_context.run_as_usr", "run_as_user"),
    "[pools.big]\nmemmory = 1": ("pools.big.memmory", "memory"),
    "[pools.big.pools.small]\nmemory = 1000": ("pools.big.pools",),
    "memory = = 1": ("is not TOML", "line 1"),
    "<<<<<<< before updating\nmemory = 1\n": ("line 1", "; choose what stays of the conflict"),
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_bad_file_stops_in_one_line(text: str, metaflow: Metaflow, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(text)
    done = metaflow("hello.py", "show", K8S_CONFIG=str(bad))
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if BAD_FILES[text][0] in line]
    assert all(part in line for part in BAD_FILES[text]), line
    assert str(bad) in line or "step" in line


# What a step says, and what the one line about it must say.
BAD_STEPS = {
    "@k8s(gpuu=1)": ("gpuu", "did you mean gpu?"),
    '@k8s(memory="16Gi")': ("memory", "MB"),
    '@k8s("bigg")': ("bigg", "its pools: big"),
    '@kubernetes(memory="16")': ("memory = 16", "16000 for 16 GB"),
    '@k8s(namespace="x")': ("namespace", "METAFLOW_KUBERNETES_NAMESPACE"),
    "@k8s(memory=1000)\n    @kubernetes(memory=2000)": ("memory", "keep one"),
    '@k8s(persistent_volume_claims={"other": "/cache"})': ("two have one path", "/cache"),
    "@kubernetes(**{'memory': 'x'})": ("memory", "MB"),
    "@batch": ("@batch", "@kubernetes"),
}


@pytest.mark.parametrize("decorator", BAD_STEPS)
def test_bad_step_stops_in_one_line(decorator: str, metaflow: Metaflow, project: Path) -> None:
    text = (project / "flows/shapes/first.py").read_text()
    text = text.replace("@kubernetes(memory=5000)", decorator)
    text = text.replace("import BaseFlow", "import BaseFlow, k8s").replace(
        "import kubernetes", "import batch, kubernetes"
    )
    flow = project / "flows/shapes/bad_step.py"
    flow.write_text(text)
    done = metaflow("shapes/bad_step.py", "run")
    flow.unlink()
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if "bad_step.py: step start" in line]
    assert all(part in line for part in BAD_STEPS[decorator]), line


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["step-functions", "create"], ["step-functions"]),
        (["airflow", "create", "dag.py"], ["airflow"]),
        (["run", "--with", "batch"], ["@batch"]),
        (["run", "--with", "kubernetes:gpuu=1"], ["gpuu", "gpu"]),
        (["run", "--with", "kubernetes:memory=16"], ["memory = 16", "16000 for 16 GB"]),
        (
            ["run", "--with", "kubernetes:cpu=1", "--with", "kubernetes:cpu=2"],
            ["step end: cpu is set twice, to 1 and to 2: keep one"],
        ),
        (["run", "--with", "kubernetes:tmpfs_path=/fast"], ["tmpfs_path", "use @k8s"]),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    arguments: list[str], parts: list[str], metaflow: Metaflow, s3: dict[str, str]
) -> None:
    done = metaflow("hello.py", *arguments, **s3)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in output
    assert any(all(part in line for part in parts) for line in output.splitlines()), output


def test_executable_is_refused_on_argo(
    metaflow: Metaflow, s3: dict[str, str], posted: Callable[..., Any], tmp_path: Path
) -> None:
    toml = tmp_path / "k8s.toml"
    toml.write_text('image = "ghcr.io/acme/churn:1.2.3"\nexecutable = "/opt/python"\n')
    other = {"K8S_CONFIG": str(toml)}
    done = metaflow("hello.py", "argo-workflows", "create", "--only-json", **s3, **other)
    assert done.returncode != 0
    assert "executable: Argo Workflows runs `python`" in done.stdout + done.stderr
    posted("hello.py", "run", "--with", "kubernetes", **other)
    command = json.dumps(Api.jobs[0]["spec"]["template"]["spec"]["containers"][0]["command"])
    assert "/opt/python -u hello.py" in command


@pytest.fixture(scope="module")
def old_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment of the oldest Python there is from 3.9 on, with what pods install."""
    python = find_python("3.9", "3.10", "3.11")
    venv = tmp_path_factory.mktemp("old") / "venv"
    run(UV, "venv", "--quiet", "--python", python, venv, cwd=venv.parent)
    packages = ("boto3", "requests")
    run(
        UV, "pip", "install", "--quiet", "--python", venv / "bin/python", *packages, cwd=venv.parent
    )
    return venv


@pytest.mark.long
def test_pod_needs_only_metaflow_and_an_old_python(
    old_venv: Path, posted: Callable[..., Any], s3: dict[str, str], tmp_path: Path
) -> None:
    """Runs the very command of a posted pod, with no file of the project in reach."""
    posted("shapes/first.py", "run", "--with", "kubernetes")
    container = Api.jobs[0]["spec"]["template"]["spec"]["containers"][0]
    (tmp_path / "work").mkdir()
    env = variables(container) | s3 | {"HOME": str(tmp_path)}
    env["PATH"] = f"{old_venv}/bin:/usr/bin:/bin"
    done = subprocess.run(
        container["command"],
        cwd=tmp_path / "work",
        env=env | {"METAFLOW_SKIP_INSTALL_DEPENDENCIES": "1"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    version = run(old_venv / "bin/python", "--version", cwd=tmp_path).strip()
    assert f"start ran on {version}." in done.stdout
    FIGURES["a pod's command ran on"] = version


def test_heartbeat_is_checked_and_completed(
    metaflow: Metaflow,
    project: Path,
    s3: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Metaflow spells its secrets env_from, which Kubernetes does not know, and omits the rest."""
    toml = tmp_path / "k8s.toml"
    toml.write_text('image = "a:1"\nsecrets = ["db"]\n[node_selector]\npool = "gpu"\n')
    monkeypatch.setenv("K8S_CONFIG", str(toml))
    create = ("argo-workflows", "create", "--only-json", "--enable-heartbeat-daemon")
    done = metaflow("hello.py", "--quiet", *create, K8S_CONFIG=str(toml), **s3)
    template, config = json.loads(done.stdout), read_toml(toml)
    hello = project / "flows/hello.py"
    (result,) = compile_flows(Project(project, "churn_model"), [hello])
    assert result.flow
    expected = expected_pods(config, result.flow)

    def differing(template: dict[str, Any]) -> set[str]:
        pod = compare_pods(expected, workflow_pods(template), config)["heartbeat-daemon"]
        return {key for key in pod if not pod[key]["equal"]}

    assert differing(template) == {"node_selector", "secrets"}
    assert differing(configure_template(template, config, {})) == set()


@pytest.mark.parametrize(
    ("options", "added"),
    [((), set()), (("--package-suffixes", ".py,.csv"), {"data.csv"})],
    ids=["default", "suffixes"],
)
def test_code_package_holds_what_a_pod_needs(
    metaflow: Metaflow,
    project: Path,
    s3: dict[str, str],
    tmp_path: Path,
    options: tuple[str, ...],
    added: set[str],
) -> None:
    """Python files of the package and the schema: no secrets, data, notebooks or hidden files."""
    package = project / "src/churn_model"
    extra = [".env", "data.bin", "data.csv", "explore.ipynb", "features.py", "sub/more.py"]
    extra += [".ipynb_checkpoints/copy.py", "__pycache__/old.cpython-311.pyc"]
    for name in extra:
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("")
    archive = tmp_path / "code.tgz"
    done = metaflow("hello.py", "--quiet", *options, "package", "save", str(archive), **s3)
    for name in extra:
        (package / name).unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(archive) as code:
        names = {name for name in code.getnames() if not name.startswith(".mf_code/metaflow/")}
    prefix = ".mf_code/churn_model/"
    shipped = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    template = {"__init__.py", "base.py", "settings.py", "k8s.schema.json", "k8s.json"}
    assert shipped == template | {"features.py", "sub/more.py"} | added
    others = {name for name in names if not name.startswith(prefix)}
    flows = {str(file.relative_to(project / "flows")) for file in project.glob("flows/**/*.py")}
    assert others == flows | {
        ".mf_install",
        ".mf_meta/INFO",
        ".mf_meta/CONFIG",
        ".mf_meta/DIST_INFO",
    }


def code_lines(file: Path) -> int:
    """Count a module's lines, without blank ones, comments and docstrings."""
    source = file.read_text()
    prose: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() if ast.get_docstring(node):
                prose |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(map(str.strip, source.splitlines()), 1)
    return sum(bool(line) and line[0] != "#" and number not in prose for number, line in lines)


def test_a_stranger_can_own_it(example: Path) -> None:
    """What CONTRIBUTING.md allows: a project is not to be full of machinery."""
    assert code_lines(example / "src/churn_model/base.py") <= 150
