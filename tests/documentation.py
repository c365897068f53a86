"""The pages of the documentation as programs: each is one session of bash, from top to bottom.

Its script has each command in the line in which the page has it, so bash itself says which line
of which page fails. What readers do beside the commands, like writing a block to a file, is in
comments of HTML, which they do not see:

<!-- run: COMMAND -->      directly above a block that is not of sh: the block is its input
<!-- run: COMMAND -->      elsewhere: a command more
<!-- not run: REASON -->   above a block of commands that cannot be run here
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from conftest import BIN, OWN_PYTHON, ROOT, UV, run
from markdown_it import MarkdownIt
from teams import commit, git

PROJECTS = "a project's README.md"
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
        ROOT / "template/tools/mf-k8s/README.md",
    )
}
END = "END OF BLOCK"
# Each line is printed before it runs, and the one that fails is the last that is printed.
FIRST_LINE = (
    "PS4='+ $0:$LINENO: '; NEWLINE=$'\\n'; trap '"
    'echo "$0:$LINENO: exit code $?: ${BASH_COMMAND%%$NEWLINE*}"\' ERR'
)
NOTE = re.compile(r"<!--\s*((?:not )?run:.*?)\s*-->", re.DOTALL)
CLUSTER = re.compile(r"\bk8s (kind|image|deploy|doctor)|\b(kubectl|docker) ")
MARKDOWN = MarkdownIt().enable("table")

# What pages call by an example's name, and what it is here.
NAMES = {
    "new-project": ".",  # so that the next block is run in it
    "PACKAGE": "tabulate",
    "FOLDER": "logs",
}
# Programs that do something else here. Those that ask have their answers by options.
PROGRAMS = {
    "uv": f'exec {UV} "$@"',
    "uvx": f"""shift  # copier
        case "$1" in
            copy) shift; set -- copy --defaults --data-file "$ANSWERS" "$@";;
            update) git add -A; git diff --cached --quiet || git commit -qm work;;  # as pages ask
        esac
        {BIN}/copier "$@" || exit
        test -e .git && exit
        eval "$EDITS"; git init -q; git add .; git commit -qm Begin""",
    "merge": f'exec {BIN}/python {ROOT}/tests/merge_toml.py "$@"',  # FILE, with a block of TOML
    # In a clone. What runs all tests, or asks the internet, is looked up only.
    "make": """test -f Makefile || cd "$REPOSITORY"
        case "$1" in organisation-check | package) ;; *) set -- --dry-run "$@";; esac
        PATH=/usr/bin:/bin:$PATH exec /usr/bin/make --old-file=.venv/bin/locked "$@" """,
}


@dataclass(frozen=True)
class Block:
    """A fenced block, or with no language a comment that has a command; `line` counts from 1."""

    language: str
    text: str
    line: int
    note: str = ""

    def lines(self) -> dict[int, str]:
        """Return what of the page's script comes of it, by line."""
        text = self.text.splitlines()
        verb, _, command = self.note.partition(":")
        if not self.language:
            return dict(enumerate(command.splitlines(), self.line))
        if self.language == "sh" and verb != "not run":
            # bash does not stop at the first of two commands that && joins
            text = [command, *(line.replace(" && ", "; ") for line in text)]
        elif verb == "run":
            text = [f"{command} <<'{END}'", *text, END]
        else:
            return {}
        return dict(enumerate(text, self.line))


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page, and its commands in comments, in order."""
    before = Block("", "", 0)
    for token in MARKDOWN.parse(page):
        first, end = token.map or (0, 0)
        if token.type == "fence":
            directly = before.note and before.line + before.note.count("\n") == first
            if before.note and not directly:
                yield before
            language = token.info.strip() or "text"
            yield Block(language, token.content, first + 1, before.note if directly else "")
            before = Block("", "", 0)
        elif token.type == "html_block" and (note := NOTE.search(token.content)):
            if before.note:
                yield before
            before = Block("", "", first + 1, note[1])
    if before.note:
        yield before


def code_spans(page: str) -> Iterator[str]:
    """Yield what a page has in backticks within a text."""
    for token in MARKDOWN.parse(page):
        yield from (
            " ".join(child.content.split())
            for child in token.children or ()
            if child.type == "code_inline"
        )


def script(page: str) -> str:
    """Return the commands of a page, each in its line."""
    lines = [""] * len(page.splitlines())
    for block in blocks(page):
        for number, line in block.lines().items():
            lines[number - 1] = line
    return "\n".join([FIRST_LINE, *lines[1:]]) + "\n"


def write_programs(folder: Path, programs: Mapping[str, str] = PROGRAMS) -> None:
    folder.mkdir()
    for name, body in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)


def home_of_reader(folder: Path, template: Path, **answers: Any) -> dict[str, str]:
    """Make a home for readers, whose git takes the template for what is on GitHub.

    Return their variables. The answers are those that they give to Copier.
    """
    folder.mkdir()
    github = "https://github.com/org/mf-template"
    (folder / ".gitconfig").write_text(
        "[user]\nname = Ann\nemail = ann@example.com\n[init]\ndefaultBranch = main\n"
        f'[url "{template}"]\ninsteadOf = {github}.git\ninsteadOf = {github}\n'
    )
    (folder / "answers.yml").write_text(yaml.safe_dump({"python_version": OWN_PYTHON} | answers))
    write_programs(folder / "bin")
    own = {key: value for key, value in os.environ.items() if not key.startswith("METAFLOW_")}
    own.pop("VIRTUAL_ENV", None)
    return own | {
        "EDITS": "",
        "REPOSITORY": str(template),
        "ANSWERS": str(folder / "answers.yml"),
        "HOME": str(folder),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "METAFLOW_HOME": str(folder / "metaflow"),
        "USER": "ann",
        "UV_CACHE_DIR": run(UV, "cache", "dir", cwd=ROOT).strip(),
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        "COLUMNS": "160",
        "BROWSER": "true",  # which opens nothing
    }


def clone(template: Path, folder: Path) -> Path:
    """Return a clone of this repository, with its environment, in which pytest only collects."""
    git("clone", "-q", str(template), str(folder), cwd=template)
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    for file in BIN.iterdir():
        (programs / file.name).symlink_to(file)
    (folder / ".venv/lib").symlink_to(BIN.parent / "lib")
    (folder / ".venv/pyvenv.cfg").symlink_to(BIN.parent / "pyvenv.cfg")
    (programs / "pytest").unlink()
    write = f'#!/bin/sh\nexec {BIN}/pytest --collect-only -q -p no:cacheprovider "$@"\n'
    (programs / "pytest").write_text(write)
    (programs / "pytest").chmod(0o755)
    return folder


def run_page(
    name: str,
    page: str,
    folder: Path,
    env: Mapping[str, str],
    names: Mapping[str, str] | None = None,
) -> str:
    """Run a page in a folder, and return all that it prints."""
    for old, new in {**NAMES, **(names or {})}.items():
        page = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _, new=new: new, page)
    done = subprocess.run(
        ["bash", "-eEx", "-o", "pipefail", "-c", script(page), name],
        cwd=folder, env={**env}, timeout=1800, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def started(project: Path) -> Path:
    """Return a project whose first commit is made, as Copier's message says to do."""
    git("init", "-q", "-b", "main", cwd=project)
    commit(project)
    return project


def has_commands(page: str) -> bool:
    return bool(script(page).removeprefix(FIRST_LINE).strip())


def needs_cluster(page: str) -> bool:
    """Whether a page has a command that needs Docker or a cluster."""
    return bool(CLUSTER.search(script(page)))
