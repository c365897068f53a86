"""Metaflow's extensions on BaseFlow: other back ends, and what writes into @kubernetes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import UV, run
from metaflow import plugins
from metaflow.decorators import StepDecorator
from metaflow.plugins.kubernetes.kubernetes_decorator import KubernetesDecorator
from mf_k8s.check.compare import check_flows
from mf_k8s.metaflow.batch_facts import watch_steps
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.metaflow.read_flow_facts import watch_other_decorators
from mf_k8s.project.project import Project
from shapes import SHARED, Metaflow, metaflow, project

__all__ = ["metaflow", "project"]  # fixtures
# An extension with a command that makes pods of steps, and with a decorator of its own back end.
ACME = """
import json
from metaflow import decorators
from metaflow._vendor import click

class AcmeDecorator(decorators.StepDecorator):
    name = "acme"

    def runtime_step_cli(self, cli_args, *_):
        cli_args.commands = ["acme", "step"]

@click.group()
def cli():
    pass

@click.group()
def acme():
    pass

cli.add_command(acme)
tag = click.Group("cli", commands={"tag": acme})  # instead of Metaflow's own

@acme.command()
@click.argument("decorator")
@click.argument("way")
@click.pass_obj
def create(obj, decorator, way):
    names = [decorator, "environment"]
    rest = obj.flow, obj.graph, obj.environment, obj.flow_datastore, obj.logger
    if way != "ready":  # else it takes the steps as they are
        decorators._attach_decorators(obj.flow, names)
    if way == "late":  # as argo-workflows does
        decorators._process_late_attached_decorator(names, *rest)
    if way == "again":  # as kubeflow-pipelines does
        decorators._init_step_decorators(*rest)
    pods = {}
    for node in obj.flow._graph:
        (pod,) = (each.attributes for each in node.decorators if each.name == "kubernetes")
        pods[node.name] = {key: pod[key] for key in ("image", "memory", "shared_memory")}
    print(json.dumps(pods))
"""
ACME_PLUGINS = """
CLIS_DESC = [("acme", ".acme.cli"), ("tag", ".acme.tag")]
STEP_DECORATORS_DESC = [("acme", ".acme.AcmeDecorator")]
"""


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for PYTHONPATH with the made-up extension."""
    folder = tmp_path_factory.mktemp("acme")
    plugins = folder / "metaflow_extensions/acme/plugins"
    plugins.mkdir(parents=True)
    (plugins / "mfextinit_acme.py").write_text(ACME_PLUGINS)
    (plugins / "acme.py").write_text(ACME)
    return folder


@pytest.mark.parametrize("way", ["acme late", "acme again", "acme ready", "tag late"])
def test_a_command_that_makes_pods_has_the_configuration(
    way: str, metaflow: Metaflow, acme: Path, project: Path, s3: dict[str, str]
) -> None:
    """One that BaseFlow does not know; and the step's own @kubernetes is in it."""
    command, when = way.split()
    path = {"PYTHONPATH": f"{project / 'src'}:{acme}"}
    arguments = ("--quiet", command, "create", "kubernetes", when)
    done = metaflow("shapes/first.py", *arguments, **s3, **path)
    assert done.returncode == 0, done.stdout + done.stderr
    shared = {"image": SHARED["image"], "memory": 4096, "shared_memory": 8196}
    assert json.loads(done.stdout) == {"start": shared | {"memory": 5000}, "end": shared}


@pytest.mark.parametrize(
    ("arguments", "decorator"),
    [
        (["acme", "create", "batch", "late"], "batch"),
        (["run", "--with", "acme"], "acme"),
    ],
)
def test_another_back_end_is_refused_by_name(
    arguments: list[str],
    decorator: str,
    metaflow: Metaflow,
    acme: Path,
    project: Path,
    s3: dict[str, str],
) -> None:
    path = {"PYTHONPATH": f"{project / 'src'}:{acme}"}
    done = metaflow("hello.py", *arguments, **s3, **path)
    line = f"hello.py: step end: remove @{decorator}: BaseFlow configures @kubernetes"
    assert done.returncode == 1
    assert line in done.stdout + done.stderr


def test_the_commands_of_extensions_are_not_imported(
    metaflow: Metaflow, project: Path, tmp_path: Path
) -> None:
    """An image may lack what they import; and @environment is no back end for having a command."""
    plugins = tmp_path / "metaflow_extensions/poor/plugins/mfextinit_poor.py"
    plugins.parent.mkdir(parents=True)
    plugins.write_text('CLIS_DESC = [("environment", ".no_such_module.cli")]\n')
    path = {"PYTHONPATH": f"{project / 'src'}:{tmp_path}"}
    done = metaflow("hello.py", "run", "--with", "environment", **path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("batch", [False, True])
def test_an_extension_may_name_the_arguments_of_step_init(
    batch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it calls the class of Metaflow that it derives from."""
    initialize = StepDecorator.step_init
    kind = type("Acme", (StepDecorator,), {"name": "acme", "step_init": initialize})
    monkeypatch.setattr(plugins, "STEP_DECORATORS", [kind])
    monkeypatch.setattr(KubernetesDecorator, "step_init", initialize)
    written = watch_steps() if batch else watch_other_decorators()
    (KubernetesDecorator if batch else kind)().step_init(
        None, None, "start", [], environment=None, flow_datastore=None, logger=None
    )
    assert written == ({"start": []} if batch else {})


# What the gangs of these extensions, and @checkpoint, write is the same as on a plain FlowSpec.
EXTENSIONS = {
    "metaflow-checkpoint": "0.2.14",
    "metaflow-deepspeed": "0.0.9",
    "metaflow-mpi": "0.0.4",
    "metaflow-ray": "0.1.5",
    "metaflow-torchrun": "0.2.2",
}
GANGS = ("deepspeed", "metaflow_ray", "mpi", "torchrun")
FLOW = """
from metaflow import FlowSpec, {gangs}, checkpoint, kubernetes, step
from churn_model import BaseFlow

class GangFlow({base}):
    {own}
    @step
    def start(self):
        self.next(self.before_deepspeed)
    {steps}
    @checkpoint
    {own}
    @step
    def end(self):
        pass

if __name__ == "__main__":
    GangFlow()
"""
STEPS = """
    {own}
    @step
    def before_{gang}(self):
        self.next(self.{gang}_step, num_parallel=2)

    @{gang}
    {own}
    @step
    def {gang}_step(self):
        self.next(self.after_{gang})

    {own}
    @step
    def after_{gang}(self, inputs):
        self.next(self.{after})
"""
VOLATILE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{40}|[0-9a-f]{40}|'[-0-9]+T[.:+0-9]+'|\b[a-z]{10}(?= )")


def gang_flow(base: str, own: str) -> str:
    after = [*(f"before_{gang}" for gang in GANGS[1:]), "end"]
    steps = [
        STEPS.format(gang=gang, after=next, own=own)
        for gang, next in zip(GANGS, after, strict=True)
    ]
    text = FLOW.format(base=base, own=own, gangs=", ".join(GANGS), steps="".join(steps))
    return "\n".join(filter(str.strip, text.splitlines()))


def test_what_a_decorator_writes_into_kubernetes_is_kept(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a FlowSpec with the same @kubernetes on every step; and `check` expects it."""
    packages = [f"{name}=={version}" for name, version in EXTENSIONS.items()]
    run(UV, "pip", "install", "-q", "--no-deps", "--target", tmp_path, *packages, cwd=tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    claims = '{"metaflow-training": "/cache"}'
    values = f"gpu=1, shared_memory=8196, cpu=1, memory=4096, persistent_volume_claims={claims}"
    names = 'image="ghcr.io/acme/churn:1.2.3", service_account="metaflow"'
    files = [tmp_path / "plain/gang.py", tmp_path / "base/gang.py"]
    for file, base in zip(files, ("FlowSpec", "BaseFlow"), strict=True):
        own = f"@kubernetes({names}, {values})" if base == "FlowSpec" else ""
        file.parent.mkdir()
        file.write_text(gang_flow(base, own))
    churn = Project(example, "churn_model")
    results = list(compile_flows(churn, files))
    templates: list[Any] = []
    for result in results:
        assert result.template, result.error
        templates.append(VOLATILE.sub("x", json.dumps(result.template["spec"]["templates"])))
    plain, base = (re.split(r"(?<=[,{]) | && ", template) for template in templates)
    assert base == plain
    assert re.search("MF_MASTER_PORT.{,40}value: '22'", templates[1])  # by @deepspeed
    (report,) = check_flows(churn, results[1:])
    differing = {
        (pod, key): comparison
        for pod, settings in report.pods.items()
        for key, comparison in settings.items()
        if not comparison["equal"]
    }
    assert report.matches, differing
    assert "port: from @deepspeed" in report.notes
