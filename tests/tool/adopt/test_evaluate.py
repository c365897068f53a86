"""Which values of a flow are known without running it; what a run decides stays."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from adopt_config import CONFIG, always
from mf_k8s.adopt.adoption import propose_change
from mf_k8s.adopt.read_flows import hidden_flows, read_flows
from mf_k8s.errors import CommandError
from mf_k8s.metaflow.compile_flows import CompiledFile
from mf_k8s.project.project import Project

# What decides about a value at each run, and the decorator that must stay as it is: today its value
# is Metaflow's default, or what the text seems to say.
DECIDED = {
    "a name": ("sized = kubernetes(memory=64000 if PROD else 4096)", "@sized"),
    "a name, twice": ("first = kubernetes(gpu=8 if PROD else None)\nsecond = first", "@second"),
    "a name with more": ("sized = kubernetes(cpu=1, gpu=8 if PROD else None)", "@sized"),
    "a helper": (
        "def sized(m):\n    return kubernetes(memory=m if PROD else None)",
        "@sized(9000)",
    ),
    "a helper of a helper": (
        "def inner(m, n):\n    return kubernetes(memory=m, gpu=n)\n"
        "def outer(m):\n    return inner(m, 8 if PROD else None)",
        "@outer(9000)",
    ),
    "a helper's own parameter": (
        "memory = 4096\ndef sized(memory):\n    return kubernetes(memory=memory)",
        "@sized(9000 if PROD else 4096)",
    ),
    "a helper's default": (
        "def sized(m=int(os.environ.get('M', 4096))):\n    return kubernetes(memory=m)",
        "@sized()",
    ),
    "a helper with a condition": (
        "def sized(m):\n    if PROD:\n        m *= 2\n    return kubernetes(memory=m)",
        "@sized(4096)",
    ),
    "a helper of any arguments": (
        "args = (4096,)\ndef sized(*args):\n    return kubernetes(memory=args[0])",
        "@sized(64000 if PROD else 4096)",
    ),
    "a second helper": (
        "def sized(m):\n    return kubernetes(memory=m)\n"
        "if PROD:\n    def sized(m):\n        return kubernetes(memory=2 * m)",
        "@sized(4096)",
    ),
    "partial": (
        "from functools import partial\nsized = partial(kubernetes, memory=9000 if PROD else None)",
        "@sized(cpu=1)",
    ),
    "lambda": ("sized = lambda m: kubernetes(memory=m if PROD else 4096)", "@sized(9000)"),
    "a list": ("pods = [kubernetes(memory=9000 if PROD else 4096)]", "@pods[0]"),
    "a choice": ("big, usual = kubernetes(memory=9000), kubernetes()", "@(big if PROD else usual)"),
    "an attribute": (
        "class Pods:\n    large = kubernetes(memory=9000 if PROD else 4096)",
        "@Pods.large",
    ),
    "a name of the class": (
        "large = kubernetes()",
        "@large",
        "large = kubernetes(gpu=8 * PROD or None)",
    ),
    "a value of the class": ("M = 4096", "@kubernetes(memory=M)", "M = 9000 if PROD else 4096"),
    "a later value": ("M = 4096\nif PROD:\n    M = 9000", "@kubernetes(memory=M)"),
    "a value of global": (
        "M = 4096\ndef configure():\n    global M\n    M = 9000\nif PROD:\n    configure()",
        "@kubernetes(memory=M)",
    ),
    "globals": ("M = 4096\nif PROD:\n    globals()['M'] = 9000", "@kubernetes(memory=M)"),
    "a later import": (
        "M = 4096\ntry:\n    from production import *\nexcept ImportError:\n    pass",
        "@kubernetes(memory=M)",
    ),
    "an import of one or the other": (
        "try:\n    from production import M\nexcept ImportError:\n    from usual import M",
        "@kubernetes(memory=M)",
    ),
    "a value that is set elsewhere": (
        "import usual\nif PROD:\n    usual.M = 9000",
        "@kubernetes(memory=usual.M)",
    ),
    "a value that another file sets": (
        "from usual import M\nimport changes",
        "@kubernetes(memory=M)",
    ),
    "a value of a class": (
        "class Sizes:\n    M = 4096\n    if PROD:\n        M = 9000",
        "@kubernetes(memory=Sizes.M)",
    ),
    "an attribute that is set": (
        "class Sizes:\n    M = 4096\nif PROD:\n    Sizes.M = 9000",
        "@kubernetes(memory=Sizes.M)",
    ),
    "setattr": (
        "class Sizes:\n    M = 4096\nif PROD:\n    setattr(Sizes, 'M', 9000)",
        "@kubernetes(memory=Sizes.M)",
    ),
    "a table": ("P = {'memory': 4096}\nif PROD:\n    P['memory'] = 9000", "@kubernetes(**P)"),
    "a table that is updated": (
        "P = {'memory': 4096}\nif PROD:\n    P.update(memory=9000)",
        "@kubernetes(**P)",
    ),
    "a table in a table": (
        "P = {'a': {'memory': 4096}}\nif PROD:\n    P['a']['memory'] = 9000",
        "@kubernetes(**P['a'])",
    ),
    "a table by another name": (
        "P = {'memory': 4096}\nQ = P\nif PROD:\n    Q['memory'] = 9000",
        "@kubernetes(**P)",
    ),
    "a table that is handed on": (
        "def tune(pod):\n    pod['memory'] = 9000\nP = {'memory': 4096}\nif PROD:\n    tune(P)",
        "@kubernetes(**P)",
    ),
    "a table of a class": (
        "class Pods:\n    P = {'memory': 4096}\nif PROD:\n    Pods.P['memory'] = 9000",
        "@kubernetes(**Pods.P)",
    ),
    "a list of secrets": ("S = ['db']\nif PROD:\n    S.append('key')", "@kubernetes(secrets=S)"),
    "another kubernetes": (
        "if not PROD:\n    kubernetes = lambda **_: lambda step: step",
        "@kubernetes(memory=9000)",
    ),
}
DECIDED_FLOW = """import os

from metaflow import FlowSpec, kubernetes, step

PROD = "PROD" in os.environ
{head}


class DecidedFlow(FlowSpec):
    owner = "team-a"
    {body}

    {decorator}
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    DecidedFlow()
"""
HELPERS = {
    "usual.py": "M = 4096\n",
    "changes.py": "import os, usual\nif 'PROD' in os.environ:\n    usual.M = 9000\n",
}


@pytest.fixture(scope="module")
def deciding(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project for one flow, with files that it imports."""
    root = tmp_path_factory.mktemp("deciding").resolve()
    shutil.copytree(example / "src", root / "src")
    (root / "flows").mkdir()
    for name, text in HELPERS.items():
        (root / "flows" / name).write_text(text)
    return Project(root, "churn_model")


@pytest.mark.parametrize("name", DECIDED)
def test_what_a_run_decides_stays(name: str, deciding: Project) -> None:
    """Whatever way it is written, and though its value is the default today."""
    head, decorator, *body = DECIDED[name]
    text = DECIDED_FLOW.format(head=head, decorator=decorator, body=(body or ["team = 1"])[0])
    file = deciding.root / "flows/decided.py"
    file.write_text(text)
    flows = read_flows(deciding, [file])
    change = propose_change(deciding, flows, [], CONFIG, always)
    imported = "from churn_model import BaseFlow\n"
    adopted = text.replace("DecidedFlow(FlowSpec)", "DecidedFlow(BaseFlow)")
    adopted = adopted.replace("FlowSpec, kubernetes, step\n", f"kubernetes, step\n\n{imported}")
    assert change.contents[file].decode() == adopted
    assert change.config_text == CONFIG
    line = text.split("\n").index(f"    {decorator}") + 1
    (note,) = change.notes
    assert f"decided.py:{line}: step start: only a run knows " in note


# What only reads a value, and how a step uses it: its memory goes to k8s.toml.
READ = {
    "printed": ("P = {'memory': 9000}\nprint(P)", "@kubernetes(**P)"),
    "one of a table": ("P = {'a': {'memory': 9000}}", "@kubernetes(**P['a'])"),
    "added to": ("P = {'memory': 1}\nQ = P | {'memory': 9000}", "@kubernetes(**Q)"),
    "of the class": ("", "@kubernetes(memory=team * 9000)"),
    "a helper": ("def sized(*, m=1):\n    return kubernetes(memory=m)", "@sized(m=9000)"),
    "a helper of a helper": (
        "def inner(m):\n    return kubernetes(memory=m)\ndef outer(m):\n    return inner(m + 1)",
        "@outer(8999)",
    ),
    "imported twice": ("from metaflow import kubernetes, step", "@kubernetes(memory=9000)"),
    "of another name": ("pod = kubernetes", "@pod(memory=9000)"),
    "beside other steps": ("for step in ():\n    print(step)", "@kubernetes(memory=9000)"),
    "of a module": ("import usual", "@kubernetes(memory=usual.M + 4904)"),
    "all of a module": ("from usual import *\nN = M + 4904", "@kubernetes(memory=N)"),
    "all of a package": ("from numpy import *\nM = 9000", "@kubernetes(memory=M)"),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_only_read_is_moved(name: str, deciding: Project) -> None:
    head, decorator = READ[name]
    text = DECIDED_FLOW.format(head=head, decorator=decorator, body="team = 1")
    file = deciding.root / "flows/decided.py"
    file.write_text(text)
    flows = read_flows(deciding, [file])
    change = propose_change(deciding, flows, [], CONFIG, always)
    assert change.config_text == CONFIG.replace("memory = 4096", "memory = 9000")
    assert decorator not in change.contents[file].decode() and change.notes == []


def test_a_decorator_that_does_nothing_stays(deciding: Project) -> None:
    """As where the name of Metaflow's kubernetes is another's when the flow is compiled."""
    text = DECIDED_FLOW.format(head="", body="", decorator="@kubernetes(memory=9000)")
    file = deciding.root / "flows/decided.py"
    file.write_text(text)
    steps: Any = {"start": {"overrides": []}, "end": {"overrides": []}}
    facts: Any = {"name": "DecidedFlow", "derives": False, "steps": steps}
    result = CompiledFile(file, [], None, "", facts, None)
    change = propose_change(deciding, read_flows(deciding, [file]), [result], CONFIG, always)
    assert "    @kubernetes(memory=9000)\n" in change.contents[file].decode()
    assert change.config_text == CONFIG


CONDITIONAL = """import os

from metaflow import FlowSpec, kubernetes, step

PROD = "PROD" in os.environ


class TopFlow(FlowSpec):
    if PROD:
        @kubernetes(gpu=8)
        @step
        def start(self):
            self.next(self.end)
    else:
        @step
        def start(self):
            self.next(self.end)

    @kubernetes(memory=4096)
    @step
    def end(self):
        pass

    end = kubernetes(memory=9000)(end) if PROD else end


def make(name):
    class MadeFlow(FlowSpec):
        @kubernetes(memory=9000)
        @step
        def start(self):
            pass

    return MadeFlow


if PROD:
    class TrainFlow(FlowSpec):
        pass
else:
    class TrainFlow(TopFlow):
        pass
"""


def test_what_a_condition_makes_is_listed(deciding: Project) -> None:
    """And stays: steps, and classes of a function or below a condition."""
    file = deciding.root / "flows/decided.py"
    file.write_text(CONDITIONAL)
    change = propose_change(deciding, read_flows(deciding, [file]), [], CONFIG, always)
    adopted = CONDITIONAL.replace("TopFlow(FlowSpec)", "TopFlow(BaseFlow)")
    imported = "kubernetes, step\n\nfrom churn_model import BaseFlow\n"
    assert change.contents[file].decode() == adopted.replace("kubernetes, step\n", imported)
    assert change.config_text == CONFIG
    end = "depends on a condition or is written twice, so it stays, and is not proven"
    steps = {12: "start", 16: "start", 21: "end"}
    assert [note.partition("decided.py:")[2] for note in change.notes] == [
        f"{line}: step {name} {end}" for line, name in steps.items()
    ]
    end = "it stays, and its pods are not compared; let it derive from BaseFlow yourself"
    (notes,) = hidden_flows(deciding, [file]).values()
    assert [note.partition("decided.py:")[2] for note in notes] == [
        f"28: class MadeFlow is made in make: {end}",
        f"38: class TrainFlow is made below a condition: {end}",
        f"41: class TrainFlow is made below a condition: {end}",
    ]
    factory = CONDITIONAL[CONDITIONAL.index("def make") : CONDITIONAL.index("if PROD:\n    class")]
    file.write_text(f"from metaflow import FlowSpec, kubernetes, step\n{factory}")
    with pytest.raises(CommandError, match=f"decided.py:3: class MadeFlow is made in make: {end}$"):
        read_flows(deciding, [file])
