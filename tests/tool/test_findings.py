"""Findings: their codes, and how the command prints several of them, for people and as JSON."""

import ast
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import K8S, ROOT, copy_project
from mf_k8s.errors import CommandError, Finding, findings_of, raise_if

SOURCE = ROOT / "template/tools/mf-k8s/src/mf_k8s"
Run = Callable[..., subprocess.CompletedProcess[str]]


def test_each_code_is_of_one_kind_and_documented() -> None:
    codes = Counter(
        ast.literal_eval(node.args[0])
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding"
    )
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", code) for code in codes)
    assert [code for code, number in codes.items() if number > 1] == []
    page = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    assert re.findall("^### (.+)$", page, re.M) == sorted(codes)


def test_a_finding_in_one_line() -> None:
    assert str(Finding("a", "x is missing")) == "x is missing"
    assert str(Finding("a", "x is missing", "b.toml", "add it")) == "b.toml: x is missing: add it"
    assert str(Finding("a", "b.toml lacks x", "b.toml")) == "b.toml lacks x"
    for path in ('"/project/flows/b.py"', '"flows/b.py"', r"C:\flows\b.py"):
        text = f"File {path}, line 3: no module"
        file = path.strip('"')[-10:]
        assert str(Finding("a", text, file)) == f"{file}: {text}"
    # after a colon, another one would read as an example of what the first announced
    assert str(Finding("a", "it has: x, y", "b.toml", "move them")) == (
        "b.toml: it has: x, y; move them"
    )
    two = [Finding("a", "x"), Finding("b", "y"), Finding("a", "x")]
    with pytest.raises(CommandError, match=r"\Ax\ny\Z") as raised:
        raise_if(two)
    assert [*findings_of(raised.value)] == two[:2]
    raise_if([])
    assert findings_of(KeyError()) == [Finding("error", "KeyError")]


@pytest.fixture
def project(example: Path, tmp_path: Path) -> Path:
    return copy_project(example, tmp_path / "churn-model")


@pytest.fixture
def k8s(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [K8S, *arguments], cwd=project, capture_output=True, text=True, timeout=300
        )

    return run


def test_all_faults_of_a_file_are_shown_at_once(project: Path, k8s: Run) -> None:
    environment = project / "environments/prod.json"
    environment.write_text('{"contxt": "acme", "max_workers": 0, "tags": ["a", 1]}')
    done = k8s("deploy", "--env=prod")
    assert (done.returncode, done.stdout) == (2, "")
    assert sorted(done.stderr.splitlines()) == [
        "k8s: environments/prod.json: max_workers = 0: Whole number, like 20: how many"
        " tasks of one run may run side by side.",
        "k8s: environments/prod.json: no key contxt; did you mean context?",
        'k8s: environments/prod.json: tags.1 = 1: Text, like "team:churn".',
    ]
    (project / "src/churn_model/base.py").unlink()
    (project / "src/churn_model/k8s.schema.json").unlink()
    done = k8s("check")
    assert [line.split()[1] for line in done.stderr.splitlines()] == [
        "src/churn_model/base.py",
        "src/churn_model/k8s.schema.json",
    ]


def test_json_carries_the_errors_when_nothing_could_be_checked(project: Path, k8s: Run) -> None:
    done = k8s("check", "scores", "sums", "--format=json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "version": 1,
        "equal": False,
        "flows": [],
        "errors": [
            {
                "code": "flow-unknown",
                "what": f"no flow is called {name}; flows/ has hello, train",
                "where": "flows/",
                "remedy": "",
            }
            for name in ("scores", "sums")
        ],
    }
    assert done.stderr.splitlines() == [
        f"k8s: no flow is called {name}; flows/ has hello, train" for name in ("scores", "sums")
    ]
    done = k8s("plan", "--format=json", "--against=nowhere")
    assert done.returncode == 2
    (error,) = json.loads(done.stdout)["errors"]
    assert error["code"] == "git-no-repository"


def test_json_carries_the_error_of_a_flow(project: Path, k8s: Run) -> None:
    (project / "flows/train.py").write_text("import absent\n\nnothing_of_this_name.TrainFlow()\n")
    done = k8s("check", "--format=json")
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert found["equal"] is False
    hello, train = found["flows"]
    assert hello["error"] is None
    assert "absent" in train["error"]
    assert found["errors"] == [
        {
            "code": "flow-not-compiled",
            "what": train["error"],
            "where": "flows/train.py",
            "remedy": "",
        }
    ]
    (project / "flows/train.py").unlink()
    assert json.loads(k8s("check", "--format=json").stdout)["errors"] == []
