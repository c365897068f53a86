"""A flow that notes what Metaflow does by its private names: test_private_names.py creates it.

Its first argument is a file, into which it writes its notes, as JSON. Of a name that is missing it
notes the error.
"""

import io
import json
import random
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from metaflow import (
    Config,
    FlowMutator,
    FlowSpec,
    Parameter,
    StepMutator,
    exit_hook,
    kubernetes,
    parallel,
    step,
    timeout,
)

NOTES: dict[str, Any] = {}


def note(name: str, find: Callable[[], Any]) -> Any:
    """Note what `find` returns, and return it."""
    try:
        NOTES[name] = find()
    except Exception as error:
        NOTES[name] = f"{type(error).__name__}: {error}"
    return NOTES[name]


def watch(holder: Any, attribute: str, stand_in: Callable[..., Any] | None = None) -> None:
    """Note whether Metaflow calls an attribute of a holder.

    The holder is an object, or what stands behind `metaflow.` in the name of one. `stand_in` is
    called in its place, and gets it as the first argument.
    """

    def replace() -> str:
        found = resolve_name(f"metaflow.{holder}") if isinstance(holder, str) else holder
        function = getattr(found, attribute)

        def called(*arguments: Any, **named: Any) -> Any:
            NOTES[attribute] = "called"
            if stand_in:
                return stand_in(function, *arguments, **named)
            return function(*arguments, **named)

        setattr(found, attribute, called)
        return "not called"

    note(attribute, replace)


class Flows(FlowMutator):
    def pre_mutate(self, mutable_flow: Any) -> None:
        note("_flow_cls", lambda: mutable_flow._flow_cls.__name__)
        note("FLOW_MUTATORS", lambda: self.append_once(mutable_flow._flow_cls._flow_state))

    def append_once(self, state: Any) -> list[str]:
        """Append this mutator to the list that Metaflow is iterating over; at the next call not."""
        mutators = state[resolve_name("metaflow.flowspec:FlowStateItems")["FLOW_MUTATORS"]]
        before = [type(mutator).__name__ for mutator in mutators]
        mutators[:] = [self, self] if before == ["Flows"] else [self]
        return before

    def mutate(self, mutable_flow: Any) -> None:
        note("_my_step", lambda: [each._my_step.__name__ for _, each in mutable_flow.steps])
        note_step("join", PrivateFlow.join)
        note_step("end", PrivateFlow.end)
        (own,) = (each for each in PrivateFlow.start.decorators if each.name == "kubernetes")
        configs = "metaflow.user_configs.config_parameters:{}_delayed_evaluator"
        note("unpack", lambda: resolve_name(configs.format("unpack"))(own.attributes)[1])
        note("resolve", lambda: resolve_name(configs.format("resolve"))(PrivateFlow.shared))
        note("saved_args", lambda: root_context().saved_args[:2])
        note("decospecs", lambda: root_context().params["decospecs"])
        note("package_suffixes", lambda: root_context().params["package_suffixes"])


def root_context() -> Any:
    return resolve_name("metaflow._vendor.click:get_current_context")().find_root()


def note_step(name: str, function: Any) -> None:
    kubernetes = next(each for each in function.decorators if each.name == "kubernetes")
    note(f"{name} is_step", lambda: function.is_step)
    note(f"{name} static", lambda: kubernetes.statically_defined)
    note(f"{name} written", lambda: sorted(kubernetes._user_defined_attributes))
    note(f"{name} mutators", lambda: [type(each).__name__ for each in function.config_decorators])


class First(StepMutator):
    def mutate(self, mutable_step: Any) -> None:
        mutable_step.add_decorator(timeout, deco_kwargs={"minutes": 2})
        note("decorator_name", lambda: self.decorator_name)
        note("inserted_by", lambda: PrivateFlow.end.decorators[-1].inserted_by)


class Second(StepMutator):
    pass


def finished(run: Any = None) -> None:
    pass


@exit_hook(on_success=[finished])
class PrivateFlow(FlowSpec):
    size = Parameter("size", default=1)
    shared = Config("shared", default_value={"memory": 5000})

    @kubernetes(**shared)
    @timeout(minutes=1)
    @step
    def start(self) -> None:
        self.next(self.pair, num_parallel=2)

    @parallel
    @step
    def pair(self) -> None:
        self.next(self.join)

    @kubernetes(memory=6000)
    @step
    def join(self, inputs: Any) -> None:
        self.next(self.end)

    @Second
    @First
    @step
    def end(self) -> None:
        pass


Flows()(PrivateFlow)


def save_and_note(save: Any, store: Any, packages: Any, **named: Any) -> Any:
    """Save as Metaflow does, and note what is in the code package."""
    (package,) = packages
    archive = tarfile.open(fileobj=io.BytesIO(package))
    note("files", lambda: [Path(name).name for name in archive.getnames()])
    marker = resolve_name("metaflow.packaging_sys:MFCONTENT_MARKER")
    note("marker", lambda: [*json.load(archive.extractfile(marker))])
    return save(store, [package], **named)


def watch_all() -> None:
    """Watch what a creation calls. What uploads is replaced, so it needs no datastore."""
    for datastore in resolve_name("metaflow.plugins:DATASTORES"):
        watch(datastore, "is_file", lambda _, __, paths: [True for _ in paths])
        watch(datastore, "save_bytes", lambda _, __, files, **___: [*files])
    watch("datastore:FlowDataStore", "save_data", save_and_note)
    for method in ("create", "add_file", "add_data", "close", "get_blob"):
        watch("packaging_sys.tar_backend:TarPackagingBackend", method)
    watch("metaflow_environment:metaflow_git", "get_repository_info")
    watch("metaflow_environment:MetaflowEnvironment", "get_environment_info")
    for method in ("_base_kubernetes_annotations", "_get_schedule", "_process_triggers"):
        watch("plugins.argo.argo_workflows:ArgoWorkflows", method)
    watch("decorators", "_run_step_mutator")
    watch("plugins.kubernetes.kubernetes_decorator:KubernetesDecorator", "init")
    watch("plugins.kubernetes.kubernetes_decorator:KubernetesDecorator", "step_init")
    workflows = resolve_name("metaflow.plugins.argo.argo_workflows")
    if note("random", lambda: workflows.random is random):
        workflows.random = random.Random(1)
        watch(workflows.random, "choice")


def note_graph(flow: Any) -> None:
    graph = flow._graph
    note("order", lambda: sorted(graph.sorted_nodes))
    note("start_step", lambda: graph.start_step)
    note("out_funcs", lambda: graph["start"].out_funcs)
    note("parallel_step", lambda: [graph[name].parallel_step for name in ("start", "pair")])
    note(
        "secs", lambda: [each.secs for each in graph["start"].decorators if each.name == "timeout"]
    )
    note("hooks", lambda: flow._flow_decorators["exit_hook"][0].success_hooks)


def create() -> str:
    """Create the flow as the tool does, by the command line in sys.argv."""
    from metaflow import parameters

    with parameters.flow_context(PrivateFlow):
        from metaflow import cli  # which binds the options of the flow's Configs

        try:
            cli.main(PrivateFlow(use_cli=False), handle_exceptions=False)
        except SystemExit as end:
            return f"exit code {end.code}"
    return "ended"


if __name__ == "__main__":
    result = Path(sys.argv.pop(1))
    note("watched", watch_all)
    note("username", lambda: resolve_name("metaflow.util:get_username")())
    note("creation", create)
    note("graph", lambda: note_graph(PrivateFlow(use_cli=False)))
    result.write_text(json.dumps(NOTES))
