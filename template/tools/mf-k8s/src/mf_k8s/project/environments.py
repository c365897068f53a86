"""environments/NAME.json: one place where flows run, and how they are deployed there."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding, raise_if
from .detect_secrets import METAFLOW_SECRETS, has_secret_form
from .environment_layer import layer_findings, read_settings
from .k8s_toml import schema_findings
from .organisation_layer import FILE as ORGANISATION
from .organisation_layer import LAYER, read_organisation
from .project import Project

SCHEMA = Path(__file__).parent.with_name("environment.schema.json")
# Keys that stand for options of Metaflow's, which it also reads from METAFLOW_ and their name.
PRODUCTION, BRANCH = "METAFLOW_PRODUCTION", "METAFLOW_BRANCH"  # Metaflow joins both to prod.NAME
VARIABLES = {"production": PRODUCTION, "branch": BRANCH, "user": "METAFLOW_USER"}
CONFIGURING = ("METAFLOW_", "AWS_")  # variables that configure Metaflow and the AWS client
AWS_KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
NO_SECRET = ("", "{}")  # switch off the user's own
TRUE = ("1", "true", "t", "yes", "y", "on")  # what click reads as true


@dataclass(frozen=True)
class Environment:
    """One place where flows run; without a name, the one of the user's own configuration."""

    name: str = ""
    context: str = ""  # of kubectl; empty for whichever is the current one
    variables: tuple[tuple[str, str], ...] = ()  # of Metaflow and the AWS client
    create_options: tuple[str, ...] = ()  # of Metaflow's `argo-workflows create`
    accepted: tuple[str, ...] = ()  # problems of the doctor's that are none here
    schedules: bool | None = None  # whether @schedule and @trigger start flows; None: not said

    @property
    def file(self) -> str:
        return f"environments/{self.name}.json"

    @property
    def namespace(self) -> str:
        """Return the Kubernetes namespace of the runs, `default` where none is set."""
        return dict(self.variables).get("METAFLOW_KUBERNETES_NAMESPACE", "default")

    def shares_namespace(self, other: "Environment") -> bool:
        return (self.context, self.namespace) == (other.context, other.namespace)

    @property
    def starts_flows(self) -> bool:
        """Return whether @schedule and @trigger start flows here.

        They do unless the file says false: an update of a project stops no schedule.
        """
        return self.schedules is not False


NO_ENVIRONMENT = Environment()  # the user's own configuration alone


def read_environment(project: Project, name: str) -> Environment:
    """Return an environment; raise CommandError if it is unknown or not valid."""
    file = project.root / "environments" / f"{name}.json"
    where = f"environments/{file.name}"
    if name not in (known := sorted(environment_names(project))):
        has = f"environments/ has {', '.join(known) or 'none'}"
        raise CommandError(Finding("environment-unknown", f"no environment {name}; {has}"))
    settings = read_settings(file)
    raise_if(wrong_settings(settings, where))
    if LAYER in settings:
        raise_if(layer_findings(project, settings[LAYER], where))
    of_organisation = read_organisation(project).of_environment(name)
    raise_if(wrong_settings(of_organisation, f"{ORGANISATION}: environments.{name}"))
    settings = of_organisation | settings
    raise_if(setting_findings(settings, where))  # such as one setting by two names
    return Environment(
        name,
        settings.get("context", ""),
        tuple(variables(settings).items()),
        tuple(create_options(settings)),
        tuple(settings.get("doctor_accepts", ())),
        settings.get("schedules"),
    )


def wrong_settings(settings: Any, where: str) -> Iterator[Finding]:
    """Yield what is wrong with settings of an environment; secrets first, as others are shown."""
    yield from (wrong := [*setting_findings(settings, where)])
    if not wrong:
        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        yield from schema_findings(settings, schema, where)


def setting_findings(settings: Any, where: str) -> Iterator[Finding]:
    """Yield the settings that may not be in a file that is committed, and those given twice."""
    for key, value in settings.items() if isinstance(settings, dict) else ():
        is_named = key in METAFLOW_SECRETS | AWS_KEYS and value not in NO_SECRET
        if is_named or has_secret_form(str(value)):
            yield Finding(
                "environment-secret",
                f"the value of {key} looks like a secret, and the file is committed",
                where,
                "take it out, and set it as a variable where you deploy, in CI as a masked one",
            )
        elif (variable := VARIABLES.get(key)) in settings:
            what = f"{key} and {variable} are the same setting"
            yield Finding("environment-setting-twice", what, where, "keep one")


def environment_names(project: Project) -> Iterable[str]:
    """Return the names of a project's environments; a schema may lie beside them, for editors."""
    files = (project.root / "environments").glob("*.json")
    return {file.stem for file in files if not file.name.endswith(".schema.json")}


def where_flows_start(project: Project) -> list[str]:
    """Return the environments but kind's in which @schedule and @trigger start flows.

    A file that is not valid counts too, as one of an older revision may be.
    """
    found, of_organisation = [], read_organisation(project)
    for name in sorted({*environment_names(project)} - {"kind"}):
        try:
            file = project.root / "environments" / f"{name}.json"
            settings = json.loads(file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError):
            continue
        own = settings if isinstance(settings, dict) else {}
        if (of_organisation.of_environment(name) | own).get("schedules") is not False:
            found.append(name)
    return found


def variables(settings: dict[str, Any]) -> dict[str, str]:
    """Return the variables that an environment sets."""
    found = {key: value for key, value in settings.items() if key.startswith(CONFIGURING)}
    for key, variable in VARIABLES.items():
        if key in settings:
            value = settings[key]
            found[variable] = str(int(value)) if isinstance(value, bool) else value
    return found


def create_options(settings: dict[str, Any]) -> list[str]:
    """Return the options of Metaflow's `argo-workflows create` that an environment gives."""
    options = [f"--tag={tag}" for tag in settings.get("tags", ())]
    options += [f"--notify-on-{end}" for end in settings.get("notify", ())]
    if "max_workers" in settings:
        options.append(f"--max-workers={settings['max_workers']}")
    return options


def branches_of_others(project: Project, environment: Environment) -> set[str]:
    """Return the branches of @project that other environments deploy to in the same namespace.

    An environment that is wrong deploys nothing. Without an environment, none is another.
    """
    found: set[str] = set()
    if not environment.name:
        return found
    for name in {*environment_names(project)} - {environment.name, "kind"}:
        with contextlib.suppress(CommandError):
            other = read_environment(project, name)
            if other.shares_namespace(environment):
                found.add(branch_of(dict(other.variables)))
    return found - {"", branch_of(dict(environment.variables))}


def branch_of(variables: Mapping[str, str]) -> str:
    """Return the branch that variables choose, as Metaflow names it; empty for no choice."""
    production = is_production(variables)
    if branch := variables.get(BRANCH):
        return f"{'prod' if production else 'test'}.{branch}"
    return "prod" if production else ""


def is_production(variables: Mapping[str, str]) -> bool:
    """Return whether variables choose production, as Metaflow reads them."""
    return variables.get(PRODUCTION, "").lower() in TRUE
