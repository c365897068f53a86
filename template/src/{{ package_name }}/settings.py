"""Reads k8s.toml and the command line; in pods too, with Python 3.9 and no library."""

from __future__ import annotations

import difflib
import functools
import importlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from metaflow._vendor.click import get_current_context  # type: ignore  # not in its stubs
from metaflow.decorators import StepDecorator, extract_step_decorator_from_decospec
from metaflow.exception import MetaflowException
from metaflow.metaflow_config import DEFAULT_DECOSPECS
from metaflow.plugins import get_plugin_cli_path
from metaflow.user_configs import config_parameters as configs

# `k8s` takes its own number and the one before (CONTRACT in project.py of mf_k8s).
CONTRACT = 2
PACKAGE = Path(__file__).resolve().parent
CONFIG = "k8s.toml"
ORGANISATION = "organisation.json"  # what the template's publisher sets for all its projects
OTHER_CONFIG = "K8S_CONFIG"  # the variable that names another file
ENVIRONMENT = "K8S_ENVIRONMENT"  # the variable that names one of environments/: its `k8s` counts
CONFIG_IN_PODS = "k8s.json"  # what a run sends to its pods, beside this file
SCHEMA = "k8s.schema.json"
NOT_OF_STEPS = ("pools", "registry", "workflow")  # keys of k8s.toml
POD = "pod"  # the fields of a pod that @kubernetes does not have: `k8s deploy` writes them
# Metaflow reads these in the pod too, and a pod does not know the options of `run --with`.
LOST_BY_OPTIONS = ("hostname_resolution_timeout", "tmpfs_path", "tmpfs_tempdir")
# Of these Metaflow takes text, too (step_init in plugins/kubernetes/kubernetes_decorator.py).
NUMBERS = {"cpu", "memory", "disk", "gpu", "port", "tmpfs_size"}
LOCAL_RUN = "K8S_LOCAL_RUN"  # set by a local run, for the processes of its steps
# These change how a step starts: no other back end, though an extension may add such a command.
NO_OTHER_BACKEND = ("conda", "environment", "kubernetes", "parallel", "pypi")
OTHER_BACKENDS = ("airflow", "batch", "step-functions")
# Metaflow's own commands that make no pods of steps. Any other, like an extension's, may make them.
LOCAL_COMMANDS = (
    "argo-workflows card check dump help init logs output-dot output-raw package resume run show"
    " spin spin-step spot-metadata step tag version"
).split()
OF_PODS = ("azure", "gs", "s3")  # the datastores that @kubernetes accepts
# JSON Schema's names of types.
TYPES: Any = {"array": list, "boolean": bool, "integer": int, "object": dict, "string": str}


class Override(NamedTuple):
    """What one decorator on a step, or an option, overrides."""

    source: str  # @k8s or @kubernetes, or the option
    pool: Any  # a name, which a Config may hold, or None
    values: Any  # a dictionary of @k8s, or the decorator of @kubernetes


class Command(NamedTuple):
    """What Metaflow was asked to do."""

    name: str
    creates_on_argo: bool
    needs_kubernetes: bool  # on every step: the command makes their pods, or runs in one
    with_options: list[Override]  # all `--with kubernetes:…`; Metaflow attaches the first alone
    package_suffixes: list[str]  # of the files beside a flow that travel with it

    def options(self, attached: list[Any]) -> list[Override]:
        """Return what overrides a step's own values, if the command has `attached` @kubernetes."""
        own = [Override("--with kubernetes", None, decorator) for decorator in attached]
        return own and self.with_options + own


class ConfigurationError(MetaflowException):
    """Says in one line where the configuration is wrong, and what would be right."""

    headline = "Kubernetes configuration"

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # a key may hold a line break


def current_command() -> Command:
    """Return what Metaflow was asked to do; raise ConfigurationError for another back end.

    Its arguments are private to Metaflow: without them stop, rather than run without configuration.
    """
    context = get_current_context(silent=True)
    root = context and context.find_root()
    arguments = getattr(root, "saved_args", None)
    if not arguments:
        raise ConfigurationError(
            "BaseFlow cannot tell which command Metaflow runs: start the flow by its file, like"
            " python flows/train.py run; if you did, this Metaflow is too new: install an older one"
        )
    name, options = arguments[0], root.params
    if name in OTHER_BACKENDS:
        raise ConfigurationError(
            f"{name}: BaseFlow works with Kubernetes and Argo Workflows only: use argo-workflows,"
            " or let the flow derive from FlowSpec"
        )
    creates = name == "argo-workflows" and "create" in arguments
    makes_pods = creates or (name not in LOCAL_COMMANDS and options["datastore"] in OF_PODS)
    in_pod = "METAFLOW_KUBERNETES_WORKLOAD" in os.environ and LOCAL_RUN not in os.environ
    needs = makes_pods or (in_pod and name in ("init", "step"))
    default, given = DEFAULT_DECOSPECS.split(), context.params.get("decospecs") or ()
    with_options = [
        Override(
            "METAFLOW_DEFAULT_DECOSPECS" if spec in default else "--with kubernetes",
            None,
            extract_step_decorator_from_decospec(spec)[0],
        )
        for spec in dict.fromkeys([*default, *given, *(options["decospecs"] or ())])
        if spec.partition(":")[0] == "kubernetes"
    ]
    suffixes = list(filter(None, options["package_suffixes"].split(",")))
    return Command(name, creates, needs, with_options, suffixes)


def is_backend(decorator: Any) -> bool:
    """Return whether a decorator, like @batch, runs its step by a command of its own name.

    By the names of the commands: to import them needs libraries that an image may lack.
    """
    starts_step = type(decorator).runtime_step_cli is not StepDecorator.runtime_step_cli
    known = starts_step and decorator.name in get_plugin_cli_path()
    return known and decorator.name not in NO_OTHER_BACKEND


def config_file() -> Path:
    """Return what K8S_CONFIG names, in a pod what the run has sent, else the project's k8s.toml."""
    if other := os.environ.get(OTHER_CONFIG):
        os.environ[OTHER_CONFIG] = os.path.abspath(other)  # a step may change the working directory
        return Path(os.environ[OTHER_CONFIG])
    if (PACKAGE / CONFIG_IN_PODS).exists():
        return PACKAGE / CONFIG_IN_PODS
    program = Path(sys.argv[0]).resolve()  # the flow's file, for an installed package
    for folder in (*PACKAGE.parents, *program.parents, Path.cwd(), *Path.cwd().parents):
        if (folder / "pyproject.toml").exists():
            return folder / CONFIG
    raise ConfigurationError(f"{CONFIG} is not found: set {OTHER_CONFIG} to its path")


def read_config() -> dict[str, Any]:
    """Return the layers, each over the last: organisation.json, k8s.toml, and an environment.

    Raise ConfigurationError for a value that is not valid.
    """
    file, environment = config_file(), os.environ.get(ENVIRONMENT)
    config: dict[str, Any] = {}
    if file != PACKAGE / CONFIG_IN_PODS and (PACKAGE / ORGANISATION).exists():
        config = parse(PACKAGE / ORGANISATION, "k8s")
        if environment:
            place = Path(environment).stem
            of_place = parse(PACKAGE / ORGANISATION, "environments", place, "k8s")
            config = merge(config, of_place)
    config = merge(config, parse(file))
    if environment:
        os.environ[ENVIRONMENT] = os.path.abspath(environment)
        config = merge(config, parse(Path(os.environ[ENVIRONMENT]), "k8s"))
    return config


@functools.cache
def parse(file: Path, *layer: str) -> dict[str, Any]:
    """Return what is in a file, or in the table of it to which the keys in `layer` lead."""
    where = str(file) if layer or OTHER_CONFIG in os.environ else CONFIG
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{where} cannot be read: {error}") from None
    language = "JSON" if text.lstrip().startswith("{") else "TOML"
    try:  # Python 3.9 has no tomllib: pods get JSON
        config = importlib.import_module("json" if language == "JSON" else "tomllib").loads(text)
    except ValueError as error:
        remedy = "; choose what stays of the conflict" if "<<<<<<< " in text else ""
        raise ConfigurationError(f"{where} is not {language}: {error}{remedy}") from None
    for key in layer:
        config = config.get(key, {})
    if isinstance(config, dict):
        refuse_keys_below_tables(config, where)
    validate(config, where, schema(), ".".join(layer))
    return {k: value for k, value in config.items() if layer or value is not None}  # JSON has null


def refuse_keys_below_tables(config: dict[str, Any], where: str) -> None:
    """Raise ConfigurationError for a top-level key below a [table], to which TOML adds it."""
    rules = schema()["properties"]
    for table in rules.keys() & config.keys() - {POD, *NOT_OF_STEPS}:
        values, rule = config[table], rules[table].get("additionalProperties")
        for key in rules.keys() & values if isinstance(values, dict) else ():
            if fits(values[key], rules[key]) and not (rule and fits(values[key], rule)):
                remedy = f"is a key of its own, not of [{table}]: move it above the first [table]"
                raise ConfigurationError(f"{where}: {key} {remedy}")


@functools.cache
def schema() -> dict[str, Any]:
    return json.loads((PACKAGE / SCHEMA).read_text(encoding="utf-8"))


def settings_schema() -> dict[str, Any]:
    """Return the schema of a pool, or of what a step overrides."""
    rules = schema()["properties"].items()
    properties = {key: rule for key, rule in rules if key not in NOT_OF_STEPS}
    return {**schema(), "properties": properties}


def validate(value: Any, where: str, rule: dict[str, Any] | None = None, key: str = "") -> None:
    """Raise ConfigurationError unless `value` fits a schema `rule`, by default that of a step."""
    rule = settings_schema() if rule is None or "allOf" in rule else rule
    of_items = {"description": rule["description"]}  # if an item's rule has none of its own
    if not fits(value, rule):
        text = json.dumps(value, default=str, ensure_ascii=False)
        raise ConfigurationError(f"{where}: {key} = {text}: {rule['description']}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            validate(item, where, {**of_items, **rule["items"]}, f"{key}[{index}]")
    if isinstance(value, dict):
        known, others = rule.get("properties", {}), rule["additionalProperties"]
        for name, item in value.items():
            path = f"{key}.{name}" if key else name
            if "propertyNames" in rule:
                validate(name, where, rule["propertyNames"], key)
            if name not in known and others is False:
                near = difflib.get_close_matches(name, known, 1, 0.4)
                hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(known)}"
                raise ConfigurationError(f"{where}: no key {path}; {hint}")
            if name not in known and others is True:
                continue  # which `k8s` validates
            if item is not None:  # TOML has no null: it is a step's own, which removes a value
                validate(item, where, {**of_items, **known.get(name, others)}, path)


def fits(value: Any, rule: dict[str, Any]) -> bool:
    """Return whether a value, without what is in it, fits a rule."""
    kind = TYPES.get(rule["type"], (int, float))  # number
    return (
        isinstance(value, kind)
        and isinstance(value, bool) == (kind is bool)  # True is an int in Python
        and value in rule.get("enum", [value])
        and all(name in value for name in rule.get("required", ()))
        and ("minimum" not in rule or value >= rule["minimum"])
        and ("maximum" not in rule or value <= rule["maximum"])
        and not ("not" in rule and fits(value, rule["not"]))
        and ("pattern" not in rule or bool(re.fullmatch(rule["pattern"], value)))
    )


def merge(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return `own` laid over `shared`: tables merge by key, lists append, None removes a value."""
    merged = {key: dict(old) if isinstance(old, dict) else old for key, old in shared.items()}
    for key, value in own.items():
        old = merged.pop(key, None)
        if isinstance(value, dict):
            merged[key] = merge(old or {}, value)
        elif isinstance(value, list):
            merged[key] = [*(old or []), *(item for item in value if item not in (old or []))]
        elif value is not None:
            merged[key] = value
    return merged


def step_settings(config: dict[str, Any], overrides: list[Override], where: str) -> dict[str, Any]:
    """Return the configuration, a step's pools and what overrides them, each over the last.

    Raise ConfigurationError, which begins with `where`, for a value that is not valid.
    """
    pools = config.get("pools", {})
    settings = {key: value for key, value in config.items() if key not in NOT_OF_STEPS}
    for override in overrides:
        pool = configs.resolve_delayed_evaluator(override.pool)
        if pool is not None and pool not in pools:
            known = f"its pools: {', '.join(pools)}" if pools else "it has no pools"
            raise ConfigurationError(f"{where}: no pool {pool} in {config_file().name}; {known}")
        settings = merge(settings, pools.get(pool, {}))
    given: dict[tuple[str, str], Any] = {}
    for source, _, written in overrides:
        values = explicit_values(written)
        validate(values, f"{where}: {source}")
        level = "@" if source.startswith("@") else source
        for key, value in values.items():
            earlier = given.setdefault((level, key), value)
            if earlier != value and not isinstance(value, (dict, list)):
                both = f"{earlier} and to {value}"
                raise ConfigurationError(f"{where}: {key} is set twice, to {both}: keep one")
            if key in LOST_BY_OPTIONS and level != "@":
                raise ConfigurationError(f"{where}: {source}:{key} is lost in pods; use @k8s")
        settings = merge(settings, values)
    if config.get("registry") and "/" not in settings.get("image", "/"):
        settings["image"] = f"{config['registry']}/{settings['image']}"
    paths = sorted(settings.get("persistent_volume_claims", {}).values())
    if len(set(paths)) < len(paths):
        raise ConfigurationError(f"{where}: persistent_volume_claims: two have one path: {paths}")
    return settings


def explicit_values(values_or_decorator: Any) -> dict[str, Any]:
    """Return only what is written in a @k8s, a @kubernetes or a `--with kubernetes:…`.

    A decorator's `attributes`, and so Metaflow's public `decorator_specs`, hold all the defaults as
    well, and those would wipe out the shared values (metaflow/decorators.py, Decorator.__init__).
    """
    if isinstance(values_or_decorator, dict):
        values, names = values_or_decorator, set(values_or_decorator)
    else:
        values, defaults = values_or_decorator.attributes, values_or_decorator.defaults
        changed = {name for name in values if values[name] != defaults.get(name)}
        names = values_or_decorator._user_defined_attributes
        # a mutator may have given all of them, or changed some without Metaflow's notice
        names = changed if names >= defaults.keys() else names | changed
    values, unpacked = configs.unpack_delayed_evaluator(values)
    values = {name: values[name] for name in [*names, *unpacked] if name in values}
    values = configs.resolve_delayed_evaluator(values, to_dict=True)
    for name, value in values.items():
        if isinstance(value, (str, float)) and name in NUMBERS:
            values[name] = number(value)
        elif isinstance(value, str) and name in ("qos", "gpu_vendor"):
            values[name] = value.capitalize() if name == "qos" else value.lower()
        elif isinstance(value, str) and name == "node_selector":
            pairs = [pair.split("=", 1) for pair in value.split(",")]
            if all(len(pair) == 2 for pair in pairs) and len(dict(pairs)) == len(pairs):
                values[name] = dict(pairs)
        elif isinstance(value, str) and name == "secrets":
            values[name] = [value]
        elif isinstance(value, tuple):
            values[name] = list(value)
    return values


def without_pod(settings: dict[str, Any], command: Command) -> dict[str, Any]:
    """Return settings without [pod], which @kubernetes does not have; a run says so, once."""
    if settings.get(POD) and command.name in ("run", "resume"):
        say_once("[pod] has no effect on `run --with kubernetes`: `k8s deploy` writes it")
    return {key: value for key, value in settings.items() if key != POD}


@functools.cache
def say_once(line: str) -> None:
    print(line, file=sys.stderr)


def number(value: str | float) -> str | float:
    """Return the number that a text is, whole where it can be; another text as it is."""
    try:
        return int(float(value)) if float(value).is_integer() else float(value)
    except ValueError:
        return value
