"""Writes what the documentation repeats of the code: `make docs`.

Some pages are written as a whole. In the others a table stands between two comments, of which the
first names it: `<!-- written by make docs: NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from from_code import commands, doctor, keys, messages, questions, speed, symptoms

DOCS = Path(__file__).parent
MARKED = re.compile(r"(<!-- written by make docs: (.+?) -->\n).*?(<!-- end -->)", re.S)
WHOLE: dict[str, Callable[[], str]] = {
    "doctor.md": doctor.doctor_page,
    "permissions.md": doctor.permissions_page,
}
TABLES: dict[str, Callable[[], str]] = {
    "commands": commands.all_commands,
    "exit codes": commands.exit_codes,
    "questions": questions.questions,
    "pods without a node": symptoms.no_node,
    "images that are not pulled": symptoms.no_image,
    "containers that are not made": symptoms.no_container,
    "pods that are refused": symptoms.refused,
    "steps that fail": symptoms.failed,
    "workflows": symptoms.workflows,
    "docker and kind": symptoms.programs,
    "keys of k8s.toml": keys.config,
    "keys of environments": keys.environments,
    "keys of kind.toml": keys.kind_tests,
    "keys of pyproject.toml": keys.tool_table,
    "speed": speed.speed,
    "messages of flows": messages.of_flows,
    "messages by code": messages.by_code,
    **{f"options of {name}": partial(commands.options, name) for name in commands.WITH_OPTIONS},
}


def pages() -> list[Path]:
    """Return the pages of which the code gives all or a part."""
    found = sorted(DOCS.glob("*.md"))
    return [page for page in found if page.name in WHOLE or MARKED.search(read(page))]


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def written(page: Path) -> str:
    """Return the text that a page should have."""
    if page.name in WHOLE:
        return WHOLE[page.name]()
    return MARKED.sub(
        lambda found: f"{found[1]}{TABLES[found[2]]().strip()}\n{found[3]}", read(page)
    )


if __name__ == "__main__":
    for page in [DOCS / name for name in WHOLE] + pages():
        page.write_text(written(page), encoding="utf-8")
