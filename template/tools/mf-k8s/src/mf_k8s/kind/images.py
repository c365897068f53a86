"""Puts the images of the pods on the nodes of the development cluster."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ..errors import CommandError, Finding, raise_if
from ..image.build_and_push import build_image
from ..image.platforms import docker_platform, runnable_findings
from ..image.tags import without_own_digest
from ..pods.image_names import image_name
from ..programs.run import run_program, succeeds
from ..project.environment_layer import merged_config
from ..project.platforms import image_platforms, named, of_nodes
from ..project.project import Project
from ..show.progress import stage
from .cluster import Cluster, read_json
from .plan_nodes import MOUNTS

NODES_MADE_TIMEOUT_S = 1800  # in which kind also pulls the image of the nodes
NODES_READY_TIMEOUT_S = 600  # until containerd answers on all of them
LoadRequest = tuple[list[str], int]  # the images of all pods, and the number of nodes


def load_images(project: Project, cluster: Cluster, request: "Future[LoadRequest]") -> None:
    """Load the images that the nodes lack.

    The image of k8s.toml is built and packed while the flows compile, which may need others, and
    loaded while the nodes start.
    """
    config = merged_config(project)
    configured = str(config.get("image", ""))
    local = {configured: without_own_digest(config)}  # what CI has pushed is built here again
    with stage("images") as loading:
        found = {configured: provide_image(project, local[configured], True)} if configured else {}
        archives = pack_images(cluster, found, {}, local)
        images, node_count = request.result()
        for image in images:
            if image not in found:
                found[image] = provide_image(project, image, False)
        archives = pack_images(cluster, found, archives, local)
        names = await_nodes(cluster, node_count) if archives else []
        for image, file in archives.items():
            platform = found[image].split()[0]
            with ThreadPoolExecutor() as pool:
                list(pool.map(partial(import_image, image, platform, file), names))
            file.unlink()
        cluster.loaded_images_file.write_text(json.dumps(found), encoding="utf-8")
        loading.result = ", ".join(images) + other_platform(project, found.get(configured, ""))


def other_platform(project: Project, identity: str) -> str:
    """Return that an image which is built here is for another platform than where it is pushed."""
    platform, wanted = of_nodes(identity.partition(" ")[0]), image_platforms(project)
    if not platform or platform in map(of_nodes, wanted):
        return ""
    return f" ({platform} as this machine is; `k8s image` builds {named(wanted)})"


def provide_image(project: Project, image: str, configured: bool) -> str:
    """Build an image, or pull it with the user's login; return its platform and ID.

    It is for this machine's platform, as the nodes are. One with a digest is pulled: no build has
    that digest. Raise CommandError if the nodes could not run it.
    """
    if configured and "@" not in image and (project.root / "Dockerfile").exists():
        platform = docker_platform()
        build_image(project, image, platforms=[platform] if platform else [])
    elif not succeeds("docker", "image", "inspect", image):
        run_program("docker", "pull", image)
    identity = "{{.Os}}/{{.Architecture}} {{.Id}}"
    found = run_program("docker", "image", "inspect", "--format", identity, image)
    raise_if(runnable_findings(image, of_nodes(found.split()[0])))
    return found


def pack_images(
    cluster: Cluster, found: dict[str, str], archives: dict[str, Path], local: Mapping[str, str]
) -> dict[str, Path]:
    """Return `archives`, with those of the found images that the nodes lack.

    `local` has the names under which Docker has images here, where that is another one.
    """
    loaded = read_json(cluster.loaded_images_file) or {}
    for image in found.keys() - archives:
        if loaded.get(image) != found[image]:
            archive = cluster.folder / "images" / f"{len(archives)}.tar"
            save_image(image, local.get(image, image), archive)
            archives |= {image: archive}
    return archives


def await_nodes(cluster: Cluster, count: int) -> list[str]:
    """Return the names of the nodes, once there are `count` that take images.

    Raise CommandError with the reason if they do not come, or do not take any.
    """
    started, limit = time.monotonic(), NODES_MADE_TIMEOUT_S
    while True:
        names = cluster.node_names()
        reason = f"kind has {len(names)} of {count} nodes"
        if len(names) == count:
            if limit == NODES_MADE_TIMEOUT_S:
                started, limit = time.monotonic(), NODES_READY_TIMEOUT_S
            reason = why_no_images(names)
        if not reason:
            return names
        if time.monotonic() - started > limit:
            minutes = limit // 60
            what = f"the nodes of {cluster.name} take no images after {minutes} minutes: {reason}"
            remedy = "`uv run k8s kind down` deletes them"
            raise CommandError(Finding("kind-takes-no-images", what, cluster.name, remedy))
        time.sleep(0.5)


def why_no_images(nodes: Iterable[str]) -> str:
    """Return why a node takes no images; empty if all take them."""
    try:
        for node in nodes:
            run_program("docker", "exec", node, "ctr", "version")
    except CommandError as error:
        return str(error)
    return ""


def import_image(image: str, platform: str, archive: Path, node: str) -> None:
    """Import an archive as `kind load` does, but from a mount, which takes a third less work.

    Import one platform: Docker's containerd image store lists others, and has not pulled them
    (https://github.com/kubernetes-sigs/kind/issues/3795).
    """
    in_node = ("docker", "exec", node)
    config = run_program(*in_node, "containerd", "config", "dump")
    snapshotter, *_ = [*re.findall(r"""snapshotter = ["'](\w[\w-]*)""", config), "overlayfs"]
    ctr = (*in_node, "ctr", "--namespace=k8s.io", "images")
    options = ("--platform", platform, "--digests", "--snapshotter", snapshotter)
    run_program(*ctr, "import", *options, f"{MOUNTS['images']}/{archive.name}")
    if (name := archive_name(image)) != image:
        run_program(*ctr, "tag", "--force", name, str(image_name(image)))


def save_image(image: str, local: str, file: Path) -> None:
    """Write an image, which Docker has as `local`, to an archive, under its `archive_name`."""
    name = archive_name(image)
    if name != image:
        run_program("docker", "tag", local, name)
    run_program("docker", "save", "--output", str(file), name)
    if name != image:
        run_program("docker", "image", "rm", name)


def archive_name(image: str) -> str:
    """Return an image's name in an archive, which has a tag and no digest."""
    return f"kind.local/image:{image.rpartition(':')[2]}" if "@" in image else image
