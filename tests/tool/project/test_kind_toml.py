"""tests/kind.toml: the values of tests, the tables of flows, and what is wrong in them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kind_objects import PODS
from mf_k8s import testing
from mf_k8s.errors import CommandError
from mf_k8s.kind.namespace_objects import (
    needed_objects,
    with_values,
)
from mf_k8s.project import kind_toml
from mf_k8s.project.project import Project
from stand_ins import STANDING, k8s

__all__ = ["k8s"]  # fixtures

VALUES = """
[variables]
API_URL = "http://localhost"
TOKEN = { from = "CI_TOKEN" }
UNSET = { from = "NOWHERE" }
[secrets.db]
password = "test-only"
user = { from = "CI_TOKEN" }
other = { from = "NOWHERE" }
[secrets.both]
".dockerconfigjson" = "{}"
[hello]
parameters = ["--who=me"]
"""


def test_values_for_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No value has to be committed: it may be a variable of whoever runs the tests."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows/hello.py").touch()
    (tmp_path / "tests/kind.toml").write_text(VALUES)
    monkeypatch.setenv("CI_TOKEN", "from CI")
    project = Project(tmp_path, "churn_model")
    variables = {"API_URL": "http://localhost", "TOKEN": "from CI"}
    assert kind_toml.variables_of_tests(project) == variables
    hello = testing.Flow(project, "flows/hello.py", [], ["--who=me"], "")
    assert hello.variables == variables | {
        "password": "test-only",
        "user": "from CI",
        ".dockerconfigjson": "{}",
    }
    assert kind_toml.read_flow_settings(project) == {"hello": {"parameters": ["--who=me"]}}
    secrets = kind_toml.secrets_of_tests(project)
    objects = {
        item["metadata"]["name"]: item
        for item in with_values(needed_objects(PODS, "team-a", parallel=False), secrets)
        if item["kind"] == "Secret"
    }
    assert objects["db"]["data"] == {"password": "dGVzdC1vbmx5", "user": "ZnJvbSBDSQ=="}
    assert objects["both"]["data"] == {".dockerconfigjson": "e30="}
    assert objects["both"]["type"] == "kubernetes.io/dockerconfigjson"
    assert "type" not in objects["db"]
    assert capsys.readouterr().err == ""
    kind_toml.print_missing_values(project)
    assert [item["metadata"]["name"] for item in with_values([], {"dbb": {}})] == ["dbb"]
    assert capsys.readouterr().err.splitlines() == [
        "k8s: tests/kind.toml: the variable NOWHERE is not set, so the Secret db gets no other",
        "k8s: tests/kind.toml: no pod reads the Secret dbb: is it misspelt?",
    ]
    (tmp_path / "flows/secrets.py").touch()  # of this name, the table is its own
    (tmp_path / "tests/kind.toml").write_text("[secrets]\nskip = 'slow'\n")
    assert kind_toml.read_flow_settings(project) == {"secrets": {"skip": "slow"}}
    assert kind_toml.secrets_of_tests(project) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[variables]\nA = 1\n", "tests/kind.toml: variables: A = 1: Text, or { from = "),
        ("[variables]\nA = { form = 'B' }\n", "Text, or { from = "),
        ("[variables]\nAWS_PROFILE = 'a'\n", "belongs to environments/kind.json"),
        ("[secrets]\npassword = 'a'\n", 'secrets: password = "a": A table of values'),
        ("secrets = 'a'\n", "Tables like [secrets.db-password], with lines like"),
    ],
)
def test_values_that_are_not_valid(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/kind.toml").write_text(text)
    with pytest.raises(CommandError) as error:
        _ = testing.Flow(Project(tmp_path, "churn_model"), "", [], [], "").variables
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("[helo]\nskip = 'slow'\n", "tests/kind.toml: no flow is called helo"),
        ("[hello]\nskipp = 'slow'\n", "tests/kind.toml: hello: no key skipp; did you mean skip?"),
        ("[hello]\nparameters = '--a=1'\n", "A list of text, like"),
        ("[hello]\nskip = 's'\n[train]\nskip = 's'\n", "no flow to test"),
        ("[hello\n", "kind.toml is not TOML"),
    ],
)
def test_kind_toml(k8s: Callable[..., Any], example: Path, settings: str, says: str) -> None:
    file = example / "tests/kind.toml"
    text = file.read_text()
    try:
        (example / ".kind").mkdir()
        (example / ".kind/kubeconfig").touch()
        file.write_text(settings)
        code, output = k8s("kind", "test", programs=STANDING)
        assert code == 2 and says in output, output
    finally:
        file.write_text(text)
        shutil.rmtree(example / ".kind", ignore_errors=True)


def test_each_fault_with_its_table_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Two tables with the same misspelt key are two lines."""
    (tmp_path / "tests").mkdir()
    names = ["user", "password", "key", "address", "token", "name"]
    lines = [f"{name} = {{ from = 'A', form = 'B' }}\n" for name in names]
    (tmp_path / "tests/kind.toml").write_text(f"[secrets.db]\n{''.join(lines)}port = 1\n")
    with pytest.raises(CommandError) as error:
        kind_toml.secrets_of_tests(Project(tmp_path, "churn_model"))
    *unknown, port = str(error.value).splitlines()
    assert unknown == [
        f"tests/kind.toml: secrets: db.{name}: no key form; did you mean from?" for name in names
    ]
    assert port.startswith("tests/kind.toml: secrets: db.port = 1: Text, or { from = ")
