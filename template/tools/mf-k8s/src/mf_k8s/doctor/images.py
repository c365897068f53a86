"""What rules about images share: how pods pull them, who has them, and what registries say."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..cluster.view import ACCOUNTS, NODE_IMAGES, SECRETS, NotAllowed
from ..image.ask_registry import RegistryAnswer, ask_registry
from ..image.registry_logins import Login, logins_of_pull_secret, own_logins
from ..kind.cluster import find_cluster, read_json
from ..pods.image_names import ImageName, image_name
from ..pods.read_pods import Manifest
from ..pods.scheduling import SELECTOR, SIZE, TAINT, Node
from ..project.environment_layer import merged_config
from .answers import FlowPod
from .examination import Examination
from .placements import READS_OF_NODES, demand_at, nodes_of
from .pull_secrets import pull_secrets_of

READS_OF_IMAGES = (ACCOUNTS.get, SECRETS.get, *READS_OF_NODES)
MOST_LISTED = 50  # images of a node, the largest: kubelet's nodeStatusMaxImages
LOCAL = re.compile(r"(localhost|127\.0\.0\.1)(:|$)")  # another machine for each node
# Registries that nodes of their cloud log in to by themselves, without a pull secret.
OF_CLOUDS = re.compile(
    r"\.dkr\.ecr\..*\.amazonaws\.com(\.cn)?$|(^|\.)gcr\.io$|-docker\.pkg\.dev$|\.azurecr\.(io|cn)$"
)


class Pull(NamedTuple):
    """An image, and how a pod pulls it."""

    image: str
    policy: str  # Always, IfNotPresent or Never
    secrets: tuple[str, ...]  # names of pull secrets

    @property
    def name(self) -> ImageName:
        return image_name(self.image)

    @property
    def is_of_localhost(self) -> bool:
        return bool(LOCAL.match(self.name.registry))


def pulls_by_pods(case: Examination) -> list[tuple[Pull, list[FlowPod]]]:
    """Return how images are pulled, each with the pods that do so."""
    found: dict[Pull, list[FlowPod]] = {}
    for pod in case.pods:
        for pull in dict.fromkeys(pulls_of(case, pod)):
            found.setdefault(pull, []).append(pod)
    return sorted(found.items())


def pulls_of(case: Examination, pod: FlowPod) -> Iterator[Pull]:
    secrets = tuple(pull_secrets(case, pod))
    for stage in ("initContainers", "containers"):
        for container in pod.spec.get(stage) or ():
            if image := container.get("image"):
                yield Pull(image, pull_policy(container), secrets)


def pull_policy(container: Manifest) -> str:
    """Return when the node pulls an image, which is Always by default where its tag is latest."""
    is_latest = image_name(container["image"]).tag == "latest"
    return str(container.get("imagePullPolicy") or ("Always" if is_latest else "IfNotPresent"))


def pull_secrets(case: Examination, pod: FlowPod) -> Iterable[str]:
    """Return the pull secrets of a pod; none of its account's where that cannot be read."""
    try:
        return pull_secrets_of(case, pod)
    except NotAllowed:
        return []


def logins_for(case: Examination, pull: Pull) -> tuple[list[Login], str]:
    """Return the logins of a pod for an image, and which right is missing to see them."""
    logins: list[Login] = []
    for secret in pull.secrets:
        try:
            logins += logins_of_pull_secret(case.view.login(secret) or {}, pull.name)
        except NotAllowed as refusal:
            return [], str(refusal.right)
    return logins, ""


class Asked(NamedTuple):
    """What a registry said, and to whom."""

    answer: RegistryAnswer
    unseen: str = ""  # the right that is missing to ask with the pod's login: the user's was used
    has_login: bool = False


def registry_answer(case: Examination, pull: Pull) -> Asked:
    """Return what the registry of an image says to a pod, or else to the user."""
    key = ("registry", pull.image, pull.secrets)
    if key not in case.found:
        logins, unseen = logins_for(case, pull)
        if unseen:
            logins = own_logins(case.target.variables, pull.name)
        silent = ("no answer of", pull.name.registry)  # for long, perhaps: ask it once
        answer = case.found.get(silent) or ask_registry(pull.name, logins)
        if answer.state == "no answer":
            case.found[silent] = answer
        case.found[key] = Asked(answer, unseen, bool(logins))
    asked: Asked = case.found[key]
    return asked


def suitable_nodes(case: Examination, pods: Iterable[FlowPod]) -> list[Node] | None:
    """Return the nodes that one of the pods may get; None where the user may not list nodes."""
    try:
        nodes = nodes_of(case)
    except NotAllowed:
        return None
    demands = [demand_at(case, pod) for pod in pods]
    different = {demand.identity: demand for demand in demands}
    found: dict[str, Node] = {}
    for demand in different.values():
        for node in nodes.suitable(demand, SELECTOR, TAINT, SIZE):
            found[node.name] = node
    return [*found.values()]


class Held(NamedTuple):
    """Which nodes that pods may get have an image already."""

    having: Sequence[Node] = ()
    lacking: Sequence[Node] = ()
    unknown: Sequence[Node] = ()  # they list their largest images only

    @property
    def by_all(self) -> bool:
        return bool(self.having) and not self.lacking and not self.unknown


def held(case: Examination, pull: Pull, pods: Iterable[FlowPod]) -> Held:
    """Return which nodes that the pods may get have an image."""
    nodes = suitable_nodes(case, pods) or ()
    images = images_of_nodes(case) if nodes else {}
    having: list[Node] = []
    lacking: list[Node] = []
    unknown: list[Node] = []
    for node in nodes:
        names = images.get(node.name, frozenset())
        if str(pull.name) in names:
            having.append(node)
        else:
            (unknown if len(names) >= MOST_LISTED else lacking).append(node)
    return Held(having, lacking, unknown)


def images_of_nodes(case: Examination) -> dict[str, frozenset[str]]:
    """Return the full names of the images that each node lists."""
    if "images" not in case.found:
        case.found["images"] = {
            node["name"]: frozenset(str(image_name(name)) for name in node["images"])
            for node in case.view.list(NODE_IMAGES)
        }
    images: dict[str, frozenset[str]] = case.found["images"]
    return images


def is_loaded(case: Examination, image: str) -> bool:
    """Return whether `kind up` has loaded an image: nodes list it half a minute later."""
    if case.target.environment.name != "kind":
        return False
    return image in (read_json(find_cluster(case.project).loaded_images_file) or {})


def is_built_here(case: Examination, pull: Pull) -> bool:
    """Return whether an image is the one of k8s.toml, and built from the project's Dockerfile."""
    if not (case.project.root / "Dockerfile").exists():
        return False
    return bool(merged_config(case.project).get("image") == pull.image)
