"""How @batch becomes @kubernetes: what is read, what is dropped, what stays."""

import tomllib
from pathlib import Path

import pytest
from adopting import CONFIG, LATEST, add, adopt, empty, plain, project
from mf_k8s.adopt import adoption
from mf_k8s.adopt.adoption import propose_change, unadoptable
from mf_k8s.adopt.batch_parameters import DROPPED
from mf_k8s.adopt.from_batch import convert_batch
from mf_k8s.adopt.read_flows import read_flows
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.project.project import Project
from teams import git

__all__ = ["empty", "project"]  # fixtures

HEAD = "from metaflow import FlowSpec, batch, resources, step\n"
READ = "from metaflow import FlowSpec, kubernetes, resources, step\n"
CLASS = """
class OneFlow(FlowSpec):
    {}
    @step
    def start(self, batch=None):
        batch()
"""

# How @batch may be written, and what it is read as.
SPELT = {
    "a client of that name": (
        f"import kubernetes\n{HEAD}",
        "import kubernetes\n"
        "from metaflow import FlowSpec, kubernetes as metaflow_kubernetes, resources, step\n",
        '@batch(cpu=1, queue="a", iam_role="b")',
        "@metaflow_kubernetes(cpu=1)",
    ),
    "imported already": (
        "from metaflow import (\n    FlowSpec,\n    batch,  # of AWS\n    kubernetes, step)\n",
        "from metaflow import (\n    FlowSpec,\n    kubernetes, step)\n",
        '@batch(queue="a",)',
        "@kubernetes()",
    ),
    "lines with several statements": (
        "import metaflow; from metaflow import *; from metaflow import batch; x = 1\n",
        "import metaflow; from metaflow import *; from metaflow import kubernetes; x = 1\n",
        "@metaflow.batch(efa=1, **{'queue': 'a', 'cpu': 2})",
        "@metaflow.kubernetes(cpu=2)",
    ),
    "a default value": (
        f"{HEAD}def job(batch=batch):\n    return batch(cpu=1)\n",
        f"{READ}def job(batch=kubernetes):\n    return batch(cpu=1)\n",
        "@job()",
        "@job()",
    ),
    "no parentheses": (
        HEAD,
        READ,
        "@resources(\n        cpu=3,  # cores\n        memory=100)\n    @batch",
        "# cores\n    @kubernetes(cpu=3, memory=100)",
    ),
    "the larger is in a table": (
        f"{HEAD}TABLE = dict(gpu=1, memory=9000)\n",
        f"{READ}TABLE = dict(gpu=1, memory=9000)\n",
        "@batch(**TABLE)\n    @resources(gpu=2)",
        "@kubernetes(gpu=2, memory=9000)",
    ),
    "names of the class and of a function": (
        f"{HEAD}GIB = 20\n\ndef job(memory, GIB):\n    return batch(memory=memory)\n",
        f"{READ}GIB = 20\n\ndef job(memory, GIB):\n    return kubernetes(memory=memory)\n",
        "GIB = 50\n    @batch(ephemeral_storage=GIB)",
        "GIB = 50\n    @kubernetes(disk=53688)",
    ),
    "names of the class that a method does not see": (
        f"{HEAD}GIB = 20\n",
        f"{READ}GIB = 20\n",
        "GIB = 50\n\n    def job(self):\n        return batch(ephemeral_storage=GIB)\n",
        "GIB = 50\n\n    def job(self):\n        return kubernetes(disk=21475)\n",
    ),
    "lines that a backslash joins": (
        "from metaflow import FlowSpec, kubernetes, step, \\\n    batch\n",
        "from metaflow import FlowSpec, kubernetes, step\n",
        "@batch(cpu=1)",
        "@kubernetes(cpu=1)",
    ),
    "the last argument is below a comment": (
        HEAD,
        READ,
        '@batch(cpu=1,  # cores\n        queue="a",)',
        "@kubernetes(cpu=1,  # cores\n        )",
    ),
    "only a run knows what is larger": (
        HEAD,
        READ,
        "@batch(memory=int(x), swappiness=0)\n    @resources(gpu=2)",
        "@kubernetes(memory=int(x))\n    @resources(gpu=2)",
    ),
}


@pytest.mark.parametrize("name", SPELT)
def test_batch_is_read_as_kubernetes(name: str, tmp_path: Path) -> None:
    """But for what is meant, no character changes."""
    before, after, decorator, converted = SPELT[name]
    file = tmp_path.resolve() / "one.py"
    file.write_text(before + CLASS.format(decorator))
    conversion = convert_batch(Project(file.parent, "churn_model"), [file])
    assert conversion.sources[file].content.decode() == after + CLASS.format(converted)


# What --from-batch cannot do, and what is said of it.
NOT_FROM_BATCH = {
    "both": (
        plain("@batch(cpu=1)\n    @kubernetes(cpu=1)", "from metaflow import batch\n"),
        "Metaflow refuses a step with @batch and @kubernetes: delete one of them at flows/bad.py:6"
        " (step start)",
    ),
    "derives already": (
        plain(
            "@batch(cpu=1)", "from metaflow import *\nfrom churn_model import BaseFlow\n"
        ).replace("Flow(FlowSpec)", "Flow(BaseFlow)"),
        "BaseFlow refuses @batch: flows/bad.py:7 (step start); let the class derive from FlowSpec"
        " again, and `uv run k8s adopt --from-batch` does the rest",
    ),
    "a value that has another unit there": (
        plain("@batch(\n        ephemeral_storage=SIZE)", "from metaflow import batch\n"),
        "flows/bad.py:7: only a run knows ephemeral_storage=SIZE, and @kubernetes has another"
        " parameter for it: write its value",
    ),
    "a value of a function": (
        plain(
            "@job(30)",
            "from metaflow import *\nGIB = 1\ndef job(GIB):\n    return batch("
            "ephemeral_storage=GIB)\n",
        ),
        "flows/bad.py:5: only a run knows ephemeral_storage=GIB, and @kubernetes has another"
        " parameter for it: write its value",
    ),
    "from elsewhere": (
        plain("@batch(cpu=1)", "from exports import batch\n"),
        "flows/bad.py:6: batch is Metaflow's batch, imported from exports: import it from metaflow"
        " in this file",
    ),
    "a value that k8s.toml could not have": (
        plain(
            '@batch(\n        queue="a",\n        memory="12GB",\n    )', "from metaflow import *\n"
        ),
        'flows/bad.py:6: step start: memory = "12GB": Whole number of MB, like 16000 for 16 GB, and'
        " 100 or more. The memory that a pod requests.",
    ),
}


@pytest.mark.parametrize("name", NOT_FROM_BATCH)
def test_what_batch_cannot_become(
    name: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, message = NOT_FROM_BATCH[name]
    file = project / "flows/bad.py"
    file.write_text(text)
    (project / "flows/exports.py").write_text("from metaflow import batch\n")
    monkeypatch.chdir(project)
    found = Project(project, "churn_model")
    with pytest.raises(CommandError) as stopped:
        flows = read_flows(found, [file], convert_batch(found, [file]).sources)
        raise_if(unadoptable(flows))
        propose_change(found, flows, [], CONFIG, lambda *_: True)
    assert str(stopped.value) == message


def test_a_floating_image_of_the_configuration(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, because no flow has it; a flow whose steps have images does not need it."""
    (project / "flows/bad.py").write_text(plain("@batch(cpu=1)", "from metaflow import batch\n"))
    (project / "flows/good.py").write_text(plain('@batch(image="a/b:1")', "from metaflow import *"))
    monkeypatch.setenv("METAFLOW_DEFAULT_CONTAINER_IMAGE", "acme/base:latest")
    found = Project(project, "churn_model")
    with pytest.raises(CommandError) as stopped:
        convert_batch(found, [project / "flows/bad.py"])
    assert str(stopped.value).startswith(
        "METAFLOW_DEFAULT_CONTAINER_IMAGE, for steps without an image: image ="
        f' "acme/base:latest": {LATEST}'
    )
    assert convert_batch(found, [project / "flows/good.py"]).sources


MIB = "numbers of memory stay: AWS Batch takes them for MiB, a pod for MB, which is 4.6 % less"
TEAM_JOBS = """import os

from metaflow import batch

PRIORITY = "high"


def on_team(memory):
    size = int(os.environ.get("SIZE", memory))
    return batch(memory=size, queue=f"{PRIORITY}-queue")
"""


@pytest.mark.parametrize("through", ["", "def small(size):\n    return on_team(size)\n"])
def test_a_helper_that_only_a_run_can_read(
    project: Path, monkeypatch: pytest.MonkeyPatch, through: str
) -> None:
    """It is changed where it is, though no flow is there, and a note says so."""
    (project / "src/churn_model/jobs.py").write_text(TEAM_JOBS)
    decorator = "@small(5000)" if through else "@on_team(5000)"
    head = f"from churn_model.jobs import on_team\n{through}"
    (project / "flows/team.py").write_text(plain(decorator, head))
    monkeypatch.chdir(project)
    found = Project(project, "churn_model")
    file = project / "flows/team.py"
    conversion = convert_batch(found, [file])
    flows = read_flows(found, [file], conversion.sources)
    raise_if(unadoptable(flows))
    change = propose_change(found, flows, [], CONFIG, lambda *_: True)
    contents = conversion.contents(found, flows, change.contents)
    assert contents.keys() == {file, project / "src/churn_model/jobs.py"}
    assert f"    {decorator}\n" in contents[file].decode()
    assert contents[project / "src/churn_model/jobs.py"].decode() == TEAM_JOBS.replace(
        "batch", "kubernetes"
    ).replace(', queue=f"{PRIORITY}-queue"', "")
    queue = "choose nodes by node_selector and tolerations, or a pool of k8s.toml"
    assert conversion.notes == [
        f'src/churn_model/jobs.py:10: queue=f"{{PRIORITY}}-queue" is dropped: {queue}',
        MIB,
        "src/churn_model/jobs.py: its @batch is @kubernetes now, for other flows that use it too",
    ]


BATCH = """from metaflow import FlowSpec, batch, step


class TrainFlow(FlowSpec):
    @batch(memory=9000, queue="small")
    @step
    def start(self):
        self.next(self.train)

    @batch(gpu=1, memory=64000, shared_memory=8196, image="acme/train:2", host_volumes="/data")
    @step
    def train(self):
        for batch in range(3):
            print(batch)
        self.next(self.end)

    @batch(memory=9000, iam_role="arn:aws:iam::1:role/reader")
    @step
    def end(self):
        pass


if __name__ == "__main__":
    TrainFlow()
"""
FROM_BATCH = """from metaflow import step

from churn_model import BaseFlow, k8s


class TrainFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.train)

    @k8s(gpu=1, memory=64000, shared_memory=8196, image="registry.acme.com/acme/train:2")
    @step
    def train(self):
        for batch in range(3):
            print(batch)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    TrainFlow()
"""


def test_a_flow_of_aws_batch(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the image and registry that Metaflow's configuration gives to @batch."""
    add(project, train=BATCH)
    settings = {
        "METAFLOW_BATCH_CONTAINER_IMAGE": "team/base:4",
        "METAFLOW_BATCH_CONTAINER_REGISTRY": "registry.acme.com",
    }
    arguments = ("train", "--prefer=flows", "--from-batch", "--apply")
    printed, _ = adopt(project, *arguments, **settings)
    assert "Changes:" not in printed
    assert (project / "flows/train.py").read_text() == FROM_BATCH
    assert printed.endswith(f"{MIB}\n")
    shared = tomllib.loads((project / "k8s.toml").read_text())
    assert shared["image"] == "registry.acme.com/team/base:4"
    assert shared["memory"] == 9000
    dropped = [line for line in printed.splitlines() if "is dropped" in line]
    assert [line.partition(" is dropped: ")[0] for line in dropped] == [
        'flows/train.py:5: step start: queue="small"',
        'flows/train.py:10: step train: host_volumes="/data"',
        'flows/train.py:17: step end: iam_role="arn:aws:iam::1:role/reader"',
    ]
    assert "Unchanged: TrainFlow: train\n" not in printed  # its service account is new
    git("checkout", "-q", ".", cwd=project)

    # the proof notices what a conversion loses
    monkeypatch.chdir(project)
    monkeypatch.setitem(DROPPED, "shared_memory", "lost")
    found = Project(project, "churn_model")
    file = project / "flows/train.py"
    broken = adoption.adopt_flows(found, [file], found.config_file, lambda *_: True, True)
    (change,) = broken.proof.changed
    assert (change["pod"], change["setting"]) == ("train", "shared_memory")
    assert change["old"] == "8196Mi of Memory at /dev/shm" and change["new"] is None
