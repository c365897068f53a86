"""To which cluster `k8s` turns a shell and Metaflow, and what it says of it."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mf_k8s.kind import find_target as environment
from stand_ins import STANDING, k8s

__all__ = ["k8s"]  # fixtures


def test_env_turns_a_shell_to_the_cluster(k8s: Callable[..., Any], example: Path) -> None:
    """What would take it elsewhere is unset, and the values are quoted; a proxy is passed by."""
    own = {"METAFLOW_SERVICE_URL": "https://hers", "https_proxy": "http://proxy:3128"}
    own |= {"no_proxy": "acme.com, 127.0.0.1", "NO_PROXY": ""}
    try:
        (example / ".kind").mkdir()
        (example / ".kind/kubeconfig").touch()
        code, output = k8s("kind", "env", programs=STANDING, **own)
        assert code == 0, output
    finally:
        shutil.rmtree(example / ".kind", ignore_errors=True)
    line = "k8s: a proxy is set, which cannot reach the cluster, so NO_PROXY="
    output, _, after = output.partition(line)
    assert after == "acme.com,127.0.0.1,localhost\n"
    script = f"METAFLOW_SERVICE_URL=x AWS_PROFILE=y; export METAFLOW_SERVICE_URL\n{output}\nenv"
    done = subprocess.run(["sh", "-c", script], env={}, capture_output=True, text=True, check=True)
    shell = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert "METAFLOW_SERVICE_URL" not in shell
    assert shell["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:32000"
    assert shell["METAFLOW_DATASTORE_SYSROOT_S3"] == "s3://metaflow/churn-model"
    assert shell["KUBECONFIG"] == str(example / ".kind/kubeconfig")
    assert shell["NO_PROXY"] == shell["no_proxy"] == "acme.com,127.0.0.1,localhost"


@pytest.mark.parametrize(
    ("variables", "value"),
    [
        ({}, None),
        ({"NO_PROXY": "acme.com"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"ALL_PROXY": "socks5://proxy"}, "127.0.0.1,localhost"),
        ({"HTTP_PROXY": "http://p", "NO_PROXY": "a", "no_proxy": "b,a"}, "a,b,127.0.0.1,localhost"),
    ],
)
def test_no_proxy(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], value: str | None
) -> None:
    """Both spellings, because of two that differ some programs read one and some the other."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    expected = {} if value is None else {"NO_PROXY": value, "no_proxy": value}
    assert environment.past_the_proxy() == expected


@pytest.mark.parametrize("command", [["test"], ["env"], ["logs", "x"]])
def test_without_a_cluster(k8s: Callable[..., Any], command: list[str]) -> None:
    assert k8s("kind", *command) == (2, "k8s: no cluster is up: run `uv run k8s kind up`\n")


def test_env_prints_no_value(k8s: Callable[..., Any], tmp_path: Path) -> None:
    """Only which keys of the user's own configuration it overrides."""
    own = {"METAFLOW_USER": "sesame", "METAFLOW_DEFAULT_DATASTORE": "azure"}
    (tmp_path / "config.json").write_text(json.dumps(own))
    code, output = k8s("deploy", "nothing", "--env", "prod", METAFLOW_HOME=str(tmp_path))
    assert "sesame" not in output
    own["METAFLOW_KUBERNETES_NAMESPACE"] = "barley"
    (tmp_path / "config.json").write_text(json.dumps(own))
    code, output = k8s("deploy", "nothing", "--env", "prod", METAFLOW_HOME=str(tmp_path))
    assert (
        "environments/prod.json overrides your own METAFLOW_KUBERNETES_NAMESPACE, METAFLOW_USER\n"
        in output
    )
    assert "barley" not in output
