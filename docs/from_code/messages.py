"""The errors of `k8s` and of flows, with all that they may say, by code."""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .texts import HOLE, Module, Source, argument

TEMPLATE = Path(__file__).parents[2] / "template"
TOOL = TEMPLATE / "tools/mf-k8s/src/mf_k8s"
PACKAGE = TEMPLATE / "src/{{ package_name }}"
COMMANDS = {  # by the room of the code: whose command it ends
    "mf_k8s": "any command",
    "adopt": "`adopt`",
    "check": "`check`",
    "cluster": "a command that talks to a cluster",
    "deploy": "`deploy`",
    "doctor": "`doctor`",
    "drift": "`drift`",
    "gitops": "`render` or `check --rendered`",
    "image": "`image`",
    "kind": "`kind`",
    "metaflow": "a command that compiles or deploys flows",
    "plan": "`plan`",
    "programs": "a command that starts docker, kind, kubectl, git or uv",
    "project": "any command",
}
ONLY_PASSED_ON = {  # what errors say whose text comes from elsewhere
    "create-failed": "the last line of what Metaflow's `argo-workflows create` printed",
    "error": "what went wrong, and has no code of its own",
    "flow-does-not-match": "how many pods of a flow differ; the table above it shows how",
    "flow-hidden": "which function or condition makes a flow's class; adopt sees those at the top",
    "flow-not-compiled": "what Python or Metaflow says of the flow's file",
    "install-not-ready": "why a pod of Argo, the S3 server, JobSet or Argo Events does not start",
    "program-failed": "what docker, kind, kubectl or git printed, and the remedy if it is known",
    "run-failed": "the ends of the logs of a run, and what to do",
}


@dataclass
class Message:
    """What an error may say, what to do, and which command ends with it."""

    command: str
    texts: list[str] = field(default_factory=list)
    remedies: list[str] = field(default_factory=list)


def by_code() -> str:
    """Return a section for each code, in the order of the alphabet."""
    sections = []
    for code, message in sorted(messages().items()):
        lines = [line for line in message.texts if set(line) != {HOLE}]
        if not lines and code not in ONLY_PASSED_ON:
            raise SystemExit(f"{code}: say in ONLY_PASSED_ON of {__file__} what its errors show")
        block = [*lines, *(f"    {remedy}" for remedy in message.remedies)]
        passed_on = f" It says {ONLY_PASSED_ON[code]}." if not lines else ""
        sections.append(f"### {code}\n\nOf {message.command}.{passed_on}")
        if block:
            sections.append("\n".join(["```text", *block, "```"]))
    return "\n\n".join(sections)


@functools.cache
def messages() -> dict[str, Message]:
    """Return what each error of `k8s` says, by its code."""
    source = Source(TOOL.rglob("*.py"))
    found: dict[str, Message] = {}
    for module in source.modules:
        for call in module.calls.get("Finding", ()):
            code, what, _, remedy = (
                argument(call, place, name)
                for place, name in enumerate(("code", "what", "where", "remedy"))
            )
            if isinstance(code, ast.Constant):
                message = found.setdefault(str(code.value), Message(command_of(module)))
                message.texts += different(source.texts(module, what))
                message.remedies += [text for text in different(source.texts(module, remedy))
                                     if text and set(text) != {HOLE}]  # fmt: skip
    return found


def command_of(module: Module) -> str:
    """Return what ends with the errors of a file; a file of commands/ is the command's own."""
    place = module.file.relative_to(TOOL).parts
    if place[0] == "commands":
        return "several commands" if module.file.stem == "options" else f"`{module.file.stem}`"
    return COMMANDS[place[0] if len(place) > 1 else TOOL.name]


def of_flows() -> str:
    """Return what BaseFlow says, which Metaflow prints, whichever command starts a flow."""
    source = Source(PACKAGE.glob("*.py"))
    found = [
        text
        for module in source.modules
        for name in ("ConfigurationError", "exit")
        for call in module.calls.get(name, ())
        for text in source.texts(module, argument(call, 0, "message"))
    ]
    return "\n".join(["```text", *sorted({*different(found)}), "```"])


def different(texts: list[str]) -> Iterator[str]:
    """Yield each text once, in one line, with one sign for holes that follow each other."""
    for text in dict.fromkeys(texts):
        line = " ".join(text.split())
        while HOLE * 2 in line:
            line = line.replace(HOLE * 2, HOLE)
        yield line
