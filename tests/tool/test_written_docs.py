"""What `make docs` writes: nothing in docs/ is older than the code that it comes from."""

import ast
import re
from pathlib import Path

import pytest
import write
from conftest import ROOT
from from_code import questions, symptoms, texts, variables
from mf_k8s import cli
from mf_k8s.commands.exit_codes import EXIT_CODES

COMMANDS = ROOT / "template/tools/mf-k8s/src/mf_k8s/commands"


@pytest.mark.parametrize("page", write.pages(), ids=lambda page: page.name)
def test_no_page_is_stale(page: Path) -> None:
    assert page.read_text() == write.written(page), "`make docs` writes it anew"


def test_each_table_is_in_one_page() -> None:
    text = "".join(map(write.read, write.pages()))
    names = re.findall("<!-- written by make docs: (.+?) -->", text)
    assert sorted(names) == sorted(write.TABLES)
    assert text.count("<!-- end -->") == len(names)


def test_a_command_ends_with_1_where_the_table_says_so() -> None:
    """`raise typer.Exit(…)`, but for those whose code is 0, is in the file of such a command."""
    ending = set()
    for file in COMMANDS.glob("*.py"):
        for function in ast.parse(file.read_text()).body:
            if isinstance(function, ast.FunctionDef) and "typer.Exit(" in ast.unparse(function):
                name = f"kind {function.name}" if file.stem == "kind" else file.stem
                ending.add(name)
    assert ending == {name for name, codes in EXIT_CODES.items() if codes.answer}


def test_help_ends_with_the_exit_codes() -> None:
    epilogs = {
        f"{group}{command.callback.__name__}": command.epilog
        for group, app in (("", cli.app), ("kind ", cli.kind_app))
        for command in app.registered_commands
    }
    assert epilogs == {name: codes.line for name, codes in EXIT_CODES.items()}
    assert epilogs["plan"] == (
        "Exit codes: 0 success; 1 something changes (with --exit-code); 2 an error."
    )


def test_a_question_without_a_remark_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(questions.LATER, "cpu")
    with pytest.raises(SystemExit, match="cpu: copier.yml and LATER in "):
        questions.questions()


def test_a_rule_without_an_example_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symptoms, "PULLS", [each for each in symptoms.PULLS if "x509" not in each])
    with pytest.raises(SystemExit, match=r"has no message for \(\?i\)x509\|certificate"):
        symptoms.no_image()


SOURCE = """
NAME = "k8s.toml"

def reason(file):
    return f"{file} is gone", "make it"

def find(what, many=True):
    why, remedy = reason(what)
    if many:
        remedy += " twice"
    text = f"{NAME}: {why}" if many else "no flow " + "here"
    return Finding("a", text, "", remedy)

def other(what):
    what = f"{what.name} of {count()}"
    yield Finding("b", what)

def third(message):
    raise CommandError(Finding("c", message))

third("one" " line")
third(message=NAME)
"""


def test_what_a_message_may_say(tmp_path: Path) -> None:
    """Where a name has several values, each; … is what is known only when it runs."""
    file = tmp_path / "module.py"
    file.write_text(SOURCE)
    source = texts.Source([file])
    (module,) = source.modules
    said = [
        [source.texts(module, texts.argument(call, place, name)) for place, name in ARGUMENTS]
        for call in module.calls["Finding"]
    ]
    assert said == [
        [["k8s.toml: … is gone", "no flow here"], ["make it", "make it twice"]],
        [["… of …"], [""]],
        [["one line", "k8s.toml"], [""]],
    ]


ARGUMENTS = [(1, "what"), (3, "remedy")]


# By their names in small letters, or by that of an index.
NAMED_OTHERWISE = {"HTTP_PROXY", "UV_INDEX_NAME_PASSWORD", "UV_INDEX_NAME_USERNAME"}
NO_ROW = {"PATH"}


def test_each_variable_that_is_read_has_a_row() -> None:
    page = (ROOT / "docs/variables.md").read_text()
    cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", page, re.MULTILINE)
    rows = [name for cell in cells for name in re.findall(r"\w+", cell)]
    assert len(rows) == len({*rows})
    read = {*variables.read_by_code(), *variables.read_by_ci()} - NO_ROW
    assert {*rows} - NAMED_OTHERWISE == read


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("os.environ.get(A)", "K8S_A"),
        ("os.environ['K8S_A']", "K8S_A"),
        ("'K8S_A' in os.environ", "K8S_A"),
        ("os.getenv('K8S_A')", "K8S_A"),
        ("run(process_variables().get('K8S_A', ''))", "K8S_A"),
        ("typer.Option(envvar='K8S_A')", "K8S_A"),
        ("target.configuration.setting('A')", "METAFLOW_A"),
        ("os.environ['K8S_A'] = '1'", None),
        ("settings.get('K8S_A')", None),
    ],
)
def test_what_reads_a_variable(line: str, name: str | None, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(f"A = 'K8S_A'\n{line}\n")
    source = texts.Source([file])
    (module,) = source.modules
    found = [
        prefix + text
        for read, prefix in variables.names_read(module)
        for text in source.texts(module, read)
    ]
    assert found == ([name] if name else [])


def test_each_job_of_ci_has_a_row() -> None:
    """Those of the templates, whichever answers bring them; and no row has another job."""
    template = ROOT / "template"
    jobs = set()
    for file in template.rglob("*.jinja"):
        text = file.read_text()
        if ".github" in str(file):
            jobs |= {*re.findall(r"^  ([a-z]+):(?: #.*)?$", text.partition("\njobs:\n")[2], re.M)}
        elif ".gitlab-ci.yml" in str(file):
            jobs |= {*re.findall(r"^([a-z]+)(?:-\{\{.*\}\})?:$", text, re.M)}
    jobs -= {"workflow", "variables", "default"}
    page = (ROOT / "docs/ci.md").read_text()
    table = page.partition("## What the jobs do")[2].partition("\n## ")[0]
    assert {name for name in jobs if f"`{name}`" in table} == jobs
    rows = re.findall(r"^\| ((?:`[a-z]+`(?:, )?)+)", table, re.M)
    assert {name for row in rows for name in re.findall("[a-z]+", row)} == jobs - {"changes"}
