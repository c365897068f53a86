"""Keeps secrets out of rendered files, which are committed."""

import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..environments import Environment
from ..errors import CommandError
from ..progress import print_line
from ..read_yaml import read_yaml

ADDRESSES = ("slack-webhook-url", "pager-duty-integration-key", "incident-io-api-key")
NOTIFY_ON = "--notify-on-"
OPTION = re.compile(rf"--notify-({'|'.join(ADDRESSES)})\b")
VARIABLES = {
    "METAFLOW_SERVICE_AUTH_KEY",
    "METAFLOW_SERVICE_HEADERS",
    *(
        f"METAFLOW_ARGO_WORKFLOWS_CREATE_NOTIFY_{name.upper().replace('-', '_')}"
        for name in ADDRESSES
    ),
}
INSTEAD = (
    "put it into a Secret on the cluster, name that in `secrets` of k8s.toml, and read it there"
)
NOTIFY_INSTEAD = f"{INSTEAD}, like in a function of @exit_hook that sends the message"
NAMES_SECRET = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|API_?KEY|WEBHOOK|CREDENTIAL")
SHORTEST = 12  # characters of a value that is hardly a word


def without_notify(environment: Environment) -> Environment:
    """Return an environment without its `notify`, and print a line if it has any."""
    others = [option for option in environment.create_options if not option.startswith(NOTIFY_ON)]
    if len(others) < len(environment.create_options):
        print_line(f"`notify` of {environment.file} is left out: only `k8s deploy` can write it")
    return dataclasses.replace(environment, create_options=tuple(others))


def must_need_no_secret(environment: Environment) -> None:
    """Raise CommandError if an environment has Metaflow write a secret in clear text."""
    for option in environment.create_options:
        if OPTION.match(option) or option.startswith(NOTIFY_ON):
            name = option.partition("=")[0]
            raise CommandError(
                f"{name}: an address of notifications is a secret, and would stand in the files in"
                f" clear text: {NOTIFY_INSTEAD}; `notify` of {environment.file} is for k8s deploy"
            )
    for variable, _ in environment.variables:
        if variable in VARIABLES:
            raise CommandError(
                f"{environment.file}: {variable} is a secret, and would stand in the files in clear"
                f" text: {INSTEAD}"
            )


def must_hold_no_secret(files: Mapping[str, str]) -> None:
    """Raise CommandError if a file has the value of a variable that is named like a secret's.

    A flow whose code reads the variable while it is compiled, as in @environment, puts it there.
    """
    secrets = {
        variable: spellings(value.strip())
        for variable, value in sorted(os.environ.items())
        if NAMES_SECRET.search(variable.upper()) and len(value.strip()) >= SHORTEST
    }
    if not secrets:
        return
    # YAML breaks a text of several lines, like a key, so each text is searched, not the file
    texts = {name: "\n".join([text, *texts_in(read_yaml(text))]) for name, text in files.items()}
    for variable, values in secrets.items():
        for name, text in texts.items():
            if any(value in text for value in values):
                raise CommandError(
                    f"the value of the variable {variable} would stand in {name} in clear text,"
                    f" because the flow's code reads it: {INSTEAD}"
                )


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
