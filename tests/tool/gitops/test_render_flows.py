"""`k8s render`: the files that GitOps applies, and `k8s check --rendered`."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from conftest import UV, contents, copy_project, find_python, run
from kubernetes_api import Api
from mf_k8s.errors import CommandError
from mf_k8s.gitops.manifests import with_header
from mf_k8s.gitops.render_flows import Rendering, dropped_flows, recorded_rendering, rendering_of
from mf_k8s.project.project import Project
from teams import commit, git

EVENTS = ("EVENT", "EVENT_BUS", "EVENT_SOURCE", "SERVICE_ACCOUNT", "WEBHOOK_URL")
PROD = {
    "METAFLOW_KUBERNETES_NAMESPACE": "team-a",
    "METAFLOW_DEFAULT_DATASTORE": "s3",
    "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/metaflow",
    **{f"METAFLOW_ARGO_EVENTS_{name}": name.lower() for name in EVENTS},
    "production": True,
    "user": "churn-ci",
}
NAME = "churnmodel.prod.helloflow"


@pytest.fixture(scope="module")
def first(locked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with one flow, which time and events start and which includes a file."""
    project = tmp_path_factory.mktemp("first") / "churn-model"
    copy_project(locked, project, ".git")
    (project / "flows/train.py").unlink()
    (project / "customers.csv").write_text("age\n30\n")
    hello = project / "flows/hello.py"
    text = hello.read_text().replace("import Par", "import IncludeFile, schedule, trigger, Par")
    starts = '@schedule(hourly=True)\n@trigger(event="customers")\nclass Hello'
    text = text.replace("class Hello", starts)
    text = text.replace(
        "    @step", '    table = IncludeFile("table", default="customers.csv")\n\n    @step', 1
    )
    hello.write_text(text)
    (project / "environments/prod.json").write_text(json.dumps(PROD))
    run(UV, "sync", "--quiet", "--frozen", "--python", sys.executable, cwd=project)
    return project


@pytest.fixture(scope="module")
def second(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same project on another machine: another folder, Python, user and git.

    As on Windows, all files have line ends of two bytes and can be executed.
    """
    project = tmp_path_factory.mktemp("second") / "somewhere else" / "churn"
    copy_project(first, project, "rendered")
    for file in [file for kind in ("py", "json", "toml") for file in project.rglob(f"*.{kind}")]:
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
        file.chmod(0o777)
    (project / ".metaflow").mkdir(exist_ok=True)
    own = {"METAFLOW_KUBERNETES_NAMESPACE": "elsewhere", "METAFLOW_KUBERNETES_LABELS": "team=c"}
    (project / ".metaflow/config.json").write_text(json.dumps(own))
    (project.parent / "config.json").write_text(json.dumps(own))
    git("init", "-q", "-b", "main", cwd=project)
    git("remote", "add", "origin", "https://example.com/churn", cwd=project)
    commit(project)
    run(UV, "sync", "--quiet", "--frozen", "--python", find_python("3.12", "3.13"), cwd=project)
    return project


def k8s(project: Path, *arguments: str | Path, **env: str) -> tuple[int, str]:
    """Run a project's own `k8s`; return its exit code and all that it prints."""
    done = subprocess.run(
        [project / ".venv/bin/k8s", *arguments],
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(project.parent), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def rendered(first: Path, s3: dict[str, str]) -> Path:
    """Return a folder that `k8s render` has written, with the code packages uploaded."""
    credentials = {name: value for name, value in s3.items() if name.startswith("AWS_")}
    endpoint = s3["METAFLOW_S3_ENDPOINT_URL"]
    command = ["render", "--env", "prod", "-o", "rendered"]
    code, output = k8s(first, *command, **credentials, AWS_ENDPOINT_URL_S3=endpoint)
    assert code == 0, output
    assert "written          7 files in rendered\n" in output
    return first / "rendered"


@pytest.mark.long
def test_the_same_bytes_on_another_machine(rendered: Path, second: Path) -> None:
    """Even those of the code package, which the files name by its content."""
    own = {"METAFLOW_USER": "bob", "METAFLOW_HOME": str(second.parent), "TZ": "Asia/Tokyo"}
    own |= {"METAFLOW_KUBERNETES_LABELS": "team=b", "USER": "bob", "METAFLOW_PROFILE": "gone"}
    own |= {"PYTHONIOENCODING": "latin-1"}
    code, output = k8s(second, "render", "--env", "prod", "-o", "out", "--no-upload", **own)
    assert code == 0, output
    assert contents(second / "out") == contents(rendered)


def test_a_long_name(first: Path, rendered: Path) -> None:
    """Metaflow shortens it, and deletes what an older Metaflow has deployed by the long one."""
    name = "HelloFlowWithANameThatIsLongerThanArgoTakes"
    file = first / "flows/long.py"
    file.write_text((first / "flows/hello.py").read_text().replace("HelloFlow", name))
    try:
        code, output = k8s(first, "render", "long", "--env", "prod", "-o", "long", "--no-upload")
    finally:
        file.unlink()
    assert code == 0, output
    (written,) = (first / "long").glob("workflowtemplate-*.yaml")
    assert re.fullmatch(r"workflowtemplate-churnmodel\.prod\.\S+-\w+\.yaml", written.name)
    assert len(yaml.safe_load(written.read_text())["metadata"]["name"]) <= 45


def test_what_is_rendered(rendered: Path) -> None:
    """All that the flow needs but its namespace, its Secrets and its claims."""
    manifests = {name: yaml.safe_load(text) for name, text in contents(rendered).items()}
    identity = yaml.safe_load((rendered.parent / ".copier-answers.yml").read_text())[
        "mf_k8s_identity"
    ]
    kustomization = manifests.pop("kustomization.yaml")
    assert kustomization["resources"] == sorted(manifests)
    assert {*manifests} == {
        f"cronworkflow-{NAME}.yaml",
        "role-churn-model-prod-argo-executor.yaml",
        "rolebinding-churn-model-prod-argo-executor.yaml",
        "sensor-churnmodel-prod-helloflow.yaml",
        "serviceaccount-metaflow.yaml",
        f"workflowtemplate-{NAME}.yaml",
    }
    for name, manifest in manifests.items():
        assert manifest["metadata"]["namespace"] == "team-a"
        of_project = {"mf-k8s/project": "churn-model", "mf-k8s/identity": identity}
        is_shared = name == "serviceaccount-metaflow.yaml"  # by other projects
        labels = manifest["metadata"].get("labels", {})
        assert (of_project.items() <= labels.items()) != is_shared
    for text in contents(rendered).values():  # Argo's definitions lack some of the fields
        assert not re.search(r"(: |- )null$", text, re.MULTILINE)
    cron = manifests[f"cronworkflow-{NAME}.yaml"]["spec"]
    assert (cron["schedules"], cron["suspend"]) == (["0 * * * ?"], False)
    binding = manifests["rolebinding-churn-model-prod-argo-executor.yaml"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "metaflow", "namespace": "team-a"}
    ]
    template = manifests[f"workflowtemplate-{NAME}.yaml"]
    assert template["metadata"]["annotations"]["metaflow/owner"] == "churn-ci"
    assert template["spec"]["serviceAccountName"] == "metaflow"
    containers = [item.get("container") for item in template["spec"]["templates"]]
    images = {container["image"] for container in containers if container}
    assert images == {"ghcr.io/acme/churn:1.2.3"}


def test_without_rbac(first: Path, rendered: Path) -> None:
    """A platform team that has the accounts gets the flows alone; `check --rendered` knows it."""
    command = ("render", "--env", "prod", "-o", "bare", "--no-upload", "--without-rbac")
    code, output = k8s(first, *command)
    assert code == 0, output
    bare, whole = contents(first / "bare"), contents(rendered)
    rights = {name for name in whole if name.startswith(("role", "serviceaccount"))}
    assert whole.keys() - bare.keys() == rights and len(rights) == 3
    flows = bare.keys() - {"kustomization.yaml"}
    assert {name: bare[name] for name in flows} == {name: whole[name] for name in flows}
    assert "\n# k8s render --without-rbac --env prod\n" in bare["kustomization.yaml"]
    assert {*yaml.safe_load(bare["kustomization.yaml"])["resources"]} == flows
    code, output = k8s(first, "check", "--rendered", "bare")
    assert code == 0, output
    text = bare["kustomization.yaml"]
    assert recorded_rendering(text) == Rendering("prod", [], [], rbac=False)


def test_a_place_where_nothing_starts_flows(first: Path) -> None:
    """Neither a CronWorkflow nor a Sensor is written, and no setting of events is needed."""
    settings: dict[str, Any] = {name: each for name, each in PROD.items() if "EVENTS" not in name}
    quiet = {"production": False, "branch": "quiet", "schedules": False}
    environment = first / "environments/quiet.json"
    environment.write_text(json.dumps(settings | quiet))
    try:
        code, output = k8s(first, "render", "--env", "quiet", "-o", "quiet", "--no-upload")
    finally:
        environment.unlink()
    assert code == 0, output
    kinds = {name.partition("-")[0] for name in contents(first / "quiet")}
    assert kinds == {"kustomization.yaml", "role", "rolebinding", "serviceaccount"} | {
        "workflowtemplate"
    }


def test_the_code_is_uploaded(rendered: Path, s3: dict[str, str], tmp_path: Path) -> None:
    """Where the files say, under the sum of its content, as an archive that tar reads."""
    text = (rendered / f"workflowtemplate-{NAME}.yaml").read_text()
    templates = yaml.safe_load(text)["spec"]["templates"]
    variables = {
        variable["name"]: variable.get("value")
        for template in templates
        for variable in (template.get("container") or {}).get("env", ())
    }
    bucket, _, key = str(variables["METAFLOW_CODE_URL"]).removeprefix("s3://").partition("/")
    package = tmp_path / "package"
    client = boto3.client(
        "s3",
        endpoint_url=s3["METAFLOW_S3_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.download_file(bucket, key, str(package))
    (included,) = client.list_objects(Bucket=bucket, Prefix="metaflow/data/HelloFlow")["Contents"]
    assert f"s3://{bucket}/{included['Key']}" in text  # the file of IncludeFile
    assert hashlib.sha1(package.read_bytes()).hexdigest() == variables["METAFLOW_CODE_SHA"]
    names = run("tar", "-tzf", package, cwd=tmp_path).splitlines()
    assert {"hello.py", ".mf_code/churn_model/base.py", ".mf_meta/INFO"} <= {*names}
    assert not [name for name in names if "direct_url" in name]


def test_deploy_writes_the_same(
    rendered: Path,
    first: Path,
    api: type[Api],
    s3: dict[str, str],
) -> None:
    """But for the time, where the code package is, and what the machine and git say of it."""
    api.objects.clear()
    settings = {name: value for name, value in s3.items() if name.startswith("AWS_")}
    settings |= {"AWS_ENDPOINT_URL_S3": s3["METAFLOW_S3_ENDPOINT_URL"]}
    deploy = ("deploy", "--env", "prod", "--anyway")  # it has no EventBus
    code, output = k8s(first, *deploy, KUBECONFIG=os.environ["KUBECONFIG"], **settings)
    assert code == 0, output
    by_deploy = api.objects[f"workflowtemplates/{NAME}"]
    by_render = yaml.safe_load((rendered / f"workflowtemplate-{NAME}.yaml").read_text())
    del by_deploy["metadata"]["resourceVersion"]
    assert differences(without_nulls(by_deploy), by_render) == {
        "metaflow/deployment_timestamp",
        "METAFLOW_CODE_SHA",
        "METAFLOW_CODE_URL",
        "METAFLOW_VERSION",
        "command",
    }


def without_nulls(value: Any) -> Any:
    """Return JSON as a cluster keeps it."""
    pairs = {"object_pairs_hook": lambda pairs: {k: v for k, v in pairs if v is not None}}
    return json.loads(json.dumps(value), **pairs)


def differences(one: Any, other: Any, key: str = "") -> set[str]:
    """Return the keys, or names of variables, whose values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        name = str(one.get("name", key)) if "value" in one else ""
        keys = {*one, *other}
        return {
            found
            for item in keys
            for found in differences(one.get(item), other.get(item), name or item)
        }
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return {found for pair in pairs for found in differences(*pair, key)}
    return set() if one == other else {key}


def test_a_folder_belongs_to_its_environment_and_flows(tmp_path: Path) -> None:
    """Else one flow's rendering would take the others away, and Argo CD would delete them."""

    def replaces(old: Rendering, new: Rendering) -> bool:
        files = {"kustomization.yaml": with_header(f"# {old}\n")}
        found = [str(finding) for finding in dropped_flows(tmp_path, files, new)]
        remedy = "render all of that again, or choose another folder"
        assert all(line.endswith(remedy) for line in found)
        return not found

    everything, one = Rendering("prod"), Rendering("prod", ["flows/a.py"])
    two = Rendering("prod", ["flows/b.py", "flows/a.py"])
    assert replaces(everything, everything) and replaces(one, everything) and replaces(one, two)
    assert not replaces(everything, one) and not replaces(two, one)
    assert not replaces(Rendering("staging"), everything)
    assert not [*dropped_flows(tmp_path, {}, one)]


def test_check_rendered(rendered: Path, first: Path) -> None:
    """Nothing to say; then a file that is edited, one that is missing, and one of somebody's."""
    before = contents(rendered)
    assert k8s(first, "check", "--rendered", "rendered")[0] == 0
    template, cron = f"workflowtemplate-{NAME}.yaml", f"cronworkflow-{NAME}.yaml"
    try:
        (rendered / template).write_text(before[template].replace("churn:1.2.3", "churn:1.2.4", 1))
        (rendered / cron).unlink()
        (rendered / "mine.yaml").write_text("kind: Secret\n")
        code, output = k8s(first, "check", "--rendered", "rendered")
        lines = output.splitlines()
        assert code == 1
        assert f"rendered/{cron} is missing" in lines
        assert "rendered/mine.yaml was not written by `k8s render`" in lines
        (edited,) = [line for line in lines if line.startswith(f"rendered/{template} ")]
        assert "was edited: line" in edited
        assert "churn:1.2.4`, not `" in edited and "churn:1.2.3`" in edited
        assert lines[-1] == (
            "render again, in the project's folder: uv run k8s render --env prod -o rendered"
        )
        code, output = k8s(first, "render", "--env", "prod", "-o", "rendered", "--no-upload")
        assert code == 2
        assert "rendered has files that `k8s render` did not write: mine.yaml; move them" in output
        assert not (rendered / cron).exists()
    finally:
        shutil.rmtree(rendered)
        rendered.mkdir()
        for name, text in before.items():
            (rendered / name).write_text(text)


def test_an_option_of_several_lines_is_refused(tmp_path: Path) -> None:
    """The rendering is recorded in one line."""
    options = ["--tag=a:b", "--workflow-description=Trains.\nDaily."]
    with pytest.raises(CommandError, match="^--workflow-description has a line break"):
        rendering_of(Project(tmp_path, "churn"), "prod", [], options)


def test_notify_is_left_out_of_what_is_not_uploaded(first: Path) -> None:
    """A pull request shows what a project deploys that has `notify`, which cannot be rendered."""
    file = first / "environments/prod.json"
    file.write_text(json.dumps({**PROD, "notify": ["error"]}))
    try:
        code, output = k8s(first, "render", "--env", "prod", "-o", "look", "--no-upload")
        assert code == 0, output
        assert "`notify` of environments/prod.json is left out: only `k8s deploy`" in output
        assert "notify" not in "".join(contents(first / "look").values())
        code, output = k8s(first, "check", "--rendered", "look")
        assert code == 2 and "--notify-on-error: an address" in output
        code, output = k8s(first, "render", "--env", "prod", "-o", "look")
        assert code == 2 and "--notify-on-error: an address" in output
    finally:
        file.write_text(json.dumps(PROD))
        shutil.rmtree(first / "look")


def test_how_it_was_rendered_is_recorded() -> None:
    rendering = Rendering("prod", ["flows/my train.py"], ["--tag", "team:churn risk"])
    text = with_header(f"# {rendering}\nkind: Kustomization\n")
    assert "# k8s render 'flows/my train.py' --env prod -- --tag 'team:churn risk'\n" in text
    assert recorded_rendering(text) == rendering
    for damaged in ("", "kind: Kustomization\n", with_header("# k8s render --env\n")):
        with pytest.raises(CommandError, match="does not say in its second line"):
            recorded_rendering(damaged)


def test_a_secret_in_a_flow_is_refused(first: Path) -> None:
    """Until [tool.mf-k8s] says that it is none; the value is printed nowhere."""
    flow, pyproject = first / "flows/login.py", first / "pyproject.toml"
    text = (first / "flows/hello.py").read_text().replace("HelloFlow", "LoginFlow")
    login = '    @environment(vars={"DATABASE_URL": "postgres://churn:sesame@db/churn"})\n'
    text = text.replace("    @step\n", f"{login}    @step\n", 1)
    flow.write_text(text.replace("import IncludeFile", "import environment, IncludeFile"))
    settings = pyproject.read_text()
    command = ("render", "login", "--env", "prod", "-o", "login", "--no-upload")
    try:
        code, output = k8s(first, *command)
        assert code == 2 and "sesame" not in output
        assert (
            "the value of DATABASE_URL of the flow looks like a secret, and would stand in"
            " workflowtemplate-churnmodel.prod.loginflow.yaml in clear text: put it into a Secret"
            " on the cluster, name that in `secrets` of k8s.toml, and read it there; if it is none,"
            ' write not-secret = ["DATABASE_URL"] below [tool.mf-k8s] in pyproject.toml\n' in output
        )
        own = '[tool.mf-k8s]\nnot-secret = ["DATABASE_URL"]\n'
        pyproject.write_text(settings.replace("[tool.mf-k8s]\n", own))
        code, output = k8s(first, *command)
        assert code == 0, output
    finally:
        flow.unlink()
        pyproject.write_text(settings)
