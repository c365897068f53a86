"""environments/NAME.json: what may be in it, and what it gives."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mf_k8s.errors import CommandError
from mf_k8s.project.detect_secrets import METAFLOW_SECRETS
from mf_k8s.project.environments import (
    AWS_KEYS,
    NO_ENVIRONMENT,
    SCHEMA,
    Environment,
    branches_of_others,
    read_environment,
)
from mf_k8s.project.project import Project

Written = Callable[[Any], Environment]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "environments").mkdir()
    return Project(tmp_path, "churn_model")


@pytest.fixture
def written(project: Project) -> Written:
    """Return a function that writes an environment `dev` and reads it."""

    def write(settings: Any) -> Environment:
        text = settings if isinstance(settings, str) else json.dumps(settings)
        (project.root / "environments/dev.json").write_text(text)
        return read_environment(project, "dev")

    return write


def test_all_keys(written: Written) -> None:
    environment = written(
        {
            "$schema": "a.json",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "METAFLOW_KUBERNETES_NAMESPACE": "team-a",
            "context": "acme",
            "production": False,
            "branch": "staging",
            "user": "churn-ci",
            "tags": ["a:b c", "d"],
            "max_workers": 7,
            "notify": ["error", "success"],
        }
    )
    assert environment.context == "acme"
    assert environment.namespace == "team-a"
    assert dict(environment.variables) == {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "METAFLOW_KUBERNETES_NAMESPACE": "team-a",
        "METAFLOW_PRODUCTION": "0",
        "METAFLOW_BRANCH": "staging",
        "METAFLOW_USER": "churn-ci",
    }
    assert environment.create_options == (
        "--tag=a:b c",
        "--tag=d",
        "--notify-on-error",
        "--notify-on-success",
        "--max-workers=7",
    )


def test_flows_start_unless_the_file_says_no(written: Written) -> None:
    """Also where it says nothing: an update of a project stops no schedule."""
    says = {None: {}, True: {"schedules": True}, False: {"schedules": False}}
    for schedules, settings in says.items():
        environment = written(settings)
        assert environment.schedules is schedules
        assert environment.starts_flows is (schedules is not False)


def test_a_file_of_0_2_0_is_as_it_was(written: Written) -> None:
    settings = {"METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_ANYTHING": "1", "METAFLOW_USER": "a"}
    environment = written(settings)
    assert dict(environment.variables) == settings
    assert (environment.context, environment.create_options) == ("", ())


KEYS = (
    "the keys are $schema, context, k8s, production, branch, schedules, user, tags, max_workers, "
)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["a"], 'environments/dev.json = ["a"]: An object, like {"METAFLOW_KUBERNETES_NAMESPACE"'),
        ("{", "environments/dev.json is not JSON: Expecting property name"),
        ({"a": "b"}, f"environments/dev.json: no key a; {KEYS}"),
        ({"contxt": "b"}, "environments/dev.json: no key contxt; did you mean context?"),
        ({"METAFLOW_X": 1}, "environments/dev.json: METAFLOW_X = 1: Text"),
        ({"context": ""}, 'environments/dev.json: context = "": Text: a context of kubectl'),
        ({"production": "yes"}, 'environments/dev.json: production = "yes": true deploys'),
        ({"schedules": "no"}, 'environments/dev.json: schedules = "no": false deploys flows with'),
        ({"branch": "a-b"}, 'environments/dev.json: branch = "a-b": Lower-case letters, digits'),
        ({"max_workers": 0}, "environments/dev.json: max_workers = 0: Whole number"),
        ({"notify": ["end"]}, 'environments/dev.json: notify.0 = "end": error or success.'),
        (
            {"user": "a", "METAFLOW_USER": "b"},
            "environments/dev.json: user and METAFLOW_USER are the same setting: keep one",
        ),
    ],
)
def test_environment_that_is_not_valid(written: Written, settings: Any, message: str) -> None:
    with pytest.raises(CommandError) as stopped:
        written(settings)
    assert str(stopped.value).startswith(message)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("METAFLOW_SERVICE_AUTH_KEY", "sesame"),
        ("METAFLOW_SERVICE_HEADERS", '{"x-api-key": "sesame"}'),
        ("METAFLOW_ARGO_WORKFLOWS_CREATE_NOTIFY_SLACK_WEBHOOK_URL", "https://a/sesame"),
        ("METAFLOW_SERVICE_URL", "https://ann:sesame@metadata.example.com"),
        ("METAFLOW_DATATOOLS_SESSION_VARS", '{"aws_secret_access_key": "sesame"}'),
        ("AWS_SECRET_ACCESS_KEY", "sesame"),
    ],
)
def test_an_environment_holds_no_secret(written: Written, key: str, value: str) -> None:
    """It is committed. The message does not print the value; an editor marks the known names."""
    with pytest.raises(CommandError) as stopped:
        written({key: value})
    assert str(stopped.value) == (
        f"environments/dev.json: the value of {key} looks like a secret, and the file is committed:"
        " take it out, and set it as a variable where you deploy, in CI as a masked one"
    )
    by_name = key not in ("METAFLOW_SERVICE_URL", "METAFLOW_DATATOOLS_SESSION_VARS")
    schema = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    assert schema.is_valid({key: value}) != by_name


@pytest.mark.parametrize("key", sorted(METAFLOW_SECRETS | AWS_KEYS))
def test_an_editor_marks_what_is_secret_by_its_name(key: str) -> None:
    schema = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    assert not schema.is_valid({key: "sesame"}) and schema.is_valid({key: ""})


def test_names_that_look_random_and_no_values_are_no_secrets(written: Written) -> None:
    """As clouds make the names of clusters and roles; an empty value switches off one's own."""
    written({"context": "EKS-Prod-UE1-K8s-v1-29", "METAFLOW_SERVICE_HEADERS": "{}"})
    role = "AWSReservedSSO_Admin_3f9c0e2ab7d41588"
    written({"AWS_PROFILE": role, "AWS_ACCESS_KEY_ID": "", "METAFLOW_SERVICE_AUTH_KEY": ""})


def test_unknown_environment(project: Project) -> None:
    """A schema that lies there for editors is none."""
    for name in ("dev.json", "prod.json", "environment.schema.json"):
        (project.root / "environments" / name).write_text("{}")
    for name in ("staging", "environment.schema", "../environments/dev"):
        with pytest.raises(CommandError) as stopped:
            read_environment(project, name)
        assert str(stopped.value) == f"no environment {name}; environments/ has dev, prod"


def test_schema_is_one_and_new_projects_fit_it(example: Path) -> None:
    """Editors find it by the path in the file."""
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    prod = example / "environments/prod.json"
    settings = json.loads(prod.read_text())
    assert json.loads((prod.parent / settings["$schema"]).read_text()) == schema
    jsonschema.Draft7Validator(schema).validate(settings)
    for name in ("kind", "prod"):
        read_environment(Project(example, "churn_model"), name)


def test_a_value_that_two_rules_refuse_is_named_once(written: Written) -> None:
    """By the rule of its own key, not by that of each key of Metaflow's."""
    with pytest.raises(CommandError) as error:
        written({"METAFLOW_KUBERNETES_NAMESPACE": 5, "AWS_REGION": 6, "other": 7})
    unknown, namespace, region = str(error.value).splitlines()
    assert unknown.startswith("environments/dev.json: no key other; ")
    assert region.startswith("environments/dev.json: AWS_REGION = 6: Text, like")
    assert namespace == (
        "environments/dev.json: METAFLOW_KUBERNETES_NAMESPACE = 5: Text, like team-a: the"
        " Kubernetes namespace of the runs."
    )


def test_branches_of_other_environments(tmp_path: Path) -> None:
    """In one namespace of one cluster alone; one that is wrong deploys nothing."""
    project = Project(tmp_path, "churn_model")
    (tmp_path / "environments").mkdir()
    for name, settings in {
        "prod": '{"production": true}',
        "dev": '{"branch": "dev"}',
        "kind": '{"branch": "kind"}',
        "elsewhere": '{"branch": "far", "METAFLOW_KUBERNETES_NAMESPACE": "team-b"}',
        "cluster": '{"branch": "near", "context": "other"}',
        "wrong": '{"branch": "wrong", "METAFLOW_DEFAULT_DATASTORE": 1}',
    }.items():
        (tmp_path / f"environments/{name}.json").write_text(settings)
    assert branches_of_others(project, read_environment(project, "prod")) == {"test.dev"}
    assert branches_of_others(project, read_environment(project, "dev")) == {"prod"}
    assert branches_of_others(project, NO_ENVIRONMENT) == set()
