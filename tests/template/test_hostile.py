"""Any text as any answer: refused with what would be right, or carried unchanged and nowhere else.

A quarter of the examples is text that breaks files, shells and templates; half fit a grammar of
the answer, written here by hand; a quarter fit it but for such text put in. EXAMPLES=5000 tries as
many.
"""

import ast
import functools
import itertools
import json
import math
import re
import shlex
import shutil
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from conftest import FIGURES, how_many
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from questions import ASKED_WITH_GPU, FREE_TEXT
from teams import SAME

EXAMPLES = how_many("EXAMPLES", 150, 2800)

# An answer to everything, each with a text of its own that is nowhere else in a project.
HARMLESS = {name: question.harmless for name, question in FREE_TEXT.items()}
HARMLESS |= {"image_source": "build", "deploy_from_ci": True, "advanced": True}


COUNT: Counter[str] = Counter()

LONG = ["A" * 10_000, "a" * 10_000, "1" * 10_000, "🙂" * 10_000, "{{" * 5_000, "a," * 5_000]
LONG += ["a:/a," * 2_000, "a=b," * 2_500, "a:NoSchedule," * 770, "a-" * 5_000, "/a" * 5_000]
NASTY = [
    *('"', "'", "\\", '\\"', '"""', "'''", "`", "\n", "\r\n", "\t", "\0", "\x1b[31m", "\x85"),
    *("{{ 7 * 7 }}", "{% raw %}", "{#", "{{", "${{ github.token }}", "${HOME}", "$(id)", "`id`"),
    *("%", "%s", "%(name)s", "; id #", "&& id", "| id", "> /tmp/x", "--privileged", "$", "!"),
    *('"\nRUN id', "\nFROM evil:1", "\nrun: id", '"]\n[evil]\nx = "', "\nevil: true", "#", " # x"),
    *('", "evil": "', "*anchor", "&anchor", "!!python/object", "---", "...", "- ", ": ", "? ", "@"),
    *(
        "é",
        "🙂",
        "👩‍👩‍👧",
        "שלום",
        "\u202eabc",
        "\u200b",
        "\ufeff",
        "\u2028",
        "Ａ",
        "\u0663",
        "e\u0301",
    ),
    *("yes", "no", "null", "~", "true", "1e3", "0x1f", "1_000", ".inf", ".nan", "1:30", "<<", "="),
    *(" ", "", "../..", "/", "//", "..", ",", ",,", "[]", "{}", "[1]", *LONG),
]
TEXT = some.one_of(
    some.sampled_from(NASTY),
    some.text(max_size=50),
    some.lists(some.sampled_from(NASTY), min_size=2, max_size=4).map("".join),
)


def answers(question: str) -> some.SearchStrategy[str]:
    """Return texts for a question: any text, its own grammar, and its grammar with text put in."""
    grammar, many_items = FREE_TEXT[question].grammar, FREE_TEXT[question].many
    good = some.from_regex(grammar, fullmatch=True, alphabet=some.characters(codec="ascii"))
    if many_items:
        comma = some.sampled_from([",", ", ", " ,\t"])
        several = some.lists(good, min_size=1, max_size=5, unique=True)
        many = some.integers(100, 250).map(many_items)
        good = some.one_of(
            good, some.builds(str.join, comma, several), many, some.sampled_from(["", "  "])
        )

    def put_in(text: str, nasty: str, where: int) -> str:
        return text[: where % (len(text) + 1)] + nasty + text[where % (len(text) + 1) :]

    twisted = some.builds(put_in, good, TEXT, some.integers(0, 300))
    kinds = [good, good, TEXT, twisted]
    return some.integers(0, 3).flatmap(kinds.__getitem__)  # one_of would weigh the parts of each


def without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}


def expected_k8s(question: str, text: str, usual: dict[str, Any]) -> dict[str, Any]:
    changed = {question: FREE_TEXT[question].meaning(text) or None} if question in usual else {}
    if question == "gpu" and not int(text):
        changed["gpu_vendor"] = None
    return without_none({**usual, **changed})


def expected_environment(question: str, text: str, usual: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if question == "project_name":
        changed = {"user": text}
    if question == "namespace":
        changed = {"METAFLOW_KUBERNETES_NAMESPACE": text}
    if question == "metadata_service_url":
        service = {"METAFLOW_DEFAULT_METADATA": "service", "METAFLOW_SERVICE_URL": text}
        changed = service if text else dict.fromkeys(service)
    if question == "datastore_root":
        kind = {"s3:": "s3", "gs:": "gs"}.get(text[:3], "azure") if text else None
        changed = {"METAFLOW_DATASTORE_SYSROOT_S3": None, "METAFLOW_DEFAULT_DATASTORE": kind}
        changed |= {f"METAFLOW_DATASTORE_SYSROOT_{kind.upper()}": text} if kind else {}
    return without_none({**usual, **changed})


def expected_kind(question: str, text: str, usual: dict[str, Any]) -> dict[str, Any]:
    if question == "project_name":
        return {**usual, "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://metaflow/{text}"}
    return {**usual, **({"METAFLOW_KUBERNETES_NAMESPACE": text} if question == "namespace" else {})}


def expected_answers(question: str, text: str, usual: dict[str, Any]) -> dict[str, Any]:
    of_gpus = dict.fromkeys(ASKED_WITH_GPU) if question == "gpu" and not int(text) else {}
    return without_none({**usual, question: text, **of_gpus})


PARSED: dict[str, tuple[Callable[[str], Any], Callable[..., Any]]] = {
    "k8s.toml": (tomllib.loads, expected_k8s),
    "environments/kind.json": (json.loads, expected_kind),
    "environments/prod.json": (json.loads, expected_environment),
    ".copier-answers.yml": (yaml.safe_load, expected_answers),
}


@pytest.fixture(scope="module")
def copy(template: Path, tmp_path_factory: Any) -> Callable[..., dict[str, str]]:
    """Return a function that copies the template and gives each file's text.

    From a plain folder, without tools/, because there are a thousand copies: no answer is in there.
    """
    source = tmp_path_factory.mktemp("hostile")
    assert not [*(template / "template/tools").rglob("*.jinja")]
    shutil.copytree(template, source / "of", ignore=shutil.ignore_patterns(".git", "tools"))
    copies = itertools.count()

    def copy(**changed: Any) -> dict[str, str]:
        project = source / str(next(copies))
        data = HARMLESS | changed | SAME
        try:
            copier.run_copy(
                str(source / "of"), project, data=data, defaults=True, quiet=True, unsafe=False
            )
            files = [path for path in project.rglob("*") if path.is_file()]
            return {str(path.relative_to(project)): path.read_bytes().decode() for path in files}
        finally:
            shutil.rmtree(project, ignore_errors=True)

    return copy


@pytest.fixture(scope="module")
def usual(copy: Callable[..., dict[str, str]]) -> dict[str, str]:
    return copy()


@functools.cache  # most files are the same in all copies
def parses(name: str, text: str) -> None:
    """Raise if a file is none of its kind."""
    if name.endswith(".py"):
        ast.parse(text)
    elif name.endswith((".yml", ".yaml")):
        list(yaml.safe_load_all(text))
    elif name.endswith(".json"):
        json.loads(text)
    elif name.endswith(".toml"):
        tomllib.loads(text)


# What GCS and Azure add to pyproject.toml and the README; the harmless one is S3.
OF_DATASTORE = re.compile(
    '^    "(azure|google|simple)-[a-z-]+>=[0-9.]+",\n|^Azure also needs [A-Z_]+ in the file: .*\n',
    re.MULTILINE,
)


def spaces(text: str) -> str:
    """Return a text without its alignment, which depends on how long a name is."""
    return re.sub(" +", " ", text)


def check_project(question: str, text: str, files: dict[str, str], usual: dict[str, str]) -> None:
    """Hold a project against the harmless one: only the answer's own places may differ."""
    old, new = HARMLESS[question], text

    def renamed(item: str) -> str:
        if question == "project_name":
            item = item.replace(old.replace("-", "_"), new.replace("-", "_"))
        if question == "memory":  # one step of flows/train.py has twice as much
            item = item.replace("143434", str(min(2 * int(text), 100_000_000)))
        return item.replace(old, new) if question in ("project_name", "image") else item

    if question in ("project_name", "image"):  # in shell lines, as they are
        assert shlex.quote(text) == text
    assert files.keys() == {renamed(name) for name in usual}
    for name, item in usual.items():
        found = files[renamed(name)]
        parses(name, found)
        if name in PARSED:
            load, expected = PARSED[name]
            assert load(found) == expected(question, text, load(item)), name
        else:
            if question == "datastore_root":
                found = OF_DATASTORE.sub("", found)
            assert spaces(found) == spaces(renamed(item)), name


def try_answer(question: str, text: str, copy: Callable[..., Any], usual: dict[str, str]) -> None:
    try:
        files = copy(**{question: text})
    except ValueError as refusal:
        COUNT["refused"] += 1
        message = str(refusal).partition(f"question '{question}': ")[2]
        assert message.startswith(FREE_TEXT[question].remedies), str(refusal)
    else:
        COUNT["carried"] += 1
        check_project(question, text, files, usual)
    FIGURES["hostile answers"] = f"{COUNT['carried']} carried, {COUNT['refused']} refused"


@pytest.mark.parametrize("question", sorted(FREE_TEXT))
def test_hostile_answer(question, copy, usual):
    @settings(
        max_examples=math.ceil(EXAMPLES / len(FREE_TEXT)),
        derandomize=True,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(answers(question))
    def examples(text: str) -> None:
        try_answer(question, text, copy, usual)

    examples()


@pytest.mark.parametrize("question", sorted(FREE_TEXT))
def test_long_answer(question, copy, usual):
    """None of them takes the checks more than a moment."""
    started = time.monotonic()
    for text in LONG:
        try_answer(question, text, copy, usual)
    assert time.monotonic() - started < 30
