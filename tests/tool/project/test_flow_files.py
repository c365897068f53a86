"""Which files of flows/ are run: those that define a flow and start it."""

from pathlib import Path

import pytest
from mf_k8s.project.flow_files import starts_flow

STEPS = "    @step\n    def start(self): pass\n"
MAIN = "if __name__ == '__main__':\n    "
FILES = {
    "a flow": (f"class Score(FlowSpec):\n{STEPS}{MAIN}Score()\n", True),
    "with steps of its base": (f"class Score(TeamFlow):\n    pass\n{MAIN}Score()\n", True),
    "with a base of another name": (f"class Score(Team):\n{STEPS}{MAIN}Score()\n", True),
    "started without a condition": ("class ScoreFlow(BaseFlow):\n    pass\nScoreFlow()\n", True),
    "started by a function": (
        f"class Score(team.BaseFlow):\n    pass\ndef main():\n    Score()\n{MAIN}main()\n",
        True,
    ),
    "a step with arguments": (
        f"class Score(Team):\n    @m.step(start=True)\n    def a(self): pass\n{MAIN}Score()\n",
        True,
    ),
    "from another file": (f"from team import ScoreFlow\n{MAIN}ScoreFlow()\n", True),
    "from a module": (f"import team\n{MAIN}team.ScoreFlow()\n", True),
    "under another name": (f"from team import ScoreFlow as Main\n{MAIN}Main()\n", True),
    "a client": ("from metaflow import Flow\nprint(Flow('ScoreFlow').latest_run)\n", False),
    "not Python": ("class Score(FlowSpec:\n", True),
    "null bytes": ("a\0", True),
    "a base flow": (f"class TeamFlow(BaseFlow):\n{STEPS}", False),
    "a helper": ("class Table(dict):\n    pass\nprint(Table())\n", False),
    "a script": (
        f"from metaflow import Deployer\n{MAIN}Deployer('a.py').argo_workflows()\n",
        False,
    ),
    "empty": ("", False),
}


@pytest.mark.parametrize("name", FILES)
def test_which_files_start_a_flow(name: str, tmp_path: Path) -> None:
    text, expected = FILES[name]
    (tmp_path / "file.py").write_text(text)
    assert starts_flow(tmp_path / "file.py") is expected
