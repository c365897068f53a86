"""The layers of shared values: the organisation's, k8s.toml, and `k8s` in environments/NAME.json.

The merging is that of merge_settings: nothing of the project's settings.py is used.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding, raise_if
from .contract import contract_of
from .k8s_toml import Config, read_config, read_schema, schema_findings
from .merge_settings import merge, with_registry, without_nulls
from .organisation_layer import FILE, LAYER, read_organisation
from .pod_table import POD, pod_findings
from .project import Project, shown_path
from .workflow_table import workflow_findings

CLAIMS = "persistent_volume_claims"
Layer = tuple[str, Config]  # its name, as messages show it, and the values that it gives


def merged_config(project: Project) -> Config:
    """Return k8s.toml over the organisation's values, and under the environment's; with pools.

    An image that is named without a registry has the one of `registry`. Raise CommandError for a
    file that cannot be read, or values that are not valid.
    """
    config: Config = {}
    for name, values in shared_layers(project):
        raise_if(tables_findings(values, name))
        config = merge(config, values)
        raise_if(workflow_findings(config.get("workflow"), name))
    return with_registry(config, config)


def shared_layers(project: Project) -> list[Layer]:
    """Return the layers of what every step gets, from low to high; those that say nothing too."""
    file, organisation = project.environment_file, read_organisation(project)
    found = [(FILE, organisation.k8s)]
    if file:
        found.append((f"{FILE} for {file.stem}", organisation.config_of_environment(file.stem)))
    config, name = read_config(project.config_file), project.config_file.name
    raise_if(path_findings(organisation.config(project.environment), FILE, config, name))
    found.append((name, config))
    if file:
        found.append((environment_name(file), read_layer(project)))
    return found


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


def where_written(project: Project, *path: str) -> str:
    """Return the file, as messages show it, that gives what is at a path of k8s.toml."""
    layers = shared_layers(project) if project.config_file.exists() else []
    for name, values in reversed(layers):
        value: Any = values
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            return name
    return project.config_file.name


def layer_sources(project: Project) -> list[str]:
    """Return a line for each value that does not come from k8s.toml, or not from it alone."""
    lines: list[str] = []
    replaced: set[str] = set()
    for name, values in reversed(shared_layers(project)):
        given = dict(named_values(values))
        if name != project.config_file.name:
            lines += [f"{key}: from {name}" for key in sorted(given.keys() - replaced)]
        replaced |= {key for key, value in given.items() if not isinstance(value, (dict, list))}
    return lines


def named_values(config: Config) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a configuration and their values; each pool is a value of its own."""
    for key, value in config.items():
        if key == "pools" and isinstance(value, dict):
            yield from ((f"{key}.{pool}", settings) for pool, settings in value.items())
        else:
            yield key, value


def environments_with_layer(project: Project) -> list[str]:
    """Return the environments whose pods may differ from those of k8s.toml alone."""
    files = sorted((project.root / "environments").glob("*.json"))
    of_places = read_organisation(project).environments
    return [
        file.stem
        for file in files
        if not file.stem.endswith(".schema")
        and (has_layer(file) or LAYER in of_places.get(file.stem, {}))
    ]


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
    name = f"{where}: {LAYER}"
    wrong = [*schema_findings(without_nulls(layer), read_schema(project), name)]
    wrong = wrong or [*tables_findings(layer, name)]
    yield from wrong
    if not wrong:
        below = read_organisation(project).config(project.environment)
        yield from path_findings(below, FILE, layer, where)
        config = project.config_file
        yield from path_findings(read_config(config), config.name, layer, where)


def tables_findings(config: Config, where: str) -> Iterator[Finding]:
    """Yield what is wrong in the tables of a file, or layer, whose fields are no keys of k8s.toml.

    They are [workflow] and [pod], also in pools: fields of Argo's and Kubernetes'.
    """
    yield from workflow_findings(config.get("workflow"), where)
    yield from pod_findings(config.get(POD), where)
    pools = config.get("pools")
    for name, pool in pools.items() if isinstance(pools, dict) else ():
        if isinstance(pool, dict):
            yield from pod_findings(pool.get(POD), f"{where}: pool {name}")


def path_findings(config: Config, low: str, layer: Config, where: str) -> Iterator[Finding]:
    """Yield the claims of a layer, shown as `where`, that are mounted where another of `low` is.

    `config` is what `low` is the name of, which the layer lies over.
    """
    own, present = layer.get(CLAIMS) or {}, config.get(CLAIMS)
    for claim, path in own.items() if isinstance(own, dict) else ():
        for other, taken in present.items() if isinstance(present, dict) else ():
            if path == taken and other not in own:
                what = f"{claim} and {other} of {low} are both mounted at {path}"
                remedy = "give one another path"
                if where.endswith(".json"):  # TOML has no null
                    remedy += f', or write "{other}": null beside {claim}'
                yield Finding("path-of-two-claims", what, where, remedy)
