"""Keeps secrets out of rendered files, which are committed."""

import dataclasses
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..errors import CommandError, Finding
from ..pods.read_pods import raw_pods
from ..pods.read_yaml import read_yaml
from ..project.detect_secrets import ADDRESSES, METAFLOW, is_secret
from ..project.environments import Environment
from ..project.project import Project
from ..project.tool_table import read_table, table_finding
from ..show.progress import print_line

NOTIFY_ON = "--notify-on-"
OPTION = re.compile(rf"--notify-({'|'.join(ADDRESSES)})\b")
INSTEAD = (
    "put it into a Secret on the cluster, name that in `secrets` of k8s.toml, and read it there"
)
NOTIFY_INSTEAD = f"{INSTEAD}, like in a function of @exit_hook that sends the message"
MIN_LENGTH = 12  # characters of a value that is hardly a word


def without_notify(environment: Environment) -> Environment:
    """Return an environment without its `notify`, and print a line if it has any."""
    others = [option for option in environment.create_options if not option.startswith(NOTIFY_ON)]
    if len(others) < len(environment.create_options):
        print_line(f"`notify` of {environment.file} is left out: only `k8s deploy` can write it")
    return dataclasses.replace(environment, create_options=tuple(others))


def notify_findings(environment: Environment) -> Iterator[Finding]:
    """Yield the options by which Metaflow would write a secret in clear text."""
    for option in environment.create_options:
        if OPTION.match(option) or option.startswith(NOTIFY_ON):
            name = option.partition("=")[0]
            yield Finding(
                "notify-needs-secret",
                "an address of notifications is a secret, and would stand in the files in clear"
                " text",
                name,
                f"{NOTIFY_INSTEAD}; `notify` of {environment.file} is for k8s deploy",
            )


def not_secret(project: Project) -> list[str]:
    """Return the variables and parameters whose values [tool.mf-k8s] says are no secrets."""
    file = project.root / "pyproject.toml"
    names = (read_table(file) or {}).get("not-secret", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        fault = "must be a list of names of variables and parameters"
        raise CommandError(table_finding(file, "not-secret", fault, '["EOS_TOKEN"]'))
    return names


def secret_findings(
    files: Mapping[str, str], variables: Mapping[str, str], exceptions: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield the secrets that files hold in clear text.

    It is the value of a pod's own variable or of a parameter, or of one of the `variables` that
    code like @environment reads while it is compiled. `exceptions` are names of variables
    and parameters whose values are no secrets, whatever they look like.
    """
    on_machine = {
        variable: spellings(value.strip())
        for variable, value in sorted(variables.items())
        if variable not in exceptions and is_secret(variable, value)
    }
    for file, text in files.items():
        manifest = read_yaml(text)
        # the manifest of a JobSet is a text in the template
        is_template = isinstance(manifest, dict) and manifest.get("kind") == "WorkflowTemplate"
        pods = raw_pods(manifest).values() if is_template else ()
        # a name may have another value in each step
        values = {*named_values([manifest, *(pod.container for pod in pods)])}
        # YAML breaks a text of several lines, like a key, so each text is searched, not the file
        whole = "\n".join([text, *texts_in(manifest)])
        found = set()
        for variable, spelled in on_machine.items():
            long = len(spelled[0]) >= MIN_LENGTH and any(value in whole for value in spelled)
            if long or any(value == spelled[0] for _, value in values):
                found.add(variable)
                yield clear_text(f"the variable {variable}", variable, file)
        secret = {name for name, value in values if is_secret(name, value.strip('"'))}
        for name in sorted(secret - found - {*exceptions}):
            yield clear_text(f"{name} of the flow", name, file)


def clear_text(what: str, name: str, file: str) -> Finding:
    """Return what is wrong with a value that a file would hold, and both ways out."""
    return Finding(
        "secret-in-clear-text",
        f"the value of {what} looks like a secret, and would stand in {file} in clear text",
        file,
        f'{INSTEAD}; if it is none, write not-secret = ["{name}"] below [tool.mf-k8s] in'
        " pyproject.toml",
    )


def named_values(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and value of each variable and parameter of a manifest but Metaflow's own."""
    if isinstance(value, Mapping):
        name, text = value.get("name"), value.get("value")
        if isinstance(name, str) and isinstance(text, str) and not name.startswith(METAFLOW):
            yield name, text
        yield from (found for item in value.values() for found in named_values(item))
    elif isinstance(value, list):
        yield from (found for item in value for found in named_values(item))


def spellings(value: str) -> list[str]:
    """Return a value as it is, and as it stands in JSON, and in JSON in JSON."""
    in_json = json.dumps(value)[1:-1]
    return [value, in_json, json.dumps(in_json)[1:-1]]


def texts_in(value: Any) -> Iterator[str]:
    """Yield each text of a manifest."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for item in value.values() for text in texts_in(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in texts_in(item))
