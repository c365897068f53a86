"""Your account may deploy these flows, and look at their runs.

`k8s deploy` reads and writes WorkflowTemplates, a CronWorkflow for @schedule and a Sensor for
@trigger; `check --live` and `doctor --run` list pods and events. Whether you may is asked by a
SelfSubjectAccessReview, which is open to everybody
(https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access).

Where CI deploys, it is CI's account that needs these rights: what yours lacks then stops nothing
but a deploy from your machine. docs/production.md has the Roles.
"""

from collections.abc import Iterator

from ...cluster.rights import Right
from ...cluster.view import EVENTS, PODS
from ..answers import Answer, cannot_tell, ok, problem
from ..examination import Examination
from ..grants import grant_to_user

NEEDS = ("namespace-exists",)
READS = ()

TO_WRITE = ("get", "create", "update")
ALWAYS = (Right("list", "argoproj.io", "workflowtemplates"), PODS.list, EVENTS.list)


def examine(case: Examination) -> Iterator[Answer]:
    needed = {(right, case.namespace) for right in ALWAYS}
    for _, request in case.requests:
        verbs = TO_WRITE if "body" in request else ("get",)
        for verb in verbs:
            right = Right(verb, request["group"], request["plural"])
            needed.add((right, request["namespace"]))
    for namespace in sorted({namespace for _, namespace in needed}):
        rights = sorted((right for right, where in needed if where == namespace), key=str)
        allowed = {right: case.view.may(right, namespace) for right in rights}
        missing = [right for right, is_allowed in allowed.items() if is_allowed is False]
        user = case.target.account
        if missing:
            what = f"your account {user} may not {', '.join(map(str, missing))} in {namespace}"
            yield problem(what, remedy=grant_to_user(case, namespace, rights))
        elif None in allowed.values():
            yield cannot_tell(f"the cluster does not say what {user} may do in {namespace}")
        else:
            yield ok(f"{user} may deploy to {namespace}, and look at runs")
