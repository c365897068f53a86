"""environments/NAME.json: keys of Metaflow's configuration for one place where flows run."""

import hashlib
import json
import os
import re
from pathlib import Path

from . import ROOT, Problem


def read(name: str, root: Path = ROOT) -> dict[str, str]:
    """Give the settings of an environment; raise Problem if there is none or it cannot be used."""
    file = root / "environments" / f"{name}.json"
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        known = ", ".join(sorted(one.stem for one in file.parent.glob("*.json")))
        raise Problem(f"no environment {name}; in environments/ there is {known}") from None
    except ValueError as error:
        raise Problem(f"environments/{file.name}: not JSON: {error}") from None
    for key, value in settings.items():
        if not key.startswith(("METAFLOW_", "AWS_")) or not isinstance(value, str):
            raise Problem(f"environments/{file.name}: {key}: only METAFLOW_…, and as text")
    return settings


def of_metaflow(name: str) -> str:
    """Give a setting of Metaflow's as it is now, which may not be as when it was imported."""
    from metaflow import metaflow_config_funcs as metaflow

    metaflow.METAFLOW_CONFIG = None  # or it would give what was there when it was imported
    return metaflow.from_conf(name, "")


def use(name: str) -> list[str]:
    """Lay an environment over the user's own configuration, for this process and what it starts.

    Give a line for each key that changes. As variables, the settings win over every file that
    Metaflow reads and leave them untouched, production tokens included (from_conf in
    metaflow/metaflow_config_funcs.py).
    """
    home = Path(os.environ.get("METAFLOW_HOME", "~/.metaflowconfig")).expanduser()
    profile = os.environ.get("METAFLOW_PROFILE")
    file = home / (f"config_{profile}.json" if profile else "config.json")
    own = json.loads(file.read_text()) if file.exists() else {}
    lines = []
    for key, value in read(name).items():
        old = os.environ.get(key, own.get(key))
        if old is not None and old != value:
            lines.append(f"{key}: {shown(key, value)} instead of {shown(key, old)}")
        os.environ[key] = value
    return lines


def shown(name: str, value: str) -> str:
    """Give a variable's value to print; of one that may be secret, what tells it from another."""
    if re.search("KEY|PASSW|SECRET|TOKEN", name, re.IGNORECASE):
        return f"hidden ({hashlib.sha256(value.encode()).hexdigest()[:6]})"
    return value
