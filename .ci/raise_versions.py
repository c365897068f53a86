"""Raises each version and digest that this repository pins: `make raise-versions`.

With --newest it prints variables for `make test-kind`: a cluster of the newest that there is.

What is newer is asked of GitHub's API (with GITHUB_TOKEN, if it is set), of an image's registry by
docker, of the Go proxy by go, and of PyPI by uv. What cannot be asked is left as it is. A tag whose
commit or digest has changed is not followed. The lower bounds in pyproject.toml are no pins.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
GITHUB = os.environ.get("GITHUB_API_URL", "https://api.github.com")
UV = os.environ.get("UV") or Path(sys.executable).with_name("uv")
KIND, ARGO = "kubernetes-sigs/kind", "argoproj/argo-workflows"
NODE_IMAGE = re.compile(r"kindest/node:(v[\d.]+)@(sha256:[0-9a-f]{64})")
# What was, what is made up, and what uv raises.
NO_PINS = ("CHANGELOG.md", "tests/recorded/", "tests/template/test_raise_versions.py", "uv.lock")
VERSIONS = "hooks/versions.jinja"
PROBLEMS = (OSError, LookupError, ValueError, subprocess.CalledProcessError)

Pin = re.Match[str]


def ask(path: str) -> Any:
    """Return GitHub's answer."""
    token = os.environ.get("GITHUB_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(f"{GITHUB}/repos/{path}", headers=headers)
    try:
        with urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except OSError as error:
        raise OSError(f"{request.full_url} cannot be read: {error}") from error


def run(*command: str | Path, stdin: str = "") -> str:
    done = subprocess.run(
        command, cwd=ROOT, input=stdin, check=True, text=True, capture_output=True
    )
    return done.stdout.strip()


def numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


@cache
def releases(repository: str) -> list[Any]:
    """Return the final releases of a repository on GitHub, the one of the highest version first."""
    final = [
        release
        for release in ask(f"{repository}/releases?per_page=100")
        if re.fullmatch(r"v\d+\.\d+\.\d+", release["tag_name"])
        and not (release["draft"] or release["prerelease"])
    ]
    return sorted(final, key=lambda release: numbers(release["tag_name"]), reverse=True)


def newest(repository: str, line: str = "v") -> str:
    """Return the tag of the newest release of a line, like `v3.7.`."""
    for release in releases(repository):
        if release["tag_name"].startswith(line):
            return str(release["tag_name"])
    raise LookupError(f"{repository} has no release {line}…")


def node_images() -> dict[str, str]:
    """Return the images of the newest release of kind, the lowest version of Kubernetes first.

    Only its notes tell their digests: a tag of kindest/node is that of the last kind that built it.
    """
    tag = newest(KIND)
    found = dict(NODE_IMAGE.findall(releases(KIND)[0]["body"]))
    if not found:
        raise LookupError(f"the notes of {KIND} {tag} name no image")
    return dict(sorted(found.items(), key=lambda item: numbers(item[0])))


def raise_action(pin: Pin) -> dict[str, str]:
    tag = newest(pin["repository"])
    return {"tag": tag, "commit": ask(f"{pin['repository']}/commits/{tag}")["sha"]}


def raise_download(pin: Pin) -> dict[str, str]:
    return {"tag": newest(pin["repository"])}


def raise_argo(pin: Pin) -> dict[str, str]:
    return {"tag": newest(ARGO, f"v{pin['line']}.")}


def raise_node(pin: Pin) -> dict[str, str]:
    """Stay with the minor version of Kubernetes as long as kind has it."""
    images = node_images()
    minor = pin["kubernetes"].rpartition(".")[0]
    chosen = next((tag for tag in images if tag.startswith(f"{minor}.")), [*images][0])
    return {"tag": newest(KIND), "kubernetes": chosen, "digest": images[chosen]}


def raise_image(pin: Pin) -> dict[str, str]:
    tag = newest(pin["repository"])
    inspect = ("docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}")
    manifest = json.loads(run(*inspect, f"ghcr.io/{pin['repository']}:{tag}"))
    return {"tag": tag, "digest": manifest["digest"]}


def raise_module(pin: Pin) -> dict[str, str]:
    return {"tag": run("go", "list", "-m", "-f", "{{.Version}}", f"{pin['module']}@latest")}


def raise_package(pin: Pin) -> dict[str, str]:
    compile = (UV, "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate", "-")
    return {"tag": run(*compile, stdin=pin["package"]).partition("==")[2]}


TAG = r"(?P<tag>v?\d+\.\d+\.\d+)"
DIGEST = r"(?P<digest>sha256:[0-9a-f]{64})"
REPOSITORY = r"(?P<repository>[\w.-]+/[\w.-]+)"
PINS: dict[str, Callable[[Pin], dict[str, str]]] = {
    rf"uses: {REPOSITORY}@(?P<commit>[0-9a-f]{{40}}) # {TAG}": raise_action,
    rf"{REPOSITORY}/releases/download/{TAG}/": raise_download,
    rf'"(?P<line>\d+(\.\d+)?)": "{TAG}"': raise_argo,
    rf'{KIND}/releases/tag/{TAG}\s+"kindest/node:(?P<kubernetes>v[\d.]+)@{DIGEST}"': raise_node,
    rf'"ghcr\.io/{REPOSITORY}:{TAG}"\s+"@{DIGEST}"': raise_image,
    rf'"(?P<module>github\.com/{REPOSITORY})[\w/.-]*@{TAG}"': raise_module,
    rf'"(?P<package>metaflow-\w+)": "{TAG}"': raise_package,
    rf'setup-(?P<package>uv)@\w+ # [\w.]+\s+with: {{ version: "{TAG}"': raise_package,
}


@cache
def raised(pattern: str, text: str) -> str:
    """Return the text of a pin with what is newer in it; as it is on a problem, and say so."""
    pin = re.fullmatch(pattern, text)
    assert pin
    name = re.sub(r'"|[ @][\w:]{40,}', "", " ".join(pin[0].split()))  # without digests
    try:
        new = PINS[pattern](pin)
    except PROBLEMS as problem:
        reason = " ".join(str(getattr(problem, "stderr", "") or problem).split())
        print(f"left as it is: {name}: {reason[:200]}")
        return text
    if numbers(new["tag"]) <= numbers(pin["tag"]):
        return text
    for group in sorted(new, key=pin.start, reverse=True):
        text = text[: pin.start(group)] + new[group] + text[pin.end(group) :]
    print(f"raised: {name} -> {new['tag']} {new.get('kubernetes', '')}".rstrip())
    return text


def pinned_files() -> Iterator[Path]:
    for name in run("git", "ls-files", "-z").split("\0"):
        if name and not name.startswith(NO_PINS) and (ROOT / name).is_file():
            yield ROOT / name


def raise_all() -> None:
    """Find what is newer, then write it: all of a pin, and uv.lock with what says the same."""
    texts: dict[Path, str] = {}
    for file in pinned_files():
        try:
            text = old = file.read_bytes().decode()
        except UnicodeDecodeError:
            continue
        for pattern in PINS:
            text = re.sub(pattern, lambda pin, pattern=pattern: raised(pattern, pin[0]), text)
        if text != old:
            texts[file] = text
    before = (ROOT / "uv.lock").read_bytes()
    sys.stdout.flush()  # into a file, too, before what uv says
    try:
        subprocess.run([UV, "lock", "--upgrade"], cwd=ROOT, check=True)  # says what it raises
    except PROBLEMS as problem:
        print(f"left as it is: uv.lock: {problem}")
    if (ROOT / "uv.lock").read_bytes() != before:
        texts[ROOT / VERSIONS] = versions_of_ci()
    for file, text in texts.items():
        file.write_bytes(text.encode())


def versions_of_ci() -> str:
    """Return hooks/versions.jinja with the versions of uv.lock, as of today."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    values = {package["name"]: package["version"] for package in packages}
    values |= {"copier_as_of": str(date.today())}
    text = re.sub(
        r"    'sha256:.*?\]",
        f"{hashes_of_uv(packages)}]",
        (ROOT / VERSIONS).read_text(),
        flags=re.S,
    )
    return re.sub(r"set (\w+) = '.*?'", lambda line: f"set {line[1]} = '{values[line[1]]}'", text)


def hashes_of_uv(packages: list[dict[str, Any]]) -> str:
    """Return the lines of uv_hashes, for the packages of uv.lock."""
    wheels = next(package["wheels"] for package in packages if package["name"] == "uv")
    linux = (each for each in wheels if re.search(r"linux.*_(x86_64|aarch64)\.whl$", each["url"]))
    return "".join(f"    '{wheel['hash']}',\n" for wheel in linux)


def newest_cluster() -> Iterator[str]:
    tag, digest = [*node_images().items()][-1]
    yield f"K8S_KIND_NODE_IMAGE=kindest/node:{tag}@{digest}"
    for name, repository, line, file in (
        ("ARGO", ARGO, "v", "install.yaml"),
        ("ARGO_3", ARGO, "v3.", "install.yaml"),
        ("JOBSET", "kubernetes-sigs/jobset", "v", "manifests.yaml"),
        ("EVENTS", "argoproj/argo-events", "v", "install.yaml"),
    ):
        place = f"{repository}/releases/download/{newest(repository, line)}/{file}"
        yield f"K8S_{name}_MANIFEST=https://github.com/{place}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--newest"]:
        try:
            print("\n".join(newest_cluster()))
        except PROBLEMS as problem:
            sys.exit(str(problem))
    else:
        raise_all()
