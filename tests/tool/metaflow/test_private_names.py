"""Each private name of Metaflow that is relied on means what private_names.py says of it."""

import ast
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from inspect import getsource, signature
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from conftest import ROOT, run
from metaflow import FlowSpec, StepMutator, step
from mf_k8s.metaflow import private_names
from mf_k8s.metaflow.private_names import PRIVATE_NAMES

FLOW = Path(__file__).with_name("private_flow.py")
FILES = [
    file
    for pattern in ("template/src/*/*.py", "template/tools/mf-k8s/src/**/*.py")
    for file in ROOT.glob(pattern)
    if file != Path(private_names.__file__)
]
PUBLIC = {"FlowMutator", "FlowSpec", "S3", "StepMutator", "kubernetes"}  # of `from metaflow import`
OTHERS = {  # with an underscore, and not Metaflow's
    "_hooks": "the end of success_hooks and error_hooks",
    "_namespaced_custom_object": "of the kubernetes library",
    "_replace": "of a named tuple",
    "_request_timeout": "of the kubernetes library",
    "_use_cli": "of base.py",
}
Notes = dict[str, Any]
Statement = Callable[[Notes], object]


def private(name: str) -> Any:
    """Return what `module:name` of Metaflow stands for."""
    return resolve_name(f"metaflow.{name}")


def called(*names: str) -> Statement:
    return lambda notes: all(notes[name] == "called" for name in names)


def notes_are(**expected: object) -> Statement:
    return lambda notes: {name: notes[name] for name in expected} == expected


def of_steps(key: str, **expected: object) -> Statement:
    return lambda notes: {name: notes[f"{name} {key}"] for name in expected} == expected


class Counting(StepMutator):
    count = 0

    def mutate(self, mutable_step: Any) -> None:
        self.count += 1


class Again(Counting):
    _mutate_called = property(lambda _: False, lambda *_: None)


class CountingFlow(FlowSpec):
    @Again
    @Counting
    @step
    def start(self) -> None:
        self.next(self.end, foreach="parts")

    @step
    def end(self) -> None:
        pass


def has_steps(notes: Notes) -> bool:
    graph = CountingFlow(use_cli=False)._graph
    of_private_flow = notes_are(
        order=["end", "join", "pair", "start"],
        start_step="start",
        out_funcs=["pair"],
        parallel_step=[False, True],
        secs=[60],
    )
    foreach = [graph[name].foreach_param for name in ("start", "end")]
    return bool(of_private_flow(notes)) and foreach == ["parts", None]


def mutates_once(_: Notes) -> bool:
    """Unless the mutator says each time that it has not."""
    flow = CountingFlow(use_cli=False)
    for _ in range(2):
        private("decorators:_init_step_decorators")(flow, flow._graph, None, None, None)
    counting, again = CountingFlow.start.config_decorators
    return (counting.count, again.count) == (1, 2)


def describes_a_job_of_batch(_: Notes) -> bool:
    """To the tool's own stand-in for AWS."""
    from mf_k8s.metaflow.batch_facts import add_batch

    batch = private("plugins.aws.batch.batch_decorator:BatchDecorator")({"memory": 5000})
    facts: dict[str, Any] = {"steps": {"start": {"overrides": [], "resources": {}}}}
    add_batch(facts, {"start": [batch]})
    return facts["batch"]["start"]["memory"] == 5000 and facts["batch"]["start"]["cpu"] == 1


def reads_with(_: Notes) -> bool:
    decorator, _ = private("decorators:extract_step_decorator_from_decospec")("kubernetes:cpu=3")
    read = private("decorators:StepDecorator.extract_args_kwargs_from_decorator_spec")
    return decorator.attributes["cpu"] == 3 and read("cpu=3,image=a") == (
        [],
        {"cpu": 3, "image": "a"},
    )


def runs_steps(_: Notes) -> bool:
    """The decorators of other back ends have a runtime_step_cli of their own, others have not."""
    usual = private("decorators:StepDecorator").runtime_step_cli
    own = {
        kind.name: kind.runtime_step_cli is not usual for kind in private("plugins:STEP_DECORATORS")
    }
    return own["batch"] and own["kubernetes"] and not own["resources"] and not own["timeout"]


def is_used(function: str, name: str) -> Statement:
    """A function refers to a name, so what stands there in its place is what it gets."""
    return lambda _: name in private(function).__code__.co_names


def needs(function: str, *arguments: str) -> Statement:
    """A function can be called with these arguments, and no others."""

    def statement(_: Notes) -> bool:
        parameters = signature(private(function)).parameters.values()
        return {each.name for each in parameters if each.default is each.empty} == {*arguments}

    return statement


def runs_module(_: Notes) -> bool:
    source = getsource(private(ARGO))
    return "python -m metaflow.plugins.argo.conditional_input_paths" in source


def is_a(kind: type, name: str) -> Statement:
    return lambda _: isinstance(private(name), kind)


CREATED = notes_are(creation="exit code 0")
ARGO = "plugins.argo.argo_workflows"
CONDA = "plugins.pypi.conda_environment:CondaEnvironment"
GOOGLE = "plugins.gcp.gs_storage_client_factory"
AZURE = "plugins.azure.blob_service_client_factory"
STATEMENTS: dict[str, Statement] = {
    "cli.main": CREATED,
    "parameters.flow_context": notes_are(unpack=["memory"]),
    "get_current_context": notes_are(saved_args=["argo-workflows", "create"]),
    "saved_args": notes_are(saved_args=["argo-workflows", "create"]),
    "decospecs": notes_are(decospecs=["kubernetes:cpu=3"]),
    "package_suffixes": lambda notes: ".py" in notes["package_suffixes"].split(","),
    "get_plugin_cli_path": lambda _: (
        {"batch", "card"} < {*private("plugins:get_plugin_cli_path")()}
    ),
    "get_username": notes_are(username="tests"),
    "MetaflowException": lambda _: private("exception:MetaflowException")("a").message == "a",
    "DEFAULT_DECOSPECS": is_a(str, "metaflow_config:DEFAULT_DECOSPECS"),
    "_flow_cls": notes_are(_flow_cls="PrivateFlow"),
    "_flow_state": notes_are(FLOW_MUTATORS=["Flows", "Flows"]),
    "FlowStateItems": notes_are(FLOW_MUTATORS=["Flows", "Flows"]),
    "_flow_decorators": notes_are(hooks=["finished"]),
    "_graph": has_steps,
    "_my_step": notes_are(_my_step=["end", "join", "pair", "start"]),
    "is_step": of_steps("is_step", join=True, end=True),
    "config_decorators": of_steps("mutators", join=[], end=["First", "Second"]),
    "_mutate_called": mutates_once,
    "decorator_name": notes_are(decorator_name="__main__.First"),
    "decorators._run_step_mutator": called("_run_step_mutator"),
    "_user_defined_attributes": of_steps("written", join=["memory"], end=["cpu"]),
    "statically_defined": of_steps("static", join=True, end=False),
    "inserted_by": notes_are(inserted_by=["__main__.First"]),
    "extract_step_decorator_from_decospec": reads_with,
    "StepDecorator": runs_steps,
    "StepDecorator.extract_args_kwargs_from_decorator_spec": reads_with,
    "StepDecorator.runtime_step_cli": runs_steps,
    "STEP_DECORATORS": runs_steps,
    "KubernetesDecorator.init": called("init"),
    "KubernetesDecorator.step_init": called("step_init"),
    "BatchDecorator": describes_a_job_of_batch,
    "BatchJob": describes_a_job_of_batch,
    "ConfigValue": lambda _: (
        private("user_configs.config_parameters:ConfigValue")({"a": {"b": 1}}).a.b == 1
    ),
    "config_parameters.resolve_delayed_evaluator": notes_are(resolve={"memory": 5000}),
    "resolve_delayed_evaluator": notes_are(resolve={"memory": 5000}),
    "config_parameters.unpack_delayed_evaluator": notes_are(unpack=["memory"]),
    "FlowDataStore.save_data": called("save_data"),
    "DATASTORES": called("is_file", "save_bytes"),
    "TarPackagingBackend": called("create", "add_file", "add_data", "close", "get_blob"),
    "MFCONTENT_MARKER": lambda notes: "module_files" in notes["marker"],
    "MetaflowCodeContentV1Base._dist_info_file": lambda notes: "DIST_INFO" in notes["files"],
    "metaflow_environment.metaflow_git": called("get_repository_info"),
    "metaflow_environment.MetaflowEnvironment": called("get_environment_info"),
    "argo_workflows.ArgoWorkflows": called("_base_kubernetes_annotations"),
    "_base_kubernetes_annotations": called("_base_kubernetes_annotations"),
    "_get_schedule": called("_get_schedule"),
    "_process_triggers": called("_process_triggers"),
    "argo_workflows.random": notes_are(random=True, choice="called"),
    "argo_workflows_cli.store_token": is_used(f"{ARGO}_cli:resolve_token", "store_token"),
    "metaflow.plugins.argo.conditional_input_paths": runs_module,
    "conda_environment.CondaEnvironment": needs(f"{CONDA}.init_environment", "self", "echo"),
    "micromamba.Micromamba": is_used(f"{CONDA}.validate_environment", "Micromamba"),
    "DATATOOLS_CLIENT_PARAMS": is_a(dict, "metaflow_config:DATATOOLS_CLIENT_PARAMS"),
    "DATATOOLS_SESSION_VARS": is_a(dict, "metaflow_config:DATATOOLS_SESSION_VARS"),
    "get_aws_client": needs("plugins.aws.aws_client:get_aws_client", "module"),
    "get_gs_storage_client": needs(f"{GOOGLE}:get_gs_storage_client"),
    "get_azure_blob_service_client": needs(f"{AZURE}:get_azure_blob_service_client"),
}


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Notes:
    """Return what the flow of private_flow.py notes, when Metaflow creates it."""
    folder = tmp_path_factory.mktemp("private")
    settings = {
        "METAFLOW_HOME": str(folder),
        "METAFLOW_USER": "tests",
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/metaflow",
        "METAFLOW_DEFAULT_METADATA": "local",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    others = {key: text for key, text in os.environ.items() if not key.startswith("METAFLOW_")}
    create = ("--with", "kubernetes:cpu=3", "argo-workflows", "create", "--only-json")
    file = folder / "notes.json"
    command = [sys.executable, FLOW, file, "--quiet", "--no-pylint", *create]
    run(*command, cwd=folder, **others | settings)
    return json.loads(file.read_text())


def users(name: str) -> list[str]:
    """Return the files in whose text a name stands, by its last part if not as it is."""
    for text in (name, name.rpartition(".")[2]):
        pattern = rf"\b{re.escape(text)}\b"
        found = [file for file in FILES if re.search(pattern, file.read_text(encoding="utf-8"))]
        if found:
            break
    return [str(file.relative_to(ROOT / "template")) for file in found]


@pytest.mark.parametrize("name", PRIVATE_NAMES)
def test_a_private_name_means_what_is_relied_on(name: str, notes: Notes) -> None:
    try:
        holds, error = STATEMENTS[name](notes), ""
    except Exception as problem:
        holds, error = False, f" ({type(problem).__name__}: {problem})"
    if not holds:
        pytest.fail(
            f"Metaflow {version('metaflow')}: {name} has changed{error}."
            f" It must be so: {PRIVATE_NAMES[name]}. On that relies: {', '.join(users(name))}",
            pytrace=False,
        )


def names_in(file: Path) -> Iterator[str]:
    """Yield the private names of Metaflow, and all others with an underscore, in a file's code.

    What is imported is called by its own name, and its attributes behind it: `decorators.x`.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported: dict[str, str] = {}
    of_metaflow = re.compile(r"metaflow\b")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and of_metaflow.match(node.module):
            public = PUBLIC if node.module == "metaflow" else set()
            imported |= {
                alias.asname or alias.name: alias.name
                for alias in node.names
                if alias.name not in public
            }
    with_attributes = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            base = node.value.id if isinstance(node.value, ast.Name) else ""
            if base in imported and not base.isupper():  # a module or a class
                with_attributes.add(base)
                yield f"{imported[base]}.{node.attr}"
            elif re.match("_[a-z]", node.attr) and base not in ("self", "cls"):
                yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"_[a-z]\w*|metaflow(\.\w+)+", node.value):
                yield node.value
        elif isinstance(node, ast.ClassDef):
            for line in node.body:
                targets = line.targets if isinstance(line, ast.Assign) else []
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                yield from (name for name in names if name.startswith("_"))
    yield from (name for alias, name in imported.items() if alias not in with_attributes)


def test_no_other_private_name_is_used() -> None:
    used = {name for file in FILES for name in names_in(file)}
    assert used - PRIVATE_NAMES.keys() == OTHERS.keys()


@pytest.mark.parametrize("name", PRIVATE_NAMES)
def test_a_private_name_is_used(name: str) -> None:
    assert users(name)
