"""[workflow] of k8s.toml: every field of Argo's WorkflowSpec that Metaflow does not set."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from argo_schema import schema_errors
from hera.workflows import models
from mf_k8s.errors import CommandError
from mf_k8s.pods.argo_releases import GONE, SINCE
from mf_k8s.pods.configure_template import configure_template
from mf_k8s.project.api_types import WORKFLOW_SPEC, argo_types, fields_of
from mf_k8s.project.environment_layer import merged_config
from mf_k8s.project.project import Project
from mf_k8s.project.workflow_table import SAID_ELSEWHERE, workflow_findings

# Each field, but for those of 4.1 and later, with something in it; names as in a k8s.toml.
WHOLE = """
active_deadline_seconds = 3600
archive_logs = true
automount_service_account_token = true
dns_policy = "ClusterFirst"
host_network = false
parallelism = 3
pod_priority_class_name = "low"
pod_spec_patch = "{}"
priority = 2
scheduler_name = "volcano"
shutdown = "Stop"
suspend = false
affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms = [
  { match_expressions = [{ key = "disk", operator = "In", values = ["ssd"] }] },
]
artifact_gc = { strategy = "Never", pod_metadata.labels.my_label = "a" }
artifact_repository_ref = { config_map = "artifacts", key = "s3" }
dns_config.options = [{ name = "ndots", value = "2" }]
executor.service_account_name = "executor"
host_aliases = [{ ip = "10.0.0.1", hostnames = ["db"] }]
metrics.prometheus = [{ name = "runs", help = "Runs", counter.value = "1" }]
pod_disruption_budget.min_available = "50%"
pod_gc = { strategy = "OnPodSuccess", label_selector.match_labels.my_label = "a" }
pod_metadata = { labels.my_label = "a", annotations."example.com/b_c" = "d" }
security_context = { fs_group = 1000, seccomp_profile.type = "RuntimeDefault" }
synchronization.mutexes = [{ name = "a" }]
template_defaults.metadata.labels.my_label = "a"
ttl_strategy.seconds_after_success = 60
volume_claim_gc.strategy = "OnWorkflowSuccess"
volumes = [{ name = "models", config_map = { name = "models" } }]
workflow_metadata = { labels.my_label = "a", labels_from.b.expression = "workflow.name" }
[[volume_claim_templates]]
metadata.name = "scratch"
spec = { access_modes = ["ReadWriteOnce"], resources.requests.storage = "1Gi" }
"""
IN_4_1 = {"executorPlugins", "podResources", "resourceClaims"}


def test_all_of_a_workflow_is_as_argo_spells_it() -> None:
    """Also where snake_case does not lead to it; labels keep their underscores."""
    workflow = tomllib.loads(WHOLE)
    assert [*workflow_findings(workflow, "k8s.toml")] == []
    own = {"labels": {"metaflow/a": "b"}}
    template: Any = {"metadata": {}, "spec": {"templates": [], "podMetadata": own}}
    whole = configure_template(template, {}, workflow)
    assert schema_errors(whole) == []
    spec = whole["spec"]
    assert {*spec} - {"templates"} == {*argo_types()[WORKFLOW_SPEC]} - IN_4_1
    assert spec["artifactGC"] == {"strategy": "Never", "podMetadata": {"labels": {"my_label": "a"}}}
    assert spec["podMetadata"] == {
        "labels": {"metaflow/a": "b", "my_label": "a"},
        "annotations": {"example.com/b_c": "d"},
    }
    assert spec["podGC"]["labelSelector"] == {"matchLabels": {"my_label": "a"}}
    assert spec["volumeClaimTemplates"][0]["spec"]["resources"] == {"requests": {"storage": "1Gi"}}


OF_METAFLOW = "is set by Metaflow or `k8s deploy`"
# Wrong lines, and what is said of them.
WRONG = {
    'service_account_name = "a"': (
        f"workflow.service_account_name {OF_METAFLOW}; write service_account above the first"
        " [table]: every pod gets it"
    ),
    "affinty.node_affinity = {}": "workflow has no field affinty; did you mean affinity?",
    "security_context.fsGroup = 1": (
        "workflow.security_context has no field fsGroup; did you mean fs_group?"
    ),
    'ttl.seconds_after_success = "1h"': (
        'workflow.ttl.seconds_after_success = "1h"; write a whole number'
    ),
    "archive_logs = 1": "workflow.archive_logs = 1; write true or false",
    "priority = true": "workflow.priority = true; write a whole number",
    "host_aliases = { ip = 1 }": 'workflow.host_aliases = {"ip": 1}; write a list',
    "dns_config.options = [{ value = 2 }]": "workflow.dns_config.options.0.value = 2; write text",
    'executor = "a"': 'workflow.executor = "a"; write a table',
    "ttl = {}\nttl_strategy = {}": (
        "workflow.ttl_strategy and workflow.ttl are one field; keep one of them"
    ),
    'pod_metadata.labels."metaflow/x" = "a"': (
        "workflow.pod_metadata.labels.metaflow/x: the name is Metaflow's own; use another name"
    ),
}


@pytest.mark.parametrize(("line", "message"), WRONG.items())
def test_a_wrong_field(line: str, message: str) -> None:
    found = [*map(str, workflow_findings(tomllib.loads(line), "k8s.toml"))]
    assert found == [f"k8s.toml: {message}"]


def test_the_layer_with_a_wrong_field_is_named(example: Path, tmp_path: Path) -> None:
    (tmp_path / "src/churn_model").mkdir(parents=True)
    for name in ("settings.py", "k8s.schema.json"):
        text = (example / "src/churn_model" / name).read_text()
        (tmp_path / "src/churn_model" / name).write_text(text)
    (tmp_path / "k8s.toml").write_text("[workflow]\nttl = {}\n")
    file = tmp_path / "environments/prod.json"
    file.parent.mkdir()
    file.write_text('{"k8s": {"workflow": {"hooks": {}}}}')
    project = Project(tmp_path, "churn_model", environment_file=file)
    hooks = rf"^environments/prod.json: k8s: workflow.hooks {OF_METAFLOW}"
    with pytest.raises(CommandError, match=hooks):
        merged_config(project)
    file.write_text('{"k8s": {"workflow": {"ttl_strategy": {}}}}')
    with pytest.raises(CommandError, match="workflow.ttl_strategy and workflow.ttl are one field"):
        merged_config(project)


def test_the_fields_are_those_of_argo() -> None:
    """As hera, Argo's library for Python, has them."""
    later = {field for field in SINCE if SINCE[field] > (4, 0, 0)}
    compared = 0
    for name, fields in argo_types().items():
        model: Any = getattr(models, name, None)
        if hasattr(model, "model_fields"):
            known = {field.alias or key for key, field in model.model_fields.items()}
            assert {*fields} - later - {*GONE} <= known, name
            compared += 1
    assert compared > 60
    spec = {field.alias or key for key, field in models.WorkflowSpec.model_fields.items()}
    of_metaflow = {camel(key) for key in SAID_ELSEWHERE}
    assert spec - {*argo_types()[WORKFLOW_SPEC]} == of_metaflow


def camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(map(str.capitalize, rest))


def test_types_of_kubernetes_are_those_of_its_client() -> None:
    """Read from its files, whose names follow from those of the types."""
    from kubernetes.client import models as of_client

    names = [name for name in dir(of_client) if name.startswith("V1") and "lpha" not in name]
    assert len(names) > 300
    for name in names:
        model = getattr(of_client, name)
        types = {key.lstrip("_"): kind for key, kind in model.openapi_types.items()}
        assert {key: field.type for key, field in fields_of(name).items()} == types, name
        assert {field.name for field in fields_of(name).values()} == {*model.attribute_map.values()}
    for fields in argo_types().values():
        for kind in fields.values():
            inner = kind.removeprefix("list[").removeprefix("dict[str, ").rstrip("]")
            assert not inner.startswith("V1") or hasattr(of_client, inner), kind
