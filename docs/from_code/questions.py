"""The questions, from copier.yml, as somebody is asked who copies the template without a fork."""

import re
from pathlib import Path
from typing import Any

import yaml
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from .markdown import code, table

ROOT = Path(__file__).parents[2]
FILTERS = "jinja2_ansible_filters.AnsibleCoreFiltersExtension"  # as Copier has them
# What Copier knows before the first question.
COPY = {"_copier_conf": {"dst_path": "new-project", "answers_file": ".copier-answers.yml"}}
WRONG = "?"  # no question takes it
IN_CONFIG, IN_PROD = "edit `k8s.toml`", "edit `environments/prod.json`"
BY_UPDATE = "`copier update`"
LATER = {  # how an answer is changed later: copier.yml does not say it
    "project_name": "locked in: a rename moves the package",
    "image": IN_CONFIG,
    "image_source": BY_UPDATE,
    "gpu": IN_CONFIG,
    "gpu_vendor": IN_CONFIG,
    "gpu_steps": IN_CONFIG,
    "service_account": IN_CONFIG,
    "shared_memory": IN_CONFIG,
    "persistent_volume_claims": IN_CONFIG,
    "cpu": IN_CONFIG,
    "memory": IN_CONFIG,
    "namespace": "edit `environments/`",
    "datastore_root": IN_PROD,
    "ci": BY_UPDATE,
    "deploy_from_ci": BY_UPDATE,
    "python_version": BY_UPDATE,
    "updates": BY_UPDATE,
    "advanced": "edit what it asks for",
    "image_pull_secrets": IN_CONFIG,
    "secrets": IN_CONFIG,
    "node_selector": IN_CONFIG,
    "tolerations": IN_CONFIG,
    "metadata_service_url": IN_PROD,
}


def questions() -> str:
    """Return the table of what is asked; stop if LATER has other questions than copier.yml."""
    found = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    asked = {
        name: question
        for name, question in found.items()
        if not name.startswith("_") and question.get("when") is not False
    }
    if differs := asked.keys() ^ LATER.keys():
        names = ", ".join(sorted(differs))
        raise SystemExit(f"{names}: copier.yml and LATER in docs/from_code/questions.py differ")
    answers: dict[str, Any] = {**COPY}
    rows = []
    for name, question in found.items():
        if name.startswith("_"):
            continue
        default = render(question["default"], answers)
        answers[name] = default if question["type"] == "str" else yaml.safe_load(default)
        if name in asked:
            text = render(question["help"], answers) + when(question)
            given = choices(question) or rule(name, question, answers)
            rows.append([code(name), text, shown(name, question, answers), given, LATER[name]])
    return table(["key", "question", "default", "answers", "to change it later"], rows)


def render(template: Any, answers: dict[str, Any]) -> str:
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(ROOT), undefined=StrictUndefined, extensions=[FILTERS]
    )
    return environment.from_string(str(template)).render(answers)


def rule(name: str, question: dict[str, Any], answers: dict[str, Any]) -> str:
    """Return what the validator says of a wrong answer: it begins with what would be right."""
    if question["type"] == "bool":
        return "yes or no"
    message = render(question["validator"], {**answers, name: WRONG}).strip()
    return re.sub(rf",? not \"{re.escape(WRONG)}\"", "", message)


def when(question: dict[str, Any]) -> str:
    """Return on what it depends whether a question is asked."""
    condition = question.get("when", "").strip("{ }")
    return f" (asked if `{condition}`)" if condition else ""


def shown(name: str, question: dict[str, Any], answers: dict[str, Any]) -> str:
    if name == "project_name":
        return "the folder's name, made valid"
    if question["type"] == "bool":
        return "yes" if answers[name] else "no"
    return code(answers[name]) if answers[name] else ""


def choices(question: dict[str, Any]) -> str:
    """Return the answers that can be chosen, as `--data` takes them, and what each says."""
    offered = question.get("choices", ())
    if not isinstance(offered, dict):
        return ", ".join(map(code, offered))
    values = [each["value"] if isinstance(each, dict) else each for each in offered.values()]
    pairs = zip(values, offered, strict=True)
    return "; ".join(f"{code(value or 'none')}: {label}" for value, label in pairs)
