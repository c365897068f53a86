"""Nodes can pull the images of the pods, or have them already.

A pod whose image cannot be pulled stays pending as ImagePullBackOff, without an end. The registry
of each image is asked from here whether it has it, with the logins that the node would use: those
of the pod's pull secrets or, if it names none, of its service account's
(https://kubernetes.io/docs/concepts/containers/images/#using-a-private-registry). kubelet tries
them one after the other, and never as anybody once it has one, so a wrong login stops a public
image, too. The values of the secrets go to the registry and nowhere else.

A node that has the image need not pull it, unless image_pull_policy is Always. Nodes list their 50
largest images only. Where this machine does not reach the registry, nothing is said of the nodes,
which have another network; and of a registry of Amazon, Google or Azure, nodes of that cloud may
have a login of their own.
"""

from collections.abc import Iterator, Sequence

from ..answers import OK, Answer, FlowPod, cannot_tell, ok, problem
from ..examination import Examination
from ..images import (
    OF_CLOUDS,
    READS_OF_IMAGES,
    Asked,
    Held,
    Pull,
    held,
    is_built_here,
    is_loaded,
    pulls_by_pods,
    registry_answer,
)
from ..node_words import names
from ..toml_lines import write_line

NEEDS = ("account-exists", "pull-secret-exists", "pull-secret-type")
READS = READS_OF_IMAGES


def examine(case: Examination) -> Iterator[Answer]:
    for pull, pods in pulls_by_pods(case):
        if pull.policy != "Always" and is_loaded(case, pull.image):
            yield ok(f"{pull.image}: loaded by `kind up`", pods)
        elif pull.policy == "Never":
            yield of_nodes_alone(pull, pods, held(case, pull, pods))
        else:
            found = of_registry(case, pull, pods)
            if found.state != OK and pull.policy != "Always" and held(case, pull, pods).by_all:
                found = ok(f"{pull.image}: on each node that pods may get", pods)
            yield found


def of_nodes_alone(pull: Pull, pods: Sequence[FlowPod], nodes: Held) -> Answer:
    if nodes.lacking:
        what = f"{pull.image} is not on {names(nodes.lacking)}, and image_pull_policy is Never"
        return problem(what, pods, write_line("IfNotPresent", "image_pull_policy"))
    if nodes.by_all:
        return ok(f"{pull.image}: on each node that pods may get", pods)
    return cannot_tell(f"image_pull_policy is Never, and which nodes have {pull.image}", pods)


def of_registry(case: Examination, pull: Pull, pods: Sequence[FlowPod]) -> Answer:
    """Return what follows from the registry's answer."""
    if pull.is_of_localhost:
        what = f"{pull.image} is of localhost, which is another machine for each node"
        return cannot_tell(what, pods)
    asked = registry_answer(case, pull)
    said = asked.answer
    if said.state == "no answer":
        return cannot_tell(f"whether {pull.image} can be pulled: {said.reason}", pods)
    if said.state == "found" and not asked.unseen:
        how = f" with {' or '.join(pull.secrets)}" if asked.has_login else ""
        return ok(f"{pull.image}: in its registry{how}, {said.digest}", pods)
    if said.state == "not found":
        what = f"there is no image {pull.image} in its registry"
        return problem(what, pods, make_image(case, pull))
    if asked.unseen:
        seen = "in its registry" if said.state == "found" else f"not shown to you ({said.reason})"
        what = f"{pull.image} is {seen}; whether pods may pull it, for want of the right to"
        return cannot_tell(f"{what} {asked.unseen}", pods)
    if OF_CLOUDS.search(pull.name.registry):
        what = f"{said.reason}; nodes of its cloud may have a login of their own"
        return cannot_tell(f"whether {pull.image} can be pulled: {what}", pods)
    return problem(
        f"{pull.image} cannot be pulled: {refusal(pull, asked)}", pods, log_in(case, pull)
    )


def refusal(pull: Pull, asked: Asked) -> str:
    """Return to whom the registry does not show the image."""
    registry = pull.name.registry
    if asked.has_login:
        return f"{registry} refuses the login of {', '.join(pull.secrets)}, or has no such image"
    if pull.secrets:
        return f"{', '.join(pull.secrets)} has no login for {registry}, which asks for one"
    return f"{registry} asks for a login, and the pods have no pull secret"


def make_image(case: Examination, pull: Pull) -> str:
    """Return how to bring an image into its registry."""
    if is_built_here(case, pull):
        return "uv run k8s image --push"
    return "correct its name in k8s.toml"


def log_in(case: Examination, pull: Pull) -> str:
    """Return the command that makes a pull secret, to paste."""
    name = pull.secrets[0] if pull.secrets else "registry"
    registry = pull.name.registry
    server = "https://index.docker.io/v1/" if registry == "docker.io" else registry
    user = "--docker-username=USER --docker-password=PASSWORD"
    create = f"create secret docker-registry {name} --docker-server={server} {user}"
    meaning = f"USER and PASSWORD are a login to {registry}"
    if not pull.secrets:
        line = write_line([name], "image_pull_secrets")
        return f"{case.kubectl(create)}  # {meaning}; then {line}"
    apply = case.kubectl("apply -f -")
    return f"{case.kubectl(f'{create} --dry-run=client -o yaml')} | {apply}  # {meaning}"
