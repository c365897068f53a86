"""The documentation is run: tests/documentation.py. What needs a cluster is in tests/cluster/."""

import json
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
import yaml
from conftest import EXAMPLE, ROOT, UV, run
from documentation import (
    PAGES,
    PROJECTS,
    blocks,
    clone,
    code_spans,
    has_commands,
    home_of_reader,
    needs_cluster,
    run_page,
    script,
    started,
)
from mf_k8s.cli import app
from mf_k8s.programs.arguments import split_arguments
from package_indexes import serve_folder
from teams import commit, git

PARSERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
    "sh": lambda text: subprocess.run(["bash", "-n"], input=text, text=True, check=True),
}
TOOL = "template/tools/mf-k8s"
COMMANDS = typer.main.get_command(app)
INCOMPLETE = re.compile("Missing parameter|requires an argument")  # as a sentence may name it
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.fixture(scope="module")
def pages(example: Path) -> dict[str, str]:
    """Return all pages by name, with the README of a project as it is rendered."""
    return {name: path.read_text() for name, path in PAGES.items()} | {
        PROJECTS: (example / "README.md").read_text()
    }


def test_blocks_parse(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        for block in blocks(page):
            try:
                PARSERS.get(block.language, str)(block.text)
            except Exception as error:
                pytest.fail(f"{name}:{block.line}: {error}")


def test_each_block_of_commands_is_run(pages: dict[str, str]) -> None:
    """A page with commands runs, with a cluster or without; what cannot be run says why."""
    left_out = []
    for name, page in pages.items():
        for block in blocks(page):
            if block.language == "sh" and not block.note.startswith("not run"):
                first, *_ = block.text.splitlines()
                assert script(page).splitlines()[block.line] == first.replace(" && ", "; ")
            left_out += [f"{name}: {block.note}"] if block.note.startswith("not run") else []
    assert left_out == NOT_RUN


NOT_RUN = [
    "docs/images.md: not run: it changes the kernel of the machine",
    "docs/images.md: not run: the tests have no Trivy, nor its list of vulnerabilities",
]


def test_trees_show_files_of_a_project(pages: dict[str, str], example: Path) -> None:
    for name in ("README.md", PROJECTS):
        (tree,) = [block for block in blocks(pages[name]) if block.language == "text"]
        paths = [line.split()[0] for line in tree.text.splitlines()]
        found = [path.replace("<package>", "churn_model") for path in paths]
        assert [path for path in found if not (example / path).exists()] == [], name


def commands(page: str) -> Iterator[list[str]]:
    """Yield the words of each command of a page, of its blocks and of its sentences."""
    spans = list(code_spans(page))
    spans += [block.text.replace("\\\n", "") for block in blocks(page) if block.language == "sh"]
    for span in spans:
        for text in re.split(r"&&|[|;\n]|\$\(|\)|`", span):
            with_comment = re.split(r"\s#", text)[0]
            try:
                yield shlex.split(with_comment)
            except ValueError:  # a part of a text in quotes
                continue


def wrong(words: list[str]) -> str:
    """Return what the parser of `k8s` or make says against a command, or nothing."""
    if words[:2] == ["uv", "run"]:
        words = words[2:]
    if words[:1] == ["make"]:
        targets = [word for word in words[1:] if word.islower()]
        return ", ".join(name for name in targets if f"\n{name}:" not in MAKEFILE)
    names = COMMANDS.commands
    if words[:1] == ["k8s"]:
        words = words[1:]
    elif not (words[:1] and words[0] in names and any(word[0] == "-" for word in words[1:])):
        return ""
    words, _ = split_arguments(words)
    command, path = COMMANDS, "k8s"
    while words and hasattr(command, "commands"):
        if words[0] in ("--help", "…") or words[0].isupper():  # COMMAND
            return ""
        if words[0] not in command.commands:
            return f"{path} has no {words[0]}"
        command, path = command.commands[words[0]], f"{path} {words[0]}"
        words = words[1:]
    if not words or "--help" in words:
        return ""
    try:
        command.make_context(path, [*words])
    except Exception as error:
        if not INCOMPLETE.search(str(error)):
            return f"{path} {shlex.join(words)}: {error}"
    return ""


def test_commands_exist(pages: dict[str, str]) -> None:
    """Of sentences, too: each command and option is one of the parser of `k8s`."""
    found = [
        f"{name}: {message}"
        for name, page in pages.items()
        for words in commands(page)
        if (message := wrong(words))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("uv run k8s chek", "k8s has no chek"),
        ("k8s kind u", "k8s kind has no u"),
        ("plan --agains main", "k8s plan --agains main: No such option: --agains"),
        ("k8s check --format yaml", "k8s check --format yaml: Value error"),
        ("make tests", "tests"),
    ],
)
def test_wrong_command_is_found(command: str, message: str) -> None:
    assert wrong(shlex.split(command)).startswith(message)


PAGE = """# A page

<!-- run: cat >names.txt -->
```text
ann
```

To list them:

<!-- run: test -e names.txt -->
```sh
cat names.txt && {command}
```

<!-- run: diff - <(cat names.txt) -->
```
{output}
```
"""


@pytest.mark.parametrize(
    ("command", "output", "message"),
    [
        ("cat name.txt", "ann", "a page:12: exit code 1: cat name.txt\n"),
        ("false && true", "ann", "a page:12: exit code 1: false\n"),
        ("nothing", "ann", "a page:12: exit code 127: nothing\n"),
        ("true", "bob", "a page:16: exit code 1: diff - "),
    ],
)
def test_wrong_page_is_found(tmp_path: Path, command: str, output: str, message: str) -> None:
    """A command that fails, wherever it stands, and output that is another one now."""
    page = PAGE.format(command=command, output=output)
    with pytest.raises(AssertionError, match=re.escape(message)):
        run_page("a page", page, tmp_path, os.environ)
    done = run_page("a page", PAGE.format(command="true", output="ann"), tmp_path, os.environ)
    assert "+ a page:12: cat names.txt\nann\n" in done


@pytest.fixture(scope="module")
def env(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return home_of_reader(tmp_path_factory.mktemp("reader") / "home", template)


@pytest.mark.long
def test_contributing(
    pages: dict[str, str], template: Path, env: dict[str, str], tmp_path: Path
) -> None:
    run_page("CONTRIBUTING.md", pages["CONTRIBUTING.md"], clone(template, tmp_path / "clone"), env)


@pytest.mark.long
def test_organisation(pages: dict[str, str], template: Path, tmp_path: Path) -> None:
    """A fork with an index of its own, beside the template, which has a newer release."""
    origin, fork = tmp_path / "template", tmp_path / "fork"
    git("clone", "-q", str(template), str(origin), cwd=tmp_path)
    git("tag", "v0.3.0", cwd=origin)
    git("clone", "-q", "--bare", str(origin), "fork.git", cwd=tmp_path)
    (origin / "README.md").write_text("# newer\n")
    commit(origin)
    git("tag", "v0.4.0", cwd=origin)
    clone(tmp_path / "fork.git", fork)
    (tmp_path / "index").mkdir()
    with serve_folder(tmp_path / "index") as index:
        built = tmp_path / "index/uploaded/simple/mf-k8s"
        run(UV, "build", "--quiet", "--wheel", "--out-dir", built, cwd=ROOT / TOOL)
        simple = f"{index.url}/uploaded/simple"
        names = {
            "https://pypi.acme.example/simple": simple,
            "https://pypi.acme.example/upload": f"{index.url}/upload",
        }
        env = home_of_reader(tmp_path / "home", origin)
        env |= {"UV_PUBLISH_USERNAME": "ann", "UV_PUBLISH_PASSWORD": "sesame"}
        run_page("docs/organisation.md", pages["docs/organisation.md"], fork, env, names)
    tags = git("tag", "--list", "v*.post*", cwd=tmp_path / "fork.git").split()
    assert tags == ["v0.3.0.post1", "v0.4.0.post1", "v0.4.0.post2"]
    assert (built / "mf_k8s-0.4.0.post2-py3-none-any.whl").exists()


OF_THEIR_OWN = ("CONTRIBUTING.md", "docs/organisation.md")
IN_A_PROJECT = [
    name
    for name, path in PAGES.items()
    if has_commands(path.read_text())
    and not needs_cluster(path.read_text())
    and name not in OF_THEIR_OWN
]


@pytest.mark.long
@pytest.mark.parametrize("name", IN_A_PROJECT)
def test_page_in_a_project(
    name: str,
    pages: dict[str, str],
    copy: Callable[..., Path],
    env: dict[str, str],
    tmp_path: Path,
) -> None:
    run_page(name, pages[name], started(copy(tmp_path / "churn-model", **EXAMPLE)), env)
