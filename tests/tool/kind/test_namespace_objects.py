"""Which objects of a namespace pods and workflows need, and which are left as they are."""

from kind_objects import PODS, present
from mf_k8s.kind.namespace_objects import (
    needed_objects,
    what_is_missing,
    workflow_objects,
)


def test_objects() -> None:
    objects = needed_objects(PODS, "team-a", parallel=True)
    names = sorted((item["kind"], item["metadata"]["name"]) for item in objects)
    assert names == [
        ("Namespace", "team-a"),
        ("PersistentVolume", "team-a-data"),
        ("PersistentVolumeClaim", "data"),
        ("Role", "argo-executor"),
        ("RoleBinding", "argo-executor"),
        ("Secret", "both"),
        ("Secret", "db"),
        ("Secret", "regcred"),
        ("ServiceAccount", "metaflow"),
        ("ServiceAccount", "other"),
    ]
    by_name = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    of_registry = "kubernetes.io/dockerconfigjson"
    assert by_name["Secret", "both"]["type"] == by_name["Secret", "regcred"]["type"] == of_registry
    subjects = by_name["RoleBinding", "argo-executor"]["subjects"]
    assert {item["name"] for item in subjects} == {"metaflow", "other"}
    assert {
        (tuple(item["resources"]), *item["verbs"])
        for item in by_name["Role", "argo-executor"]["rules"]
    } == {
        (("workflowtaskresults",), "create", "patch"),
        (("jobsets",), "create", "get", "watch", "delete"),
    }


def test_what_is_there_is_left_alone() -> None:
    """Somebody may have filled a Secret, annotated an account, chosen a claim's storage or a class.

    Of a ConfigMap, the keys that k8s.toml names in addition are made.
    """
    semaphores = [{"config_map_key_ref": {"name": "limits", "key": key}} for key in ("a", "b")]
    workflow = {"priority_class": "low", "synchronization": {"semaphores": semaphores}}
    needed = [*needed_objects(PODS, "team-a", parallel=False), *workflow_objects(workflow)]
    there = [
        present("Namespace", "team-a"),
        present("ServiceAccount", "metaflow"),
        present("Secret", "db", data={"password": "c2VzYW1l"}),
        present("Secret", "regcred"),
        present("PersistentVolumeClaim", "data"),
        present("PersistentVolume", "team-a-data"),
        present("PriorityClass", "low", value=1000),
        present("ConfigMap", "limits", data={"a": "1"}),
        present("ConfigMap", "other"),
    ]
    missing, lacking = what_is_missing(needed, there, {"db": {"user": "ann"}})
    assert [
        (item["kind"], item["metadata"]["name"]) for item in missing if "Role" not in item["kind"]
    ] == [("ServiceAccount", "other"), ("Secret", "both")]
    assert {item["metadata"]["name"]: item["data"] for item in lacking} == {
        "limits": {"b": "100"},
        "db": {"user": "YW5u"},
    }
    _, lacking = what_is_missing(needed, there, {"db": {"password": "sesame"}})  # as it is there
    assert [item["metadata"]["name"] for item in lacking] == ["limits"]


def test_what_a_workflow_names_is_there() -> None:
    """A priority class and semaphores; those of Kubernetes are there already."""
    semaphores = [
        {"config_map_key_ref": {"name": "limits", "key": key}} for key in ("gpu", "training")
    ]
    workflow = {"priority_class": "batch-low", "synchronization": {"semaphores": semaphores}}
    assert workflow_objects(workflow) == [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "batch-low"},
            "value": 0,
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "limits"},
            "data": {"gpu": "100", "training": "100"},
        },
    ]
    pods = [{"pod": {"priorityClassName": name}} for name in ("spot", "spot", "system-a")]
    made = workflow_objects({"pod_priority_class_name": "batch-low"}, pods)
    assert [each["metadata"]["name"] for each in made] == ["batch-low", "spot"]
    assert workflow_objects({"priority_class": "system-node-critical", "parallelism": 2}) == []
