"""What an environment lays over k8s.toml: `k8s` in environments/NAME.json.

The merging is that of merge_settings: nothing of the project's settings.py is used.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding, raise_if
from .contract import contract_of
from .k8s_toml import Config, read_config, read_schema, schema_findings
from .merge_settings import merge
from .project import Project, shown_path

LAYER = "k8s"  # the key in environments/NAME.json
CLAIMS = "persistent_volume_claims"


def merged_config(project: Project) -> Config:
    """Return what is in k8s.toml with the environment's values over it, pools included.

    Raise CommandError for a file that cannot be read, or values that are not valid.
    """
    config = read_config(project.config_file)
    layer = read_layer(project)
    return merge(config, layer) if layer else config


def read_layer(project: Project) -> dict[str, Any]:
    """Return what the project's environment lays over k8s.toml; raise CommandError if it is wrong.

    A value of None takes one of k8s.toml away.
    """
    file = project.environment_file
    if not file:
        return {}
    settings = read_settings(file)
    layer: dict[str, Any] = settings.get(LAYER, {}) if isinstance(settings, dict) else {}
    raise_if(layer_findings(project, layer, environment_name(file)))
    return layer


def layer_sources(project: Project) -> list[str]:
    """Return a line for each value that an environment lays over k8s.toml."""
    file = project.environment_file
    keys = []
    for key, value in read_layer(project).items():
        of_pools = isinstance(value, dict) and key == "pools"
        keys += [f"{key}.{name}" for name in value] if of_pools else [key]
    return [f"{key}: from {environment_name(file)}" for key in sorted(keys) if file]


def environments_with_layer(project: Project) -> list[str]:
    """Return the names of the environments that lay values over k8s.toml."""
    files = sorted((project.root / "environments").glob("*.json"))
    return [file.stem for file in files if not file.stem.endswith(".schema") and has_layer(file)]


def has_layer(file: Path) -> bool:
    """Return whether an environment lays values over k8s.toml, or may, if it is not JSON."""
    text = file.read_text("utf-8-sig", errors="replace")
    try:
        settings = json.loads(text)
    except ValueError:
        return f'"{LAYER}":' in text
    return isinstance(settings, dict) and LAYER in settings


def environment_name(file: Path) -> str:
    """Return an environment's file as messages show it."""
    return f"environments/{file.name}" if file.parent.name == "environments" else shown_path(file)


def read_settings(file: Path) -> Any:
    """Return what is in a file of environments/; raise CommandError if it is not JSON."""
    where = environment_name(file)
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        fault = "cannot be read" if isinstance(error, OSError) else "is not JSON"
        finding = Finding("environment-unreadable", f"{where} {fault}: {error}", where)
        raise CommandError(finding) from None


def layer_findings(project: Project, layer: Any, where: str) -> Iterator[Finding]:
    """Yield what is wrong with what an environment, shown as `where`, lays over k8s.toml."""
    if layer and contract_of(project.settings_file) < 2:
        file = shown_path(project.settings_file)
        what = f"{where} has {LAYER}, which {file} is too old for"
        yield Finding("layer-unknown", what, where, "run `uvx copier update`")
        return
    wrong = [*schema_findings(without_nulls(layer), read_schema(project), f"{where}: {LAYER}")]
    yield from wrong
    if not wrong:
        yield from path_findings(read_config(project.config_file), layer, where)


def path_findings(config: Config, layer: Mapping[str, Any], where: str) -> Iterator[Finding]:
    """Yield the claims of an environment that are mounted where another of k8s.toml is."""
    own, present = layer.get(CLAIMS) or {}, config.get(CLAIMS)
    for claim, path in own.items():
        for other, taken in present.items() if isinstance(present, dict) else ():
            if path == taken and other not in own:
                what = f"{claim} and {other} of k8s.toml are both mounted at {path}"
                remedy = f'give one another path, or write "{other}": null beside {claim}'
                yield Finding("path-of-two-claims", what, where, remedy)


def without_nulls(value: Any) -> Any:
    """Return a value without what has the value None in its tables: it takes a value away."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value
