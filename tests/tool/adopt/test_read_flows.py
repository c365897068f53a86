"""Flows that `k8s adopt` cannot read, and the one line that says why."""

from pathlib import Path

import pytest
from adopting import CONFIG, LATEST, add, adopt, empty, plain, project
from mf_k8s.adopt.adoption import propose_change, unadoptable
from mf_k8s.adopt.read_flows import read_flows
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.project.project import Project

__all__ = ["empty", "project"]  # fixtures


def test_not_python(project: Path) -> None:
    add(project, bad="def broken(:\n")
    printed, errors = adopt(project, "flows/bad.py", code=2)
    assert (printed, errors) == ("", "k8s: flows/bad.py:1: not valid Python: invalid syntax\n")


# What is wrong with a flow, and what is said of it.
BAD = {
    "no flow": ("x = 1\n", "no flow in flows/bad.py: no class there derives from FlowSpec"),
    "null byte": (
        "x = '\0'\n",
        "flows/bad.py: not valid Python: source code string",
    ),
    "a floating tag": (
        plain('@kubernetes(image="acme/churn:latest")'),
        f'flows/bad.py:5: @kubernetes: image = "acme/churn:latest": {LATEST}',
    ),
    "not a number": (
        plain("@kubernetes(memory=12)"),
        "flows/bad.py:5: @kubernetes: memory = 12: Whole number of MB, like 16000 for 16 GB, and",
    ),
    "a misspelt key": (
        plain("@kubernetes(shared_memry=64)"),
        "flows/bad.py:5: @kubernetes: no key shared_memry; did you mean shared_memory?",
    ),
    "a namespace": (
        plain('@kubernetes(namespace="team-a")'),
        'flows/bad.py:5: @kubernetes: namespace = "team-a": Set METAFLOW_KUBERNETES_NAMESPACE in',
    ),
    "batch, by a helper and a name": (
        plain(
            "@sized(8)\n    @step\n    def fetch(self):\n        pass\n\n    @small",
            "from metaflow import batch\nsmall = batch()\ndef sized(memory):\n"
            "    size = memory * 1000\n    return batch(memory=size)\n",
        ),
        "Argo Workflows runs no step with @batch: flows/bad.py:10 (step fetch), flows/bad.py:15"
        " (step start); add --from-batch, which turns @batch into @k8s, or delete these lines",
    ),
    "a base class of elsewhere": (
        plain(head="from acme_flows import FlowSpec\n"),
        "flows/bad.py:5: PlainFlow derives from FlowSpec, which is no class at the top of a file of"
        " this project: let it derive from BaseFlow, or write class PlainFlow(BaseFlow, FlowSpec)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_flow(name: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, with file and line."""
    text, message = BAD[name]
    (project / "flows/bad.py").write_text(text)
    monkeypatch.chdir(project)
    found = Project(project, "churn_model")
    with pytest.raises(CommandError) as stopped:
        flows = read_flows(found, [project / "flows/bad.py"])
        raise_if(unadoptable(flows))
        propose_change(found, flows, [], CONFIG, lambda *_: True)
    assert str(stopped.value).startswith(message)
    assert "\n" not in str(stopped.value)
