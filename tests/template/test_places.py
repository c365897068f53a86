"""Where a project is: in a folder of its own or of a larger repository, beside other templates."""

import re
from collections.abc import Callable
from pathlib import Path

import copier
import pytest
import yaml
from conftest import ROOT, Compare
from jinja2 import FileSystemLoader
from jinja2.sandbox import SandboxedEnvironment
from mf_k8s.project.merge_conflicts import conflicts_in_files
from teams import commit, copier_ends_with, git

NextSteps = Callable[..., str]
FILTERS = "jinja2_ansible_filters.AnsibleCoreFiltersExtension"  # as Copier has them
README = ROOT / "template/README.md.jinja"


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


GITHUB = "https://github.com/acme/mf-template/blob/v1.2.0/docs/images.md"
GITLAB = "https://gitlab.acme.example/ml/mf-template/-/blob/v1.2.0/docs/images.md"


@pytest.mark.parametrize(
    ("source", "version", "url"),
    [
        ("gh:acme/mf-template", "v1.2.0", GITHUB),
        ("gh:/acme/mf-template.git", "v1.2.0", GITHUB),
        ("https://github.com/acme/mf-template.git", "v1.2.0", GITHUB),
        ("git+https://github.com/acme/mf-template", "v1.2.0", GITHUB),
        ("git@github.com:acme/mf-template.git", "v1.2.0", GITHUB),
        ("https://ann:token@github.com/acme/mf-template/", "v1.2.0", GITHUB),
        ("https://gitlab.acme.example/ml/mf-template.git", "v1.2.0", GITLAB),
        ("ssh://git@gitlab.acme.example/ml/mf-template.git", "v1.2.0", GITLAB),
        ("gl:ml/mf-template", "v1.2.0", GITLAB.replace(".acme.example", ".com")),
        ("gh:acme/mf-template", "v1.2.0-3-g0a1b2c3", GITHUB.replace("v1.2.0", "0a1b2c3")),
        ("gh:acme/mf-template", "v1.2.0+acme.1", GITHUB.replace("v1.2.0", "v1.2.0%2Bacme.1")),
        ("/home/ann/mf-template", "v1.2.0", ""),
        ("../mf-template", "v1.2.0", ""),
        ("gh:acme/mf-template", "", ""),
    ],
)
def test_links_to_the_documentation(source: str, version: str, url: str) -> None:
    """They are those of the version that a project has, and show no login."""
    jinja = SandboxedEnvironment(loader=FileSystemLoader(ROOT), extensions=[FILTERS])
    macros = jinja.get_template("hooks/places.jinja").module
    link = macros.page(source, version, "images")  # type: ignore[attr-defined]
    assert link == (f"[images]({url})" if url else "docs/images.md")


def test_documentation_that_projects_link() -> None:
    linked = re.findall(r"link\(source, version, '(\w+)'\)", README.read_text())
    assert linked and [name for name in linked if not (ROOT / f"docs/{name}.md").exists()] == []


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
