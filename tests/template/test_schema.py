"""The few lines that validate k8s.toml in a project, held against the jsonschema library."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from argo_schema import schema_errors
from conftest import ROOT
from hypothesis import example as also
from hypothesis import given
from hypothesis import strategies as st
from mf_k8s.pods.configure_template import configure_template

SCHEMA = ROOT / "template/src/{{ package_name }}/k8s.schema.json"
ENVIRONMENT = ROOT / "template/tools/mf-k8s/src/mf_k8s/environment.schema.json"
RULES = json.loads(SCHEMA.read_text())["properties"]

# Values of every type, near the edges of the rules and far from them.
TEXTS = st.sampled_from(
    ["", "a", "A", "a.b", "a b", "a\n", "-a", "ü", "/", "/a", "/a/", "/a/../b", "/tmp", "/mnt/out"]
    + ["/dev/shm", "nvidia", "Always", "Guaranteed", "NoSchedule", "Exists", "1", "0", "-1", "1.5"]
    + ["churn:1", "churn:latest", "ghcr.io/acme/churn:1.2.3", "a@sha256:" + "0" * 64, "out"]
    + ["example.com/gpu", "metaflow/step", "x" * 64, "x" * 300]
)
NUMBERS = st.sampled_from([-1, 0, 0.001, 0.5, 1, 2, 64, 100, 4096.5, 65535, 65536, 10**9])
ATOMS = st.one_of(TEXTS, NUMBERS, st.booleans())
VALUES = st.one_of(
    ATOMS,
    st.lists(ATOMS, max_size=2),
    st.dictionaries(TEXTS, ATOMS, max_size=2),
    st.lists(
        st.dictionaries(st.sampled_from(["key", "operator", "value", "effect", "x"]), ATOMS),
        max_size=2,
    ),
    st.dictionaries(st.sampled_from(["privileged", "run_as_user", "run_as_usr"]), ATOMS),
)
SETTINGS = st.dictionaries(st.sampled_from([*RULES, "memmory"]), VALUES, max_size=2)
CONFIGS = st.one_of(
    SETTINGS,
    st.builds(
        lambda settings, pools: settings | {"pools": pools},
        SETTINGS,
        st.one_of(ATOMS, st.dictionaries(TEXTS, st.one_of(SETTINGS, ATOMS), max_size=1)),
    ),
)


@pytest.fixture(scope="module")
def settings(example: Path) -> ModuleType:
    sys.path.insert(0, str(example / "src"))
    return importlib.import_module("churn_model.settings")


def test_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(json.loads(SCHEMA.read_text()))


def test_each_parameter_of_kubernetes_has_a_rule() -> None:
    decorator = importlib.import_module("metaflow.plugins.kubernetes.kubernetes_decorator")
    assert (
        RULES.keys() - {"pod", "pools", "registry", "workflow"}
        == decorator.KubernetesDecorator.defaults.keys()
    )


def test_names_of_one_kind_have_one_rule() -> None:
    """JSON has no variables: each pattern stands where a key of k8s.toml takes such a name."""
    workflow, own = RULES["workflow"]["properties"], json.loads(ENVIRONMENT.read_text())
    objects = RULES["service_account"]["pattern"]
    for rule in (RULES["secrets"]["items"], RULES["image_pull_secrets"]["items"]):
        assert rule["pattern"] == objects
    assert workflow["priority_class"]["pattern"] == objects
    value = RULES["node_selector"]["additionalProperties"]["pattern"]
    assert RULES["labels"]["additionalProperties"]["pattern"] == value
    assert RULES["compute_pool"]["pattern"] == value
    label = RULES["node_selector"]["propertyNames"]["pattern"].removeprefix("^")
    for key in ("labels", "annotations"):  # which refuse Metaflow's own
        assert RULES[key]["propertyNames"]["pattern"].endswith(f"){label}")
    namespace = own["properties"]["METAFLOW_KUBERNETES_NAMESPACE"]["pattern"].removeprefix("^")
    assert RULES["persistent_volume_claims"]["propertyNames"]["pattern"].endswith(f"){namespace}")
    assert f"'\\\\A{namespace[:-1]}\\\\Z'" in (ROOT / "hooks/validators.jinja").read_text()


WORKFLOWS = [
    {"ttl": {"seconds_after_completion": 300}},
    {"ttl": {"seconds_after_success": 0}},
    {"ttl": {"seconds_after_failure": 86400}},
    {"ttl": {}},
    {"pod_gc": {"strategy": "OnWorkflowSuccess"}},
    {"pod_gc": {"delete_delay_duration": "60s"}},
    {"parallelism": 1},
    {"pending_timeout": "90s"},
    {"priority_class": "batch-low"},
    {"synchronization": {}},
    {"synchronization": {"semaphores": []}},
    {"synchronization": {"semaphores": [{"config_map_key_ref": {"name": "a", "key": "b"}}]}},
]
KEY = ["spec.synchronization.semaphores.0.configMapKeyRef.key"]
# Half a semaphore, what Argo's schema refuses of it, and the message.
SEMAPHORES: list[Any] = [
    ({"config_map_key_ref": {"name": "limits"}}, KEY, "Table of name and key, of a ConfigMap"),
    ({"config_map_key_ref": {"key": "train"}}, [], "Table of name and key, of a ConfigMap"),
]


def completed(workflow: dict[str, Any]) -> Any:
    """Return a WorkflowTemplate without pods, with [workflow]."""
    return configure_template({"metadata": {}, "spec": {"templates": []}}, {}, workflow)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=json.dumps)
def test_a_valid_workflow_is_one_for_argo(settings: ModuleType, workflow: Any) -> None:
    settings.validate({"workflow": workflow}, "k8s.toml", settings.schema())
    assert schema_errors(completed(workflow)) == []


@pytest.mark.parametrize(("semaphore", "errors", "message"), SEMAPHORES)
def test_half_a_semaphore_is_refused(
    settings: ModuleType, semaphore: Any, errors: list[str], message: str
) -> None:
    """A cluster may store it, whose Argo then starts no workflow."""
    workflow = {"synchronization": {"semaphores": [semaphore]}}
    assert schema_errors(completed(workflow)) == errors
    with pytest.raises(settings.ConfigurationError, match=message):
        settings.validate({"workflow": workflow}, "k8s.toml", settings.schema())


@given(config=CONFIGS)
@also(config={"memory": 1, "pools": {"big": {"gpu": 1}}})
@also(config={"pools": {"big": {"pools": {}}}})
@also(config={"pools": {"big": {"workflow": {}}}})
@also(config={"workflow": {"ttl": {"seconds_after_success": 60}, "parallelism": 0}})
@also(config={"workflow": {"pod_gc": {"delete_delay_duration": "1d"}}})
@also(config={"workflow": {"pending_timeout": "0m"}})
@also(config={"workflow": {"memory": 1}})
@also(config={"workflow": {"synchronization": {"semaphores": [{}]}}})
@also(config={"workflow": {"synchronization": {"semaphores": [{"config_map_key_ref": {}}]}}})
def test_both_accept_and_refuse_the_same(settings: ModuleType, config: dict[str, Any]) -> None:
    accepted = True
    try:
        settings.validate(config, "k8s.toml", settings.schema())
    except settings.ConfigurationError as error:
        accepted = False
        assert "\n" not in str(error)
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    # The library's $ in a pattern also accepts a newline at the end; ours does not.
    newline = "\\n" in json.dumps(config)
    assert accepted == validator.is_valid(config) or (newline and not accepted)
