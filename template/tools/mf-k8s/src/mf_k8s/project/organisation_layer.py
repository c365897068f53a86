"""organisation.json: what the template's publisher sets for all its projects, below k8s.toml.

Copier renders the file whole, from the publisher's hooks/organisation.yml. A team does not edit it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding, raise_if
from .k8s_toml import Config, read_schema, schema_findings, unknown_keys
from .merge_conflicts import conflict_in
from .merge_settings import merge, without_nulls
from .project import Project, shown_path

FILE = "organisation.json"
LAYER = "k8s"  # the key of values of k8s.toml, here and in environments/NAME.json
KEYS = (LAYER, "locked", "environments")


@dataclass(frozen=True)
class Organisation:
    """What organisation.json holds; nothing where a project has no such file."""

    k8s: Config = field(default_factory=dict)
    locked: tuple[str, ...] = ()  # paths in `k8s`, like labels.cost-centre
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)  # by their names

    def of_environment(self, name: str) -> dict[str, Any]:
        """Return the settings of an environment, as environments/NAME.json has them."""
        return {key: item for key, item in self.environments.get(name, {}).items() if key != LAYER}

    def config(self, environment: str = "") -> Config:
        """Return the values of k8s.toml, with those for an environment over them."""
        return merge(self.k8s, self.config_of_environment(environment))

    def config_of_environment(self, name: str) -> Config:
        """Return the values of k8s.toml for an environment alone."""
        found: Config = self.environments.get(name, {}).get(LAYER, {})
        return found


def organisation_file(project: Project) -> Path:
    return project.settings_file.with_name(FILE)


def read_organisation(project: Project) -> Organisation:
    """Return what the organisation sets; raise CommandError if its file is not valid."""
    file = organisation_file(project)
    if not file.exists():
        return Organisation()
    text, where = file.read_text(encoding="utf-8-sig"), shown_path(file)
    try:
        content = json.loads(text)
    except ValueError as error:
        reason, remedy = f"is not JSON: {error}", f"run `git checkout HEAD -- {where}`"
        if conflict := conflict_in(text):
            reason, remedy = conflict, "the template's side, as no team edits this file"
        finding = Finding("organisation-unreadable", f"{where} {reason}", where, remedy)
        raise CommandError(finding) from None
    raise_if(organisation_findings(project, content))
    locked = tuple(content.get("locked", ()))
    return Organisation(content.get(LAYER, {}), locked, content.get("environments", {}))


def organisation_findings(project: Project, content: dict[str, Any]) -> Iterator[Finding]:
    """Yield what does not fit the schema of k8s.toml."""
    yield from unknown_keys(content, {"properties": dict.fromkeys(KEYS)}, FILE)
    schema, where = read_schema(project), f"{FILE}: {LAYER}"
    yield from schema_findings(without_nulls(content.get(LAYER, {})), schema, where)
    for name, settings in content.get("environments", {}).items():
        of_place = without_nulls(settings.get(LAYER, {}))
        yield from schema_findings(of_place, schema, f"{FILE}: environments.{name}.{LAYER}")
