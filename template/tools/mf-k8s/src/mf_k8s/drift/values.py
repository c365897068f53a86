"""Finds the organisation's values that a project's own files repeat or override."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import Finding, raise_if
from ..project.environment_layer import read_layer, read_settings
from ..project.environments import environment_names
from ..project.k8s_toml import Config, read_config
from ..project.merge_settings import merge
from ..project.organisation_layer import (
    FILE,
    LAYER,
    Organisation,
    organisation_file,
    read_organisation,
)
from ..project.project import Project

IMAGE, POOLS, REGISTRY = "image", "pools", "registry"


@dataclass(frozen=True)
class Value:
    """One value of the organisation that a file of the project has, too."""

    file: str
    path: str  # of its keys in that file, like pools.a100.gpu
    environment: str  # to which the organisation's value belongs; empty: to all
    value: Any
    organisation: Any  # its value; for an image, its registry
    equal: bool  # else the project overrides it
    locked: bool


def committed(project: Project) -> Project:
    """Return a project without what variables of this process put in the place of its files.

    Raise CommandError if it has nothing of an organisation.
    """
    raise_if(missing_layer(project))
    return replace(project, other_config=None, environment_file=None)


def missing_layer(project: Project) -> Iterator[Finding]:
    """Yield that there is nothing to compare with."""
    if not organisation_file(project).exists():
        what = f"this project has no {FILE}: its template's publisher sets no values, or a newer"
        what += " version of the template does"
        remedy = "`uvx copier check-update` says whether there is one, `uvx copier update` takes it"
        yield Finding("no-organisation", what, remedy=remedy)


def drift(project: Project) -> list[Value]:
    """Return each value of the organisation that k8s.toml or an environment has, too.

    What k8s.toml repeats of the values for all, and overrides for an environment, counts as
    overridden: without it, that environment's pods would change.
    """
    organisation, file = read_organisation(project), project.config_file
    config = read_config(file)
    found = [*compare(config, organisation.k8s, file.name, "")]
    for name, settings in organisation.environments.items():
        of_place = compare(config, settings.get(LAYER, {}), file.name, name)
        found += [value for value in of_place if not value.equal]
    for name in sorted(environment_names(project)):
        found += of_environment(project, organisation, config, name)
    overridden = {(value.file, value.path) for value in found if not value.equal}
    return [
        replace(value, locked=is_locked(value, organisation.locked))
        for value in found
        if not value.equal or (value.file, value.path) not in overridden
    ]


def of_environment(
    project: Project, organisation: Organisation, config: Config, name: str
) -> Iterator[Value]:
    """Yield the values of the organisation that environments/NAME.json has.

    Not one by which it takes back what `config`, k8s.toml, has otherwise.
    """
    file = f"environments/{name}.json"
    settings = read_settings(project.root / file)
    own = {key: value for key, value in settings.items() if key != LAYER}
    shared = organisation.of_environment(name)
    for key, value in own.items():
        if key in shared:
            yield Value(file, key, name, value, shared[key], value == shared[key], False)
    layer, below = read_layer(project.at(name)), organisation.config(name)
    is_below = {value.path for value in compare(layer, merge(below, config), "", "") if value.equal}
    for value in compare(layer, below, file, name):
        if not value.equal or value.path in is_below:
            yield replace(value, path=f"{LAYER}.{value.path}")


def compare(own: Config, shared: Config, file: str, environment: str) -> Iterator[Value]:
    """Yield the values of `shared` that `own` has; of a list, the items that it repeats."""
    for name, settings in ((None, own), *own.get(POOLS, {}).items()):
        image, at = settings.get(IMAGE, ""), f"{POOLS}.{name}." if name else ""
        if REGISTRY in shared and "/" in (image or ""):
            equal = short_image(image, shared[REGISTRY]) != image
            yield Value(file, at + IMAGE, environment, image, shared[REGISTRY], equal, False)
    for keys, value, other in common(own, shared):
        if isinstance(value, list) and isinstance(other, list):
            value = [item for item in value if item in other]
        equal = value == other or isinstance(value, list)
        yield Value(file, ".".join(keys), environment, value, other, equal, False)


def common(
    own: Mapping[str, Any], shared: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield the path of each value that two tables have, and both values."""
    for key, value in own.items():
        if key not in shared:
            continue
        other = shared[key]
        if isinstance(value, dict) and isinstance(other, dict) and (value or other):
            yield from common(value, other, (*path, key))
        elif not isinstance(value, list) or any(item in other for item in value):
            yield (*path, key), value, other


def short_image(image: Any, registry: Any) -> Any:
    """Return `churn:1` of `REGISTRY/churn:1`; another image as it is.

    With a folder before it, the rest would not be in the registry.
    """
    text = image if isinstance(image, str) else ""
    name = text.removeprefix(f"{registry}/")
    return name if registry and name != text and "/" not in name else image


def is_locked(value: Value, locked: tuple[str, ...]) -> bool:
    """Return whether the organisation has locked a value, or a table that it is in.

    `registry` allows folders in it.
    """
    path = value.path.removeprefix(f"{LAYER}.")
    if path.rpartition(".")[2] == IMAGE and REGISTRY in locked:
        return not str(value.value).startswith(f"{value.organisation}/")
    return any(path == each or path.startswith(f"{each}.") for each in locked)
