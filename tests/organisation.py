"""Checks hooks/organisation.yml, or the file that is named: `make organisation-check`.

Its values are held against the questions' own validators and the schema of k8s.toml.
"""

import difflib
import importlib.util
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import copier
import yaml

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "template/src/{{ package_name }}"
TEXT, LIST, TABLE = (str, "a text"), (list, "a list of names, like [team-a]"), (dict, "a table")
KINDS: dict[str, tuple[type, str]] = {
    "registry": TEXT,
    "namespaces": LIST,
    "service_accounts": LIST,
    "persistent_volume_claims": TEXT,
    "datastore_root": TEXT,
    "ci": TEXT,
    "gpu_pools": TABLE,
}
QUESTION = {"registry": "image", "namespaces": "namespace", "service_accounts": "service_account"}


def problems(text: str) -> Iterator[str]:
    """Give a line for each thing that is wrong in the text of an organisation.yml."""
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
            yield f"{mark} is not possible: Copier reads this file as a template"
            return
    for key, value in organisation.items():
        if key not in KINDS:
            near = difflib.get_close_matches(str(key), KINDS, 1, 0)
            yield f"{key}: no such key; did you mean {near[0]}?"
        elif not isinstance(value, KINDS[key][0]) or value == []:
            yield f"{key}: {json.dumps(value, default=str)} is not {KINDS[key][1]}"
        elif key == "gpu_pools":
            yield from wrong_pools(value)
        else:
            for item in value if isinstance(value, list) else [value]:
                yield from (f"{key}: {said}" for said in refused(key, item))


def refused(key: str, value: Any) -> Iterator[str]:
    """Give what the question that `value` is the default of says against it."""
    question = QUESTION.get(key, key)
    answer = f"{value}/project:0.1.0" if key == "registry" else value
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder, "template")
        shutil.copytree(ROOT / "hooks", template / "hooks")
        shutil.copytree(PACKAGE, template / PACKAGE.relative_to(ROOT))
        shutil.copy(ROOT / "copier.yml", template)
        (template / "hooks/organisation.yml").write_text("{}\n")  # so that one value is tried
        how = {"defaults": True, "quiet": True, "pretend": True}
        try:
            copier.run_copy(str(template), Path(folder, "new"), data={question: answer}, **how)
        except ValueError as error:
            if key == "ci":
                yield f"{json.dumps(value)} is not github, gitlab or none"
            else:
                yield re.sub(rf".*?\b{question}: ", "", str(error), count=1, flags=re.DOTALL)


def wrong_pools(pools: dict[str, Any]) -> Iterator[str]:
    """Give what a project would say against the first wrong pool in its k8s.toml."""
    for name, pool in pools.items():
        if not isinstance(name, str):
            yield f"gpu_pools: {name} is not a text; write it in quotes"
            return
        if isinstance(pool, dict) and None in pool.values():
            empty = next(key for key, value in pool.items() if value is None)
            yield f"gpu_pools: {name}.{empty} has no value; give it one or leave it out"
            return
    spec: Any = importlib.util.spec_from_file_location("settings", PACKAGE / "settings.py")
    settings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(settings)
    try:
        settings.validate(pools, settings.schema("#/properties/pools"), "gpu_pools")
    except settings.ConfigurationError as error:
        yield str(error)


def main() -> None:
    file = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "hooks/organisation.yml"
    found = [" ".join(problem.split()) for problem in problems(file.read_text(encoding="utf-8"))]
    for problem in found:
        print(f"{file.name}: {problem}", file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"{file.name}: every value can be a default")


if __name__ == "__main__":
    main()
