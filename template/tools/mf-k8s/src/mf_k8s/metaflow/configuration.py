"""Metaflow's configuration, as it is for the user and with an environment laid over it."""

import json
import os
from pathlib import Path
from typing import Any

from ..errors import CommandError
from ..project.environments import BRANCH, PRODUCTION, Environment, is_production

only_variables = False  # configure Metaflow, and no file; a rendering is the same everywhere


def metaflow_setting(name: str) -> str:
    """Return a setting of Metaflow's as it is now; one that is not set is empty.

    `name` is without METAFLOW_. Raise CommandError for a file that cannot be read.
    """
    return str(configuration().get(f"METAFLOW_{name}") or "")


def configuration() -> dict[str, Any]:
    """Return Metaflow's configuration: the user's file, .metaflow/config.json, and variables.

    This is from_conf of metaflow/metaflow_config_funcs.py, written here a second time: Metaflow
    reads its files once, when it is imported, and does not name one that is broken.
    """
    if only_variables:
        return dict(os.environ)
    return {**user_configuration(), **local_configuration(), **os.environ}


def use_environment(environment: Environment) -> list[str]:
    """Lay an environment over the user's own configuration, for this process and what it starts.

    Return the keys whose values change. As variables, the settings win over every file that
    Metaflow reads and leave the files as they are, production tokens included (from_conf in
    metaflow/metaflow_config_funcs.py). If the environment chooses production or a branch, the
    user's own setting of the other is removed, because Metaflow would join the two.
    """
    configured, variables = configuration(), dict(environment.variables)
    os.environ.update(variables)
    changed = [key for key, value in variables.items() if configured.get(key, value) != value]
    if variables.get(BRANCH) or is_production(variables):
        joined = [key for key in (PRODUCTION, BRANCH) if key not in variables]
        changed += [key for key in joined if os.environ.pop(key, "")]
    return changed


def use_only_environment(environment: Environment, user: str, folder: str) -> None:
    """Configure Metaflow by an environment alone, for this process and what it starts.

    `user` is the deploying user where the environment names none; `folder` is an empty one, which
    takes the place of the user's own configuration.
    """
    global only_variables
    for name in [name for name in os.environ if name.startswith("METAFLOW_")]:
        del os.environ[name]
    os.environ |= {"METAFLOW_USER": user, **dict(environment.variables), "METAFLOW_HOME": folder}
    os.environ["METAFLOW_SERVICE_VERSION_CHECK"] = "0"  # or Metaflow's create asks the service
    only_variables = True


def user_configuration() -> dict[str, Any]:
    """Return the configuration file of Metaflow that the user has chosen.

    Raise CommandError if it is broken, or missing although METAFLOW_PROFILE names it.
    """
    home = os.path.expanduser(os.environ.get("METAFLOW_HOME", "~/.metaflowconfig"))
    profile = os.environ.get("METAFLOW_PROFILE")
    file = Path(home, f"config_{profile}.json" if profile else "config.json")
    if profile and not os.path.exists(file):
        raise CommandError(f"METAFLOW_PROFILE is {profile}, but there is no {file}: unset it")
    return read_configuration(file)


def local_configuration() -> dict[str, Any]:
    """Return .metaflow/config.json of the first folder from here upwards that has .metaflow."""
    here = Path.cwd()
    folders = (folder / ".metaflow" for folder in (here, *here.parents))
    found = next(filter(os.path.isdir, folders), None)
    return read_configuration(found / "config.json") if found else {}


def read_configuration(file: Path) -> dict[str, Any]:
    """Return what is in a configuration file of Metaflow, which may be missing.

    One in a folder that may not be entered, like another user's home, is missing, as for Metaflow.
    """
    try:
        settings = json.loads(file.read_bytes() if os.path.exists(file) else b"{}")
        if isinstance(settings, dict):
            return settings
        reason = "it has no { at its beginning"
    except OSError as error:
        raise CommandError(
            f"{file}, Metaflow's configuration, cannot be read: {error.strerror}"
        ) from None
    except ValueError as error:
        reason = str(error)
    raise CommandError(f"{file}, Metaflow's configuration, is not JSON ({reason}): correct it")
