"""The one file that a fork changes: checked, merged with newer releases, and what it makes."""

import json
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import copier
import organisation
import pytest
import yaml
from conftest import ACTIONLINT, BIN, ROOT, check_schema, run
from mf_k8s.check.compare import check_flows
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.pods.argo_controller import Controller
from mf_k8s.pods.argo_pods import argo_pods
from mf_k8s.pods.configure_template import configure_template
from mf_k8s.pods.lay_pod import step_pods
from mf_k8s.pods.pod_security import strictest_level, violations
from mf_k8s.project.environment_layer import merged_config
from mf_k8s.project.merge_settings import shared_settings
from mf_k8s.project.project import Project
from teams import answers_of, commit, copier_ends_with, git, update

FILE = "hooks/organisation.yml"
DOCS = (ROOT / "docs/organisation.md").read_text()
(EXAMPLE,) = re.findall(r"^```yaml\n(.*?)^```$", DOCS, re.DOTALL | re.MULTILINE)
(SHOWN,) = re.findall(r"^```toml\n(.*?)^```$", DOCS, re.DOTALL | re.MULTILINE)


def render(source: Path, project: Path) -> Path:
    how = {"defaults": True, "quiet": True, "unsafe": False}
    copier.run_copy(str(source), project, **how)
    return project


def test_own_file(monkeypatch, capsys):
    """This file, or in a fork the organisation's, is right."""
    monkeypatch.setattr(sys, "argv", ["organisation.py"])
    organisation.main()
    assert capsys.readouterr().out == "organisation.yml: every value can be a default\n"


def test_example():
    assert list(organisation.problems(EXAMPLE)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("registri: ghcr.io/a", "registri: no such key; did you mean registry?"),
        ("gpu_pool: {}", "gpu_pool: no such key; did you mean gpu_pools?"),
        (
            "registry: Bad Reg",
            'registry: "Bad Reg": Like ghcr.io/acme or .*, without a slash at the end',
        ),
        ("registry: [a]", r'registry: \["a"\] is not a text'),
        ("namespaces: team-a", 'namespaces: "team-a" is not a list of names'),
        ("namespaces: []", r"namespaces: \[\] is not a list of names, like \[team-a\]"),
        ("namespaces: [team-a, Team_B]", 'namespaces: "Team_B": .* 63 lower-case letters'),
        ("service_accounts: [Bad_One]", 'service_accounts: "Bad_One": Like metaflow or team-a'),
        ("persistent_volume_claims: data", 'persistent_volume_claims: "data": Like data:/data'),
        ("datastore_root: s3://a/", "datastore_root: .* without a slash at the end"),
        ("environments: [dev]", r'environments: \["dev"\] is not a table'),
        ("environments: {Dev: ml-dev}", 'environments: "Dev" is not a name, like dev: lower-case'),
        ("environments: {kind: a}", 'environments: "kind" is not a name, .* is the template\'s'),
        ("environments: {dev: ML}", 'environments: dev: "ML": Like team-a: at most 63'),
        ("environments: {dev: {namespace: ML}}", 'environments: dev: "ML": Like team-a: at most'),
        ("environments: {dev: {datastore_root: a}}", 'environments: dev: "a": Like s3://bucket'),
        (
            "environments: {dev: {contxt: a}}",
            "environments: dev: no key contxt; did you mean context",
        ),
        ("environments: {dev: {tags: a}}", 'environments: dev: tags = "a": List of text, like'),
        ("environments: {dev: {k8s: {gpus: 1}}}", "environments.dev.k8s: no key gpus; did you"),
        ("k8s: {label: {a: b}}", "k8s: no key label; did you mean labels?"),
        ("k8s: {labels: {a: }}", "k8s: labels.a has no value; give it one or leave it out"),
        ("k8s: []", r"k8s: \[\] is not a table"),
        ("locked: [labls.a]", 'locked: "labls.a" is no path in k8s.toml; did you mean labels'),
        ("locked: [memory.max]", 'locked: "memory.max": memory is no table; write memory alone'),
        ("locked: registry", 'locked: "registry" is not a list of names'),
        ("cpu: two", 'cpu: "two" is not a number'),
        ("cpu: 0", "cpu: 0: Number above 0"),
        ("memory: 0.5", "memory: 0.5: Whole number of MB"),
        ("memory: 16", "memory: 16: Whole number of MB, like 16000 for 16 GB, and 100 or more"),
        ("image_pull_secrets: Reg", 'image_pull_secrets: "Reg": Like team-a'),
        ("metadata_service_url: meta", 'metadata_service_url: "meta": Like https://example.com'),
        (
            "metadata_service_url: http://a\nmetadata_service_internal_url: meta",
            'metadata_service_internal_url: "meta": Like https://example.com',
        ),
        (
            "metadata_service_internal_url: http://a",
            "metadata_service_internal_url: has no effect without metadata_service_url",
        ),
        ("deploy_from_ci: maybe", 'deploy_from_ci: "maybe" is not true or false'),
        ("runner: acme", 'runner: "acme" is not a list of names'),
        ("runner: ['a b']", 'runner: "a b" is not a label, like ubuntu-latest'),
        ("deploy_runner: [1]", "deploy_runner: 1 is not a label, like ubuntu-latest"),
        ("kind_in_ci: off-ish", 'kind_in_ci: "off-ish" is not true or false'),
        ("index_logins: [a]", r'index_logins: \["a"\] is not a table'),
        ("index_logins: {a b: [U, P]}", 'index_logins: "a b" is not the name of an index'),
        ("index_logins: {a: [U]}", r'index_logins: a: \["U"\] is not the names of two secrets'),
        ("index_logins: {a: U}", 'index_logins: a: "U" is not the names of two secrets'),
        ("index_logins: {a: [U, p-w]}", r'index_logins: a: \["U", "p-w"\] is not the names'),
        ("buildkit_host: buildkitd", 'buildkit_host: "buildkitd" is not an address, like tcp://'),
        (
            "buildkit_host: tcp://b:1\nci: gitlab",
            "buildkit_host: needs a ci_image that has buildctl",
        ),
        ("base_image: python", 'base_image: "python": A fixed tag: ghcr.io/acme/churn:1.2.3'),
        ("base_image: 'a:{version}'", 'base_image: "a:{version}": A fixed tag: '),
        ("ci_image: Uv:1", 'ci_image: "Uv:1": Lower case before the tag. A fixed tag'),
        ("python_version: 3.12", "python_version: 3.12 is not a text; write it in quotes"),
        ("python_version: '3.9'", 'python_version: "3.9" is not 3.11, 3.12 or 3.13'),
        ("ci: jenkins", 'ci: "jenkins" is not github, gitlab or none'),
        ("gpu_pools: [a100]", r'gpu_pools: \["a100"\] is not a table'),
        ("gpu_pools: {a: {gpus: 1}}", "gpu_pools: no key a.gpus; did you mean gpu?"),
        ("gpu_pools: {a: {gpu: two}}", 'gpu_pools: a.gpu = "two": Whole number'),
        ("gpu_pools: {a: {gpu: }}", "gpu_pools: a.gpu has no value; give it one or leave it out"),
        ("gpu_pools: {8: {gpu: 1}}", "gpu_pools: 8 is not a text; write it in quotes"),
        ("- registry", "a table is right, like `registry: ghcr.io/acme`"),
        ("registry: [", "not YAML: .*line"),
        ("registry: '{{ registry }}'", "{{ is not valid: Copier reads this file as a template"),
    ],
)
def test_wrong_value_is_named_in_one_line(tmp_path, monkeypatch, capsys, text, message):
    (tmp_path / "organisation.yml").write_text(text + "\n")
    monkeypatch.setattr(sys, "argv", ["organisation.py", str(tmp_path / "organisation.yml")])
    with pytest.raises(SystemExit) as end:
        organisation.main()
    printed = capsys.readouterr()
    assert end.value.code == 1
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert re.match(f"organisation.yml: {message}", line), line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tool: mf k8s", 'tool: "mf k8s" is not a requirement, like mf-k8s==0.3.0: Expected'),
        ("tool: mf-k8s 0.3", 'tool: "mf-k8s 0.3" is not a requirement, like mf-k8s==0.3.0: '),
        ("tool: git+https://a.example/b", 'tool: "git+https://a.example/b" is not a requirement'),
        ("tool: mf-k9s==0.3.0", 'tool: "mf-k9s==0.3.0" is not a requirement of mf-k8s, like'),
        ("tool: [mf-k8s]", 'tool: ["mf-k8s"] is not a text'),
        ("tool_index: https://a.example", "tool_index: has no effect without tool, like mf-k8s=="),
        *(
            (
                f"tool: mf-k8s\ntool_index: {url}",
                f'tool_index: "{url}" is not the URL of an index, like https://pypi.example.com/',
            )
            for url in ("a.example/simple", "ftp://a.example", "https:///simple", "https://a b/c")
        ),
        (
            "tool: mf-k8s\ntool_index: https://me:secret@a.example/simple",
            "tool_index: a name and password would be in every project; leave them out, and set",
        ),
        (
            "tool: mf-k8s @ https://a.example/a.whl\ntool_index: https://a.example/simple",
            "tool_index: has no effect on a tool with a URL of its own; leave it out",
        ),
    ],
)
def test_tool_that_may_not_be(text, message):
    (line,) = organisation.problems(text)
    assert line.startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "tool: mf-k8s",
        "tool: mf-k8s>=0.3,<1\ntool_index: https://a.example/simple",
        "tool: mf_k8s==0.3.0\ntool_index: http://a.example:8080/simple/",
        "tool: mf-k8s==0.3.0\ntool_index: file:///srv/simple",
        "tool: mf-k8s @ git+https://a.example/b@v0.3.0.post1#subdirectory=template/tools/mf-k8s",
        "tool: ''\ntool_index: ''",
    ],
)
def test_tool_that_may_be(text):
    assert list(organisation.problems(text)) == []


def check(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "organisation.yml").write_text(text)
    return subprocess.run(
        [sys.executable, ROOT / "tests/organisation.py", folder / "organisation.yml"],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("tool", "versions", "message"),
    [
        ("mf-k8s==9.9.9", ["9.9.9"], None),
        ("mf-k8s", ["0.2.9", "9.9.9"], None),
        ("mf-k8s==9.9.8", ["9.9.9"], "tool: uv cannot get mf-k8s==9.9.8 from file:.* publish it"),
        ("mf-k8s", [], "tool: uv cannot get mf-k8s from file:.* publish it there, or correct"),
        (
            "mf-k8s<0.3",
            ["0.2.9"],
            r"tool: mf-k8s<0.3 gives version 0.2.9, and projects require >=0\..* `make package`",
        ),
    ],
)
def test_tool_is_looked_up(tmp_path, tool, versions, message):
    """Wheels without content are enough: nothing is installed."""
    folder = tmp_path / "simple/mf-k8s"
    folder.mkdir(parents=True)
    names = [f"mf_k8s-{version}-py3-none-any.whl" for version in versions]
    for name, version in zip(names, versions, strict=True):
        with zipfile.ZipFile(folder / name, "w") as wheel:
            metadata = f"Metadata-Version: 2.1\nName: mf-k8s\nVersion: {version}\n"
            wheel.writestr(f"mf_k8s-{version}.dist-info/METADATA", metadata)
    (folder / "index.html").write_text("".join(f'<a href="{name}">{name}</a>' for name in names))
    index = (tmp_path / "simple").as_uri()
    done = check(tmp_path, f"tool: {tool}\ntool_index: {index}\n")
    assert done.returncode == (1 if message else 0), done.stderr
    if message:
        (line,) = done.stderr.splitlines()
        assert re.match(f"organisation.yml: {message}", line), line


def test_index_that_does_not_answer(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and not listened to
        index = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        done = check(tmp_path, f"tool: mf-k8s==0.3.0\ntool_index: {index}\n")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    start = (
        f"organisation.yml: tool: uv cannot get mf-k8s==0.3.0 from {index}: publish it there, or"
    )
    assert line.startswith(start), line


@pytest.mark.parametrize(
    ("tool", "variant"),
    [
        ("mf-k8s==0.3.0", "-slim"),
        ("mf-k8s @ git+https://a.example/b@v0.3.0", ""),
    ],
)
def test_gitlab_jobs_have_git_where_the_tool_comes_from_it(small_template, tmp_path, tool, variant):
    fork = tmp_path / "fork"
    shutil.copytree(small_template, fork, ignore=shutil.ignore_patterns(".git"))
    (fork / FILE).write_text(yaml.safe_dump({"ci": "gitlab", "tool": tool}))
    project = render(fork, tmp_path / "churn")
    pipeline = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
    image = pipeline["default"]["image"]
    assert re.fullmatch(rf"ghcr.io/astral-sh/uv:[\d.]+-python3.13-trixie{variant}", image)


def test_example_makes_what_the_docs_show(small_template, tmp_path):
    shutil.copytree(small_template, tmp_path / "fork", ignore=shutil.ignore_patterns(".git"))
    (tmp_path / "fork" / FILE).write_text(EXAMPLE)
    project = render(tmp_path / "fork", tmp_path / "churn")
    assert tomllib.loads((project / "k8s.toml").read_text()) == tomllib.loads(SHOWN)
    workflow = yaml.safe_load((project / ".github/workflows/deploy.yml").read_text())
    push = {"branches": ["main"], "tags": ["v*"]}
    assert workflow[True] == {"push": push, "workflow_dispatch": None}
    (job,) = workflow["jobs"].values()
    login = {"USERNAME": "${{ secrets.PYPI_USER }}", "PASSWORD": "${{ secrets.PYPI_TOKEN }}"}
    env = {f"UV_INDEX_ORGANISATION_{part}": secret for part, secret in login.items()}
    host = {"BUILDKIT_HOST": "tcp://buildkitd.ci:1234"}
    assert (job["runs-on"], job["env"]) == (["acme-deploy"], host | env)
    checks = yaml.safe_load((project / ".github/workflows/ci.yml").read_text())["jobs"]
    assert {name: job.get("env") for name, job in checks.items()} == {
        **{"test": env, "plan": env},
        "comment": None,  # which may write
    }
    assert [job["runs-on"] for job in checks.values()] == [["acme-linux"]] * 3
    lint_workflows(project)
    assert job["strategy"]["matrix"] == {
        "environment": "${{ fromJSON(github.ref_type == 'tag' && '[\"prod\"]' || '[\"dev\"]') }}"
    }
    plan = (project / ".github/workflows/ci.yml").read_text()
    rendered = re.findall("k8s render --env (.*) --no-upload -o rendered/(.*)", plan)
    assert rendered == [("dev", "dev"), ("prod", "prod")]
    assert "FROM registry.acme.example/python:3.12\n" in (project / "Dockerfile").read_text()
    places = {
        file.stem: json.loads(file.read_text())
        for file in (project / "environments").glob("*.json")
        if file.name not in ("kind.json", "environment.schema.json")
    }
    shared = {"$schema": "environment.schema.json", "user": "churn"}
    assert places == {
        "dev": {**shared, "branch": "dev", "schedules": False},
        "prod": {**shared, "production": True},
    }
    layer = json.loads((project / "src/churn/organisation.json").read_text())
    shared = {
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://acme-metaflow/flows",
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DEFAULT_METADATA": "service",
        "METAFLOW_SERVICE_INTERNAL_URL": "http://metadata.metaflow:8080",
        "METAFLOW_SERVICE_URL": "https://metadata.acme.example",
    }
    of_prod = {"context": "acme-production", "tags": ["env:prod"]}
    assert layer["environments"] == {
        "dev": {**shared, "METAFLOW_KUBERNETES_NAMESPACE": "ml-dev"},
        "prod": {**shared, **of_prod, "METAFLOW_KUBERNETES_NAMESPACE": "ml-prod"}
        | {"k8s": {"service_account": "metaflow-prod"}},
    }
    assert layer["locked"] == ["registry", "labels.cost-centre"]
    assert layer["k8s"] == {
        "registry": "registry.acme.example/ml",
        "service_account": "metaflow-runner",
        "cpu": 2,
        "memory": 8000,
        "image_pull_secrets": ["acme-registry"],
        "persistent_volume_claims": {"datasets": "/datasets"},
        "labels": {"cost-centre": "ml"},
        "pools": yaml.safe_load(EXAMPLE)["gpu_pools"],
    }


def lint_workflows(project: Path) -> None:
    """Labels of an organisation's runners are unknown to actionlint until its file has them."""
    files = [*(project / ".github/workflows").iterdir()]
    strict = ("--offline", "--no-config", "--persona", "auditor")
    run(BIN / "zizmor", *strict, *files, cwd=project)
    if shutil.which("go"):
        labels = project / "actionlint.yaml"
        labels.write_text("self-hosted-runner: {labels: [acme-linux, acme-deploy]}\n")
        run("go", "run", ACTIONLINT, "-config-file", labels, *files, cwd=project)


@pytest.mark.parametrize("deploy_runner", ["[acme-deploy]", "[]"])
def test_gitlab_pipeline_of_an_organisation(small_template, tmp_path, deploy_runner):
    """Its image, runners, logins and builder: a runner with Docker is needed for nothing."""
    fork = tmp_path / "fork"
    shutil.copytree(small_template, fork, ignore=shutil.ignore_patterns(".git"))
    (fork / FILE).write_text(f"{EXAMPLE}\nci: gitlab\ndeploy_runner: {deploy_runner}\n")
    project = render(fork, tmp_path / "churn")
    pipeline = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
    assert pipeline["variables"].items() >= {
        ("UV_INDEX_ORGANISATION_USERNAME", "$PYPI_USER"),
        ("UV_INDEX_ORGANISATION_PASSWORD", "$PYPI_TOKEN"),
    }
    default = pipeline["default"]
    assert default["image"] == "registry.acme.example/uv:0.13-python3.12"
    assert default["tags"] == ["acme-linux"]
    jobs = {name for name, job in pipeline.items() if "script" in job and name != ".deploy"}
    assert jobs == {"test", "plan"}  # and no kind
    assert not [name for name in pipeline if name != "default" and "image" in pipeline[name]]
    deploy = pipeline[".deploy"]
    assert deploy.get("tags") == (["acme-deploy"] if "acme" in deploy_runner else None)
    assert deploy["variables"]["BUILDKIT_HOST"] == "tcp://buildkitd.ci:1234"
    assert pipeline["deploy-prod"]["rules"] == [{"if": "$CI_COMMIT_TAG"}]
    text = (project / ".gitlab-ci.yml").read_text()
    assert not re.findall("(?i)DEPLOY_RUNNER|Only on a shell|with docker|docker push", text)
    check_schema("gitlab-ci", project / ".gitlab-ci.yml")


def test_secrets_with_the_names_of_uv_are_there_on_gitlab(small_template, tmp_path):
    """A variable that names itself would be empty."""
    names = "[UV_INDEX_MY_OWN_USERNAME, TOKEN]"
    shutil.copytree(small_template, tmp_path / "fork", ignore=shutil.ignore_patterns(".git"))
    (tmp_path / "fork" / FILE).write_text(f"ci: gitlab\nindex_logins: {{my.own: {names}}}\n")
    project = render(tmp_path / "fork", tmp_path / "churn")
    variables = yaml.safe_load((project / ".gitlab-ci.yml").read_text())["variables"]
    logins = {key: value for key, value in variables.items() if "INDEX" in key}
    assert logins == {"UV_INDEX_MY_OWN_PASSWORD": "$TOKEN"}


def test_answers_of_a_team_in_an_organisation(small_template, tmp_path):
    """What a team answers otherwise is in its own files, and recorded; the rest is in neither.

    A namespace of its own is that of prod.
    """
    shutil.copytree(small_template, tmp_path / "fork", ignore=shutil.ignore_patterns(".git"))
    (tmp_path / "fork" / FILE).write_text(EXAMPLE)
    own = {
        "namespace": "churn",
        "cpu": "4",
        "memory": "8000",
        "service_account": "metaflow-runner",
        "persistent_volume_claims": "datasets:/datasets, cache:/cache",
        "advanced": True,
        "metadata_service_url": "https://own.example",
        "image_pull_secrets": "acme-registry, other",
    }
    how = {"defaults": True, "quiet": True, "unsafe": False}
    copier.run_copy(str(tmp_path / "fork"), tmp_path / "churn", data=own, **how)
    for name, namespace in (("dev", None), ("prod", "churn")):
        settings = json.loads((tmp_path / f"churn/environments/{name}.json").read_text())
        assert settings.get("METAFLOW_KUBERNETES_NAMESPACE") == namespace
        assert settings["METAFLOW_SERVICE_URL"] == "https://own.example"
    assert tomllib.loads((tmp_path / "churn/k8s.toml").read_text()) == {
        "image": "churn:0.1.0",
        "cpu": 4,
        "image_pull_secrets": ["other"],
        "persistent_volume_claims": {"cache": "/cache"},
    }
    recorded = answers_of(tmp_path / "churn")
    followed = {"image", "memory", "service_account", "datastore_root"}
    assert not followed & recorded.keys()
    assert {"cpu", "namespace", "metadata_service_url", "image_pull_secrets"} <= recorded.keys()


def test_renovate_moves_the_images_of_a_fork(tmp_path):
    """The file that the docs show is valid, and finds an image and its digest, but no {python}."""
    (shown,) = re.findall(r"^```json\n(.*?)^```$", DOCS, re.DOTALL | re.MULTILINE)
    (tmp_path / "renovate.json").write_text(shown)
    check_schema("renovate", tmp_path / "renovate.json")
    (manager,) = json.loads(shown)["customManagers"]
    (pattern,) = manager["matchStrings"]
    digest = f"sha256:{'a' * 64}"
    text = f"""
ci_image: a.example:5000/uv:0.13-python3.13@{digest}

base_image: "python:3.13-slim"
"""
    found = re.findall(pattern.replace("(?<", "(?P<"), text)  # as JavaScript names groups
    expected = [("a.example:5000/uv", "0.13-python3.13", digest), ("python", "3.13-slim", "")]
    assert found == expected
    assert not re.search(pattern.replace("(?<", "(?P<"), '\nbase_image: "python:{python}-slim"\n')
    assert re.fullmatch(manager["managerFilePatterns"][0].strip("/"), FILE)


def test_what_the_organisation_leaves_is_followed_too(small_template, tmp_path):
    """An answer that is its default moves when that does, whether it is a key or one below k8s."""
    shutil.copytree(small_template, tmp_path / "fork", ignore=shutil.ignore_patterns(".git"))
    (tmp_path / "fork" / FILE).write_text("k8s: {cpu: 3, labels: {cost-centre: ml}}\n")
    project = render(tmp_path / "fork", tmp_path / "churn")
    assert tomllib.loads((project / "k8s.toml").read_text()) == {
        "image": "ghcr.io/example/churn:0.1.0",
        "service_account": "metaflow",
        "memory": 4096,
    }
    assert not {"cpu", "memory", "service_account", "namespace"} & answers_of(project).keys()
    assert "@k8s(memory=16000)" in (project / "flows/train.py").read_text()


def test_any_text_in_a_pool(small_template, tmp_path):
    """Names and annotations are free text, and TOML has escapes of its own."""
    texts = ["🙂", "é", '"', "\\", "'", "\n", "\x7f", "\x1f", "$(id)", "a.b", "x = 1", "#", "]"]
    pools = {text: {"annotations": {f"a.example/{i}": text}} for i, text in enumerate(texts)}
    file = yaml.safe_dump({"gpu_pools": pools}, allow_unicode=True)
    shutil.copytree(small_template, tmp_path / "fork", ignore=shutil.ignore_patterns(".git"))
    (tmp_path / "fork" / FILE).write_text(file)
    project = render(tmp_path / "fork", tmp_path / "churn")
    layer = json.loads((project / f"src/{project.name}/organisation.json").read_text())
    assert layer["k8s"]["pools"] == pools


def test_restricted_pods(small_template, tmp_path):
    """Each pod passes Pod Security `restricted`, with Argo's containers, the agent and hooks.

    So does a step that says otherwise of something else; without the key none of them passes.
    """
    shutil.copytree(small_template, tmp_path / "fork", ignore=shutil.ignore_patterns(".git"))
    wait = "{name: wait, resources: {requests: {cpu: 10m}}}"
    k8s = f"k8s: {{labels: {{cost-centre: ml}}, pod: {{containers: [{wait}]}}}}\n"
    (tmp_path / "fork" / FILE).write_text("restricted: true\n" + k8s)
    folder = render(tmp_path / "fork", tmp_path / "churn-model")
    for name in ("gang", "hooked"):
        shutil.copy(ROOT / f"tests/flows/{name}.py", folder / "flows")
    project = Project(folder, "churn_model")
    config = merged_config(project)
    plain = {"image": config["image"]}
    levels = {"restricted": set(), "plain": set()}
    for result in compile_flows(project, project.flow_files()):
        assert result.template, result.error
        result.template["spec"]["templates"].append({"name": "call", "http": {"url": "a"}})
        pods = {}
        for level, settings in (("restricted", config), ("plain", plain)):
            own = step_pods(settings, result.flow)
            whole = configure_template(result.template, shared_settings(settings), {}, own)
            pods = argo_pods(whole, Controller())
            levels[level] |= {strictest_level([pod]) for pod in pods.values()}
            if level == "restricted":
                assert {name: violations(pod, level) for name, pod in pods.items()} == {
                    name: [] for name in pods
                }
                labels = {pod["metadata"]["labels"]["cost-centre"] for pod in pods.values()}
                assert labels == {"ml"}
                containers = pods[result.flow["start"]]["spec"]["containers"]
                sizes = {each["name"]: each.get("resources") for each in containers}
                assert sizes["wait"] == {"requests": {"cpu": "10m"}}
        assert "(agent)" in pods
    assert levels["restricted"] == {"restricted"} and "baseline" in levels["plain"]
    (report,) = check_flows(project, compile_flows(project, project.flow_files(["hello"])))
    assert report.matches


def test_every_key_may_be_left_out(small_template, tmp_path):
    """A key that a newer release adds is not in a fork's file yet."""
    shutil.copytree(small_template, tmp_path / "fork", ignore=shutil.ignore_patterns(".git"))
    for text in ("", "{}\n", "# nothing\n", "registry: a.example/b\n"):
        (tmp_path / "fork" / FILE).write_text(text)
        project = render(tmp_path / "fork", tmp_path / f"project-{len(text)}")
        config = tomllib.loads((project / "k8s.toml").read_text())
        registry = "" if "registry" in text else "ghcr.io/example/"
        assert config["image"] == f"{registry}{project.name}:0.1.0"
        assert config["service_account"] == "metaflow"


def test_the_file_and_its_defaults_have_the_same_keys():
    """A key that is added to one of them must be added to the others."""
    listed = set(re.findall(r"^  '(\w+)':", (ROOT / "hooks/organisation.jinja").read_text(), re.M))
    assert listed == organisation.KINDS.keys()
    assert (yaml.safe_load((ROOT / FILE).read_text()) or {}).keys() <= listed


def test_newer_release_merges_into_a_fork(small_template, tmp_path):
    """Upstream adds a key and its comment, and changes other files; the fork has other values."""
    upstream, fork = tmp_path / "upstream", tmp_path / "fork"
    git("clone", "-q", str(small_template), str(upstream), cwd=tmp_path)
    stock = (ROOT / FILE).read_text()
    (upstream / FILE).write_text(stock)
    git("commit", "-q", "-am", "the file as released", cwd=upstream)
    git("clone", "-q", str(upstream), str(fork), cwd=tmp_path)
    ours = yaml.safe_load(EXAMPLE)
    assert ours.keys() | {"ci"} == organisation.KINDS.keys()
    (fork / FILE).write_text(in_place_of_values(stock, {**ours, "ci": "gitlab"}))
    git("commit", "-q", "-am", "Our defaults", cwd=fork)

    above = "# Pools of nodes by name."
    assert above in stock
    added = "# Who is asked about it.\ncontact: platform@example.com\n\n"
    (upstream / FILE).write_text(stock.replace(above, added + above))
    for file in ("copier.yml", "README.md", "hooks/organisation.jinja", "template/k8s.toml.jinja"):
        with (upstream / file).open("a") as open_file:
            open_file.write("\n{#- newer -#}\n" if file.endswith(".jinja") else "\n# newer\n")
    git("commit", "-q", "-am", "newer", cwd=upstream)
    git("pull", "-q", "--no-rebase", "--no-edit", str(upstream), "HEAD", cwd=fork)

    merged = yaml.safe_load((fork / FILE).read_text())
    assert merged == {**ours, "ci": "gitlab", "contact": "platform@example.com"}
    assert git("status", "--porcelain", cwd=fork) == ""
    git("tag", "v0.2.0", "HEAD^2", cwd=fork)  # as the release; Copier takes the newest tag
    git("tag", "v0.2.0.post1", cwd=fork)
    project = render(fork, tmp_path / "churn")
    layer = json.loads((project / "src/churn/organisation.json").read_text())
    assert layer["k8s"]["pools"] == ours["gpu_pools"]


def test_releases_of_a_fork(small_template, tmp_path):
    """Releases of its own, with no new one of the template between, reach its projects."""
    fork = tmp_path / "fork"
    git("clone", "-q", str(small_template), str(fork), cwd=tmp_path)

    def release(tag: str, text: str) -> None:
        (fork / FILE).write_text(text)
        git("commit", "-q", "-am", tag, cwd=fork)
        git("tag", tag, cwd=fork)

    def news() -> bool:
        return {0: False, 2: True}[copier_ends_with("check-update", "--quiet", project)]

    release("v0.2.0+acme.1", "registry: a.example/old\n")  # as the documentation had it before
    project = render(fork, tmp_path / "churn")
    git("init", "-q", cwd=project)
    commit(project)
    pools = "gpu_pools: {one: {gpu: 1}}\n"
    for tag, number in {"v0.2.0.post1": 1, "v0.2.0.post2": 2, "v0.2.0.post10": 3}.items():
        assert not news()
        release(tag, pools.replace("gpu: 1", f"gpu: {number}"))
        assert news()
        update(project)
        assert answers_of(project)["_commit"] == tag
        layer = json.loads((project / "src/churn/organisation.json").read_text())
        assert layer["k8s"]["pools"] == {"one": {"gpu": number}}
        commit(project)
    git("tag", "v0.2.0", "v0.1.0", cwd=fork)  # the template's own is older than all of these
    assert not news()


def in_place_of_values(text: str, values: dict[str, object]) -> str:
    """Edit the values of an organisation.yml as a person does: the comments stay."""
    for key, value in values.items():
        line = yaml.safe_dump({key: value})
        text, count = re.subn(
            rf"^{key}:.*\n(?:[ -].*\n)*", lambda _, line=line: line, text, flags=re.M
        )
        assert count == 1
    return text
