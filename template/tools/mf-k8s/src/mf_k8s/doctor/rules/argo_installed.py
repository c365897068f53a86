"""The cluster knows the kinds of Argo Workflows that the flows are made of.

`k8s deploy` writes a WorkflowTemplate of each flow, and a CronWorkflow for @schedule. Each pod
reports its result as a WorkflowTaskResult. A cluster that has no definitions of these kinds answers
404, and nothing is written.
(https://argo-workflows.readthedocs.io/en/latest/installation/)

Whoever administers the cluster installs Argo Workflows. The command is that of its own manifest, in
the release that the project has chosen for its development cluster; K8S_ARGO_MANIFEST names
another file or URL.
"""

from collections.abc import Iterator

from ...cluster.rights import Kind
from ...cluster.view import WORKFLOW_TEMPLATES, WORKFLOWS
from ..answers import Answer, ok, problem
from ..examination import Examination
from ..installing import install

NEEDS = ()
READS = ()
VERSION = "argoproj.io/v1alpha1"
KINDS = (WORKFLOW_TEMPLATES, WORKFLOWS, Kind(VERSION, "workflowtaskresults"))


def examine(case: Examination) -> Iterator[Answer]:
    needed = [*KINDS]
    if case.written("cronworkflows"):
        needed.append(Kind(VERSION, "cronworkflows"))
    missing = [kind.plural for kind in needed if not case.view.serves(kind)]
    if missing:
        what = f"the cluster has no {', '.join(missing)} of Argo Workflows"
        yield problem(what, remedy=install(case, "ARGO"))
    else:
        yield ok("Argo Workflows is installed")
