"""Takes out of a project's files what organisation.json says, so that its next version counts."""

import json
import shutil
import tempfile
import tomllib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding
from ..project.environment_layer import environment_name, merged_config, read_settings
from ..project.environments import environment_names, read_environment
from ..project.k8s_toml import Config, read_toml
from ..project.merge_settings import merge, step_settings
from ..project.organisation_layer import LAYER, Organisation, read_organisation
from ..project.project import Project
from .json_text import with_less_json
from .toml_text import with_less_toml
from .values import IMAGE, POOLS, REGISTRY, short_image


def tidied(project: Project) -> dict[Path, bytes]:
    """Return the new content of each file that repeats a value of the organisation.

    Raise CommandError if the pods would not be the same.
    """
    organisation = read_organisation(project)
    config, contents = read_toml(project.config_file), {}
    if (target := less_config(project, organisation, config)) != config:
        contents[project.config_file] = edited(project.config_file, target, with_less_toml)
    for name in sorted(environment_names(project)):
        file = project.root / "environments" / f"{name}.json"
        settings = read_settings(file)
        less = less_settings(project.at(name), organisation, config, settings)
        if less != settings:
            contents[file] = edited(file, less, with_less_json)
    prove(project, contents)
    return contents


def less_config(project: Project, organisation: Organisation, config: Config) -> Config:
    """Return k8s.toml without what the organisation says for every environment."""
    names = ["", *environment_names(project), *organisation.environments]
    less = without_repeated(config, [organisation.config(name) for name in names])
    registries = [merged_config(project.at(name)).get(REGISTRY) for name in known(project)]
    return with_short_images(less, organisation.k8s.get(REGISTRY), registries)


def less_settings(
    project: Project, organisation: Organisation, config: Config, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return what is in the file of the project's environment without the organisation's part.

    Of its values of k8s.toml, one stays if `config`, which is k8s.toml, has another.
    """
    name = project.environment
    shared, own = organisation.of_environment(name), settings.get(LAYER, {})
    less = {
        key: value
        for key, value in settings.items()
        if key == LAYER or key not in shared or shared[key] != value
    }
    if own:
        below = organisation.config(name)
        own = without_repeated(own, [below, merge(below, config)])
        registries = [merged_config(project).get(REGISTRY)]
        own = with_short_images(own, below.get(REGISTRY), registries)
        less |= {LAYER: own}
        if not own:
            del less[LAYER]
    return less


def known(project: Project) -> list[str]:
    """Return the names of the project's environments, and an empty one for none of them."""
    return ["", *sorted(environment_names(project))]


def without_repeated(own: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> Config:
    """Return a table without the values, and items of lists, that each of the layers has."""
    kept: Config = {}
    for key, value in own.items():
        others = [layer.get(key) for layer in layers]
        left: Any = value
        if isinstance(value, dict) and all(isinstance(other, dict) for other in others):
            left = without_repeated(value, [other or {} for other in others])
        elif isinstance(value, list) and all(isinstance(other, list) for other in others):
            left = [item for item in value if not all(item in (other or ()) for other in others)]
        elif value is not None and all(other == value for other in others):
            continue
        if left or left is value:
            kept[key] = left
    return kept


def with_short_images(config: Config, registry: Any, registries: Sequence[Any]) -> Config:
    """Return a configuration with its images, those of pools too, named without the registry.

    They stay where one of the `registries`, those that count, is another.
    """
    if any(each != registry for each in registries):
        return config
    short = dict(config)
    if IMAGE in short:
        short[IMAGE] = short_image(short[IMAGE], registry)
    if isinstance(pools := short.get(POOLS), dict):
        short[POOLS] = {
            name: with_short_images(pool, registry, []) if isinstance(pool, dict) else pool
            for name, pool in pools.items()
        }
    return short


def edited(file: Path, target: dict[str, Any], edit: Callable[[str, dict[str, Any]], str]) -> bytes:
    """Return the content of a file with `target` in it, and its formatting otherwise.

    Raise CommandError where that cannot be done.
    """
    content = file.read_bytes()
    loads = json.loads if file.suffix == ".json" else tomllib.loads
    text = edit(content.decode("utf-8-sig"), target)
    try:
        is_right = loads(text) == target
    except ValueError:
        is_right = False
    if not is_right:
        where = environment_name(file) if file.suffix == ".json" else file.name
        remedy = "take out by hand what `uv run k8s drift` shows as repeated"
        raise CommandError(Finding("file-not-tidied", f"{where} cannot be edited", where, remedy))
    mark = BOM_UTF8 if content.startswith(BOM_UTF8) else b""
    return mark + text.encode()


def prove(project: Project, contents: Mapping[Path, bytes]) -> None:
    """Raise CommandError if the new files would give a pod other values."""
    with tempfile.TemporaryDirectory() as folder:
        copy = replace(project, root=Path(folder))
        package = project.settings_file.parent.relative_to(project.root)
        files = [*(project.root / package).glob("*.json"), project.settings_file]
        for file in (*files, *(project.root / "environments").glob("*.json"), project.config_file):
            new = copy.root / file.relative_to(project.root)
            new.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(contents[file]) if file in contents else shutil.copyfile(file, new)
        for name in known(project):
            if [*settings_of(project, name)] != [*settings_of(copy, name)]:
                place = f"environment {name}" if name else "no environment"
                what = f"without what organisation.json repeats, pods with {place} would change"
                remedy = "nothing is written; please report this"
                raise CommandError(Finding("tidying-changes-pods", what, remedy=remedy))


def settings_of(project: Project, name: str) -> Iterator[Any]:
    """Yield all that an environment sets, and the settings of a step in each pool and in none."""
    if name:
        environment = read_environment(project, name)
        yield replace(environment, variables=tuple(sorted(environment.variables)))
    config = merged_config(project.at(name))
    yield {key: value for key, value in config.items() if key != POOLS}
    for pool in (None, *sorted(config.get(POOLS, {}))):
        yield step_settings(config, {"overrides": [{"pool": pool, "values": {}}]})
