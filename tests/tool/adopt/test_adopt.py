"""`k8s adopt`: flows as people write them, what becomes of them, and of their pods.

flows/NAME.py beside this is a flow before, NAME.adopted.py the same flow after, written by hand.
"""

import dataclasses
import json
import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from adopt_config import CONFIG, always
from conftest import ROOT, copy_project
from mf_k8s.adopt.adoption import propose_change
from mf_k8s.adopt.from_batch import convert_batch
from mf_k8s.adopt.prove_same_pods import prove
from mf_k8s.adopt.read_flows import FlowClass, read_flows
from mf_k8s.adopt.trial_compilation import Trial
from mf_k8s.metaflow.compile_flows import CompiledFile, run_worker
from mf_k8s.project.project import Project
from pods import by_step

BEFORE = ROOT / "tests/tool/adopt/flows"
BASE = tomllib.loads(CONFIG)
A100 = {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"}
ONE_GPU = {"nvidia.com/gpu": 1}
USUAL: dict[str, Any] = {
    **{"cpu": 1, "memory": 4096, "image": "ghcr.io/acme/base:1", "service_account": "metaflow"},
    **{"gpu": {}, "shared_memory": None, "claims": {}, "secrets": [], "labels": {}},
    "node_selector": {},
}

# Of each file: what k8s.toml has more or otherwise, and what each step's pod has otherwise than
# USUAL. Written by hand from what the file says.
GPU_POD = {
    **{"image": "ghcr.io/acme/churn:1.2.3", "service_account": "trainer", "gpu": ONE_GPU},
    **{"shared_memory": 8196, "claims": {"metaflow-training": "/cache"}},
}
SHARED_GPU = {
    **{"image": "ghcr.io/acme/churn:1.2.3", "service_account": "trainer", "gpu": 1},
    **{"shared_memory": 8196, "persistent_volume_claims": {"metaflow-training": "/cache"}},
}
VISION = {"image": "ghcr.io/acme/vision:2"}
NLP = {"image": "ghcr.io/acme/nlp:4", "service_account": "nlp"}
TRAINER = {"service_account": "trainer"}
ON_A100 = VISION | {"gpu": ONE_GPU, "node_selector": A100}
BRANCHES = {"cpu": 2, "memory": 8000}
TOLERATED = [{"key": "gpu", "operator": "Exists"}]
GANG = {"image": "ghcr.io/acme/gang:1", "cpu": 4}
CHURN = {"image": "ghcr.io/acme/churn:3"}
SHAPES: dict[str, tuple[dict[str, Any], dict[str, dict[str, Any]]]] = {
    "report": (SHARED_GPU, {"start": GPU_POD, "train": GPU_POD, "end": GPU_POD}),
    "bare": ({}, {"start": {}, "end": {}}),
    "constants": (
        VISION | {"memory": 32000},
        {
            "start": VISION | {"memory": 32000},
            "score": VISION | {"memory": 32000},
            "end": VISION | {"memory": 2000},
        },
    ),
    "environment": (
        {"service_account": "reader"},
        {
            "start": {"service_account": "reader", "memory": 2000},
            "train": {
                **{"service_account": "reader", "memory": 9000, "image": "ghcr.io/acme/train:1"},
            },
            "end": {"service_account": "reader", "image": "ghcr.io/acme/end:1"},
        },
    ),
    "configs": (
        {"gpu": 1},
        {"start": {"gpu": ONE_GPU, "memory": 7000}, "end": {"gpu": ONE_GPU, "cpu": 3}},
    ),
    "unpacked": (
        NLP,
        {
            "start": NLP,
            "embed": NLP | {"cpu": 16, "memory": 64000},
            "end": NLP | {"memory": 500},
        },
    ),
    "helpers": (
        {"memory": 1000, "service_account": "batch-jobs"},
        {
            "start": {"memory": 1000, "service_account": "batch-jobs"},
            "work": {"memory": 20000, "cpu": 2, "service_account": "batch-jobs"},
            "end": {"memory": 1000, "cpu": 4, "service_account": "batch-jobs"},
        },
    ),
    "resources": (
        TRAINER | {"memory": 2000},
        {
            "start": TRAINER | {"memory": 9000},
            "train": TRAINER | {"memory": 3000, "cpu": 4, "gpu": {"nvidia.com/gpu": 2}},
            "end": TRAINER | {"memory": 2000},
        },
    ),
    "pools": (
        VISION | {"pools": {"gpu-1-a100": {"gpu": 1, "node_selector": A100}}},
        {
            "start": VISION,
            "train": ON_A100,
            "tune": ON_A100 | {"memory": 64000},
            "score": ON_A100,
            "end": VISION,
        },
    ),
    "decorated_class": (
        {"secrets": ["db"]},
        {"start": {"secrets": ["db"]}, "end": {"secrets": ["db"], "memory": 12000}},
    ),
    "several": (
        {"labels": {"team": "risk"}},
        {
            "start": {"labels": {"team": "risk", "part": "first"}},
            "end": {"labels": {"team": "risk"}},
        },
    ),
    "inherits": (
        {"image": "ghcr.io/acme/team:5"},
        {
            "start": {"image": "ghcr.io/acme/team:5"},
            "end": {"image": "ghcr.io/acme/team:5", "memory": 3000},
        },
    ),
    "stars": ({}, {"start": {"cpu": 2}, "end": {"cpu": 3}}),
    "tables": (
        {"secrets": ["db"], "persistent_volume_claims": {"data": "/data"}},
        {
            "start": {"secrets": ["db", "mail"], "claims": {"data": "/data"}},
            "work": {"secrets": ["db"], "claims": {"data": "/data", "scratch": "/scratch"}},
            "end": {"secrets": ["db"], "claims": {"old-data": "/data"}},
        },
    ),
    "texts": (
        {"memory": 16000, "node_selector": {"pool": "large"}},
        {
            "start": {"memory": 16000, "node_selector": {"pool": "large", "zone": "a"}},
            "end": {"memory": 16000, "node_selector": {"pool": "large", "zone": "b"}},
        },
    ),
    "branches": (
        BRANCHES | {"disk": 20000},
        dict.fromkeys(
            ("start", "work", "collect", "split", "left", "right", "meet", "end"), BRANCHES
        ),
    ),
    "named": (
        {"memory": 30000},
        {
            "fetch": {"memory": 30000, "gpu": {"nvidia.com/gpu": 0}},
            "publish": {"memory": 30000},
        },
    ),
    "changing": ({"cpu": 2}, {"start": {"cpu": 2, "memory": 15000}, "end": {"cpu": 2}}),
    "batch": (
        CHURN,
        {
            "start": CHURN | {"cpu": 2, "memory": 8000},
            "train": CHURN | {"cpu": 8, "memory": 32000, "gpu": ONE_GPU, "shared_memory": 8196},
            "join": CHURN | {"cpu": 4},
            "end": CHURN,
        },
    ),
    "batch_named": (
        {},
        {
            "start": {"memory": 1000},
            "fetch": {"memory": 5000, "cpu": 3},
            "work": {"memory": 20000, "cpu": 2},
            "train": {"memory": 64000, "gpu": ONE_GPU},
            "rest": {},
            "end": {"cpu": 3},
        },
    ),
    "batch_devices": (
        {},
        {
            **{"start": {}, "work": {"memory": 3000, "gpu": {"nvidia.com/gpu": 0}}},
            **{"gang": {"cpu": 3}, "join": {}, "end": {}},
        },
    ),
    "decided": (
        {},
        {
            "start": {},
            "train": TRAINER,
            "tune": TRAINER,
            "score": TRAINER,
            "send": {"cpu": 8, "memory": 1000},
            "end": {"memory": 9000},
        },
    ),
    "gang": (
        GANG | {"tolerations": TOLERATED},
        dict.fromkeys(("start", "train", "join", "end"), GANG),
    ),
}


def with_config(flow: str, config: str, folder: Path) -> str:
    """Return a flow's code that brings its own k8s.toml, so that one process compiles many."""
    file = folder / f"{hash(config)}.toml"
    file.write_text(config)
    return f"import os, churn_model\nos.environ['K8S_CONFIG'] = {str(file)!r}\n{flow}"


def flows_in(project: Project, file: Path) -> list[FlowClass]:
    """Return a file's flows, with @kubernetes where it has @batch."""
    return read_flows(project, [file], convert_batch(project, [file]).sources)


def without_future(flow: str) -> str:
    return flow.replace("from __future__ import annotations\n", "")


@pytest.fixture(scope="module")
def project(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose flows are those of tests/tool/adopt/flows, before."""
    root = tmp_path_factory.mktemp("adopt") / "churn-model"
    copy_project(example, root, "flows")
    (root / "flows").mkdir()
    for file in BEFORE.glob("*.py"):
        if not file.name.endswith(".adopted.py"):
            shutil.copy(file, root / "flows")
    (root / "k8s.toml").write_text(CONFIG)
    return Project(root.resolve(), "churn_model")


@pytest.fixture(scope="module")
def compiled(project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, CompiledFile]:
    """Return each flow as it is, compiled; all at once."""
    trial = Trial(project, tmp_path_factory.mktemp("before"), batch={})
    files = [project.root / f"flows/{name}.py" for name in SHAPES]
    return dict(zip(SHAPES, trial.compile(files, CONFIG), strict=True))


@pytest.fixture(scope="module")
def changes(project: Project, compiled: dict[str, CompiledFile]) -> dict[str, Any]:
    """Return the change that adopts each flow, with what its pods were."""
    changes = {}
    for name, result in compiled.items():
        assert result.error is None, result.error
        flows = flows_in(project, project.root / f"flows/{name}.py")
        changes[name] = propose_change(project, flows, [result], CONFIG, always)
    return changes


def copied(project: Project, folder: Path) -> Project:
    root = Path(shutil.copytree(project.root, folder / "project"))
    return dataclasses.replace(project, root=root)


@pytest.fixture(scope="module")
def pods(project: Project, changes: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the pods of each flow by step, as Metaflow compiles the files written by hand."""
    folder = tmp_path_factory.mktemp("after")
    copy = copied(project, folder)
    for name in SHAPES:
        text = (BEFORE / f"{name}.adopted.py").read_text()
        config = changes[name].config_text
        code = with_config(without_future(text), config, folder)
        (copy.root / f"flows/{name}.py").write_text(code)
    text = (BEFORE / "team_base.adopted.py").read_text()
    (copy.root / "flows/team_base.py").write_text(text)
    files = [copy.root / f"flows/{name}.py" for name in SHAPES]
    results = run_worker(copy, files, os.environ)
    return dict(zip(SHAPES, results, strict=True))


@pytest.mark.parametrize("name", SHAPES)
def test_source(name: str, project: Project, changes: Any) -> None:
    """Each file that changes is as written by hand, to the last byte."""
    contents = changes[name].contents
    assert project.root / f"flows/{name}.py" in contents
    for file, content in contents.items():
        assert content.decode() == (BEFORE / f"{file.stem}.adopted.py").read_text()


@pytest.mark.parametrize("name", SHAPES)
def test_k8s_toml(name: str, changes: Any) -> None:
    """It has the new values, and every line that was not replaced is still there."""
    added, _ = SHAPES[name]
    text = changes[name].config_text
    assert tomllib.loads(text) == BASE | added
    replaced = [key for key in BASE if BASE[key] != (BASE | added)[key]]
    for line in CONFIG.splitlines():
        key = line.partition(" = ")[0]
        assert line in text.splitlines() or key in replaced
    assert "# built on Mondays" in text


@pytest.mark.parametrize("name", SHAPES)
def test_pods(name: str, pods: Any) -> None:
    result = pods[name]
    assert result.error is None, result.error
    found = by_step(json.dumps(result.template))
    for template in result.template["spec"]["templates"]:
        step = (template.get("metadata") or {}).get("annotations", {}).get("metaflow/step_name")
        if step:
            found[step]["node_selector"] = template.get("nodeSelector") or {}
    for pod in found.values():
        pod.setdefault("node_selector", {})
        own = {"team", "part"}  # the others are Metaflow's own
        pod["labels"] = {key: value for key, value in pod["labels"].items() if key in own}
    _, expected = SHAPES[name]
    assert found == {step: USUAL | pod for step, pod in expected.items()}


ON_BATCH = {
    **{"image": "python:3.11", "cpu": 1, "memory": 4096, "use_tmpfs": False},
    **{"tmpfs_path": "/metaflow_temp", "tmpfs_tempdir": True},
}
ON_BATCH["image"] = f"python:{sys.version_info[0]}.{sys.version_info[1]}"
NEURON = {"aws.amazon.com/neuron": "2"}
SCRATCH = {"use_tmpfs": True, "tmpfs_path": "/scratch", "tmpfs_tempdir": False, "tmpfs_size": 500}

# What AWS Batch gives each step beyond ON_BATCH, by hand from its and Metaflow's documentation:
# with @resources the larger of both, whose memory is 4096 where it has none.
BATCH_GIVES: dict[str, dict[str, dict[str, Any]]] = {
    "batch": {
        "start": CHURN | {"cpu": 2, "memory": 8000},
        "train": CHURN | {"cpu": 8, "memory": 32000, "gpu": 1, "shared_memory": 8196},
        "join": CHURN | {"cpu": 4},
        "end": {},
    },
    "batch_named": {  # `end` has @kubernetes
        "start": {"memory": 1000},
        "fetch": {"memory": 5000, "cpu": 3},
        "work": {"memory": 20000, "cpu": 2},
        "train": {"memory": 64000, "gpu": 1},
        "rest": {},
    },
    "batch_devices": {
        "start": {"security_context": {"privileged": True}, "extended_resources": NEURON},
        "work": {"memory": 3000, "disk": 53688, "gpu": 0},
        "gang": {"cpu": 3},
        "join": {},
        "end": SCRATCH,
    },
}


@pytest.mark.parametrize("name", BATCH_GIVES)
def test_what_batch_gives_stays(name: str, compiled: Any, changes: Any, pods: Any) -> None:
    """It is read from the job that Metaflow would submit to AWS; the proof compares the pods."""
    before, after = compiled[name], pods[name]
    gives = {step: ON_BATCH | values for step, values in BATCH_GIVES[name].items()}
    assert before.flow["batch"] == gives
    new = tomllib.loads(changes[name].config_text)
    proof = prove([before], [after], BASE, new)
    assert proof.changed == []
    gained = {(each["pod"], each["setting"]) for each in proof.configured}
    assert ("end", "image") in gained and ("start", "service_account") in gained
    assert not {("start", "memory"), ("start", "cpu"), ("train", "gpu")} & gained

    for step, key, lost in LOST:  # as if adoption had lost it
        if step in gives and key in BATCH_GIVES[name][step]:
            changed = dataclasses.replace(before, flow={**before.flow, "batch": {**gives}})
            assert changed.flow
            changed.flow["batch"][step] = gives[step] | {key: lost}
            proof = prove([changed], [after], BASE, new)
            setting = "use_tmpfs" if key == "tmpfs_size" else key
            assert [(each["pod"], each["setting"]) for each in proof.changed] == [(step, setting)]


LOST: list[tuple[str, str, Any]] = [
    *[("train", "gpu", 2), ("train", "shared_memory", 9000), ("fetch", "memory", 6000)],
    *[("work", "disk", 60000), ("start", "security_context", {"privileged": False})],
    *[("start", "extended_resources", {"aws.amazon.com/neuron": "4"}), ("end", "tmpfs_size", 700)],
]


def adopted(project: Project, folder: Path, changes: Any) -> Project:
    """Return a copy of the project whose flows are adopted."""
    copy = copied(project, folder)
    for change in changes.values():
        for file, content in change.contents.items():
            (copy.root / file.relative_to(project.root)).write_bytes(content)
    return copy


def test_a_second_time_nothing_changes(project: Project, changes: Any, tmp_path: Path) -> None:
    again = adopted(project, tmp_path, changes)
    for name in SHAPES:
        flows = read_flows(again, [again.root / f"flows/{name}.py"])
        assert [flow.name for flow in flows if not flow.derives] == []


def tabs(text: str) -> str:
    """Return code that is indented by tabs, where it is by four spaces."""
    lines = text.split("\n")
    indents = [len(line) - len(line.lstrip(" ")) for line in lines]
    return "\n".join(
        "\t" * (indent // 4) + " " * (indent % 4) + line.lstrip(" ")
        for indent, line in zip(indents, lines, strict=True)
    )


LINES = "".join(f"x_{n} = {n}  # {n}\n" for n in range(3000))

# How a file may be written: everything that does not change keeps it.
SPELLINGS = {
    "Windows line ends": lambda text: text.replace("\n", "\r\n").encode(),
    "tabs": lambda text: tabs(text).encode(),
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "no line break at the end": lambda text: text.rstrip("\n").encode(),
    "trailing spaces": lambda text: text.replace("pass\n", "pass \t \n").encode(),
    "3,000 lines": lambda text: (text + LINES).encode(),
    "another encoding": lambda text: f"# coding: latin-1\n# caf\xe9\n{text}".encode("latin-1"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_bytes_stay(spelling: str, project: Project, changes: Any, tmp_path: Path) -> None:
    """However a file is spelt, only the lines that adoption means to change differ."""
    write = SPELLINGS[spelling]
    spelt = Project(tmp_path, "churn_model")
    (tmp_path / "flows").mkdir()
    shutil.copytree(project.source, spelt.source)
    for name in ["pools"] if spelling == "3,000 lines" else SHAPES:
        for file in (f"{name}.py", "team_base.py"):
            (tmp_path / "flows" / file).write_bytes(write((BEFORE / file).read_text()))
        flows = flows_in(spelt, tmp_path / f"flows/{name}.py")
        if name == "changing":  # needs what Metaflow has seen
            continue
        change = propose_change(spelt, flows, [], CONFIG, always)
        for file, content in change.contents.items():
            expected = write((BEFORE / f"{file.stem}.adopted.py").read_text())
            assert content == expected, name


def test_what_stays_is_listed(changes: Any) -> None:
    """With its file and line."""
    assert [note.partition("flows/")[2] for note in changes["environment"].notes] == [
        "environment.py:16: step train: only a run knows image=IMAGE, so it stays",
        "environment.py:21: step end: only a run knows"
        " image=os.environ.get('END_IMAGE', 'ghcr.io/acme/end:1'), so it stays",
    ]
    assert [note.partition("flows/")[2] for note in changes["changing"].notes] == [
        "changing.py:10: step start: only a run knows **POD, so it stays"
    ]


def test_the_value_of_k8s_toml_may_count(project: Project, changes: Any) -> None:
    """It is asked for each key; where k8s.toml's counts, the step keeps its own."""
    asked = []

    def never(key: str, old: Any, new: Any) -> bool:
        asked.append((key, old, new))
        return False

    flows = read_flows(project, [project.root / "flows/report.py"])
    change = propose_change(project, flows, [], CONFIG, never)
    assert asked == [
        ("image", "ghcr.io/acme/base:1", "ghcr.io/acme/churn:1.2.3"),
        ("service_account", "metaflow", "trainer"),
    ]
    assert change.config_text.startswith(CONFIG)
    (content,) = change.contents.values()
    assert OWN_IMAGE in content.decode()


OWN_IMAGE = """    # Trains on one GPU.
    @k8s(
        image="ghcr.io/acme/churn:1.2.3",
        service_account="trainer",  # may read the bucket
    )
    @step
"""
