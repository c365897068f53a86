"""Which of the requests that Metaflow's create would send are sent."""

from kubernetes_api import WHERE, request
from mf_k8s.metaflow.record_requests import without_replaced_deletes


def test_a_sensor_is_replaced_not_deleted_first() -> None:
    """Metaflow deletes that of an older version; in the dry run it is then still there."""
    delete = "delete_namespaced_custom_object", {**WHERE, "plural": "sensors", "name": "a"}
    other = "delete_namespaced_custom_object", {**WHERE, "plural": "sensors", "name": "b"}
    replace = request("replace", "sensors", "a", "new")
    assert without_replaced_deletes([delete, other, replace]) == [other, replace]
    assert without_replaced_deletes([replace, delete]) == [replace, delete]
