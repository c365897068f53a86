"""The rules secret-exists, secret-keys, pull-secret-exists and pull-secret-type."""

import base64
import json
from typing import Any

from cluster_manifests import account, healthy, manifest
from examinations import examination, flow_pod, shown
from mf_k8s.doctor.answers import FlowPod
from simulated_cluster import Simulate

NOTE = "  # one --from-literal for each variable of the pods, like AWS_ACCESS_KEY_ID"
LOGIN = "  # USER and PASSWORD are a login there"
VALUE = base64.b64encode(b"tell nobody").decode()


def secret(name: str, *keys: str, **more: Any) -> dict[str, Any]:
    return manifest("Secret", name, data=dict.fromkeys(keys, VALUE), **{"type": "Opaque", **more})


def logins(name: str, *registries: str, kind: str = "dockerconfigjson") -> dict[str, Any]:
    auths: Any = {registry: {"auth": VALUE} for registry in registries}
    content = {"auths": auths} if kind == "dockerconfigjson" else auths
    data = {f".{kind}": base64.b64encode(json.dumps(content).encode()).decode()}
    return secret(name, type=f"kubernetes.io/{kind}") | {"data": data}


def with_key(name: str, key: str) -> FlowPod:
    pod = flow_pod("OneFlow/keyed")
    reference = {"secretKeyRef": {"name": name, "key": key}}
    pod.spec["containers"][0]["env"] = [{"name": "TOKEN", "valueFrom": reference}]
    return pod


def of_image(name: str, image: str, *pull_secrets: str) -> FlowPod:
    named = [{"name": secret} for secret in pull_secrets]
    pod = flow_pod(f"OneFlow/{name}", imagePullSecrets=named)
    pod.spec["containers"][0]["image"] = image
    pod.spec["containers"].insert(0, {"name": "wait", "image": "quay.io/argoproj/argoexec:v4"})
    return pod


def test_secrets_are_there(simulate: Simulate) -> None:
    cluster = simulate(*healthy(), secret("s3", "KEY"))
    optional = flow_pod("OneFlow/optional", secrets=["none"])
    optional.spec["containers"][0]["envFrom"][0]["secretRef"]["optional"] = True
    volumes = [
        {"name": "a", "secret": {"secretName": "mounted"}},
        {"name": "b", "projected": {"sources": [{"secret": {"name": "projected"}}]}},
        {"name": "c", "secret": {"secretName": "maybe", "optional": True}},
    ]
    case = examination(
        cluster,
        flow_pod("OneFlow/start", secrets=["s3", "db"]),
        with_key("tokens", "API_TOKEN"),
        optional,
        flow_pod("OneFlow/mounts"),
        flow_pod("OneFlow/files", manifest={"spec": {"containers": [], "volumes": volumes}}),
    )
    create = "kubectl -n default create secret generic"
    missing = "problem: there is no Secret {} in namespace default"
    assert shown(case, "secret-exists") == [
        f"{missing.format('db')} | OneFlow/start | {create} db --from-literal=KEY=VALUE{NOTE}",
        f"{missing.format('mounted')} | OneFlow/files"
        f" | {create} mounted --from-literal=KEY=VALUE{NOTE}",
        f"{missing.format('projected')} | OneFlow/files"
        f" | {create} projected --from-literal=KEY=VALUE{NOTE}",
        "ok: s3 | OneFlow/start",
        f"{missing.format('tokens')} | OneFlow/keyed"
        f" | {create} tokens --from-literal=API_TOKEN=VALUE{NOTE}",
    ]


def test_keys_that_are_needed(simulate: Simulate) -> None:
    cluster = simulate(*healthy(), secret("tokens", "OTHER"))
    case = examination(cluster, with_key("tokens", "TOKEN"), flow_pod("A/b", secrets=["tokens"]))
    assert shown(case, "secret-keys") == [
        "problem: the Secret tokens has no key TOKEN | OneFlow/keyed | kubectl -n default patch"
        """ secret tokens --type=merge -p '{"stringData": {"TOKEN": "VALUE"}}'"""
        "  # VALUE is yours to fill in",
        "ok: tokens: OTHER | A/b",
    ]


def test_keys_that_cannot_be_variables(simulate: Simulate) -> None:
    """Kubernetes leaves them out until 1.31; a key with a hyphen was a variable before."""
    pod = flow_pod("OneFlow/start", secrets=["s3"])
    objects = [*healthy(), secret("s3", "1st", "my-key", "KEY")]
    old = examination(simulate(*objects, version="v1.31.9"), pod)
    assert shown(old, "secret-keys") == [
        "problem: pods do not get 1st of Secret s3: no name of a variable | OneFlow/start"
        " | kubectl -n default patch secret s3 --type=json -p"
        """ '[{"op": "move", "from": "/data/1st", "path": "/data/_1st"}]'"""
    ]
    new = examination(simulate(*objects, version="v1.32.0"), pod)
    assert shown(new, "secret-keys") == ["ok: s3: 1st, KEY, my-key | OneFlow/start"]


def test_pull_secrets_are_there(simulate: Simulate) -> None:
    """Those of the account count where the pod names none."""
    (named, *rest) = account("metaflow")
    cluster = simulate(*rest, named | {"imagePullSecrets": [{"name": "of-account"}]})
    case = examination(
        cluster,
        of_image("own", "ghcr.io/acme/a:1", "own"),
        of_image("plain", "registry.example.com:5000/a:1"),
    )
    create = "kubectl -n default create secret docker-registry"
    login = f"--docker-username=USER --docker-password=PASSWORD{LOGIN}"
    missing = "problem: there is no Secret {} in namespace default to pull images with"
    assert shown(case, "pull-secret-exists") == [
        f"{missing.format('of-account')} | OneFlow/plain | {create} of-account"
        f" --docker-server=registry.example.com:5000 {login}",
        f"{missing.format('own')} | OneFlow/own | {create} own --docker-server=ghcr.io {login}",
    ]


def test_pull_secrets_of_the_wrong_type(simulate: Simulate) -> None:
    broken = secret("broken", ".dockerconfigjson", type="kubernetes.io/dockerconfigjson")
    cluster = simulate(
        *healthy(), secret("opaque", ".dockerconfigjson"), broken, logins("good", "ghcr.io"),
        logins("old", "https://index.docker.io/v1/", kind="dockercfg"),
    )  # fmt: skip
    case = examination(
        cluster,
        of_image("a", "ghcr.io/acme/a:1", "opaque"),
        of_image("b", "ghcr.io/acme/a:1", "broken"),
        of_image("c", "ghcr.io/acme/a:1", "good"),
        of_image("d", "acme/a:1", "old"),
    )
    create = (
        "create secret docker-registry {0} --docker-server=ghcr.io --docker-username=USER"
        f" --docker-password=PASSWORD{LOGIN}"
    )
    again = f"kubectl -n default delete secret {{0}} && kubectl -n default {create}"
    assert shown(case, "pull-secret-type") == [
        "problem: Secret broken has no logins under .dockerconfigjson that can be read | OneFlow/b"
        f" | {again.format('broken')}",
        "ok: good: ghcr.io | OneFlow/c",
        "ok: old: https://index.docker.io/v1/ | OneFlow/d",
        "problem: Secret opaque has type Opaque, not kubernetes.io/dockerconfigjson or"
        f" kubernetes.io/dockercfg | OneFlow/a | {again.format('opaque')}",
    ]


def test_a_login_for_another_registry(simulate: Simulate) -> None:
    """One of several pull secrets is enough."""
    cluster = simulate(*healthy(), logins("hub", "docker.io"), logins("own", "ghcr.io"))
    case = examination(
        cluster,
        of_image("one", "ghcr.io/acme/a:1", "hub"),
        of_image("two", "ghcr.io/acme/a:1", "hub", "own"),
    )
    assert shown(case, "pull-secret-type") == [
        "ok: own: ghcr.io | OneFlow/two",
        "cannot tell: Secret hub has no login for ghcr.io: is the image public? | OneFlow/one",
    ]


def test_no_value_of_a_secret_is_kept_or_shown(simulate: Simulate) -> None:
    cluster = simulate(*healthy(), secret("s3", "KEY"), logins("hub", "docker.io"))
    pod = of_image("one", "acme/a:1", "hub")
    pod.spec["containers"][1]["envFrom"] = [{"secretRef": {"name": "s3"}}]
    case = examination(cluster, pod)
    codes = ("secret-exists", "secret-keys", "pull-secret-exists", "pull-secret-type")
    texts = [line for code in codes for line in shown(case, code)]
    assert len(texts) == 4 and VALUE not in str(texts) and "tell nobody" not in str(texts)


def test_secrets_may_not_be_read(simulate: Simulate) -> None:
    cluster = simulate(*healthy(), lacking={"get secrets"})
    pod = flow_pod("OneFlow/start", secrets=["s3"], imagePullSecrets=[{"name": "hub"}])
    for code in ("secret-exists", "secret-keys", "pull-secret-exists", "pull-secret-type"):
        assert shown(examination(cluster, pod), code) == [
            "cannot tell: for want of the right to get secrets | OneFlow/start"
        ]
