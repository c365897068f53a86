"""Every private name of Metaflow that the tool and a project's base.py and settings.py rely on.

Private is what has an underscore, what is not imported from `metaflow` itself, and attributes that
its documentation does not name. A test proves for each that it means what is said here, with the
Metaflow that is installed, and that no other is used. `make canary` tries the newest Metaflow.
"""

PRIVATE_NAMES = {
    # How Metaflow is started, and what it was asked to do
    "cli.main": "parses sys.argv and runs Metaflow for a flow; raises its errors if asked to",
    "parameters.flow_context": "within it, a flow's Configs and Parameters are known",
    "get_current_context": "gives click's context, in the copy of click that Metaflow has",
    "saved_args": "of the root context: the command and all that follows it",
    "decospecs": "among the options: what each `--with` says",
    "package_suffixes": "among the options: a text with commas between",
    "get_plugin_cli_path": "gives the commands by name, with those of extensions",
    "get_username": "gives METAFLOW_USER or USER; None if there is none, or if it is root",
    "MetaflowException": "has a headline and a message; Metaflow prints both and no traceback",
    "DEFAULT_DECOSPECS": "is the text of METAFLOW_DEFAULT_DECOSPECS",
    # A flow and its steps
    "_flow_cls": "of the flow that a mutator gets: the flow's class",
    "_flow_state": "of a flow's class: by FlowStateItems, what is attached to it",
    "FlowStateItems": "has FLOW_MUTATORS: a list, from which a mutator may be called twice",
    "_flow_decorators": "of a flow: lists of its decorators by name; exit_hook has success_hooks",
    "_graph": "has start_step, and steps with decorators, out_funcs, foreach_param, parallel_step",
    "_my_step": "of the step that a mutator gets: the function",
    "is_step": "is True on the function of a step, and on nothing else",
    "config_decorators": "of a step's function: its mutators, in the order in which they mutate",
    "_mutate_called": "of a step's mutator: once it is True, Metaflow does not mutate again",
    "decorator_name": "of a mutator: ends in a dot and the name of its class",
    "decorators._run_step_mutator": "calls `mutate`, with class, step, mutator and message",
    # A decorator of a step
    "_user_defined_attributes": "of a decorator: the names of the attributes that somebody wrote",
    "statically_defined": "of a decorator: True if it stands in the code, False for `--with`",
    "inserted_by": "of a decorator: the mutators that added it, each by its decorator_name",
    "extract_step_decorator_from_decospec": "makes the decorator of a `--with`",
    "StepDecorator": "is the class of decorators like @kubernetes",
    "StepDecorator.extract_args_kwargs_from_decorator_spec": "reads a `--with` behind its colon",
    "StepDecorator.runtime_step_cli": "is replaced by decorators of another back end only",
    "STEP_DECORATORS": "are the classes of all decorators of steps; Metaflow calls their step_init",
    "KubernetesDecorator.init": "is called before it fills in what nobody wrote",
    "KubernetesDecorator.step_init": "gets flow, graph, name and decorators of each step first",
    "BatchDecorator": "fills in what nobody wrote as for AWS Batch, by external_init and step_init",
    "BatchJob": "describes a job of AWS Batch, and registers it with a client that it is given",
    # A flow's Configs
    "ConfigValue": "gives the keys of a dictionary as attributes, too",
    "config_parameters.resolve_delayed_evaluator": "gives the value of a Config; others stay",
    "config_parameters.unpack_delayed_evaluator": "unpacks `**config`, and says which keys it had",
    "resolve_delayed_evaluator": "is the same, imported by itself",
    # What a creation uploads, reads and names
    "FlowDataStore.save_data": "is given the content of the code package",
    "DATASTORES": "are the classes of the datastores, of which is_file and save_bytes are called",
    "TarPackagingBackend": "makes the code package by create, add_file, add_data, close, get_blob",
    "MFCONTENT_MARKER": "is the name of a file of the code package, of JSON with module_files",
    "MetaflowCodeContentV1Base._dist_info_file": "is the name of one with all METADATA and RECORD",
    "metaflow_environment.metaflow_git": "is asked get_repository_info of the flow's folder",
    "metaflow_environment.MetaflowEnvironment": "has get_environment_info: what the machine is",
    "argo_workflows.ArgoWorkflows": "is the class that makes the WorkflowTemplate",
    "_base_kubernetes_annotations": "of that class: the annotations of all that it makes",
    "_get_schedule": "of that class: the cron text and the time zone, or None twice",
    "_process_triggers": "of that class: a list of events, empty for none, and their options",
    "argo_workflows.random": "is the module random, and names a file where a flow has Parameters",
    "argo_workflows_cli.store_token": "keeps a production token on this machine",
    "metaflow.plugins.argo.conditional_input_paths": "is run by pods that join conditional steps",
    "conda_environment.CondaEnvironment": "has init_environment, which resolves packages",
    "micromamba.Micromamba": "downloads micromamba when it is made",
    # How the datastore is asked
    "DATATOOLS_CLIENT_PARAMS": "is the dictionary of what boto3's client is made with",
    "DATATOOLS_SESSION_VARS": "is the dictionary of what boto3's session is made with",
    "get_aws_client": "makes a client with session_vars and client_params",
    "get_gs_storage_client": "needs no argument",
    "get_azure_blob_service_client": "needs no argument",
}
