"""How sharp `k8s check` is: every field that is lost is found, and no valid flow is accused.

The figures are printed at the end. DRAWS=500 draws as many configurations.
"""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from argo_schema import schema_errors
from conftest import FIGURES, ROOT, how_many
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from mf_k8s.check import compare
from mf_k8s.metaflow.compile_flows import CompiledFile, compile_flows
from mf_k8s.pods.configure_template import configure_template
from mf_k8s.pods.expected_pods import expected_pods
from mf_k8s.pods.read_pods import workflow_pods
from mf_k8s.project.k8s_toml import Config, read_toml
from mf_k8s.project.merge_settings import shared_settings
from mf_k8s.project.project import Project

FLOWS = [path for path in sorted((ROOT / "tests").glob("flows/*.py")) if path.stem != "plain"]
DRAWS = how_many("DRAWS", 15, 300)
TOGETHER = 20  # flows that are compiled by one process

# Every key of k8s.toml that reaches a pod, with values that nothing has by default.
RICH = """
image = "ghcr.io/acme/churn:1.2.3"
image_pull_policy = "Always"
image_pull_secrets = ["regcred", "mirror"]
service_account = "trainer"
secrets = ["db", "tokens"]
cpu = 2.5
memory = 6000
disk = 20000
gpu = 2
gpu_vendor = "amd"
shared_memory = 512
use_tmpfs = true
tmpfs_size = 256
tmpfs_path = "/scratch"
qos = "Guaranteed"
port = 8080
tolerations = [{ key = "amd.com/gpu", operator = "Exists", effect = "NoSchedule" }]
[persistent_volume_claims]
data = "/data"
models = "/srv/models"
[extended_resources]
"example.com/fpga" = "1"
[node_selector]
pool = "gpu"
[labels]
team = "churn"
[annotations]
"example.com/owner" = "me"
[security_context]
run_as_user = 1000
run_as_non_root = true
[pools.big]
memory = 64000
"""
# Where each setting is in a pod: below its metadata, specification and container.
PLACES = {
    "image": [("container", "image")],
    "image_pull_policy": [("container", "imagePullPolicy")],
    "service_account": [("spec", "serviceAccountName")],
    "image_pull_secrets": [("spec", "imagePullSecrets")],
    "secrets": [("container", "envFrom")],
    "cpu": [("container", "resources", "requests", "cpu")],
    "memory": [("container", "resources", "requests", "memory")],
    "disk": [("container", "resources", "requests", "ephemeral-storage")],
    "qos": [
        ("container", "resources", "limits", name)
        for name in ("cpu", "memory", "ephemeral-storage")
    ],
    "gpu": [("container", "resources", "limits", "amd.com/gpu")],
    "extended_resources": [
        ("container", "resources", kind, "example.com/fpga") for kind in ("requests", "limits")
    ],
    "shared_memory": [("spec", "volumes", "dhsm"), ("container", "volumeMounts", "dhsm")],
    "use_tmpfs": [
        ("spec", "volumes", "tmpfs-ephemeral-volume"),
        ("container", "volumeMounts", "tmpfs-ephemeral-volume"),
    ],
    "tmpfs_tempdir": [("container", "env", "METAFLOW_TEMPDIR")],
    "persistent_volume_claims": [
        (part, kind, claim)
        for part, kind in (("spec", "volumes"), ("container", "volumeMounts"))
        for claim in ("data", "models")
    ],
    "node_selector": [("spec", "nodeSelector", "pool")],
    "tolerations": [("spec", "tolerations")],
    "labels": [("metadata", "labels", "team")],
    "annotations": [("metadata", "annotations", "example.com/owner")],
    "security_context": [
        ("container", "securityContext", name) for name in ("runAsUser", "runAsNonRoot")
    ],
    "port": [("container", "ports")],
    "timeout": [("spec", "activeDeadlineSeconds")],
}
OF_WORKFLOW = {
    "ttl": {
        "seconds_after_completion": 300,
        "seconds_after_success": 0,
        "seconds_after_failure": 86400,
    },
    "pod_gc": {"strategy": "OnPodCompletion", "delete_delay_duration": "60s"},
    "parallelism": 5,
    "priority_class": "batch-low",
    "synchronization": {"semaphores": [{"config_map_key_ref": {"name": "limits", "key": "train"}}]},
}
HOOKS = ("error-msg-capture-hook", "success-tell", "error-tell")
ALSO_ON_HOOKS = {
    "labels",
    "annotations",
    "image",
    "service_account",
    "secrets",
    "node_selector",
    "tolerations",
} | {*("image_pull_secrets", "cpu", "memory", "disk", "qos", "timeout")}
TEMPDIR = "METAFLOW_TEMPDIR"
COUNT = "{{=asInt(inputs.parameters.workerCount)}}"  # of a JobSet's workers, as Metaflow writes it
EMPTY = {"name": "dhsm", "emptyDir": {"medium": "Memory"}}  # Metaflow's, where none is asked for
BAD = {"equal": False, "override": False}
SIZES_OF_HOOKS = {"cpu", "memory", "disk", "qos", "timeout"}  # Metaflow's own, so not compared
INHERITED = {"serviceAccountName", "nodeSelector", "tolerations", "imagePullSecrets"}


@pytest.fixture(scope="module")
def project(example: Path) -> Project:
    return Project(example, "churn_model")


def compiled(project: Project, files: list[Path]) -> list[CompiledFile]:
    """Return what came of each file; all of them must compile."""
    results = list(compile_flows(project, files))
    assert [result.file for result in results] == files
    assert [result.error for result in results] == [None] * len(files)
    return results


def with_config(flow: str, config: Path) -> str:
    """Return a flow's code that brings its own k8s.toml, so that one process compiles many."""
    return f"import os, churn_model\nos.environ['K8S_CONFIG'] = {str(config)!r}\n{flow}"


@pytest.fixture(scope="module")
def rich(project: Project, tmp_path_factory: Any) -> tuple[Config, list[CompiledFile]]:
    """Return a k8s.toml that says everything, and every shape of flow as it compiles under it."""
    folder = tmp_path_factory.mktemp("rich")
    (folder / "k8s.toml").write_text(RICH)
    files = []
    for flow in FLOWS:
        files.append(folder / flow.name)
        files[-1].write_text(with_config(flow.read_text(), folder / "k8s.toml"))
    return read_toml(folder / "k8s.toml"), compiled(project, files)


class Pod:
    """One pod of a manifest, as its three parts, and a way to write them back into it."""

    def __init__(self, name: str, manifest: Any, template: Any, job: int | None = None) -> None:
        self.name, self.manifest, self.template, self.job = name, manifest, template, job
        if job is not None:
            text = template["resource"]["manifest"]
            text = text.replace(COUNT, "7")
            self.jobset = yaml.load(text, yaml.CSafeLoader)
            pod = self.jobset["spec"]["replicatedJobs"][job]["template"]["spec"]["template"]
            self.parts = {**pod, "container": pod["spec"]["containers"][0]}
        else:
            if "podSpecPatch" in template:
                template |= json.loads(template.pop("podSpecPatch"))
            metadata = template.setdefault("metadata", {})
            self.parts = {"metadata": metadata, "spec": template}
            self.parts["container"] = template["container"]

    def write(self) -> None:
        if self.job is not None:
            text = yaml.dump(self.jobset, Dumper=yaml.CSafeDumper).replace(
                "replicas: 7", f"replicas: {COUNT}"
            )
            self.template["resource"]["manifest"] = text
        elif "imagePullSecrets" in self.template:
            own = self.template.pop("imagePullSecrets")
            self.template["podSpecPatch"] = json.dumps({"imagePullSecrets": own})

    def put(self, path: tuple[str, ...], value: Any) -> None:
        at = self.parts
        for key in path[:-1]:
            if at.get(key) is None:
                at[key] = [] if key in ("volumes", "volumeMounts", "env") else {}
            at = at[key]
        if isinstance(at, list):
            at.append(value)
        else:
            at[path[-1]] = value

    def find(self, path: tuple[str, ...]) -> tuple[Any, Any]:
        """Return what holds the thing at `path`, and its key or index there."""
        at = self.parts
        for key in path[:-1]:
            at = at.get(key) or {}
        if isinstance(at, list):
            return at, next((i for i, item in enumerate(at) if item["name"] == path[-1]), None)
        return at, path[-1] if at.get(path[-1]) not in (None, [], {}) else None

    def remove(self, path: tuple[str, ...]) -> None:
        at, key = self.find(path)
        del at[key]
        if path[1] in INHERITED:  # Argo would put the workflow's there, and nothing were lost
            self.manifest["spec"].pop(path[1], None)


def pods(manifest: Any) -> Iterator[Pod]:
    for template in manifest["spec"]["templates"]:
        yield from pods_of(template, manifest)


def pods_of(template: Any, manifest: Any) -> Iterator[Pod]:
    if "container" in template:
        annotations = template.get("metadata", {}).get("annotations", {})
        yield Pod(annotations.get("metaflow/step_name", template["name"]), manifest, template)
    elif "resource" in template:
        for job, kind in enumerate(("control", "worker")):
            yield Pod(f"train/{kind}", manifest, template, job)


def changes(at: Any, key: Any, inside: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the ways down to every value at and below at[key]."""
    value = at[key]
    if isinstance(value, (dict, list)):
        for below in value if isinstance(value, dict) else range(len(value)):
            yield from changes(value, below, (*inside, below))
    elif value is not None:
        yield inside


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return (
        re.sub(r"^\d+", lambda number: str(int(number[0]) + 1), value)
        if value[0].isdigit()
        else value + "x"
    )


def leave_out_code(manifest: Any) -> None:
    """Take out what is long and not compared: commands, and most variables."""
    for template in manifest["spec"]["templates"]:
        for number in range(len(list(pods_of(copy.deepcopy(template), manifest)))):
            pod = [*pods_of(template, manifest)][number]  # anew: each has all jobs of a JobSet
            container = pod.parts["container"]
            del container["command"]
            container["env"] = [item for item in container["env"] if item["name"] == TEMPDIR]
            pod.write()


def alone(manifest: Any, pod: str) -> Any:
    """Return a manifest with nothing but the template of a pod, and that of a hook."""
    kept = [
        template
        for template in manifest["spec"]["templates"]
        if {pod, HOOKS[0]} & {item.name for item in pods_of(copy.deepcopy(template), manifest)}
    ]
    return {**manifest, "spec": {**manifest["spec"], "templates": kept}}


def mutations(whole: Any) -> Iterator[tuple[str, list[tuple[str, str]], Any]]:
    """Yield each damaged manifest, what was done, and the pods and settings it was done to.

    Of the manifest there is left what is damaged: to read all of it each time takes five times
    as long.
    """

    def copied() -> tuple[Any, list[Pod], Pod, Any, Any]:
        manifest = json.loads(text)  # noqa: B023
        all_pods = list(pods(manifest))
        (pod,) = (item for item in all_pods if item.name == name)  # noqa: B023
        return manifest, all_pods, pod, *pod.find(path)  # noqa: B023

    def written(manifest: Any, all_pods: list[Pod]) -> Any:
        for pod in all_pods:
            if pod.job is None or pod.name == name:  # noqa: B023
                pod.write()
        return manifest

    places = [(setting, path) for setting, paths in PLACES.items() for path in paths]
    for name in [pod.name for pod in pods(copy.deepcopy(whole))]:
        text = json.dumps(alone(whole, name))
        for setting, path in places:
            manifest, all_pods, pod, at, key = copied()
            if key is None or (name in HOOKS and setting in SIZES_OF_HOOKS):
                continue
            if at[key] == EMPTY:
                continue
            ways, value = list(changes(at, key)), at[key]
            pod.remove(path)
            yield "remove", [(name, setting)], written(manifest, all_pods)
            for way in ways:
                manifest, all_pods, pod, at, key = copied()
                for below in way:
                    at, key = at[key], below
                at[key] = changed(at[key])
                yield f"change {way} of", [(name, setting)], written(manifest, all_pods)
            if name not in HOOKS and pod.job is None and setting not in ALSO_ON_HOOKS:
                manifest, all_pods, pod, *_ = copied()
                hook = next(item for item in all_pods if item.name == HOOKS[0])
                pod.remove(path)
                hook.put(path, value)
                both = [(name, setting), (hook.name, setting)]
                yield "move", both, written(manifest, all_pods)


def test_every_lost_field_is_found(rich: tuple[Config, list[CompiledFile]]) -> None:
    config, flows = rich
    done, missed = 0, []
    settings_seen = set()
    for result in flows:
        assert result.flow and result.template
        whole = configure_template(result.template, shared_settings(config), {})
        leave_out_code(whole)
        expected = expected_pods(config, result.flow)
        sound = compare.compare_pods(expected, workflow_pods(whole), config)
        assert all(setting["equal"] for pod in sound.values() for setting in pod.values())
        for what, where, manifest in mutations(whole):
            read = workflow_pods(manifest)
            found = compare.compare_pods({pod: expected[pod] for pod in read}, read, config)
            for pod, setting in where:
                done += 1
                settings_seen.add(setting)
                comparison = found[pod].get(setting)
                if comparison is None or comparison["equal"]:
                    missed.append(f"{result.flow['name']}: {what} {setting} of {pod}")
    FIGURES["lost fields that k8s check found"] = f"{done - len(missed)} of {done}"
    assert not missed, missed[:20]
    assert settings_seen == PLACES.keys()


def test_a_step_without_a_pod_and_a_pod_without_a_step(
    rich: tuple[Config, list[CompiledFile]],
) -> None:
    config, flows = rich
    for result in flows:
        assert result.flow and result.template
        expected = expected_pods(config, result.flow)
        found = workflow_pods(configure_template(result.template, shared_settings(config), {}))
        step = next(iter(result.flow["steps"]))
        found["stranger"] = found.pop(step)
        report = compare.compare_pods(expected, found, config)
        assert report[step] == {"pod": {"expected": "a pod", "found": None} | BAD}
        assert report["stranger"] == {"pod": {"expected": None, "found": "a pod"} | BAD}


def test_argo_takes_what_is_compiled(
    rich: tuple[Config, list[CompiledFile]], project: Project, tmp_path: Path
) -> None:
    """Every shape of flow, and the example's, with all that [workflow] can say.

    Metaflow compiles an image of @exit_hook that is no text, and Argo cannot read it.
    """
    config, flows = rich
    shared = shared_settings(config)
    hooked = (ROOT / "tests/flows/hooked.py").read_text()
    image = "on_success=[tell], options={'image': 5})"
    (tmp_path / "hooked.py").write_text(
        hooked.replace("on_success=[tell], on_error=[tell])", image)
    )
    *examples, wrong = compiled(project, [*project.flow_files(), tmp_path / "hooked.py"])
    (report,) = compare.check_flows(project, [wrong])
    assert report.failures == [
        "success-tell: @exit_hook has the image 5: write text, like ghcr.io/acme/tell:1.2.3"
    ]
    (place,) = schema_errors(wrong.template)
    assert place.endswith(".container.image")
    for result in [*flows, *examples]:
        assert result.template
        whole = configure_template(result.template, shared, OF_WORKFLOW)
        assert schema_errors(whole) == []
        assert whole["spec"].keys() >= {"ttlStrategy", "podGC", "parallelism", "synchronization"}
    whole["spec"]["ttlStrategy"]["secondsAfterSuccess"] = "soon"
    assert schema_errors(whole) == ["spec.ttlStrategy.secondsAfterSuccess"]


def names(pattern: str) -> Any:
    return some.lists(some.from_regex(pattern, fullmatch=True), min_size=1, max_size=3, unique=True)


WORD = "[a-z]([a-z0-9-]{0,8}[a-z0-9])?"
TOLERATIONS = [
    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "team", "operator": "Equal", "value": "churn", "effect": "NoExecute"},
    {"operator": "Exists"},
]
SETTINGS: dict[str, Any] = {
    "image": some.sampled_from(["ghcr.io/acme/churn:2", "python:3.12-slim", "localhost/a/b:x"]),
    "image_pull_policy": some.sampled_from(["Always", "IfNotPresent", "Never"]),
    "image_pull_secrets": names(WORD),
    "service_account": some.from_regex(WORD, fullmatch=True),
    "secrets": names(WORD),
    "cpu": some.one_of(some.integers(1, 64), some.sampled_from([0.5, 0.001, 1.25])),
    "memory": some.integers(100, 10**6),
    "disk": some.integers(100, 10**6),
    "gpu": some.integers(0, 8),
    "gpu_vendor": some.sampled_from(["nvidia", "amd"]),
    "extended_resources": some.dictionaries(
        some.sampled_from(["nvidia.com/mig-1g.5gb", "example.com/fpga"]),
        some.integers(1, 8).map(str),
    ),
    "shared_memory": some.one_of(some.just(0), some.integers(64, 10**5)),
    "persistent_volume_claims": some.sets(
        some.sampled_from([("data", "/data"), ("cache", "/cache"), ("models", "/srv/models")])
    ).map(dict),
    "node_selector": some.dictionaries(
        some.sampled_from(["pool", "example.com/zone"]), some.from_regex(WORD, fullmatch=True)
    ),
    "tolerations": some.lists(some.sampled_from(TOLERATIONS), unique_by=str),
    "labels": some.dictionaries(
        some.sampled_from(["team", "example.com/cost"]), some.from_regex(WORD, fullmatch=True)
    ),
    "annotations": some.dictionaries(
        some.sampled_from(["note", "example.com/a"]), some.text("ab c")
    ),
    "use_tmpfs": some.booleans(),
    "tmpfs_size": some.integers(32, 10**5),
    "tmpfs_tempdir": some.booleans(),
    "tmpfs_path": some.sampled_from(["/scratch", "/fast/tmp"]),
    "security_context": some.fixed_dictionaries(
        {},
        optional={
            "privileged": some.booleans(),
            "allow_privilege_escalation": some.booleans(),
            "run_as_user": some.integers(0, 2000),
            "run_as_group": some.integers(0, 2000),
            "run_as_non_root": some.booleans(),
        },
    ),
    "qos": some.sampled_from(["Burstable", "Guaranteed"]),
    "port": some.integers(1, 65535),
    "compute_pool": some.sampled_from(["a", "big-one"]),
    "hostname_resolution_timeout": some.integers(1, 900),
}
TABLE = some.fixed_dictionaries({}, optional=SETTINGS)
OWN = some.fixed_dictionaries(
    {}, optional={key: some.none() | value for key, value in SETTINGS.items()}
)
DRAW = some.tuples(some.sampled_from(FLOWS), TABLE, TABLE, OWN)


def toml(table: dict[str, Any]) -> str:
    """Give TOML of JSON: of what is drawn here, only an inline table is spelt otherwise."""

    def value(item: Any) -> str:
        if isinstance(item, dict):
            return "{" + ", ".join(f"{json.dumps(k)} = {value(v)}" for k, v in item.items()) + "}"
        if isinstance(item, list):
            return "[" + ", ".join(map(value, item)) + "]"
        return json.dumps(item)

    return "\n".join(f"{json.dumps(key)} = {value(item)}" for key, item in table.items())


checked = 0


@settings(
    derandomize=True,  # the same draws each time; more DRAWS go further
    max_examples=max(1, DRAWS // TOGETHER),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes hours
)
@given(some.lists(DRAW, min_size=TOGETHER, max_size=TOGETHER))
def test_no_valid_configuration_is_accused(
    project: Project, tmp_path_factory: Any, draws: Any
) -> None:
    global checked
    folder = tmp_path_factory.mktemp("draws")
    files, configs = [], []
    for number, (flow, shared, pool, own) in enumerate(draws):
        config = folder / f"{number}.toml"
        config.write_text(toml({**shared, "pools": {"drawn": pool, "big": {"memory": 64000}}}))
        text = flow.read_text()
        plain_step = re.search(r"\n\n    @step\b", text) or re.search(r"\n    @step\b", text)
        assert plain_step
        at = plain_step.start() + 1
        text = f'{text[:at]}    @churn_model.k8s("drawn", **{own!r})\n{text[at:].lstrip()}'
        text = text.replace("\n@step", "\n    @step")
        files.append(folder / f"flow{number}_{flow.name}")
        files[-1].write_text(with_config(text, config))
        configs.append(read_toml(config))
    for result, config, draw in zip(compiled(project, files), configs, draws, strict=True):
        assert result.flow and result.template
        start = compare.start_report(project, result)
        report = compare.check_flow(start, result.template, result.flow, config)
        wrong = {
            (pod, key): setting
            for pod, table in report.pods.items()
            for key, setting in table.items()
            if not setting["equal"]
        }
        assert not wrong and not report.failures, (draw, wrong, report.failures)
        checked += 1
    FIGURES["configurations drawn, none accused by k8s check"] = checked
