"""The names of what is deployed, and the labels of the pods, are not too long.

Argo gives each run a name, made of its WorkflowTemplate's, and puts both into labels, which have at
most 63 characters. A CronWorkflow appends ten digits and a dash: its name has at most 52
characters, else Argo starts no run at its time. A pod with a longer label is refused.
(https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set)

Metaflow shortens the names of flows with @project to 45 characters and refuses to deploy a longer
name of another flow, so a name too long comes of an older Metaflow; a label comes of `labels` in
k8s.toml or of the workflow controller.
"""

import re
from collections.abc import Iterator

from ...pods.project_labels import annotation
from ..answers import Answer, FlowPod, ok, problem
from ..examination import Examination

NEEDS = ()
READS = ()
LONGEST = {"workflowtemplates": 63, "cronworkflows": 52, "sensors": 63}
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def examine(case: Examination) -> Iterator[Answer]:
    stopped: set[FlowPod] = set()
    for answer in (*names_too_long(case), *wrong_labels(case)):
        stopped |= {*answer.pods}
        yield answer
    if fine := [pod for pod in case.pods if pod not in stopped]:
        names = [template["metadata"]["name"] for template in case.templates]
        longest = max(map(len, names), default=0)
        yield ok(f"up to {longest} characters" if longest else "short enough", fine)


def names_too_long(case: Examination) -> Iterator[Answer]:
    flows = {
        template["metadata"]["name"]: annotation(template, "flow_name")
        for template in case.templates
    }
    for plural, length in LONGEST.items():
        for item in case.written(plural):
            name = item["metadata"]["name"]
            if len(name) > length:
                pods = [pod for pod in case.pods if pod.flow == flows.get(name)]
                what = f"{name} has {len(name)} characters; one of {plural} has at most {length}"
                yield problem(what, pods, "rename the flow's class, or write a shorter @project")


def wrong_labels(case: Examination) -> Iterator[Answer]:
    for text, pods in case.pods_by(labels):
        if not LABEL.fullmatch(text.partition("=")[2]):
            what = f"the value of the label {text} is no label's, or has more than 63 characters"
            yield problem(what, pods, "shorten it in k8s.toml, or where Argo's controller has it")


def labels(pod: FlowPod) -> list[str]:
    found = pod.manifest["metadata"].get("labels") or {}
    return [f"{name}={value}" for name, value in found.items()]
