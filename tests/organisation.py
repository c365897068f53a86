"""Checks hooks/organisation.yml, or the file that is named: `make organisation-check`.

Its values are held against the questions' own validators and the schema of k8s.toml. A `tool` is
looked up where uv will look it up.
"""

import difflib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import copier
import yaml
from mf_k8s.project.k8s_toml import schema_findings
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "template/src/{{ package_name }}"
SERVICE_URL, INTERNAL_URL = "metadata_service_url", "metadata_service_internal_url"
Kind = tuple[type | tuple[type, ...], str]
TEXT: Kind = (str, "a text; write it in quotes")
NUMBER: Kind = ((int, float), "a number")
YES_OR_NO: Kind = (bool, "true or false")
LIST: Kind = (list, "a list of names, like [team-a]")
TABLE: Kind = (dict, "a table")
KINDS: dict[str, Kind] = {
    "registry": TEXT,
    "namespaces": LIST,
    "environments": TABLE,
    "service_accounts": LIST,
    "cpu": NUMBER,
    "memory": NUMBER,
    "image_pull_secrets": TEXT,
    "persistent_volume_claims": TEXT,
    "datastore_root": TEXT,
    SERVICE_URL: TEXT,
    INTERNAL_URL: TEXT,
    "ci": TEXT,
    "deploy_from_ci": YES_OR_NO,
    "runner": LIST,
    "deploy_runner": LIST,
    "kind_in_ci": YES_OR_NO,
    "index_logins": TABLE,
    "ci_image": TEXT,
    "base_image": TEXT,
    "buildkit_host": TEXT,
    "python_version": TEXT,
    "tool": TEXT,
    "tool_index": TEXT,
    "restricted": YES_OR_NO,
    "k8s": TABLE,
    "locked": LIST,
    "gpu_pools": TABLE,
}
RUNNERS, IMAGES = ("runner", "deploy_runner"), ("ci_image", "base_image")
ENVIRONMENT = ROOT / "template/tools/mf-k8s/src/mf_k8s/environment.schema.json"
MAY_BE_EMPTY = (*RUNNERS, "locked")
TOOL = "mf-k8s"
PYPROJECT = ROOT / "template/pyproject.toml.jinja"
QUESTION = {
    "namespaces": "namespace",
    "service_accounts": "service_account",
    INTERNAL_URL: SERVICE_URL,
    "ci_image": "image",
    "base_image": "image",
}
CHOICES = {"ci": "github, gitlab or none", "python_version": "3.11, 3.12 or 3.13"}


def problems(text: str) -> Iterator[str]:
    """Return a line for each thing that is wrong in the text of an organisation.yml."""
    try:
        organisation = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        yield f"not YAML: {error}"
        return
    if not isinstance(organisation, dict):
        yield f"a table is right, like `registry: ghcr.io/acme`, not {json.dumps(organisation)}"
        return
    for mark in ("{{", "{%", "{#"):
        if mark in text:
            yield f"{mark} is not valid: Copier reads this file as a template"
            return
    for key, value in organisation.items():
        if key not in KINDS:
            near = difflib.get_close_matches(str(key), KINDS, 1, 0)
            yield f"{key}: no such key; did you mean {near[0]}?"
        elif not isinstance(value, KINDS[key][0]) or value == [] and key not in MAY_BE_EMPTY:
            yield f"{key}: {json.dumps(value, default=str)} is not {KINDS[key][1]}"
        elif key == "environments":
            yield from wrong_environments(value)
        elif key == INTERNAL_URL and value and not organisation.get(SERVICE_URL):
            yield f"{key}: has no effect without {SERVICE_URL}"
        elif key == "registry":
            rule = json.loads((PACKAGE / "k8s.schema.json").read_text())["properties"][key]
            if not re.fullmatch(rule["pattern"], value):
                yield f"{key}: {json.dumps(value)}: {rule['description']}"
        elif key in ("gpu_pools", "k8s"):
            yield from wrong_config(key, {"pools": value} if key == "gpu_pools" else value)
        elif key == "locked":
            yield from (f"{key}: {fault}" for path in value for fault in wrong_path(path))
        elif key == "tool":
            yield from wrong_tool(value)
        elif key == "tool_index":
            yield from wrong_tool_index(value, organisation.get("tool"))
        elif key in ("index_logins", *RUNNERS):
            yield from wrong_ci(key, value)
        elif key == "buildkit_host":
            if value and not re.fullmatch(r"(tcp|unix)://[\w./:-]+", value):
                yield f"{key}: {json.dumps(value)} is not an address, like tcp://buildkitd.ci:1234"
            elif value and organisation.get("ci") == "gitlab" and not organisation.get("ci_image"):
                yield f"{key}: needs a ci_image that has buildctl"
        elif key in IMAGES:
            image = value.replace("{python}", "3.13")
            yield from (f"{key}: {message}" for message in refused(key, image) if value)
        else:
            for item in value if isinstance(value, list) else [value]:
                yield from (f"{key}: {message}" for message in refused(key, item))


def wrong_path(path: Any) -> Iterator[str]:
    """Yield why a path leads to no value of k8s.toml."""
    rules = json.loads((PACKAGE / "k8s.schema.json").read_text())["properties"]
    first, _, rest = str(path).partition(".")
    if first not in rules:
        near = difflib.get_close_matches(first, rules, 1, 0.4)
        hint = f"did you mean {near[0]}?" if near else "one is labels.cost-centre"
        yield f"{json.dumps(path)} is no path in k8s.toml; {hint}"
    elif rest and rules[first]["type"] != "object":
        yield f"{json.dumps(path)}: {first} is no table; write {first} alone"


def wrong_environments(environments: dict[Any, Any]) -> Iterator[str]:
    """Yield what is wrong with the environments, whose names are those of files."""
    for name, settings in environments.items():
        if not re.fullmatch("[a-z][a-z0-9-]*", str(name)) or name == "kind":
            yield (
                f"environments: {json.dumps(name)} is not a name, like dev: lower-case letters,"
                " digits and hyphens; kind is the template's"
            )
            continue
        table = dict(settings) if isinstance(settings, dict) else {"namespace": settings}
        for key, asks in (("namespace", "namespaces"), ("datastore_root", "datastore_root")):
            if key in table:
                messages = refused(asks, table.pop(key))
                yield from (f"environments: {name}: {message}" for message in messages)
        yield from wrong_config(f"environments.{name}.k8s", table.get("k8s", {}))
        schema = json.loads(ENVIRONMENT.read_text())
        yield from map(str, schema_findings(table, schema, f"environments: {name}"))


def wrong_ci(key: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with the labels of runners, or with the logins to indexes."""
    if key in RUNNERS:
        for label in value:
            if not re.fullmatch(r"[A-Za-z][\w.-]*", str(label)):
                yield f"{key}: {json.dumps(label)} is not a label, like ubuntu-latest"
        return
    for index, names in value.items():
        if not re.fullmatch(r"[\w.-]+", str(index)):  # https://docs.astral.sh/uv/concepts/indexes/
            yield f"{key}: {json.dumps(index)} is not the name of an index of uv"
        of_secrets = [str(name) for name in names] if isinstance(names, list) else []
        if len(of_secrets) != 2 or not all(re.fullmatch(r"[A-Za-z_]\w*", n) for n in of_secrets):
            yield (
                f"{key}: {index}: {json.dumps(names)} is not the names of two secrets, for user and"
                " password, like [ACME_USER, ACME_TOKEN]"
            )


def wrong_tool(tool: str) -> Iterator[str]:
    """Yield what is wrong with the requirement from which projects get the command k8s."""
    if not tool:
        return
    try:
        requirement = Requirement(tool)
    except InvalidRequirement as error:
        yield (
            f"tool: {json.dumps(tool)} is not a requirement, like {TOOL}==0.3.0:"
            f" {str(error).splitlines()[0]}"
        )
        return
    if canonicalize_name(requirement.name) != TOOL:
        yield f"tool: {json.dumps(tool)} is not a requirement of {TOOL}, like {TOOL}==0.3.0"


def wrong_tool_index(index: str, tool: Any) -> Iterator[str]:
    """Yield what is wrong with the index that has the tool."""
    if not index:
        return
    try:
        url = urlsplit(index)
    except ValueError:
        url = urlsplit("")
    complete = url.path.startswith("/") if url.scheme == "file" else url.hostname
    if url.scheme not in ("http", "https", "file") or not complete or re.search(r"\s", index):
        yield (
            f"tool_index: {json.dumps(index)} is not the URL of an index, like"
            " https://pypi.example.com/simple"
        )
    elif url.username or url.password:
        yield (
            "tool_index: a name and password would be in every project; leave them out, and set"
            " UV_INDEX_ORGANISATION_USERNAME and UV_INDEX_ORGANISATION_PASSWORD where uv runs"
        )
    elif not tool:
        yield f"tool_index: has no effect without tool, like {TOOL}==0.3.0"
    elif "@" in str(tool):
        yield "tool_index: has no effect on a tool with a URL of its own; leave it out"


def unobtainable(tool: str, index: str) -> Iterator[str]:
    """Yield why a project would not get the tool, or not a version that fits it."""
    command = [Path(sys.executable).with_name("uv"), "pip", "compile", "-", "--no-deps", "--quiet"]
    if index:
        command += ["--default-index", f"organisation={index}"]
    uv = subprocess.run(
        [*command, "--no-header", "--no-annotate"],
        input=tool,
        env={"UV_HTTP_TIMEOUT": "20", "UV_HTTP_RETRIES": "1", **os.environ},
        capture_output=True,
        text=True,
    )
    if uv.returncode:
        where = f" from {index}" if index and "@" not in tool else ""
        yield (
            f"tool: uv cannot get {tool}{where}: publish it there, or correct this file; it says:"
            f" {uv.stderr}"
        )
        return
    (required,) = re.findall(r'^required-version = "(.*)"$', PYPROJECT.read_text(), re.MULTILINE)
    version = re.search(r"^mf-k8s==(\S+)", uv.stdout, re.MULTILINE)
    if version and not SpecifierSet(required).contains(version[1], prereleases=True):
        yield (
            f"tool: {tool} gives version {version[1]}, and projects require {required}: publish"
            " this release's with `make package`"
        )


def refused(key: str, value: Any) -> Iterator[str]:
    """Return what the question that `value` is the default of says against it."""
    question = QUESTION.get(key, key)
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        shutil.copytree(ROOT / "hooks", template / "hooks")
        shutil.copytree(PACKAGE, template / PACKAGE.relative_to(ROOT))
        shutil.copy(ROOT / "copier.yml", template)
        (template / "hooks/organisation.yml").write_text("{}\n")  # so that one value is tried
        how = {"defaults": True, "quiet": True, "pretend": True}
        data = {"advanced": True, question: value}  # which asks every question
        try:
            copier.run_copy(str(template), Path(folder, "new"), data=data, **how)
        except ValueError as error:
            if key in CHOICES:
                yield f"{json.dumps(value)} is not {CHOICES[key]}"
            else:
                message = str(error).partition(f"question '{question}': ")[2]
                yield f"{json.dumps(value)}: {message}"


def wrong_config(key: str, config: dict[str, Any]) -> Iterator[str]:
    """Return what a project would say against the first thing that is wrong in its k8s.toml."""
    for path, value in values_of(config):
        if not all(isinstance(part, str) for part in path):
            yield f"{key}: {path[-1]} is not a text; write it in quotes"
            return
        if value is None:
            where = ".".join(path[1:] if key == "gpu_pools" else path)
            yield f"{key}: {where} has no value; give it one or leave it out"
            return
    spec: Any = importlib.util.spec_from_file_location("settings", PACKAGE / "settings.py")
    settings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(settings)
    rule = settings.schema()
    if key == "gpu_pools":
        config, rule = config["pools"], rule["properties"]["pools"]
    try:
        settings.validate(config, key, rule)
    except settings.ConfigurationError as error:
        yield str(error)


def values_of(table: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield each key in a table and in the tables in it, as a path, with its value."""
    for key, value in table.items() if isinstance(table, dict) else ():
        yield (*path, key), value
        yield from values_of(value, (*path, key))


def main() -> None:
    file = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "hooks/organisation.yml"
    text = file.read_text(encoding="utf-8")
    found = list(problems(text))
    organisation = {} if found else yaml.safe_load(text) or {}
    if organisation.get("tool"):
        found = list(unobtainable(organisation["tool"], organisation.get("tool_index", "")))
    for problem in found:
        print(f"{file.name}: {' '.join(problem.split())}", file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"{file.name}: every value can be a default")


if __name__ == "__main__":
    main()
