"""GPUs for every step or for those of a pool: what the pods of a rendered project get."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from conftest import ROOT
from mf_k8s.check.compare import check_flows
from mf_k8s.kind.plan_nodes import node_capacity
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.pods.expected_pods import expected_pods
from mf_k8s.project.environment_layer import merged_config
from mf_k8s.project.project import Project

TWO = {"amd.com/gpu": "2"}
SELECTOR = {"a.example/gpu": "mi300"}
POOL = {"gpu": 1, "gpu_vendor": "amd", "node_selector": SELECTOR, "memory": 64000}


def render(template: Path, project: Path, organisation: dict[str, Any], **answers: Any) -> Path:
    fork = project.parent / "fork"
    shutil.copytree(template, fork, ignore=shutil.ignore_patterns(".git"))
    (fork / "hooks/organisation.yml").write_text(yaml.safe_dump(organisation))
    how = {"defaults": True, "quiet": True, "unsafe": False}
    copier.run_copy(str(fork), project, data=answers, **how)
    return project


def gpus(template: dict[str, Any]) -> dict[str, str]:
    """Return the GPUs of a template of a workflow that makes a pod."""
    limits = template["container"]["resources"].get("limits") or {}
    return {name: number for name, number in limits.items() if name.endswith("/gpu")}


@pytest.mark.parametrize("steps", ["every", "pool"])
def test_steps_that_get_gpus(small_template: Path, tmp_path: Path, steps: str) -> None:
    """Helper pods, which report how a run ended, get none; kind's nodes have what the pods need."""
    answers = {"gpu": 2, "gpu_vendor": "amd", "gpu_steps": steps}
    folder = render(small_template, tmp_path / "churn-model", {}, **answers)
    shutil.copy(ROOT / "tests/flows/hooked.py", folder / "flows")
    project = Project(folder, "churn_model")
    found, helpers, pods = {}, [], []
    results = list(compile_flows(project, project.flow_files()))
    for result in results:
        assert result.template, result.error
        for each in result.template["spec"]["templates"]:
            annotations = each.get("metadata", {}).get("annotations", {})
            if step := annotations.get("metaflow/step_name"):
                found[f"{result.flow['name']}.{step}"] = gpus(each)
            elif "container" in each:
                helpers.append(gpus(each))
        pods += expected_pods(merged_config(project), result.flow).values()
    others = {} if steps == "pool" else TWO
    assert found == {
        "HelloFlow.start": others,
        "HelloFlow.end": others,
        "HookedFlow.start": others,
        "HookedFlow.end": others,
        "TrainFlow.start": others,
        "TrainFlow.train": TWO,
        "TrainFlow.choose": others,
        "TrainFlow.end": others,
    }
    assert helpers and not any(helpers)
    assert [report.matches for report in check_flows(project, results)] == [True] * 3
    assert node_capacity(pods)["amd.com/gpu"] == 8  # of four such pods


@pytest.mark.parametrize(
    ("organisation", "answers", "own", "whole"),
    [
        ({}, {"gpu": 1}, {"gpu": 1, "gpu_vendor": "nvidia"}, None),
        ({"gpu_pools": {"gpu": POOL}}, {"gpu": 1}, {}, POOL),
        ({"gpu_pools": {"gpu": POOL}}, {"gpu": 2}, {"gpu": 2}, {**POOL, "gpu": 2}),
        ({"k8s": {"pools": {"gpu": POOL}}}, {"gpu": 2}, {"gpu": 2}, {**POOL, "gpu": 2}),
        (
            {"gpu_pools": {"gpu": POOL}},
            {"gpu": 1, "gpu_vendor": "nvidia"},
            {"gpu_vendor": "nvidia"},
            {**POOL, "gpu_vendor": "nvidia"},
        ),
        (
            {"gpu_pools": {"gpu": {"gpu": 1, "node_selector": SELECTOR}}},
            {"gpu": 1},
            {},
            {"gpu": 1, "node_selector": SELECTOR},
        ),
        (
            {"gpu_pools": {"a100": {"gpu": 1}}, "k8s": {"gpu_vendor": "amd"}},
            {"gpu": 4},
            {"gpu": 4, "gpu_vendor": "amd"},
            None,
        ),
    ],
)
def test_the_pool_gpu_of_an_organisation(
    small_template: Path,
    tmp_path: Path,
    organisation: dict[str, Any],
    answers: dict[str, Any],
    own: dict[str, Any],
    whole: dict[str, Any] | None,
) -> None:
    """It stays as it is, with its nodes and vendor, but for what a team has answered otherwise."""
    answers = {"gpu_steps": "pool", **answers}
    folder = render(small_template, tmp_path / "churn", organisation, **answers)
    config = tomllib.loads((folder / "k8s.toml").read_text())
    assert config.get("pools", {}).get("gpu", {}) == own
    assert "gpu" not in config and "gpu_vendor" not in config
    assert merged_config(Project(folder, "churn"))["pools"]["gpu"] == (whole or own)
    assert '    @k8s("gpu", memory=' in (folder / "flows/train.py").read_text()
    assert "\n\n\n" not in (folder / "k8s.toml").read_text()
