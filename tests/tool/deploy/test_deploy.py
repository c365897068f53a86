"""`k8s deploy` as a whole, from the first deploy to `--prune`, and flows that it refuses."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deployed import FOREIGN, GONE, PROD, Deploy, deploy, project, put
from kubernetes_api import Api
from mf_k8s.metaflow.compile_flows import EVENTS
from mf_k8s.project.project import Project
from stand_ins import k8s

__all__ = ["deploy", "k8s", "project"]  # fixtures

WITHOUT_PROJECT = {  # of a flow from before it had @project
    "workflowtemplates/helloflow": ("churn-model", {"flow_name": "HelloFlow"}),
    "cronworkflows/helloflow": ("churn-model", {}),
}


def test_from_first_deploy_to_pruned(project: Path, api: type[Api], deploy: Deploy) -> None:
    """By an environment: what it gives, who may deploy again, a schedule that goes, a flow too."""
    code, output = deploy("--env", "prod", "--", "--workflow-priority=3", "--tag", "by:hand")
    assert code == 0, output
    first, *_ = [line for line in output.splitlines() if not line.startswith("k8s: ")]
    assert first.startswith("cluster          http://127.0.0.1:")
    assert first.endswith(" (context fake), namespace team-a, account ann@example.com")
    name = "churnmodel.prod.helloflow"
    assert {*api.objects} == {f"workflowtemplates/{name}", f"cronworkflows/{name}"}
    template = api.objects[f"workflowtemplates/{name}"]
    marks = {"mf-k8s/project": "churn-model", "mf-k8s/identity": Project(project, "").identity}
    assert marks["mf-k8s/identity"] and marks.items() <= template["metadata"]["labels"].items()
    assert template["spec"]["podMetadata"]["labels"].items() >= marks.items()
    assert template["metadata"]["annotations"]["metaflow/owner"] == "churn-ci"
    assert (template["spec"]["parallelism"], template["spec"]["priority"]) == (7, 3)
    assert "--tag team:churn risk --tag by:hand" in json.dumps(template).replace("'", "")
    cron = api.objects[f"cronworkflows/{name}"]["spec"]
    assert cron["schedules"] == ["0 * * * ?"]
    assert "schedule" not in cron  # Argo 4 knows no such key

    environment = project / "environments/prod.json"
    environment.write_text(json.dumps(PROD | {"user": "bob"}))
    before = json.dumps(api.objects)
    code, output = deploy("hello", "--env", "prod", METAFLOW_HOME=str(project / ".home-of-bob"))
    assert code == 2  # one who has its production token may
    assert "it was deployed by churn-ci, and Metaflow lets only that user" in output
    assert 'write "user": "churn-ci" into environments/prod.json, or give the token' in output
    assert json.dumps(api.objects) == before

    environment.write_text(json.dumps(PROD | {"user": "carol"}))  # on the first one's machine
    hello = project / "flows/hello.py"
    hello.write_text(hello.read_text().replace("@schedule(hourly=True)\n", ""))
    put(api, GONE | WITHOUT_PROJECT | FOREIGN)
    code, output = deploy("--env", "prod", "--prune", "--yes", METAFLOW_BRANCH="ann")
    assert code == 0, output
    assert "environments/prod.json overrides your own METAFLOW_USER, METAFLOW_BRANCH\n" in output
    assert f"\n{name} was deployed by the user churn-ci; a deploy makes it carol's\n" in output
    assert {*api.objects} == {f"workflowtemplates/{name}", *FOREIGN}
    assert "deleted          WorkflowTemplate churnmodel.prod.goneflow\n" in output
    assert "deleted          CronWorkflow churnmodel.prod.goneflow\n" in output
    assert "deleted          CronWorkflow helloflow\n" in output
    assert "deleted          Sensor churnmodel-prod-goneflow\n" in output


def test_a_place_where_nothing_starts_flows(project: Path, api: type[Api], deploy: Deploy) -> None:
    """What started them before is deleted, and nothing about events needs to be set.

    Without `schedules` they start as before, with a line that says so.
    """
    hello = project / "flows/hello.py"
    text = hello.read_text().replace("import schedule", "import schedule, trigger")
    hello.write_text(text.replace("class Hello", '@trigger(event="customers")\nclass Hello'))
    staging = project / "environments/staging.json"
    place = {"METAFLOW_KUBERNETES_NAMESPACE": "team-a", "branch": "staging", "user": "churn-ci"}
    events = {f"METAFLOW_ARGO_EVENTS_{name}": name.lower() for name in EVENTS}
    staging.write_text(json.dumps(place | events))
    code, output = deploy("--env", "staging", "--anyway")  # it has no EventBus
    assert code == 0, output
    line = "environments/staging.json does not say whether flows start there by themselves, so they"
    assert f"{line} do: HelloFlow. Write" in output
    name = "churnmodel.test.staging.helloflow"
    template, cron = f"workflowtemplates/{name}", f"cronworkflows/{name}"
    assert {*api.objects} == {template, cron, f"sensors/{name.replace('.', '-')}"}

    staging.write_text(json.dumps(place | {"schedules": False}))
    code, output = deploy("--env", "staging", "--dry-run")
    assert code == 0 and "0 * * * ?" in output, output
    assert {*api.objects} > {template}
    code, output = deploy("--env", "staging")
    assert code == 0 and line not in output, output
    assert {*api.objects} == {template}
    annotations = api.objects[template]["metadata"]["annotations"]
    assert not {"metaflow/cron", "metaflow/triggers", "metaflow/sensor_name"} & {*annotations}


def test_what_an_environment_lays_over_k8s_toml(
    project: Path, api: type[Api], deploy: Deploy
) -> None:
    """Each pod has it, helper pods included; what would have no effect stops the deploy."""
    layer = {
        "service_account": "team-b",
        "node_selector": {"disk": "ssd"},
        "workflow": {"priority_class": "high"},
    }
    environment = project / "environments/prod.json"
    useless = {"METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "team-c"}
    environment.write_text(json.dumps(PROD | {"k8s": layer} | useless))
    code, output = deploy("--env", "prod")
    assert (code, api.objects) == (2, {})
    assert 'has no effect, because service_account = "team-b" of k8s.toml' in output
    environment.write_text(json.dumps(PROD | {"k8s": layer}))
    code, output = deploy("--env", "prod")
    assert code == 0, output
    spec = api.objects["workflowtemplates/churnmodel.prod.helloflow"]["spec"]
    assert spec["podPriorityClassName"] == "high"
    assert (spec["serviceAccountName"], spec["nodeSelector"]) == ("team-b", {"disk": "ssd"})
    pods = [item for item in spec["templates"] if "container" in item]
    own = {(item.get("serviceAccountName"), *item.get("nodeSelector", {})) for item in pods}
    assert own == {("team-b", "disk"), ("team-b",)}
    assert "service_account: from environments/prod.json" in output


def test_two_flows_of_one_name_are_refused(project: Path, api: type[Api], deploy: Deploy) -> None:
    """Argo's names are lower case: the second would replace the first."""
    text = (project / "flows/hello.py").read_text()
    (project / "flows/second.py").write_text(text.replace("HelloFlow", "HelloFLOW"))
    code, output = deploy("--env", "prod")
    assert code == 2
    assert (
        "k8s: flows/hello.py and flows/second.py define HelloFLOW and HelloFlow, which are"
        " one name on Argo Workflows: rename all but one\n" in output
    )
    assert api.objects == {} and api.tried == []


def test_deploy_wants_a_flow_and_an_environment_that_exist(
    k8s: Callable[..., Any], example: Path
) -> None:
    assert k8s("deploy")[0] == 2
    helper = example / "flows/helper.py"
    helper.touch()
    code, output = k8s("deploy", "helper")
    helper.unlink()
    assert code == 2
    assert "k8s: no flow is started in flows/helper.py: end a flow's file with `if __name" in output
    code, output = k8s("deploy", "hello", "--env", "staging")
    assert (code, output) == (2, "k8s: no environment staging; environments/ has kind, prod\n")


def test_deploy_asks_the_doctor(api: type[Api], deploy: Deploy) -> None:
    """Where a pod could not run, nothing is written, unless somebody says so."""
    api.is_whole = False
    code, output = deploy("--env", "prod")
    assert code == 2 and api.objects == {}
    assert re.search(r"^doctor +\d+ ok, 1 problem", output, re.MULTILINE)
    assert "problem      argo-installed" in output and " ok " not in output.partition("problem ")[2]
    assert output.endswith(
        "k8s: pods would not run there, for a problem above: nothing is written; mend what the"
        " doctor says, accept it by doctor_accepts in environments/prod.json, or give --anyway\n"
    )
    code, output = deploy("--env", "prod", "--anyway")
    assert code == 0, output
    assert "problem      argo-installed" in output and api.objects
