"""The images of the pods are built for the processors of the nodes that the pods may get.

A node pulls the part of an image that is for its own platform, and Kubernetes puts a pod on a node
without looking at that. If the image has no such part, the pull fails ("no match for platform in
manifest"); an image for one platform alone, without an index, is started all the same and ends with
"exec format error". The registry says for which platforms an image is
(https://github.com/opencontainers/image-spec/blob/main/image-index.md), and a node's labels
kubernetes.io/os and kubernetes.io/arch which one it is
(https://kubernetes.io/docs/reference/labels-annotations-taints/).

`k8s image` builds for linux/amd64, or for what `platform` of [tool.mf-k8s] in pyproject.toml says,
on a laptop with arm64 too; the image is held against that where nodes cannot be listed. Of an image
whose registry does not answer from here, image-pull says why.
"""

from collections.abc import Iterator, Sequence

from ...pods.scheduling import Node
from ...project.platforms import image_platforms, named, of_nodes, platform_line
from ..answers import Answer, FlowPod, cannot_tell, ok, problem
from ..examination import Examination
from ..images import (
    READS_OF_IMAGES,
    Pull,
    is_built_here,
    is_loaded,
    pulls_by_pods,
    registry_answer,
    suitable_nodes,
)
from ..node_words import names
from ..toml_lines import write_line

NEEDS = ("image-pull",)
READS = READS_OF_IMAGES


def examine(case: Examination) -> Iterator[Answer]:
    for pull, pods in pulls_by_pods(case):
        if is_loaded(case, pull.image) or pull.is_of_localhost:
            continue  # it is there, for their own platform
        said = registry_answer(case, pull).answer
        if said.platforms:
            nodes = suitable_nodes(case, pods)
            text = ", ".join(said.platforms)
            wanted = image_platforms(case.project) if is_built_here(case, pull) else ()
            if wrong := [node for node in nodes or () if platform(node) not in said.platforms]:
                yield wrong_platform(case, pull, pods, said.platforms, nodes or (), wrong)
            elif lacking := [each for each in wanted if of_nodes(each) not in said.platforms]:
                what = f"{pull.image} is for {text}, and pyproject.toml wants {named(lacking)}"
                yield problem(what, pods, "uv run k8s image --bump --push")
            elif nodes is None:
                what = f"{pull.image} is for {text}; which nodes have, for want of the right to"
                yield cannot_tell(f"{what} list nodes in the whole cluster", pods)
            elif nodes:
                yield ok(f"{pull.image}: {text}", pods)


def platform(node: Node) -> str:
    return f"{node.labels.get('kubernetes.io/os', 'linux')}/{node.architecture}"


def wrong_platform(
    case: Examination,
    pull: Pull,
    pods: Sequence[FlowPod],
    platforms: Sequence[str],
    nodes: Sequence[Node],
    wrong: Sequence[Node],
) -> Answer:
    """Return that pods may get nodes for which an image is not built, and what to do."""
    missing = sorted({platform(node) for node in wrong})
    which = f"{names(wrong)}, which pods may get, {'is' if len(wrong) == 1 else 'are'}"
    what = f"{pull.image} is for {', '.join(platforms)}, and {which} {', '.join(missing)}"
    right = sorted({node.architecture for node in nodes} - {node.architecture for node in wrong})
    if right:
        return problem(what, pods, write_line(right[0], "node_selector", "kubernetes.io/arch"))
    if is_built_here(case, pull):
        line = platform_line(platform(node) for node in nodes)
        return problem(what, pods, f"{line}, then `uv run k8s image --bump --push`")
    return problem(what, pods, f"choose an image for {missing[0]} in k8s.toml")
