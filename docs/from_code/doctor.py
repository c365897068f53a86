"""docs/doctor.md and docs/permissions.md, from the rules of `k8s doctor`."""

from collections.abc import Iterable, Iterator

import yaml
from mf_k8s.cluster.rights import Right
from mf_k8s.cluster.user_rights import OF_EACH_DEPLOY, OF_PRUNE, OF_SCHEDULES, OF_TRIGGERS
from mf_k8s.doctor.roles import ARGO_NAMESPACE, doctor_roles
from mf_k8s.doctor.rules import Rule, all_rules
from mf_k8s.doctor.run_codes import RUN_CODES

from .markdown import table

GENERATED = (
    "<!-- Written by `make docs` from the rules in mf_k8s/doctor/rules: edit them instead. -->"
)
DOCTOR = """
# What `k8s doctor` asks

`uv run k8s doctor` says of every pod of every flow whether it will run on the cluster, and what to
do if not. Each rule below is a statement that is true, false, or cannot be told for want of a
right: [permissions.md](permissions.md) has the Roles that let it tell all. A rule is asked only of
the pods for which the rules that it needs hold. `uv run k8s doctor --explain CODE` prints the same.

![k8s doctor finds a claim that is missing and a taint, and prints what mends them](doctor.svg)
"""
PERMISSIONS = """
# Rights

[production](production.md#what-the-platform-team-sets-up-once) has the Roles of pods, of whoever
deploys and of whoever starts runs. `check`, `plan`, `render`, `image` and `adopt` need no rights
on a cluster, and `kind` makes its own.
"""
OF_DOCTOR = """
## The rights that `k8s doctor` reads with

It reads, and writes nothing to the cluster. Without a right it goes on, and says what it cannot
tell for want of it. `uv run k8s doctor --print-role` prints these Roles for the namespace of your
environment. Here it is `team-a`, and Argo's controller runs in `argo`. Values of Secrets are read
where a pull secret is used to ask a registry, and never printed.
"""
BINDING = """
An administrator binds them to whoever runs it:

```sh
uv run k8s doctor --env prod --print-role | kubectl apply -f -
kubectl create rolebinding k8s-doctor -n team-a --role=k8s-doctor --user=ann@example.com
kubectl create rolebinding k8s-doctor -n argo --role=k8s-doctor --user=ann@example.com
kubectl create clusterrolebinding k8s-doctor --clusterrole=k8s-doctor --user=ann@example.com
```

<!-- run: kubectl auth can-i -q list roles -n team-a --as=ann@example.com -->
"""
COMMANDS = {
    "`deploy`, `deploy --dry-run`": OF_EACH_DEPLOY,
    "`deploy` of a flow with `@schedule`": OF_SCHEDULES,
    "`deploy` of a flow with `@trigger`, in the namespace of Sensors": OF_TRIGGERS,
    "`deploy --prune --yes`": OF_PRUNE,
}
PLACES = {
    "namespace": "In the namespace of the runs",
    "argo": "In the namespace of Argo's controller",
    "system": "In kube-system",
    "cluster": "In the whole cluster",
}


def doctor_parts() -> Iterator[str]:
    """Yield the parts of docs/doctor.md: all rules, then each."""
    yield DOCTOR.strip()
    rules = {code: all_rules()[code] for code in sorted(all_rules())}
    rows = [[f"[{code}](#{code})", rule.statement] for code, rule in rules.items()]
    yield table(["code", "statement"], rows)
    for code, rule in rules.items():
        yield f"## {code}"
        statement, _, rest = rule.explanation.partition("\n")
        yield f"**{statement}**"
        if rest.strip():
            yield rest.strip()
        yield notes(rule)
    yield "## Only of runs"
    yield "`--run` has the codes of the rules, and these."
    yield table(["code", "what it means"], RUN_CODES.items())


def notes(rule: Rule) -> str:
    """Return what a rule needs, and with which rights it reads."""
    needs = ", ".join(f"[{code}](#{code})" for code in rule.needs)
    reads = ", ".join(f"`{right}`" for right in sorted(rule.reads, key=str))
    parts = [f"Comes after: {needs}." if needs else "", f"Reads: {reads}." if reads else ""]
    return "  \n".join(filter(None, parts))


def permissions_parts() -> Iterator[str]:
    """Yield the parts of docs/permissions.md: the Roles, and which rule needs which right."""
    yield PERMISSIONS.strip()
    yield table(["what", "rights in the namespace of the runs"], of_commands())
    yield OF_DOCTOR.strip()
    for role in doctor_roles(all_rules(), "team-a", ARGO_NAMESPACE):
        yield f"```yaml\n{yaml.safe_dump(role, sort_keys=False).strip()}\n```"
    yield BINDING.strip()
    needing: dict[Right, list[str]] = {}
    for code, rule in sorted(all_rules().items()):
        for right in rule.reads:
            needing.setdefault(right, []).append(code)
    for scope, place in PLACES.items():
        of_scope = sorted((right for right in needing if right.scope == scope), key=str)
        rows = [[f"{right.verb} {plural(right)}", codes(needing[right])] for right in of_scope]
        if rows:
            yield f"### {place}"
            yield table(["right", "rules that read with it"], rows)


def of_commands() -> Iterator[tuple[str, str]]:
    """Yield what commands do, and the rights that they need for it."""
    for what, rights in COMMANDS.items():
        names = (f"{', '.join(verbs)} {kind}.argoproj.io" for kind, verbs in rights.items())
        yield what, "; ".join(names)
    starters = "cronworkflows.argoproj.io and sensors.argoproj.io, of flows with what starts them"
    yield "`check --live`", f"list workflowtemplates.argoproj.io, pods, events; {starters}"


def plural(right: Right) -> str:
    return f"{right.resource}.{right.group}" if right.group else right.resource


def codes(names: list[str]) -> str:
    return ", ".join(f"[{code}](doctor.md#{code})" for code in names)


def doctor_page() -> str:
    return as_page(doctor_parts())


def permissions_page() -> str:
    return as_page(permissions_parts())


def as_page(parts: Iterable[str]) -> str:
    return "\n\n".join([GENERATED, *filter(None, parts)]) + "\n"
