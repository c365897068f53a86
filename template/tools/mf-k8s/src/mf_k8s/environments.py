"""environments/NAME.json: Metaflow's configuration for one place where flows run."""

import json
import os
from pathlib import Path
from typing import Any

from .errors import CommandError
from .project import Project


def read_environment(project: Project, name: str) -> dict[str, str]:
    """Return an environment's settings; raise CommandError if it is unknown or not valid."""
    file = project.root / "environments" / f"{name}.json"
    try:
        settings = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError:
        known = ", ".join(sorted(other.stem for other in file.parent.glob("*.json")))
        raise CommandError(f"no environment {name}; environments/ has {known or 'none'}") from None
    except ValueError as error:
        raise CommandError(f"environments/{file.name} is not JSON: {error}") from None
    if not isinstance(settings, dict):
        raise CommandError(
            f"environments/{file.name} must be an object,"
            ' like {"METAFLOW_KUBERNETES_NAMESPACE": "team-a"}'
        )
    for key, value in settings.items():
        where = f"environments/{file.name}: {key}"
        if not key.startswith(("METAFLOW_", "AWS_")):
            raise CommandError(f"{where}: a key must begin with METAFLOW_ or AWS_")
        if not isinstance(value, str):
            raise CommandError(f'{where}: a value must be text, like "{value}"')
    return settings


def metaflow_setting(name: str) -> str:
    """Return a setting of Metaflow's as it is now; importing Metaflow may have read an older one.

    `name` is without METAFLOW_; a setting that is not set is empty.
    """
    from metaflow import metaflow_config_funcs as metaflow

    metaflow.METAFLOW_CONFIG = None  # else it returns what it read when it was imported
    return str(metaflow.from_conf(name, "") or "")


def use_environment(project: Project, name: str) -> list[str]:
    """Lay an environment over the user's own configuration, for this process and what it starts.

    Return the keys whose values change. As variables, the settings win over every file that
    Metaflow reads and leave the files as they are, production tokens included (from_conf in
    metaflow/metaflow_config_funcs.py).
    """
    configured = user_configuration() | os.environ
    settings = read_environment(project, name)
    os.environ.update(settings)
    return [key for key, value in settings.items() if configured.get(key, value) != value]


def user_configuration() -> dict[str, Any]:
    """Return the configuration file of Metaflow that the user has chosen."""
    home = Path(os.environ.get("METAFLOW_HOME", "~/.metaflowconfig")).expanduser()
    profile = os.environ.get("METAFLOW_PROFILE")
    file = home / (f"config_{profile}.json" if profile else "config.json")
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
