"""Metaflow's configuration, as it is for the user and with an environment laid over it."""

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding
from ..programs.run import process_variables
from ..project.environments import BRANCH, PRODUCTION, Environment, is_production
from ..project.project import Project


@dataclass(frozen=True)
class Configuration:
    """What Metaflow, the Kubernetes client and what they start are configured with."""

    variables: Mapping[str, str] = field(repr=False)  # all those of a process; some are secrets
    reads_files: bool = True  # Metaflow's configuration files count, below the variables

    def setting(self, name: str) -> str:
        """Return a setting of Metaflow's, named without METAFLOW_; one that is not set is empty.

        Raise CommandError for a file that cannot be read.
        """
        return str(self.settings.get(f"METAFLOW_{name}") or "")

    @functools.cached_property
    def settings(self) -> Mapping[str, Any]:
        """Return the settings of the user's file, of .metaflow/config.json, and the variables.

        This is from_conf of metaflow/metaflow_config_funcs.py, written here a second time: Metaflow
        reads its files once, when it is imported, and does not name one that is broken.
        """
        files = [user_file(self.variables), local_file()] if self.reads_files else []
        return {key: value for each in (*files, self.variables) for key, value in each.items()}


def own_configuration(project: Project) -> Configuration:
    """Return the user's own configuration."""
    return Configuration(process_variables() | project.variables)


def lay_over(own: Configuration, environment: Environment) -> Configuration:
    """Return a user's own configuration with an environment laid over it.

    As variables, the settings win over every file that Metaflow reads and leave the files as they
    are, production tokens included (from_conf in metaflow/metaflow_config_funcs.py).
    """
    not_joined = own_branch(own, environment)
    others = {key: value for key, value in own.variables.items() if key not in not_joined}
    return Configuration(others | dict(environment.variables))


def overridden(own: Configuration, environment: Environment) -> list[str]:
    """Return the keys of a user's own configuration whose values an environment changes."""
    given = environment.variables
    changed = [key for key, value in given if own.settings.get(key, value) != value]
    return changed + [key for key in own_branch(own, environment) if own.variables[key]]


def own_branch(own: Configuration, environment: Environment) -> list[str]:
    """Return the user's variables that Metaflow would join with the environment's choice.

    Where that chooses production or a branch, they are the user's own choice of the other.
    """
    given = dict(environment.variables)
    if not given.get(BRANCH) and not is_production(given):
        return []
    return [key for key in (PRODUCTION, BRANCH) if key in own.variables.keys() - given.keys()]


def only_environment(project: Project, environment: Environment, folder: str) -> Configuration:
    """Return the configuration that an environment alone gives, the same on every machine.

    The deploying user is the project where the environment names none. `folder` is an empty one,
    which takes the place of the user's own configuration.
    """
    own = own_configuration(project).variables
    variables = {key: value for key, value in own.items() if not key.startswith("METAFLOW_")}
    variables |= {"METAFLOW_USER": project.name, **dict(environment.variables)}
    variables["METAFLOW_HOME"] = folder
    variables["METAFLOW_SERVICE_VERSION_CHECK"] = "0"  # or Metaflow's create asks the service
    return Configuration(variables, reads_files=False)


def user_file(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the configuration file of Metaflow that the user has chosen.

    Raise CommandError if it is broken, or missing although METAFLOW_PROFILE names it.
    """
    home = os.path.expanduser(variables.get("METAFLOW_HOME", "~/.metaflowconfig"))
    profile = variables.get("METAFLOW_PROFILE")
    file = Path(home, f"config_{profile}.json" if profile else "config.json")
    if profile and not os.path.exists(file):
        what = f"METAFLOW_PROFILE is {profile}, but there is no {file}"
        raise CommandError(Finding("metaflow-profile-unknown", what, str(file), "unset it"))
    return read_file(file)


def local_file() -> dict[str, Any]:
    """Return .metaflow/config.json of the first folder from here upwards that has .metaflow."""
    here = Path.cwd()
    folders = (folder / ".metaflow" for folder in (here, *here.parents))
    found = next(filter(os.path.isdir, folders), None)
    return read_file(found / "config.json") if found else {}


def read_file(file: Path) -> dict[str, Any]:
    """Return what is in a configuration file of Metaflow, which may be missing.

    One in a folder that may not be entered, like another user's home, is missing, as for Metaflow.
    """
    try:
        settings = json.loads(file.read_bytes() if os.path.exists(file) else b"{}")
        if isinstance(settings, dict):
            return settings
        reason = "it has no { at its beginning"
    except OSError as error:
        what = f"{file}, Metaflow's configuration, cannot be read: {error.strerror}"
        raise CommandError(Finding("metaflow-file-unreadable", what, str(file))) from None
    except ValueError as error:
        reason = str(error)
    what = f"{file}, Metaflow's configuration, is not JSON ({reason})"
    raise CommandError(Finding("metaflow-file-not-json", what, str(file), "correct it"))
