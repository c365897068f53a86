"""Notes that pods ask for nodes for which the project's image is not built."""

from ..pods.node_labels import ARCHITECTURES
from ..pods.read_pods import Manifest
from ..project.platforms import image_platforms, named, of_nodes, platform_line
from ..project.project import Project


def platform_notes(project: Project, template: Manifest, image: str) -> list[str]:
    """Return a note if steps with the project's image select nodes that it is not built for."""
    if not (project.root / "Dockerfile").exists():
        return []
    built = image_platforms(project)
    has = {of_nodes(each).partition("/")[2] for each in built}
    selected = {  # architectures
        selector[label]
        for each in template["spec"].get("templates", ())
        if each.get("container", {}).get("image") == image
        for selector in [each.get("nodeSelector") or {}]
        for label in selector.keys() & {*ARCHITECTURES}
    }
    if not (missing := sorted(selected - has)):
        return []
    line = platform_line([*built, *(f"linux/{each}" for each in missing)])
    return [
        f"pods select nodes of {named(missing)}, and the image is built for {named(built)}:"
        f" {line}, then `uv run k8s image --bump --push`"
    ]
