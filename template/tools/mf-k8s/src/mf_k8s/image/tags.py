"""The image's name in k8s.toml: its tag, and the digest that its registry has under it."""

import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import CommandError, Finding, raise_if
from ..pods.image_names import DIGEST
from ..programs.run import git
from ..project.k8s_toml import read_schema, schema_findings
from ..project.project import Project, shown_path
from ..project.repository import commit_of
from .build_context import BuildContext, build_context


def without_own_digest(config: Mapping[str, Any]) -> str:
    """Return the image of k8s.toml, without the digest that --tag git has written behind its tag.

    A digest that the annotation does not have is the team's, and stays.
    """
    image = str(config.get("image", ""))
    name, _, digest = image.partition("@")
    annotations = config.get("annotations") or {}
    recorded = str(annotations.get(DIGEST, "")) if isinstance(annotations, Mapping) else ""
    is_own = digest and name != without_tag(name) and recorded == f"{without_tag(name)}@{digest}"
    return name if is_own else image


def next_tag(image: str) -> str:
    """Return an image with the next tag, 0.1.10 after 0.1.9; raise CommandError if it has none."""
    name, colon, tag = image.rpartition(":")
    number = re.search(r"\d+(?=\D*\Z)", tag)
    if not colon or "/" in tag or "@" in name or not number:
        what = "--bump needs a tag with a number, like 0.1.0, and no digest"
        raise CommandError(Finding("image-tag-without-number", what, f"image = {image}"))
    return f"{name}:{tag[: number.start()]}{int(number[0]) + 1}{tag[number.end() :]}"


def with_tag(project: Project, image: str, tag: str) -> str:
    """Return an image with another tag, `git` for that of the commit.

    Raise CommandError if the project or the image can have no such tag.
    """
    raise_if(digest_findings(project, image))
    new = f"{without_tag(image)}:{commit_tag(project) if tag == 'git' else tag}"
    raise_if(schema_findings(new, read_schema(project)["properties"]["image"], "--tag"))
    return new


def digest_findings(project: Project, image: str) -> Iterator[Finding]:
    """Yield that an image has a digest of the team's, so no build can be it."""
    if "@" in image:
        what = f"image = {image} has a digest, which fixes its content"
        example = f"{without_tag(image.partition('@')[0])}:0.1.0"
        remedy = f"write a name with a tag instead, like {example}"
        yield Finding("image-has-digest", what, project.config_file.name, remedy)


def without_tag(image: str) -> str:
    """Return `localhost:5000/churn` of `localhost:5000/churn:1`."""
    return re.sub(r":[^/:]*\Z", "", image)


def commit_tag(project: Project) -> str:
    """Return 12 digits of the commit's hash.

    Raise CommandError if there is no commit, or if it is not what the image would be built of.
    """
    commit, context = commit_of(project.root, "HEAD"), build_context(project)
    paths = ("--", *image_paths(context))
    changed = git(context.folder, "diff", "-z", "--name-only", "--relative", "HEAD", *paths)
    new = git(context.folder, "ls-files", "-z", "--others", "--exclude-standard", *paths)
    if files := sorted({*changed.split("\0"), *new.split("\0")} - {""}):
        names = ", ".join(files)
        what = f"--tag git names the image by the commit, which lacks changes of {names}"
        remedy = "git commit first, or choose another tag"
        raise CommandError(Finding("image-not-of-commit", what, names, remedy))
    return commit[:12]


def image_paths(context: BuildContext) -> list[str]:
    """Return git's patterns of the files that the image is built of, by its ignore file.

    k8s.toml is none of them: it names the image, and --tag writes into it.
    """
    lines, relative = context.patterns, context.relative_project
    sent = [line[1:].lstrip("/") for line in lines if line.startswith("!")]
    files = (context.dockerfile, context.ignore_file)
    own = [os.path.relpath(file, context.folder) for file in files]
    paths = [*own, *sent] if "*" in lines else ["."]
    return [*paths, f":(exclude){os.path.normpath(os.path.join(relative, 'k8s.toml'))}"]


def write_image(project: Project, image: str, digest: str = "", pin: bool = False) -> None:
    """Write the image into k8s.toml, and as an annotation of the pods its digest, if it has one.

    With `pin`, nodes pull it by the digest, whatever becomes of its tag.
    """
    file = project.config_file
    file.write_bytes(with_image(file.read_bytes(), image, digest, pin))


def writing_findings(project: Project, image: str) -> Iterator[Finding]:
    """Yield why the image could not be written into k8s.toml, once it is built."""
    file = project.config_file
    if not os.access(file, os.W_OK):
        where = shown_path(file)
        what = f"{where} gets the tag"
        yield Finding("config-not-writable", what, where, "make this file writable")
    with_image(file.read_bytes(), image)


def with_image(content: bytes, image: str, digest: str = "", pin: bool = False) -> bytes:
    """Return what is in k8s.toml with another image; its line ends and the rest stay.

    An image that it names without a registry stays so: `registry` is another layer's.
    """
    import tomlkit

    config = tomlkit.parse(content.decode("utf-8-sig"))
    is_short = "/" not in str(config.get("image", "/"))
    name = image.rpartition("/")[2] if is_short else image
    config["image"] = f"{name}@{digest}" if pin else name
    annotations = config.get("annotations", {})
    if digest:
        value = f"{without_tag(image)}@{digest}"
        if annotations:
            annotations[DIGEST] = value
        else:  # dotted, so that a line below it is a key of its own
            config.append(tomlkit.key(["annotations", DIGEST]), tomlkit.item(value))
    elif annotations.pop(DIGEST, None) and not annotations:
        del config["annotations"]
    written = tomlkit.dumps(config).encode()
    if content.count(b"\r\n") == content.count(b"\n") > 0:
        written = re.sub(rb"\r?\n", b"\r\n", written)
    byte_order_mark = content[: len(BOM_UTF8)] if content.startswith(BOM_UTF8) else b""
    return byte_order_mark + written
