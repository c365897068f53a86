"""Staying current without a person: the weekly workflow's own shell lines, with GitHub played."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from conftest import EXAMPLE, ROOT, run
from teams import commit, git

BIN = Path(sys.executable).parent
LATER = "# Released later.\n"

GH = """#!/bin/sh
echo "$*" >> "$PLAYED/calls"
case "$*" in *--body-file*) cp "$RUNNER_TEMP/report/body.md" "$PLAYED/body";; esac
case "$*" in
    "pr list"*) cat "$PLAYED/open";;
    "run download"*) cp -r "$PLAYED/artifacts/." "$RUNNER_TEMP";;
esac
"""
UV = f"""#!/bin/sh
test "$*" != "run --frozen k8s drift --tidy" || exec {shlex.quote(str(BIN))}/k8s drift --tidy
test "$*" != sync || echo "of the new code" > "$RUNNER_TEMP/patch"
test "$*" != "lock --check" || exit "$(cat "$PLAYED/lock")"
test "$*" = "run k8s check --format markdown" || exit 0
cat "$PLAYED/report"
exit "$(cat "$PLAYED/code")"
"""


UVX = f"""#!/bin/sh
case $UV_EXCLUDE_NEWER,$1 in
    20??-??-??,copier@9.*.*) shift; exec {shlex.quote(str(BIN))}/copier "$@";;
    *) echo "not pinned: $1" >&2; exit 1;;
esac
"""


RUNNER_TEMP = "${{ runner.temp }}"


class Place:
    """A project at GitHub, with the template that it is made from, perhaps an organisation's."""

    def __init__(self, folder: Path, template: Path, organisation: str = "") -> None:
        self.folder, self.template, self.project = folder, folder / "template", folder / "project"
        git("clone", "-q", str(template), str(self.template), cwd=folder)
        if organisation:
            (self.template / "hooks/organisation.yml").write_text(organisation)
            self.commit(self.template)
            git("tag", "v0.1.0.post1", cwd=self.template)
        git("init", "-q", "--bare", "-b", "main", "origin", cwd=folder)
        copier.run_copy(str(self.template), self.project, data=EXAMPLE, defaults=True, quiet=True)
        git("init", "-q", "-b", "main", cwd=self.project)
        git("remote", "add", "origin", str(folder / "origin"), cwd=self.project)
        self.commit(self.project)
        git("push", "-q", "origin", "main", cwd=self.project)
        self.newer = False
        self.played = folder / "played"
        self.played.mkdir()
        answers = {"calls": "", "open": "", "report": f"{GRAPH}REPORT\n", "code": "0", "lock": "0"}
        for name, text in answers.items():
            (self.played / name).write_text(text)
        programs = {"gh": GH, "uv": UV, "uvx": UVX}
        for name, text in programs.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def commit(self, where: Path) -> None:
        git("add", "-A", cwd=where)
        git("commit", "-q", "-m", "work", cwd=where)

    def release(self, *files: str) -> None:
        for file in files:
            path = self.template / "template" / file
            path.write_text(path.read_text() + LATER)
        self.commit(self.template)
        git("tag", "v0.2.0", cwd=self.template)

    def week(self, token: bool = True) -> tuple[int, str]:
        """Run the workflow's two jobs as GitHub does, each on a machine of its own.

        Return the last exit code and all output.
        """
        workflow = yaml.safe_load((self.project / ".github/workflows/update.yml").read_text())
        output = ""
        for name, job in workflow["jobs"].items():
            machine = Machine(self, name, token)
            if "if" in job and not self.newer:
                continue
            code, printed = machine.run(job["steps"], workflow["env"])
            self.newer = "newer=true" in machine.outputs.read_text()
            output += printed
            if code:
                return code, output
        return 0, output

    def pushed(self, file: str) -> str:
        return git("show", f"copier-update:{file}", cwd=self.folder / "origin")

    def calls(self) -> list[str]:
        return (self.played / "calls").read_text().splitlines()


class Machine:
    """A fresh machine with a checkout of main, on which a job's steps run."""

    def __init__(self, place: Place, job: str, token: bool) -> None:
        self.place, self.token = place, token
        self.folder = Path(tempfile.mkdtemp(prefix=job, dir=place.folder))
        self.temp, self.outputs = self.folder / "temp", self.folder / "outputs"
        self.temp.mkdir()
        self.outputs.write_text("")
        git("clone", "-q", str(place.folder / "origin"), "checkout", cwd=self.folder)
        self.commit = git("rev-parse", "HEAD", cwd=self.folder / "checkout").strip()

    def run(self, steps: list[dict[str, Any]], shared: dict[str, str]) -> tuple[int, str]:
        """Run the steps; return the exit code of the last one, and the output."""
        output = ""
        for step in steps:
            newer = "newer=true" in self.outputs.read_text()
            if step.get("if") == "steps.look.outputs.newer" and not newer:
                continue
            if "upload-artifact" in step.get("uses", ""):
                artifact = self.place.played / "artifacts" / step["with"]["name"]
                artifact.mkdir(parents=True, exist_ok=True)
                shutil.copy(step["with"]["path"].replace(RUNNER_TEMP, str(self.temp)), artifact)
            if "run" in step:
                done = self.shell(step["run"], shared | step.get("env", {}))
                output += done.stdout + done.stderr
                if done.returncode:
                    return done.returncode, output
        return 0, output

    def shell(self, script: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        given = {
            "${{ secrets.TEMPLATE_READ_TOKEN || github.token }}": "token that reads",
            "${{ secrets.TEMPLATE_TOKEN || github.token }}": "token",
            "${{ secrets.TEMPLATE_TOKEN != '' }}": "true" if self.token else "false",
        }
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.folder / "checkout",
            env={
                **{key: given.get(value, value) for key, value in env.items()},
                "PATH": f"{self.place.folder}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "GITHUB_OUTPUT": str(self.outputs),
                "GITHUB_RUN_ID": "1",
                "GITHUB_SHA": self.commit,
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
                "RUNNER_TEMP": str(self.temp),
                "PLAYED": str(self.place.played),
                "COPIER_SETTINGS_PATH": os.environ["COPIER_SETTINGS_PATH"],
            },
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def place(small_template: Path, tmp_path: Path) -> Place:
    return Place(tmp_path, small_template)


BASE = "src/{{ package_name }}/base.py"


def test_nothing_newer(place):
    code, output = place.week()
    assert code == 0
    assert "newest version" in output
    assert place.calls() == ["auth setup-git"]


def test_newer_version_becomes_a_pull_request(place):
    place.release(BASE)
    code, output = place.week(token=False)
    assert code == 0, output
    assert place.pushed("src/churn_model/base.py").endswith(LATER)
    assert "_commit: v0.2.0" in place.pushed(".copier-answers.yml")
    assert place.calls()[-1].startswith("pr create --head copier-update --title")
    body = (place.played / "body").read_text()
    assert "REPORT" in body and "mermaid" not in body
    assert "Not ready" not in body
    assert "fails" not in body
    assert "uv lock" not in body


def test_what_the_organisation_says_is_taken_out_while_it_does(small_template, tmp_path):
    """Its next release may say otherwise, and is to count."""
    place = Place(tmp_path, small_template, "cpu: 2\nmemory: 8000\n")
    settings = place.project / "k8s.toml"
    own = "\n# Ours.\nmemory = 9000\n"
    settings.write_text(f"{settings.read_text()}\ncpu = 2\n{own}")
    place.commit(place.project)
    git("push", "-q", "origin", "main", cwd=place.project)
    code, output = place.week()  # without a newer version, too
    assert code == 0, output
    assert "newest version" in output
    assert place.pushed("k8s.toml") == settings.read_text().replace("\ncpu = 2\n", "")
    (place.template / "hooks/organisation.yml").write_text("cpu: 5\nmemory: 8000\n")
    place.release(BASE)
    code, output = place.week()
    assert code == 0, output
    assert "cpu" not in place.pushed("k8s.toml")
    assert place.pushed("k8s.toml").endswith(own)
    layer = json.loads(place.pushed("src/churn_model/organisation.json"))
    assert layer == {"k8s": {"cpu": 5, "memory": 8000}}
    assert "`k8s drift --tidy`, which changes no pod." in (place.played / "body").read_text()


@pytest.mark.long
def test_open_pull_request_is_brought_up_to_date(place):
    place.release(BASE)
    place.week()
    (place.played / "open").write_text("7\n")
    (place.played / "lock").write_text("1")  # what the update asks for is not in uv.lock
    code, output = place.week()
    assert code == 0, output
    assert place.calls()[-1].startswith("pr edit copier-update --body-file")
    body = (place.played / "body").read_text()
    assert "**Run `uv lock` on this branch, and commit it:** CI fails before." in body


@pytest.mark.long
def test_conflict_is_named(place):
    place.release("k8s.toml.jinja")
    settings = place.project / "k8s.toml"
    settings.write_text(settings.read_text() + "# Ours.\n")
    place.commit(place.project)
    git("push", "-q", "origin", "main", cwd=place.project)
    (place.played / "code").write_text("2")
    code, output = place.week()
    assert code == 0, output
    assert "<<<<<<< before updating\n# Ours.\n" in place.pushed("k8s.toml")
    body = (place.played / "body").read_text()
    assert "**Not ready to merge:**" in body
    assert "\n- `k8s.toml`\n" in body
    assert "`uv run k8s check` fails" in body


def test_workflow_needs_a_token(place):
    """GitHub's own token may not push a workflow, and half an update would be lost in silence."""
    github = next((place.template / "template").glob("*.github*")).name
    place.release(f"{github}/workflows/ci.yml.jinja")
    code, output = place.week(token=False)
    assert code == 1
    assert "::error::This version changes .github/workflows, which needs the secret" in output
    assert not [call for call in place.calls() if call.startswith("pr create")]
    assert git("branch", "--list", cwd=place.folder / "origin").split() == ["*", "main"]
    code, output = place.week(token=True)
    assert code == 0, output
    assert place.pushed(".github/workflows/ci.yml").endswith(LATER)


@pytest.mark.long
def test_commits_of_a_person_are_left_alone(place):
    """The pull request asks people to settle conflicts there: that work is not overwritten."""
    place.release(BASE)
    place.week()
    (place.played / "open").write_text("7\n")
    git("fetch", "-q", "origin", "copier-update", cwd=place.project)
    git("switch", "-q", "--create", "settled", "FETCH_HEAD", cwd=place.project)
    (place.project / "settled.txt").write_text("by hand\n")
    place.commit(place.project)
    git("push", "-q", "origin", "settled:copier-update", cwd=place.project)
    code, output = place.week()
    assert code == 0, output
    assert place.pushed("settled.txt") == "by hand\n"
    assert place.calls()[-1].startswith("pr comment 7 --body The template has a newer version.")


def test_jobs_that_may_write_run_no_code_of_the_project(place):
    """They check out, download and talk to GitHub; they call no uv and no unpinned tool."""
    for file in ("ci.yml", "update.yml"):
        workflow = yaml.safe_load((place.project / ".github/workflows" / file).read_text())
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            if "write" in job.get("permissions", {}).values():
                scripts = "\n".join(step.get("run", "") for step in job["steps"])
                assert "setup-uv" not in json.dumps(job["steps"])
                assert not re.search(r"^\s*(uv|uvx|python\S*|make) ", scripts, re.MULTILINE)
            elif file == "update.yml":
                assert "TEMPLATE_TOKEN" not in json.dumps(job)  # which may write
    assert workflow["jobs"]["publish"]["if"].endswith(" && github.ref == 'refs/heads/main'")


CHANGES = [
    (["README.md", "docs/a/run.md"], "only-docs=true\n"),
    (["README.md", "k8s.toml"], ""),
    (["flows/prompt.md"], ""),  # which a flow may read
]


def test_a_change_of_documentation_needs_no_cluster(example, small_template, tmp_path):
    """GitHub checks out a merge of a pull request into its base, GitLab perhaps its branch."""
    files = [ROOT / ".github/workflows/test.yml", example / ".github/workflows/ci.yml"]
    jobs = [yaml.safe_load(file.read_text())["jobs"]["changes"] for file in files]
    steps = [job["steps"][-1] for job in jobs]
    assert steps[0] == steps[1]
    assert steps[0]["if"] == "github.event_name == 'pull_request'"  # a push needs it always
    how = {"data": {"ci": "gitlab"}, "defaults": True, "quiet": True}
    copier.run_copy(str(small_template), tmp_path / "ignored", **how)
    pipeline = yaml.safe_load((tmp_path / "ignored/.gitlab-ci.yml").read_text())
    script = f"{pipeline['kind']['before_script'][0]}\necho goes on"
    git("init", "-q", "-b", "main", cwd=tmp_path)
    (tmp_path / ".git/info/exclude").write_text("ignored\n")
    git("commit", "-q", "--allow-empty", "-m", "base", cwd=tmp_path)
    for number, (changed, printed) in enumerate(CHANGES):
        base = git("rev-parse", "HEAD", cwd=tmp_path).strip()
        git("switch", "-q", "--create", f"proposal-{number}", "main", cwd=tmp_path)
        for name in changed:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"{number}\n")
        commit(tmp_path)
        git("switch", "-q", "main", cwd=tmp_path)
        git("merge", "-q", "--no-ff", "-m", "merge", f"proposal-{number}", cwd=tmp_path)
        output = tmp_path / ".git/output"
        output.write_text("")
        env = {**os.environ, "GITHUB_OUTPUT": str(output)}
        run("bash", "-ec", steps[0]["run"], cwd=tmp_path, **env)
        assert output.read_text() == printed, changed
        for revision in ("HEAD", f"proposal-{number}"):
            git("switch", "-q", "--detach", revision, cwd=tmp_path)
            gitlab = {**os.environ, "CI_MERGE_REQUEST_DIFF_BASE_SHA": base}
            goes_on = run("bash", "-ec", script, cwd=tmp_path, **gitlab).endswith("goes on\n")
            assert goes_on == (not printed), changed
        git("switch", "-q", "main", cwd=tmp_path)
    assert run("bash", "-ec", script, cwd=tmp_path, **os.environ) == "goes on\n"  # a push


def test_readers_of_pipes_read_to_the_end(example):
    """A writer that is cut off fails, and with `pipefail` the whole pipe seems to."""
    for file in (example / ".github/workflows").iterdir():
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            scripts = "\n".join(step.get("run", "") for step in job["steps"])
            assert not re.search(r"\| *(head|grep .*(-q|--quiet|-m))\b", scripts), scripts


COMMENTS = """#!/bin/sh
echo "$*" >> "$PLAYED/calls"
case "$*" in
    "run download"*) cp "$PLAYED/plan.md" .;;
    *"--jq"*) cat "$PLAYED/id";;
    *--body-file*|*PATCH*) cp body.md "$PLAYED/body";;
esac
"""


GRAPH = '```mermaid\nflowchart LR\n  s1["start"]\n```\n'


@pytest.mark.parametrize("known", ["", "42\n43\n"])
def test_plan_is_one_comment(place, known):
    """Found by its mark, not as the last comment; cut where GitHub would refuse it.

    Then it has no graphs, which could be cut in two.
    """
    (place.folder / "gh").write_text(COMMENTS)
    (place.played / "id").write_text(known)
    long = "x" * 70000
    (place.played / "plan.md").write_text(f"above\n\n{GRAPH}\nbelow\n{long if known else ''}")
    workflow = yaml.safe_load((place.project / ".github/workflows/ci.yml").read_text())
    (step,) = workflow["jobs"]["comment"]["steps"]
    given = {"GH_REPO": "acme/churn", "NUMBER": "7", "GITHUB_SERVER_URL": "https://github.example"}
    machine = Machine(place, "comment", token=False)
    done = machine.shell(step["run"], {**step["env"], **given})
    assert done.returncode == 0, done.stderr
    body = (place.played / "body").read_text()
    assert len(body) < 65536
    last = place.calls()[-1]
    if known:
        assert body.startswith("<!-- k8s plan -->\nabove\n\n\nbelow\nxxx")
        assert body.endswith(
            "x\n\nThe rest is in the summary of https://github.example/acme/churn/actions/runs/1\n"
        )
        assert last.startswith("api --silent --method PATCH repos/acme/churn/issues/comments/42 ")
    else:
        assert body == f"<!-- k8s plan -->\nabove\n\n{GRAPH}\nbelow\n"
        assert last == "pr comment 7 --body-file body.md"


def test_missing_template(place):
    place.template.rename(place.folder / "gone")
    code, output = place.week()
    assert code == 1
    assert "::error file=.copier-answers.yml::The template cannot be read from here" in output


def test_workflow_is_pinned_as_the_other_one(example):
    """A reader has one list of actions to trust."""
    workflows = example / ".github/workflows"
    pins = [
        {
            line.split("uses:")[1].strip()
            for line in file.read_text().splitlines()
            if "uses:" in line
        }
        for file in (workflows / "update.yml", workflows / "ci.yml")
    ]
    assert len(pins[0]) == 3
    assert pins[0] <= pins[1]


WORKFLOW = ".github/workflows/update.yml"


@pytest.mark.parametrize(
    ("ci", "updates", "files"),
    [
        ("github", "renovate", {"renovate.json"}),
        ("github", "weekly", {WORKFLOW}),
        ("github", "both", {"renovate.json", WORKFLOW}),
        ("github", "hand", set()),
        ("gitlab", "both", {"renovate.json"}),
        ("none", "hand", set()),
        ("github", None, {"renovate.json"}),
    ],
)
def test_who_updates(copy: Callable[..., Path], tmp_path, ci, updates, files):
    """Renovate can everywhere; the workflow is GitHub's. The README names what is there."""
    project = copy(tmp_path / "new", ci=ci, **({"updates": updates} if updates else {}))
    readme = (project / "README.md").read_text()
    assert {name for name in ("renovate.json", WORKFLOW) if (project / name).exists()} == files
    assert {name for name in ("renovate.json", WORKFLOW) if name in readme} == files


def test_no_workflow_without_github(copy: Callable[..., Path], tmp_path):
    with pytest.raises(ValueError, match="needs GitHub Actions"):
        copy(tmp_path / "new", ci="gitlab", updates="weekly")


def test_renovate_leaves_to_the_template_what_it_brings(example):
    renovate: dict[str, Any] = json.loads((example / "renovate.json").read_text())
    assert renovate["copier"] == {"enabled": True}
    (rule,) = renovate["packageRules"]
    assert rule["enabled"] is False
    assert rule["matchFileNames"] == [
        ".github/workflows/ci.yml",
        ".github/workflows/update.yml",
        ".gitlab-ci.yml",
        "tools/**",
    ]
