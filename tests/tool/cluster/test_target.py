"""The place that a command works with: its cluster, context and account; two in one process."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import own_target
from kubernetes_api import Api, served, write_kubeconfig
from mf_k8s.check.live import check_live
from mf_k8s.cluster.api import connect
from mf_k8s.cluster.target import Target, argo_findings, context_findings
from mf_k8s.deploy.already_deployed import deployed_templates
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.metaflow.configuration import Configuration, lay_over
from mf_k8s.pods.configure_template import configure_template
from mf_k8s.project.environments import Environment
from mf_k8s.project.k8s_toml import read_config
from mf_k8s.project.merge_settings import shared_settings
from mf_k8s.project.project import Project


def test_the_place_and_the_account(api: type[Api]) -> None:
    target = own_target(METAFLOW_KUBERNETES_NAMESPACE="team-a")
    assert str(target) == (
        f"{target.cluster} (context fake), namespace team-a, account ann@example.com"
    )


def stopped_by(api: type[Api]) -> str:
    with pytest.raises(CommandError) as stopped:
        raise_if(argo_findings(own_target()))
    assert api.objects == {} and api.tried == []
    return str(stopped.value)


@pytest.mark.parametrize("anonymous", [False, True])
def test_expired_credentials(api: type[Api], anonymous: bool) -> None:
    api.logged_in, api.is_anonymous = anonymous, anonymous
    assert stopped_by(api) == (
        "cannot ask the cluster who you are: the cluster does not accept your credentials, which"
        " may have expired; log in to it again, until `kubectl auth whoami` names you"
    )


def test_a_cluster_without_argo(api: type[Api]) -> None:
    api.has_argo = False
    assert "has no Argo Workflows: install it there, or choose another context" in stopped_by(api)


def test_no_cluster(api: type[Api], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that nobody listens on, and then no kubeconfig at all."""
    config = json.loads((tmp_path / "kubeconfig").read_text())
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:9"
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    assert stopped_by(api).startswith(
        "cannot ask the cluster who you are: the cluster cannot be reached: "
    )
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert stopped_by(api).endswith("not behind that proxy, add its host to NO_PROXY")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert stopped_by(api).startswith("kubectl's configuration has no context that can be used (")


def test_context(api: type[Api], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of kubectl: the current one, another, one that is not there, and none in a pod."""
    config = json.loads((tmp_path / "kubeconfig").read_text())
    config["contexts"].append({"name": "acme", "context": {"cluster": "fake", "user": "fake"}})

    def target(context: str) -> Target:
        return Target(Environment("prod", context), own_target().configuration)

    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    raise_if(context_findings(target("")))
    raise_if(context_findings(target("fake")))
    with pytest.raises(CommandError) as stopped:
        raise_if(context_findings(target("acme")))
    assert str(stopped.value) == (
        "environments/prod.json requires the kubectl context acme, but the current one is fake:"
        " run `kubectl config use-context acme`"
    )
    with pytest.raises(CommandError) as stopped:
        raise_if(context_findings(target("nowhere")))
    assert str(stopped.value) == (
        f"environments/prod.json requires the kubectl context nowhere, which"
        f" {tmp_path / 'kubeconfig'} does not have; it has: acme, fake"
    )
    (tmp_path / "kubeconfig").write_text(json.dumps({**config, "current-context": ""}))
    with pytest.raises(CommandError) as stopped:  # the context is there, and none is chosen
        raise_if(context_findings(target("acme")))
    assert str(stopped.value) == (
        f"environments/prod.json requires the kubectl context acme, but {tmp_path / 'kubeconfig'}"
        " is missing or has no current context: run `kubectl config use-context acme`, or set"
        " KUBECONFIG to the file that has it"
    )
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(CommandError, match="in a pod its own cluster is used: set KUBECONFIG"):
        raise_if(context_findings(target("fake")))


def target_of(name: str, port: int, folder: Path) -> Target:
    """Return the place of an environment, which is also the name of its namespace."""
    config = write_kubeconfig(folder / name, port)
    environment = Environment(name, "fake", (("METAFLOW_KUBERNETES_NAMESPACE", name),))
    own = Configuration({"KUBECONFIG": str(config), "METAFLOW_HOME": str(folder)})
    return Target(environment, lay_over(own, environment))


def test_two_places_in_one_process(example: Path, tmp_path: Path) -> None:
    """Each keeps its configuration, context and cluster, whichever is asked in between."""
    before = dict(os.environ)
    project = Project(example, "churn_model")
    (compiled,) = compile_flows(project, [example / "flows/hello.py"])
    assert compiled.template
    settings = shared_settings(read_config(project.config_file))
    template = configure_template(compiled.template, settings, {})
    with contextlib.ExitStack() as stack:
        targets = []
        for name in ("dev", "prod"):
            account = f"{name}@example.com"
            api = type(name, (Api,), {"objects": {}, "account": account})
            deployed = json.dumps(template)
            if name == "dev":
                deployed = deployed.replace("ghcr.io/acme/churn:1.2.3", "ghcr.io/acme/churn:1.2.2")
            api.objects["workflowtemplates/helloflow"] = json.loads(deployed)
            targets.append(target_of(name, stack.enter_context(served(api)), tmp_path))
            raise_if(context_findings(targets[-1]))
        found = []
        for target in (*targets, *targets):
            raise_if(argo_findings(target))
            (report,) = check_live(project, [compiled], target, run=None)
            found.append((target.namespace, target.account, report.matches))
    dev, prod = ("dev", "dev@example.com", False), ("prod", "prod@example.com", True)
    assert found == [dev, prod, dev, prod]
    assert dict(os.environ) == before


KUBECTL_LOGIN = """#!/bin/sh
cat << END
{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
 "status": {"token": "$AWS_PROFILE", "expirationTimestamp": "2020-01-01T00:00:00Z"}}
END
"""


def test_a_program_for_credentials_has_the_variables_of_its_place(tmp_path: Path) -> None:
    """Each time that the library starts it: a token of this program is out of date at once."""
    tokens = []

    class Login(Api):
        objects: dict[str, Any] = {}

        def do_GET(self) -> None:
            tokens.append(self.headers["Authorization"])
            super().do_GET()

    program = tmp_path / "login"
    program.write_text(KUBECTL_LOGIN)
    program.chmod(0o755)
    with served(Login) as port:
        config = json.loads(write_kubeconfig(tmp_path / "kubeconfig", port).read_text())
        login = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program)}
        config["users"][0]["user"] = {"exec": login}
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        own = Configuration(os.environ | {"KUBECONFIG": str(tmp_path / "kubeconfig")})
        for profile in ("team-a", "team-b"):
            environment = Environment("prod", "", (("AWS_PROFILE", profile),))
            target = Target(environment, lay_over(own, environment))
            assert [deployed_templates(target, "default") for _ in range(2)] == [{}, {}]
    assert tokens == ["Bearer team-a"] * 2 + ["Bearer team-b"] * 2


def test_a_client_is_made_with_the_variables_of_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library sets no_proxy for a moment then: no other thread may take it for the user's."""
    profiles = []

    def bypasses(host: str, no_proxy: str) -> bool:
        profiles.append(os.environ.get("AWS_PROFILE"))
        return True

    monkeypatch.setattr("kubernetes.client.rest.should_bypass_proxies", bypasses)
    config = write_kubeconfig(tmp_path / "kubeconfig", 1)
    variables = {"KUBECONFIG": str(config), "HTTPS_PROXY": "http://proxy", "AWS_PROFILE": "team-a"}
    connect(os.environ | variables)
    assert profiles == ["team-a"]
