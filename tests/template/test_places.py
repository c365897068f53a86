"""Where a project is: in a folder of its own or of a larger repository, beside other templates."""

from collections.abc import Callable
from pathlib import Path

import copier
import pytest
import yaml
from conftest import ROOT, Compare
from mf_k8s.project.merge_conflicts import conflicts_in_files
from teams import commit, copier_ends_with, git

NextSteps = Callable[..., str]


@pytest.fixture
def next_steps(
    small_template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> NextSteps:
    """Return a function that copies the template and returns what Copier prints in the end."""

    def next_steps(
        destination: str, cwd: Path, source: str | Path = small_template, **answers: str
    ) -> str:
        cwd.mkdir(exist_ok=True)
        monkeypatch.chdir(cwd)
        data = [f"--data={key}={value}" for key, value in answers.items()]
        status = copier_ends_with("copy", "--defaults", *data, source, destination)
        output = capsys.readouterr().err
        assert status == 0, output
        printed = output[output.index("─") :].replace(str(tmp_path), "/home/ann")
        assert [line for line in printed.splitlines() if len(line) > 80] == []
        return printed

    return next_steps


def test_in_a_new_folder(next_steps: NextSteps, tmp_path: Path, compare: Compare) -> None:
    compare("after-copy-new-folder", next_steps("a b", tmp_path))


def test_with_the_answers_of_the_example(
    next_steps: NextSteps, tmp_path: Path, compare: Compare
) -> None:
    """As docs/questions.svg ends."""
    answers = yaml.safe_load((ROOT / "tests/example-answers.yml").read_text())
    compare("after-copy-example", next_steps("churn-model", tmp_path, **answers))


def test_here(next_steps: NextSteps, tmp_path: Path, compare: Compare) -> None:
    compare("after-copy-here", next_steps(".", tmp_path / "churn"))


def test_in_a_repository_of_its_own(
    next_steps: NextSteps, tmp_path: Path, compare: Compare
) -> None:
    git("init", "-q", "churn", cwd=tmp_path)
    compare("after-copy-own-repository", next_steps(".", tmp_path / "churn"))


@pytest.mark.parametrize("kind", ["repository", "worktree"])
@pytest.mark.parametrize("ci", ["github", "gitlab", "none"])
def test_in_a_folder_of_a_larger_repository(
    next_steps: NextSteps, tmp_path: Path, compare: Compare, kind: str, ci: str
) -> None:
    root = tmp_path / "mono [1]"
    if kind == "repository":
        git("init", "-q", str(root), cwd=tmp_path)
    else:
        git("init", "-q", "main", cwd=tmp_path)
        git("commit", "-q", "--allow-empty", "-m", "first", cwd=tmp_path / "main")
        git("worktree", "add", "-q", "-b", "tree", str(root), cwd=tmp_path / "main")
    printed = next_steps("teams/churn", root, ci=ci)
    compare(f"after-copy-subfolder-{ci}", printed)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_deployment_in_a_folder_of_a_larger_repository(
    next_steps: NextSteps, tmp_path: Path, ci: str
) -> None:
    git("init", "-q", "mono", cwd=tmp_path)
    printed = next_steps("churn", tmp_path / "mono", ci=ci, deploy_from_ci="true")
    assert "plan.md, rendered and kind-logs" in printed
    also = {
        "github": "- Move deploy.yml, with the same `defaults` in its job deploy.\n",
        "gitlab": "- In this one, begin each `before_script` and `after_script` with\n",
    }
    assert also[ci] in printed


def test_what_answers_ask_for(
    next_steps: NextSteps, small_template: Path, tmp_path: Path, compare: Compare
) -> None:
    """An image that exists, a datastore on Azure, more shared memory than memory, deployment.

    The template is named by a relative path.
    """
    (tmp_path / "mf-template").symlink_to(small_template)
    answers = {
        "image": "ghcr.io/acme/churn:1.2.3",
        "image_source": "existing",
        "datastore_root": "container/folder",
        "shared_memory": "8192",
        "deploy_from_ci": "true",
    }
    compare("after-copy-answers", next_steps("churn", tmp_path, "mf-template", **answers))


OTHER = ".copier-answers.k8s.yml"


def test_beside_another_template(
    small_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an answers file of another name: README and the weekly job use it."""
    project = tmp_path / "churn"
    how = {"defaults": True, "quiet": True, "unsafe": False, "answers_file": OTHER}
    copier.run_copy(str(small_template), project, data={"gpu": "1", "updates": "weekly"}, **how)
    other = {"_src_path": "gh:acme/docs", "_commit": "v1", "image": "acme/docs:1"}
    (project / ".copier-answers.yml").write_text(yaml.safe_dump(other))
    git("init", "-q", "-b", "main", cwd=project)
    commit(project)
    assert conflicts_in_files(project) == []

    workflow = (project / ".github/workflows/update.yml").read_text()
    assert f'uvx "$COPIER" check-update -a {OTHER} --quiet' in workflow
    assert f'uvx "$COPIER" update -a {OTHER} --defaults' in workflow
    assert (
        f"uvx copier update -a {OTHER} --defaults && uv sync" in (project / "README.md").read_text()
    )

    monkeypatch.chdir(project)
    options = ("-a", OTHER, "--defaults", "-d", "cpu=2", "--vcs-ref", ":current:")
    assert copier_ends_with("update", *options) == 0
    assert "\ncpu = 2\n" in (project / "k8s.toml").read_text()
