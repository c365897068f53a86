"""The rules about claims: are they there, do they get a volume, who may mount it, and where."""

import json
import shlex

import pytest
from cluster_manifests import claim, healthy, manifest, node, pod
from examinations import examination, flow_pod, shown
from kinds_of_objects import Manifest
from mf_k8s.doctor.answers import FlowPod
from simulated_cluster import Simulate

ZONE = "topology.kubernetes.io/zone"


def storage_class(name: str, provisioner: str = "nfs.csi.k8s.io", **more) -> Manifest:
    found = manifest("StorageClass", name, provisioner=provisioner, **more)
    if name == "standard":
        key = "storageclass.kubernetes.io/is-default-class"
        found["metadata"]["annotations"] = {key: "true"}
    return found


def volume(name: str, *values: str, key: str = ZONE, **spec) -> Manifest:
    """Return a volume that can be mounted where a label has one of these values."""
    entry = {"key": key, "operator": "In", "values": [*values]}
    terms = [{"matchExpressions": [entry]}]
    affinity = {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}} if values else {}
    return manifest("PersistentVolume", name, spec=affinity | spec)


def event(claim: str, message: str, kind: str = "Warning", at: str = "2026-01-01T00:00:00Z"):
    involved = {"kind": "PersistentVolumeClaim", "name": claim}
    name = f"{claim}.{at}"
    more = {"type": kind, "message": message, "lastTimestamp": at, "involvedObject": involved}
    return manifest("Event", name.lower().replace(":", ""), "default", **more)


def found(simulate: Simulate, code: str, *objects: Manifest, **more) -> list[str]:
    pods = more.pop("pods", [flow_pod("F/s", claims=["data"])])
    return shown(examination(simulate(*objects, **more), *pods), code)


def applied(line: str) -> Manifest:
    """Return the object of `echo '{…}' | kubectl …` in a line."""
    words = shlex.split(line[line.index("echo ") :])
    assert words[2:7] == ["|", "kubectl", "-n", "default", "apply"]
    return json.loads(words[1])


def test_claims_that_are_there(simulate: Simulate) -> None:
    going = claim("going")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster = simulate(*healthy(), claim("data"), going, storage_class("standard"))
    case = examination(
        cluster,
        flow_pod("F/a", claims=["data"]),
        flow_pod("F/b", claims=["data", "lost"]),
        flow_pod("F/c", claims=["going"]),
        flow_pod("F/d"),
    )
    well, being_deleted, missing = shown(case, "claim-exists")
    assert well == "ok: data | F/a, F/b"
    assert being_deleted == (
        "problem: the claim going is being deleted: it goes when no pod uses it any more | F/c"
        " | kubectl -n default describe pvc going  # shows who does"
    )
    assert missing.startswith("problem: there is no claim lost in namespace default | F/b | echo '")
    assert missing.endswith("' | kubectl -n default apply -f -  # SIZE is like 10Gi")
    assert applied(missing) == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "lost"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "SIZE"}}},
    }
    assert cluster.read == {"get persistentvolumeclaims", "list storageclasses.storage.k8s.io"}


@pytest.mark.parametrize(
    ("classes", "side_by_side", "mode", "class_name"),
    [
        ([storage_class("standard")], None, "ReadWriteMany", None),
        ([storage_class("standard", "rancher.io/local-path")], None, "ReadWriteOnce", None),
        ([storage_class("nfs")], 1, "ReadWriteOnce", "CLASS"),
        (None, 1, "ReadWriteOnce", None),
    ],
)
def test_the_claim_to_make(simulate, classes, side_by_side, mode, class_name) -> None:
    """As many may mount it as need be; a class is asked for only where there is no default."""
    lacking = {"list storageclasses.storage.k8s.io"} if classes is None else set()
    pods = [flow_pod("F/s", claims=["data"], side_by_side=side_by_side)]
    objects = [*healthy(), *(classes or ())]
    (line,) = found(simulate, "claim-exists", *objects, pods=pods, lacking=lacking)
    spec = applied(line)["spec"]
    assert (spec["accessModes"], spec.get("storageClassName")) == ([mode], class_name)
    assert ("CLASS is a StorageClass: there is no default" in line) == (class_name == "CLASS")


def pending(class_name: str | None = "standard", mode: str = "ReadWriteOnce") -> Manifest:
    made = claim("data", mode=mode, phase="Pending")
    made["spec"] |= {"storageClassName": class_name} if class_name is not None else {}
    return made


LATER = {"volumeBindingMode": "WaitForFirstConsumer"}


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([claim("data")], "ok: data is bound"),
        (
            [pending(), storage_class("standard", **LATER)],
            "ok: data gets a volume with its first pod",
        ),
        (
            [pending(), storage_class("standard")],
            "not now: the claim data waits for nfs.csi.k8s.io to make a volume | F/s"
            " | kubectl -n default describe pvc data",
        ),
        (
            [pending("fast"), storage_class("standard"), storage_class("nfs")],
            "problem: the StorageClass fast of the claim data does not exist; there are nfs,"
            " standard | F/s | kubectl -n default delete pvc data && echo '",
        ),
        (
            [pending(None)],
            "problem: the claim data has no StorageClass, and no volume fits it | F/s",
        ),
        ([pending("")], "problem: the claim data has no StorageClass, and no volume fits it | F/s"),
        (
            [claim("data", phase="Lost")],
            "problem: the claim data has lost its volume , which was deleted | F/s | kubectl",
        ),
        (
            [
                pending(),
                storage_class("standard", **LATER),
                event("data", "quota of\ndisks", at="2026-01-01T00:00:01Z"),
                event("data", "waiting", "Normal"),
                event("other", "none of ours", at="2026-01-01T00:00:02Z"),
            ],
            "problem: the claim data gets no volume: quota of disks | F/s | kubectl",
        ),
        (
            [
                pending(),
                storage_class("standard", **LATER),
                event("data", "no"),
                event("data", "waiting", "Normal", at="2026-01-01T00:00:01Z"),
            ],
            "ok: data gets a volume with its first pod",
        ),
        (
            [
                pending(mode="ReadWriteMany"),
                storage_class("standard", "ebs.csi.aws.com", **LATER),
            ],
            "problem: the claim data is ReadWriteMany, and ebs.csi.aws.com makes no such volumes",
        ),
    ],
)
def test_claims_without_a_volume(simulate: Simulate, objects, expected: str) -> None:
    (line,) = found(simulate, "claim-binds", *objects)
    assert line.startswith(expected)


def test_volumes_that_an_administrator_makes(simulate: Simulate) -> None:
    local = storage_class("local", "kubernetes.io/no-provisioner", **LATER)
    spec = {"storageClassName": "local", "accessModes": ["ReadWriteOnce"]}
    fitting = volume("pv-1", "a", capacity={"storage": "2Gi"}, **spec)
    fitting["status"] = {"phase": "Available"}
    claimed = pending("local")
    assert found(simulate, "claim-binds", claimed, local, fitting) == [
        "ok: data gets a volume with its first pod | F/s"
    ]
    lacks = [
        "problem: no volume of StorageClass local fits the claim data, and none is made | F/s"
        " | kubectl get pv  # shows which there are"
    ]
    for change in (
        {"capacity": {"storage": "1M"}},
        {"storageClassName": "other"},
        {"accessModes": ["ReadOnlyMany"]},
    ):
        other = fitting | {"spec": fitting["spec"] | change}
        assert found(simulate, "claim-binds", claimed, local, other) == lacks
    used = fitting | {"status": {"phase": "Bound"}}
    assert found(simulate, "claim-binds", claimed, local, used) == lacks


def test_a_claim_that_names_its_volume(simulate: Simulate) -> None:
    claimed = pending("")
    claimed["spec"]["volumeName"] = "pv-1"
    (line,) = found(simulate, "claim-binds", claimed)
    assert line.startswith("problem: the volume pv-1 of the claim data does not exist | F/s")
    taken = volume("pv-1", claimRef={"namespace": "team-b", "name": "data"})
    (line,) = found(simulate, "claim-binds", claimed, taken)
    assert "of the claim data belongs to the claim data in team-b | F/s" in line
    (line,) = found(simulate, "claim-binds", claimed, volume("pv-1"))
    assert line.startswith("not now: the claim data waits for its volume pv-1 | F/s")


def wide(*claims: str, **spec) -> FlowPod:
    return flow_pod("F/each", claims=claims, side_by_side=None, **spec)


def test_one_node_at_a_time(simulate: Simulate) -> None:
    objects = [*healthy(), claim("data", mode="ReadWriteOnce"), pod("p", on="node-1", cpu="1")]
    pods = [wide("data"), flow_pod("F/join", claims=["data"])]
    problem, well = found(simulate, "claim-access", *objects, pods=pods)
    assert problem.startswith(
        "problem: the claim data is ReadWriteOnce: pods of one node can mount it at once, and"
        " several may run at once on 2 nodes | F/each"
        ' | write node_selector."kubernetes.io/hostname" = "node-2" into k8s.toml, or echo \''
    )
    assert well == "ok: data: ReadWriteOnce | F/join"
    made = applied(problem)
    assert made["metadata"]["name"] == "data-shared"
    assert made["spec"]["accessModes"] == ["ReadWriteMany"]
    on_one = [wide("data", nodeSelector={"kubernetes.io/hostname": "node-2"})]
    mended = found(simulate, "claim-access", *objects, pods=on_one)
    assert mended == ["ok: data: ReadWriteOnce | F/each"]
    held = volume("pv-data", "node-1", key="kubernetes.io/hostname")
    mended = found(simulate, "claim-access", *objects, held, pods=[wide("data")])
    assert mended == ["ok: data: ReadWriteOnce | F/each"]


def graph(**tasks: str) -> Manifest:
    """Return a WorkflowTemplate of F: each task with what it depends on, and a `when` after `|`."""
    templates, dag = [], []
    for name, depends in tasks.items():
        pod = {"container": {"image": "a"}}
        pod["metadata"] = {"annotations": {"metaflow/step_name": name}}
        templates.append({"name": name, **pod})
        depends, _, when = depends.partition("|")
        dag.append({"name": name, "template": name, "depends": depends, "when": when})
    templates.append({"name": "F", "dag": {"tasks": dag}})
    metadata = {"annotations": {"metaflow/flow_name": "F"}}
    return {"metadata": metadata, "spec": {"entrypoint": "F", "templates": templates}}


@pytest.mark.parametrize(
    ("tasks", "stopped"),
    [
        ({"a": "s.Succeeded", "b": "s.Succeeded"}, "F/a, F/b"),
        ({"a": "s.Succeeded", "b": "a.Succeeded"}, ""),
        ({"a": "s.Succeeded|x == 1", "b": "s.Succeeded|x == 2"}, ""),
    ],
)
def test_branches(simulate: Simulate, tasks, stopped: str) -> None:
    template = graph(s="", j="a.Succeeded && b.Succeeded", **tasks)
    pods = [flow_pod(f"F/{name}", claims=["data"]) for name in "sabj"]
    cluster = simulate(*healthy(), claim("data", mode="ReadWriteOnce"))
    request = {"plural": "workflowtemplates", "body": template}
    case = examination(cluster, *pods, requests=[("create", request)])
    found = [line for line in shown(case, "claim-access") if not line.startswith("ok")]
    assert [line.split(" | ")[1] for line in found] == ([stopped] if stopped else [])
    assert all("several may run at once on 2 nodes" in line for line in found)


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "ReadWriteOncePod"])
def test_a_claim_that_another_pod_has_mounted(simulate: Simulate, mode: str) -> None:
    held = claim("data", mode=mode)
    notebook = pod("notebook", on="node-1")
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    notebook["spec"]["volumes"] = volumes
    (line,) = found(simulate, "claim-access", *healthy(), held, notebook)
    assert line == (
        f"not now: the claim data is {mode}, and the pod notebook on node-1 mounts it now | F/s"
        " | kubectl -n default describe pod notebook  # wait until it ends, or delete it"
    )
    here = [flow_pod("F/s", claims=["data"], nodeSelector={"kubernetes.io/hostname": "node-1"})]
    (line,) = found(simulate, "claim-access", *healthy(), held, notebook, pods=here)
    assert line.startswith("ok" if mode == "ReadWriteOnce" else "not now")
    notebook["status"]["phase"] = "Succeeded"
    (line,) = found(simulate, "claim-access", *healthy(), held, notebook)
    assert line == f"ok: data: {mode} | F/s"


def test_other_access_modes(simulate: Simulate) -> None:
    objects = [*healthy(), claim("data"), claim("once", mode="ReadWriteOncePod")]
    reading = claim("reading", mode="ReadOnlyMany")
    pods = [wide("data"), flow_pod("F/alone", claims=["once", "reading"])]
    assert found(simulate, "claim-access", *objects, reading, pods=pods) == [
        "ok: data: ReadWriteMany | F/each",
        "ok: once: ReadWriteOncePod | F/alone",
        "cannot tell: the claim reading is ReadOnlyMany, and mounted for writing: its driver"
        " decides | F/alone",
    ]
    (line,) = found(simulate, "claim-access", *objects, pods=[wide("once")])
    assert line.startswith(
        "problem: the claim once is ReadWriteOncePod: of several pods at once, one can mount it"
        " | F/each | echo '"
    )


A, B = node("a", labels={ZONE: "eu-1a"}), node("b", labels={ZONE: "eu-1b"})


@pytest.mark.parametrize(
    ("nodes", "spec", "expected"),
    [
        ([A, B], {}, f"ok: data on {ZONE}=eu-1b | F/s"),
        (
            [A, B],
            {"nodeSelector": {ZONE: "eu-1a"}},
            f"problem: node b is not {ZONE}=eu-1a | F/s"
            f' | write node_selector."{ZONE}" = "eu-1b" into k8s.toml',
        ),
        (
            [node("a", labels={ZONE: "eu-1a", "pool": "x"}), B],
            {"nodeSelector": {"pool": "x"}},
            "problem: node b is not pool=x | F/s | kubectl label node b pool=x",
        ),
        (
            [A, node("b", "x:NoSchedule", labels={ZONE: "eu-1b"})],
            {},
            "problem: each node that has what it needs is tainted: x:NoSchedule (node b) | F/s"
            ' | write tolerations = [{ key = "x", operator = "Exists", effect = "NoSchedule" }]'
            " into k8s.toml",
        ),
        (
            [A, node("b", labels={ZONE: "eu-1b"}, unschedulable=True)],
            {},
            "problem: node b is cordoned, and no other has what it needs | F/s"
            " | kubectl uncordon b",
        ),
        (
            [A, node("b", labels={ZONE: "eu-1b"}, allocatable={"cpu": "500m"})],
            {},
            "problem: asks for cpu 1; node b has 0.5 for pods | F/s"
            " | write cpu = 0.5 into k8s.toml, or cpu=0.5 into @k8s(…) of the step, or add a node"
            " with cpu 1",
        ),
        (
            [A, B, pod("p", on="b", cpu="8")],
            {},
            "not now: no room now: asks for cpu 1, and 0 is free at most (b) | F/s"
            " | kubectl describe node b  # shows what runs there; or wait",
        ),
        (
            [A],
            {},
            f"problem: no node is there | F/s | kubectl label node NODE {ZONE}=eu-1b --overwrite"
            "  # NODE is one that is there, if its label is wrong; else add a node there, or use"
            " another claim",
        ),
    ],
)
def test_zones(simulate: Simulate, nodes, spec, expected: str) -> None:
    objects = [*nodes, claim("data"), volume("pv-data", "eu-1b")]
    pods = [flow_pod("F/s", claims=["data"], **spec)]
    (line,) = found(simulate, "claim-zone", *objects, pods=pods)
    there = f"its volumes can be mounted only there: data on {ZONE}=eu-1b; "
    assert line.replace(there, "") == expected
    assert (there in line) == (not expected.startswith("ok"))


def test_volumes_in_two_zones(simulate: Simulate) -> None:
    objects = [A, B, claim("data"), volume("pv-data", "eu-1b")]
    other = [claim("other"), volume("pv-other", "eu-1a")]
    pods = [flow_pod("F/s", claims=["data", "other"])]
    (line,) = found(simulate, "claim-zone", *objects, *other, pods=pods)
    assert line.endswith(
        "no node has all of them | F/s | use claims whose volumes are in one place"
    )


def test_a_class_of_some_zones(simulate: Simulate) -> None:
    """A claim that waits for its first pod gets a volume only where its class makes them."""
    zones = [{"matchLabelExpressions": [{"key": ZONE, "values": ["eu-1c"]}]}]
    made = storage_class("standard", allowedTopologies=zones, **LATER)
    (line,) = found(simulate, "claim-zone", A, B, pending(), made)
    assert line.startswith("problem: its volumes can be mounted only there")


def test_without_the_right_to_see_volumes(simulate: Simulate) -> None:
    objects = [*healthy(), claim("data", mode="ReadWriteOnce")]
    lacking = {"get persistentvolumes"}
    for code, pod_of_flow in (("claim-access", wide("data")), ("claim-zone", wide("data"))):
        assert found(simulate, code, *objects, pods=[pod_of_flow], lacking=lacking) == [
            "cannot tell: for want of the right to get persistentvolumes in the whole cluster"
            " | F/each"
        ]
    many = [*healthy(), claim("data")]
    pods = [wide("data")]
    lines = found(simulate, "claim-access", *many, pods=pods, lacking=lacking)
    assert lines == ["ok: data: ReadWriteMany | F/each"]
