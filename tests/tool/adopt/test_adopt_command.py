"""`k8s adopt` as a command: what it prints and writes, where it stops, and whole repositories."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import BIN, K8S, ROOT, run
from mf_k8s.adopt import adoption, which_flows, write_files
from mf_k8s.adopt.adoption import Adoption, propose_change, unadoptable, uncompiled
from mf_k8s.adopt.batch_parameters import DROPPED
from mf_k8s.adopt.from_batch import convert_batch
from mf_k8s.adopt.prove_same_pods import Proof
from mf_k8s.adopt.read_flows import read_flows
from mf_k8s.adopt.trial_compilation import Trial
from mf_k8s.cli import app
from mf_k8s.commands.adopt import answers
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.plan.differences import Change
from mf_k8s.project.project import Project
from pods import by_step
from teams import commit, git
from typer.testing import CliRunner

FLOWS = ROOT / "tests/tool/adopt/flows"
CONFIG = """
image = "ghcr.io/acme/base:1"

service_account = "metaflow"
"""
PLAIN = """from metaflow import FlowSpec, kubernetes, step
{head}

class PlainFlow(FlowSpec):
    {decorator}
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    PlainFlow()
"""


def plain(decorator: str = "", head: str = "") -> str:
    return PLAIN.format(decorator=decorator, head=head).replace("    \n", "")


@pytest.fixture(scope="module")
def empty(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a committed project without a flow."""
    root = tmp_path_factory.mktemp("empty") / "churn-model"
    shutil.copytree(example, root, ignore=shutil.ignore_patterns(".venv", "flows", "uv.lock"))
    (root / "flows").mkdir()
    (root / "k8s.toml").write_text(CONFIG)
    (root / "tests/kind.toml").write_text("")
    git("init", "-q", "-b", "main", cwd=root)
    commit(root)
    return root


@pytest.fixture
def project(empty: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(empty, tmp_path / "churn-model"))


def add(project: Path, **flows: str) -> None:
    """Write flows and commit them."""
    for name, text in flows.items():
        (project / f"flows/{name}.py").write_text(text)
    commit(project)


def adopt(
    project: Path, *arguments: str, code: int = 0, command: str = "adopt", **env: str
) -> tuple[str, str]:
    """Run `k8s adopt`, which must end with `code`; return what it prints on stdout and stderr."""
    env = {**os.environ, "COLUMNS": "200", **env}
    done = subprocess.run(
        [K8S, command, *arguments],
        **{"cwd": project, "env": env, "timeout": 300, "capture_output": True, "text": True},
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def status(project: Path) -> str:
    return git("status", "--porcelain", cwd=project)


def section(printed: str, title: str) -> str:
    """Return what stands below a title."""
    below = printed.partition(f"{title}:\n")[2]
    return re.split(r"^(?:Changes|Unchanged):", below, flags=re.MULTILINE)[0]


def test_the_flow_of_the_report(project: Path) -> None:
    add(project, report=(FLOWS / "report.py").read_text())
    printed, errors = adopt(project, "report", "--prefer=flows", "--apply")
    assert "Changes:" not in printed
    lost = section(printed, "Added, and nothing is lost")
    for pod in ("start", "end", "error-msg-capture-hook"):
        assert re.search(rf"\b{pod}\b", lost)
    assert not re.search(r"\btrain\b", lost)
    assert "Unchanged: ReportFlow: train\n" in printed
    assert "+gpu = 1\n" in printed
    undo = "git checkout -- k8s.toml flows/report.py"
    assert errors == f"k8s: written; `git diff` shows it, `{undo}` undoes it\n"
    written = (project / "flows/report.py").read_text()
    assert written == (FLOWS / "report.adopted.py").read_text()
    assert status(project).split() == ["M", "flows/report.py", "M", "k8s.toml"]

    commit(project)
    printed, _ = adopt(project, "report", "--prefer=flows", "--apply")
    assert printed == "flows/report.py: ReportFlow derives from BaseFlow already\n"
    assert status(project) == ""


def test_what_changes_must_be_accepted(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or nothing is written, and the exit code is 1."""
    add(project, plain=plain())
    file = project / "flows/plain.py"
    change = Change(flow="PlainFlow", pod="start", setting="memory", old="9000M", new="4096M")
    result = Adoption({file: b"new"}, Proof([], [change], {}), [])
    monkeypatch.setattr(adoption, "adopt_flows", lambda *_: result)
    monkeypatch.chdir(project)
    for accepted, code, content in (((), 1, plain().encode()), (("--yes",), 0, b"new")):
        done = CliRunner().invoke(app, ["adopt", "plain", "--apply", *accepted])
        assert (done.exit_code, file.read_bytes()) == (code, content)
        assert "PlainFlow" in section(done.output, "Changes")


def test_where_nobody_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))
    assert answers("flows", "k8s.toml")("image", "a:1", "b:2")
    assert not answers("config", "k8s.toml")("image", "a:1", "b:2")
    with pytest.raises(CommandError) as stopped:
        answers("ask", "k8s.toml")("image", "a:1", "b:2")
    assert str(stopped.value) == (
        "k8s.toml has image = a:1, most of the steps b:2. Take b:2? Answer with --prefer=flows or"
        " --prefer=config"
    )


def test_not_python(project: Path) -> None:
    add(project, bad="def broken(:\n")
    printed, errors = adopt(project, "flows/bad.py", code=2)
    assert (printed, errors) == ("", "k8s: flows/bad.py:1: not valid Python: invalid syntax\n")


LATEST = "A fixed tag: ghcr.io/acme/churn:1.2.3, lower case, or a whole sha256 digest."
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


# Flows that do not compile as they are, and why.
BROKEN = {
    "package": (
        plain(head="import no_such_package\n"),
        "ModuleNotFoundError: No module named 'no_such_package'",
    ),
    "variable": (
        plain("@kubernetes(image=os.environ['NO_SUCH_IMAGE'])", "import os\n"),
        "KeyError: 'NO_SUCH_IMAGE'",
    ),
}


# What --from-batch cannot do, and what is said of it.
NOT_FROM_BATCH = {
    "both": (
        plain("@batch(cpu=1)\n    @kubernetes(cpu=1)", "from metaflow import batch\n"),
        "Metaflow refuses a step with @batch and @kubernetes: delete one of them at flows/bad.py:6"
        " (step start)",
    ),
    "derives already": (
        plain(
            "@batch(cpu=1)", "from metaflow import *\nfrom churn_model import BaseFlow\n"
        ).replace("Flow(FlowSpec)", "Flow(BaseFlow)"),
        "BaseFlow refuses @batch: flows/bad.py:7 (step start); let the class derive from FlowSpec"
        " again, and `uv run k8s adopt --from-batch` does the rest",
    ),
    "a value that has another unit there": (
        plain("@batch(\n        ephemeral_storage=SIZE)", "from metaflow import batch\n"),
        "flows/bad.py:7: only a run knows ephemeral_storage=SIZE, and @kubernetes has another"
        " parameter for it: write its value",
    ),
    "a value of a function": (
        plain(
            "@job(30)",
            "from metaflow import *\nGIB = 1\ndef job(GIB):\n    return batch("
            "ephemeral_storage=GIB)\n",
        ),
        "flows/bad.py:5: only a run knows ephemeral_storage=GIB, and @kubernetes has another"
        " parameter for it: write its value",
    ),
    "from elsewhere": (
        plain("@batch(cpu=1)", "from exports import batch\n"),
        "flows/bad.py:6: batch is Metaflow's batch, imported from exports: import it from metaflow"
        " in this file",
    ),
    "a value that k8s.toml could not have": (
        plain(
            '@batch(\n        queue="a",\n        memory="12GB",\n    )', "from metaflow import *\n"
        ),
        'flows/bad.py:6: step start: memory = "12GB": Whole number of MB, like 16000 for 16 GB, and'
        " 100 or more. The memory that a pod requests.",
    ),
}


@pytest.mark.parametrize("name", NOT_FROM_BATCH)
def test_what_batch_cannot_become(
    name: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, message = NOT_FROM_BATCH[name]
    file = project / "flows/bad.py"
    file.write_text(text)
    (project / "flows/exports.py").write_text("from metaflow import batch\n")
    monkeypatch.chdir(project)
    found = Project(project, "churn_model")
    with pytest.raises(CommandError) as stopped:
        flows = read_flows(found, [file], convert_batch(found, [file]).sources)
        raise_if(unadoptable(flows))
        propose_change(found, flows, [], CONFIG, lambda *_: True)
    assert str(stopped.value) == message


def test_a_floating_image_of_the_configuration(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, because no flow has it; a flow whose steps have images does not need it."""
    (project / "flows/bad.py").write_text(plain("@batch(cpu=1)", "from metaflow import batch\n"))
    (project / "flows/good.py").write_text(plain('@batch(image="a/b:1")', "from metaflow import *"))
    monkeypatch.setenv("METAFLOW_DEFAULT_CONTAINER_IMAGE", "acme/base:latest")
    found = Project(project, "churn_model")
    with pytest.raises(CommandError) as stopped:
        convert_batch(found, [project / "flows/bad.py"])
    assert str(stopped.value).startswith(
        "METAFLOW_DEFAULT_CONTAINER_IMAGE, for steps without an image: image ="
        f' "acme/base:latest": {LATEST}'
    )
    assert convert_batch(found, [project / "flows/good.py"]).sources


MIB = "numbers of memory stay: AWS Batch takes them for MiB, a pod for MB, which is 4.6 % less"
TEAM_JOBS = """import os

from metaflow import batch

PRIORITY = "high"


def on_team(memory):
    size = int(os.environ.get("SIZE", memory))
    return batch(memory=size, queue=f"{PRIORITY}-queue")
"""


@pytest.mark.parametrize("through", ["", "def small(size):\n    return on_team(size)\n"])
def test_a_helper_that_only_a_run_can_read(
    project: Path, monkeypatch: pytest.MonkeyPatch, through: str
) -> None:
    """It is changed where it is, though no flow is there, and a note says so."""
    (project / "src/churn_model/jobs.py").write_text(TEAM_JOBS)
    decorator = "@small(5000)" if through else "@on_team(5000)"
    head = f"from churn_model.jobs import on_team\n{through}"
    (project / "flows/team.py").write_text(plain(decorator, head))
    monkeypatch.chdir(project)
    found = Project(project, "churn_model")
    file = project / "flows/team.py"
    conversion = convert_batch(found, [file])
    flows = read_flows(found, [file], conversion.sources)
    raise_if(unadoptable(flows))
    change = propose_change(found, flows, [], CONFIG, lambda *_: True)
    contents = conversion.contents(found, flows, change.contents)
    assert contents.keys() == {file, project / "src/churn_model/jobs.py"}
    assert f"    {decorator}\n" in contents[file].decode()
    assert contents[project / "src/churn_model/jobs.py"].decode() == TEAM_JOBS.replace(
        "batch", "kubernetes"
    ).replace(', queue=f"{PRIORITY}-queue"', "")
    queue = "choose nodes by node_selector and tolerations, or a pool of k8s.toml"
    assert conversion.notes == [
        f'src/churn_model/jobs.py:10: queue=f"{{PRIORITY}}-queue" is dropped: {queue}',
        MIB,
        "src/churn_model/jobs.py: its @batch is @kubernetes now, for other flows that use it too",
    ]


BATCH = """from metaflow import FlowSpec, batch, step


class TrainFlow(FlowSpec):
    @batch(memory=9000, queue="small")
    @step
    def start(self):
        self.next(self.train)

    @batch(gpu=1, memory=64000, shared_memory=8196, image="acme/train:2", host_volumes="/data")
    @step
    def train(self):
        for batch in range(3):
            print(batch)
        self.next(self.end)

    @batch(memory=9000, iam_role="arn:aws:iam::1:role/reader")
    @step
    def end(self):
        pass


if __name__ == "__main__":
    TrainFlow()
"""
FROM_BATCH = """from metaflow import step

from churn_model import BaseFlow, k8s


class TrainFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.train)

    @k8s(gpu=1, memory=64000, shared_memory=8196, image="registry.acme.com/acme/train:2")
    @step
    def train(self):
        for batch in range(3):
            print(batch)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    TrainFlow()
"""


def test_a_flow_of_aws_batch(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the image and registry that Metaflow's configuration gives to @batch."""
    add(project, train=BATCH)
    settings = {
        "METAFLOW_BATCH_CONTAINER_IMAGE": "team/base:4",
        "METAFLOW_BATCH_CONTAINER_REGISTRY": "registry.acme.com",
    }
    arguments = ("train", "--prefer=flows", "--from-batch", "--apply")
    printed, _ = adopt(project, *arguments, **settings)
    assert "Changes:" not in printed
    assert (project / "flows/train.py").read_text() == FROM_BATCH
    assert printed.endswith(f"{MIB}\n")
    shared = tomllib.loads((project / "k8s.toml").read_text())
    assert shared["image"] == "registry.acme.com/team/base:4"
    assert shared["memory"] == 9000
    dropped = [line for line in printed.splitlines() if "is dropped" in line]
    assert [line.partition(" is dropped: ")[0] for line in dropped] == [
        'flows/train.py:5: step start: queue="small"',
        'flows/train.py:10: step train: host_volumes="/data"',
        'flows/train.py:17: step end: iam_role="arn:aws:iam::1:role/reader"',
    ]
    assert "Unchanged: TrainFlow: train\n" not in printed  # its service account is new
    git("checkout", "-q", ".", cwd=project)

    # the proof notices what a conversion loses
    monkeypatch.chdir(project)
    monkeypatch.setitem(DROPPED, "shared_memory", "lost")
    found = Project(project, "churn_model")
    file = project / "flows/train.py"
    broken = adoption.adopt_flows(found, [file], found.config_file, lambda *_: True, True)
    (change,) = broken.proof.changed
    assert (change["pod"], change["setting"]) == ("train", "shared_memory")
    assert change["old"] == "8196Mi of Memory at /dev/shm" and change["new"] is None


def test_a_flow_that_does_not_compile(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is: what is missing is said."""
    add(project, **{name: text for name, (text, _) in BROKEN.items()})
    monkeypatch.chdir(project)
    files = [project / f"flows/{name}.py" for name in BROKEN]
    results = Trial(Project(project, "churn_model"), tmp_path).compile(files, CONFIG)
    for (name, (_, reason)), result in zip(BROKEN.items(), results, strict=True):
        with pytest.raises(CommandError) as stopped:
            raise_if(uncompiled([result], "before"))
        assert str(stopped.value) == (
            f"flows/{name}.py does not compile before its adoption: {reason}; nothing is written"
        )


def entries(*folders: Path) -> dict[str, tuple[int, str | bytes]]:
    """Return the mode of each entry below folders, and its bytes or what it links to."""
    found: dict[str, tuple[int, str | bytes]] = {}
    for entry in [path for folder in folders for path in folder.rglob("*")]:
        content = entry.read_bytes() if entry.is_file() and not entry.is_symlink() else b""
        found[str(entry)] = (
            entry.lstat().st_mode,
            (os.readlink(entry) if entry.is_symlink() else content),
        )
    return found


def named(name: str, decorator: str = "@kubernetes(memory=9000)", head: str = "") -> str:
    return plain(decorator, head).replace("PlainFlow", name)


ASKS_GIT = """import json, pathlib, subprocess


def git(*command):
    return subprocess.run(["git", *command], capture_output=True, text=True, check=True).stdout


here = pathlib.Path(__file__).parent
for command, answer in json.loads((here / "answers.json").read_text()).items():
    assert git(*command.split()) == answer, (command, git(*command.split()))
assert str(here) == git("rev-parse", "--show-toplevel").strip() + "/flows"
assert all(line.startswith(" M") for line in git("status", "--porcelain").splitlines())
"""


def test_only_apply_writes(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flows that git ignores, behind links and in a submodule; one asks git, as in a work tree."""
    library, outside = tmp_path / "library", tmp_path / "outside"
    for folder in (library, outside, project / "flows/scratch", project / "shared"):
        folder.mkdir()
    (library / "sub.py").write_text(named("SubFlow"))
    git("init", "-q", "-b", "main", cwd=library)
    commit(library)
    git(
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        str(library),
        "flows/sub",
        cwd=project,
    )
    (project / ".gitignore").write_text("scratch/\nignored.py\n*.json\n")
    (project / "flows/scratch/scratched.py").write_text(named("ScratchedFlow"))
    (project / "flows/ignored.py").write_text(named("IgnoredFlow"))
    (project / "shared/linked.py").write_text(named("LinkedFlow"))
    (project / "flows/linked.py").symlink_to("../shared/linked.py")
    (outside / "out.py").write_text(named("OutFlow"))
    (project / "flows/out.py").symlink_to(outside / "out.py")
    (project / "flows/folder").symlink_to(outside)
    add(project, asking=named("AskingFlow", head=ASKS_GIT))
    git("tag", "v1", cwd=project)
    answers = {"describe --tags": "v1\n", "branch --show-current": "main\n"}
    answers |= {"rev-parse HEAD": git("rev-parse", "HEAD", cwd=project)}
    (project / "flows/answers.json").write_text(json.dumps(answers))

    before = entries(project, library, outside)
    flows = ("flows/ignored.py", "linked", "scratched", "flows/sub/sub.py", "asking")
    printed, errors = adopt(project, *flows)
    assert entries(project, library, outside) == before
    for name in ("Ignored", "Linked", "Scratched", "Sub", "Asking"):
        assert f"\n+class {name}Flow(BaseFlow):\n" in printed
    assert "\n--- a/shared/linked.py\n" in printed and "class OutFlow" not in printed
    assert errors == "k8s: nothing is written; --apply writes it\n"
    monkeypatch.chdir(project)
    for name in ("out", "flows/folder/out.py"):
        with pytest.raises(CommandError) as stopped:
            CliRunner().invoke(app, ["adopt", name, "--apply"], catch_exceptions=False)
        assert str(stopped.value) == (
            f"../outside/out.py is outside the project {project}, whose git could not undo a change"
            " of it: move it there first"
        )
    assert entries(project, library, outside) == before


SIZED = """from metaflow import kubernetes

MEMORY = 5000


def sized(step):
    return kubernetes(memory=MEMORY)(step)
"""


def test_a_file_that_is_replaced(project: Path, tmp_path: Path) -> None:
    """Its new content is imported and inspected, through a link too; the file itself stays."""
    (project / "src/churn_model/sizes.py").write_text(SIZED)
    (project / "flows/linked.py").symlink_to("../src/churn_model/sizes.py")
    (project / "flows/plain.py").write_text(plain("@sized", "from linked import sized"))
    imports = (sys.executable, "-c", "import linked")
    run(*imports, cwd=project / "flows", PYTHONDONTWRITEBYTECODE="")
    assert [*(project / "flows/__pycache__").iterdir()]
    before = entries(project)
    trial = Trial(Project(project, "churn_model"), tmp_path)
    results = trial.compile([project / "flows/plain.py"], CONFIG)
    new = plain("@sized", "from linked import sized\n" + "# one more line\n" * 20)
    trial.replace(
        {
            project / "flows/plain.py": new.encode(),
            project / "src/churn_model/sizes.py": SIZED.replace("5000", "6000").encode(),
        }
    )
    results += trial.compile([project / "flows/plain.py"], CONFIG)
    pods = [by_step(json.dumps(result.template)) for result in results]
    assert [each["start"]["memory"] for each in pods] == [5000, 6000]
    assert entries(project) == before


def test_uncommitted_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`git checkout` could not bring it back: it is changed, unknown, ignored or of elsewhere."""
    add(project, plain=plain())
    monkeypatch.chdir(project)
    raise_if(write_files.uncommitted(project, [project / "flows/plain.py"]))
    (project / "flows/new.py").write_text(plain())
    (project / "flows/plain.py").write_text(plain() + "# mine\n")
    (project / ".gitignore").write_text("ignored.py\n")
    (project / "flows/ignored.py").write_text(plain())
    (project / "flows/sub").mkdir()
    (project / "flows/sub/own.py").write_text(plain())
    git("init", "-q", cwd=project / "flows/sub")
    commit(project / "flows/sub")
    git("config", "status.showUntrackedFiles", "no", cwd=project)  # as some do in large folders
    end = ", so that `git checkout` can bring it back; nothing is written"
    for name, reason in {
        "plain": "has changes: commit them first (`git commit flows/plain.py`)",
        "new": "is unknown to git: commit it first (`git add flows/new.py && git commit`)",
        "ignored": "is ignored by git: take it out of .gitignore, and commit it",
        "sub/own": f"is not in the repository {project}: put the file itself there, and commit it",
    }.items():
        with pytest.raises(CommandError) as stopped:
            raise_if(write_files.uncommitted(project, [project / f"flows/{name}.py"]))
        assert str(stopped.value) == f"flows/{name}.py {reason}{end}"


def test_a_link_stays(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it links to is written, unless that is outside the repository."""
    monkeypatch.setattr(
        adoption,
        "adopt_flows",
        lambda _, files, config, *others: Adoption({config: b"new"}, Proof([], [], {}), []),
    )
    monkeypatch.chdir(project)
    config = project / "k8s.toml"
    for target in (project / "settings/k8s.toml", tmp_path / "k8s.toml"):
        target.parent.mkdir(exist_ok=True)
        target.write_text(CONFIG)
        config.unlink()
        config.symlink_to(target)
        add(project, plain=plain())
        done = CliRunner().invoke(app, ["adopt", "plain", "--apply"])
        assert config.readlink() == target
        if target.is_relative_to(project):
            assert done.exit_code == 0 and target.read_bytes() == b"new"
            assert "checkout -- settings/k8s.toml`" in done.output
        else:
            assert isinstance(done.exception, CommandError) and target.read_text() == CONFIG


@pytest.mark.parametrize("broken", ["one", "all"])
def test_all_files_or_none(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be put back either is named."""
    files = {tmp_path / "a": b"new a", tmp_path / "b": b"new b"}
    for file in files:
        file.write_bytes(b"old")
    replace = os.replace
    failed = []

    def fail_at_b(source: Path, target: Path) -> None:
        if target.name == "b" or (broken == "all" and failed):
            failed.append(target)
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "replace", fail_at_b)
    with pytest.raises(CommandError) as stopped:
        write_files.write_all(files)
    a, state = {
        "one": ("old", "no file is changed"),
        "all": ("new a", "part is written: `git checkout -- a` undoes it"),
    }[broken]
    assert str(stopped.value) == f"b cannot be written (No space left on device); {state}"
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": a, "b": "old"}


# Prints the artifacts of a flow's newest run, without the names of its tasks.
ARTIFACTS = """
import json, sys
from metaflow import Flow, namespace
namespace(None)
found = {}
for step in Flow(sys.argv[1]).latest_run:
    for task in step:
        for artifact in task.artifacts:
            if artifact.id not in ("name", "k8s_config"):
                found[f"{step.id} {artifact.id}"] = repr(artifact.data)
print(json.dumps(found))
"""


def artifacts(flow: Path, name: str, project: Path, home: Path) -> dict[str, str]:
    """Run a flow here, with no cluster, and return what each step has made."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("METAFLOW_")}
    env |= {"METAFLOW_HOME": str(home), "METAFLOW_USER": "tests", "PYTHONHASHSEED": "0"}
    env |= {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(home), "PYTHONPATH": str(project / "src")}
    run(sys.executable, flow, "run", cwd=flow.parent, **env)
    return json.loads(run(sys.executable, "-c", ARTIFACTS, name, cwd=home, **env))


LONG = bool(os.environ.get("LONG"))
# Those that run here without more packages or a network.
TUTORIALS = {"01-playlist/playlist": "PlayListFlow"}
TUTORIALS |= {"00-helloworld/helloworld": "HelloFlow"} if LONG else {}


def test_tutorials_of_metaflow(project: Path, tmp_path: Path) -> None:
    """Those that need no package and no network make the same artifacts here as before.

    With LONG=1 all are adopted.
    """
    import metaflow

    tutorials = Path(metaflow.__file__).parent / "tutorials"
    for folder in tutorials.iterdir():
        if LONG or folder.name in ("01-playlist", "05-hello-cloud"):
            shutil.copytree(folder, project / "flows" / folder.name)
    options = '["--environment=conda"]'
    (project / "tests/kind.toml").write_text(f"[playlist]\noptions = {options}\n")
    commit(project)
    files = [f"flows/{name}.py" for name in ("01-playlist/playlist", "05-hello-cloud/hello-cloud")]
    if LONG:
        files = sorted(str(file.relative_to(project)) for file in project.glob("flows/*/*.py"))
        assert len(files) == 6
    before = {
        flow: artifacts(project / f"flows/{flow}.py", name, project, tmp_path)
        for flow, name in TUTORIALS.items()
    }
    printed, _ = adopt(project, *files, "--prefer=flows", "--apply")
    assert "Changes:" not in printed
    assert status(project).count(" M flows/") == len(files)
    for flow, name in TUTORIALS.items():
        after = artifacts(project / f"flows/{flow}.py", name, project, tmp_path)
        assert after.keys() == before[flow].keys()
        for key, value in after.items():
            if key.split()[1] != "bonus":  # which is chosen at random; the others are shuffled
                assert sorted(value) == sorted(before[flow][key]), key


TEAM_FLOW = """from metaflow import FlowSpec, kubernetes


class TeamFlow(FlowSpec):
    team = "churn"


def on_team_image(memory):
    return kubernetes(image="ghcr.io/acme/team:7", memory=memory)
"""
TRAIN = """from metaflow import FlowSpec, kubernetes, step
from features import names


class TrainFlow(FlowSpec):
    @step
    def start(self):
        self.names = names()
        self.next(self.train)

    @kubernetes(image="ghcr.io/acme/team:7", memory=8000)
    @step
    def train(self):
        self.next(self.end)

    @step
    def end(self):
        print(self.names)


if __name__ == "__main__":
    TrainFlow()
"""
IN_PACKAGE = """from churn.team_flow import TeamFlow, on_team_image
from metaflow import step


class ScoreFlow(TeamFlow):
    @on_team_image(memory=8000)
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        print(self.team)


if __name__ == "__main__":
    ScoreFlow()
"""
FEATURES = "def names():\n    return ['age', 'tenure']\n"


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a repository with files, and copies the template over it."""

    def repository(files: dict[str, str], folder: str = ".", **answers: str) -> Path:
        root = tmp_path / "repository"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        git("init", "-q", "-b", "main", cwd=root)
        commit(root)
        data = [f"--data={key}={value}" for key, value in answers.items()]
        copy = ("copy", "--quiet", "--defaults", "--skip", "*", *data, str(template), ".")
        run(BIN / "copier", *copy, cwd=root / folder)
        for name in ("hello", "train"):
            if f"flows/{name}.py" not in files and folder == ".":
                (root / folder / f"flows/{name}.py").unlink()
        (root / folder / "tests/kind.toml").write_text("")
        return root / folder

    return repository


def test_a_flat_folder(repository: Callable[..., Path]) -> None:
    """Flows and their helper at the root, with requirements.txt."""
    files = {"train.py": TRAIN, "features.py": FEATURES, "requirements.txt": "metaflow\n"}
    project = repository(files, project_name="churn")
    git("mv", "train.py", "features.py", "flows/", cwd=project)
    commit(project)
    files = ("flows/features.py", "flows/train.py")
    printed, _ = adopt(project, *files, "--prefer=flows", "--apply")
    assert printed.endswith("flows/features.py has no flow, so it stays\n")
    assert "Changes:" not in printed
    assert status(project).split() == ["M", "flows/train.py", "M", "k8s.toml"]
    git("checkout", "-q", ".", cwd=project)
    assert (project / "flows/train.py").read_text() == TRAIN


POETRY = """[tool.poetry]
name = "churn"
version = "1.0"
description = ""
authors = ["Team <team@example.com>"]
packages = [{ include = "churn", from = "src" }]

[tool.poetry.dependencies]
python = ">=3.11"
metaflow = "*"
"""


def test_a_package_with_its_own_base_class(repository: Callable[..., Path], tmp_path: Path) -> None:
    """Of Poetry, in src/, with a flow inside the package and another CI."""
    flow = "src/churn/flows/score.py"
    files = {
        **{"pyproject.toml": POETRY, "src/churn/__init__.py": "", flow: IN_PACKAGE},
        **{"src/churn/flows/__init__.py": "", "src/churn/team_flow.py": TEAM_FLOW},
    }
    project = repository(files, project_name="churn", ci="none")
    pyproject = project / "pyproject.toml"
    assert pyproject.read_text() == POETRY
    pyproject.write_text(POETRY + '\n[tool.mf-k8s]\npackage = "churn"\n')
    commit(project)
    printed, _ = adopt(project, flow, "--prefer=flows", "--apply")
    assert "Changes:" not in printed
    team_flow = (project / "src/churn/team_flow.py").read_text()
    assert team_flow == TEAM_FLOW.replace("FlowSpec, kubernetes\n", "kubernetes\n\nBASE").replace(
        "BASE", "from churn.base import BaseFlow\n"
    ).replace("(FlowSpec)", "(BaseFlow)")
    expected = IN_PACKAGE.replace("    @on_team_image(memory=8000)\n", "")
    assert (project / flow).read_text() == expected.replace("TeamFlow, on_team_image", "TeamFlow")
    adopt(project, flow, command="check")
    if LONG:
        artifacts(project / flow, "ScoreFlow", project, tmp_path)


def test_a_folder_of_a_larger_repository(repository: Callable[..., Path]) -> None:
    """With git's root above it: plan and copier update work there, and nothing else is touched."""
    folder = "teams/churn"
    files = {
        **{f"{folder}/flows/train.py": TRAIN, f"{folder}/flows/features.py": FEATURES},
        **{"README.md": "All teams.\n", "teams/risk/flows/train.py": TRAIN},
    }
    project = repository(files, folder, project_name="churn")
    commit(project)
    arguments = ("flows/train.py", "--prefer=flows", "--apply", "--yes")
    printed, _ = adopt(project, *arguments)  # the example flow's pods change with k8s.toml
    assert "HelloFlow" in section(printed, "Changes")
    changed = ["M", f"{folder}/flows/train.py", "M", f"{folder}/k8s.toml"]
    assert status(project).split() == changed
    assert (project.parent / "risk/flows/train.py").read_text() == TRAIN
    commit(project)
    if not LONG:
        return

    config = project / "k8s.toml"
    config.write_text(config.read_text().replace("memory = 8000", "memory = 9000"))
    printed, _ = adopt(project, "--against=HEAD", "--format=json", command="plan")
    assert {change["new"] for change in json.loads(printed)["changes"]} == {"9000M"}
    commit(project)
    update = ("update", "--quiet", "--defaults", "--vcs-ref=:current:", "--data=cpu=2")
    run(BIN / "copier", *update, cwd=project)
    assert "\ncpu = 2\n" in config.read_text() and "memory = 9000" in config.read_text()
    assert "BaseFlow" in (project / "flows/train.py").read_text()
    assert status(project).split() == [
        "M",
        f"{folder}/.copier-answers.yml",
        "M",
        f"{folder}/k8s.toml",
    ]


def test_only_flows_that_may_change_are_compiled(project: Path) -> None:
    """Of those in the project: what k8s.toml reaches, if it changes, and what imports a change."""
    imported = "from metaflow import FlowSpec"
    files = {
        "adopted.py": plain("@kubernetes(memory=9000)"),
        "team.py": f"{imported}\n\n\nclass TeamFlow(FlowSpec):\n    pass\n",
        "of_team.py": plain()
        .replace(imported, "from team import TeamFlow")
        .replace("(FlowSpec)", "(TeamFlow)"),
        "plain_one.py": plain(),
        "shared.py": plain()
        .replace(imported, "from churn_model import BaseFlow")
        .replace("(FlowSpec)", "(BaseFlow)"),
        "runner.py": "from shared import PlainFlow\n\nPlainFlow()\n",
        "broken.py": "def :\n",
        "flows/old.py": plain(),
    }
    for name, text in files.items():
        (project / name).write_text(text)
    trial = Trial(Project(project, "churn_model", ("*.py",)), project.parent)
    named = [project / "adopted.py", project / "team.py"]
    flows = read_flows(trial.project, named)
    own = which_flows.own_files(trial, flows, named)
    assert own == [project / "adopted.py"]
    for changes, expected in {
        False: ["of_team.py"],
        True: ["broken.py", "of_team.py", "runner.py", "shared.py"],
    }.items():
        others = which_flows.other_files(trial.project, own, named, named, changes)
        assert [file.name for file in others] == expected


def test_flows_of_one_name_in_files_of_one_name(project: Path, tmp_path: Path) -> None:
    """Where the files do not start them, each is started by a file of its own."""
    files = [project / f"flows/{folder}/same.py" for folder in ("a", "b")]
    for file, memory in zip(files, (5000, 6000), strict=True):
        file.parent.mkdir()
        text = plain(f"@kubernetes(memory={memory})")
        file.write_text(text.partition("\nif __name__")[0])
    trial = Trial(Project(project, "churn_model"), tmp_path)
    starters = [trial.starter(flow) for flow in read_flows(trial.project, files)]
    results = trial.compile(starters, CONFIG)
    assert [result.file for result in results] == files
    pods = [by_step(json.dumps(result.template)) for result in results]
    assert [each["start"]["memory"] for each in pods] == [5000, 6000]
