"""Who may do what, by the Roles and bindings of a simulated cluster, as RBAC decides."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

Manifest = dict[str, Any]


class Right(NamedTuple):
    """What a request needs: `get secrets db in team-a`."""

    verb: str
    group: str  # "" is the core
    resource: str  # the plural; of a subresource `pods/log`
    namespace: str = ""  # "" is the whole cluster
    name: str = ""

    @property
    def plural(self) -> str:
        """Return the resource as kubectl writes it, like `workflowtemplates.argoproj.io`."""
        resource, slash, sub = self.resource.partition("/")
        return f"{resource}{self.group and f'.{self.group}'}{slash}{sub}"

    def __str__(self) -> str:
        return f"{self.verb} {self.plural}"

    @property
    def refusal(self) -> str:
        """Return the end of what a real server says to a user who lacks it."""
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        what = f'cannot {self.verb} resource "{self.resource}" in API group "{self.group}"'
        return f"{what} {where}"


@dataclass(frozen=True)
class Rule:
    """A rule of a Role, in a namespace, or of a ClusterRole, everywhere."""

    verbs: Sequence[str]
    groups: Sequence[str]
    resources: Sequence[str]
    names: Sequence[str] = ()
    namespace: str = ""

    def allows(self, right: Right) -> bool:
        return (
            self.namespace in ("", right.namespace)
            and is_in(self.verbs, right.verb)
            and is_in(self.groups, right.group)
            and is_in(self.resources, right.resource)
            and (not self.names or right.name in self.names)
        )


EVERYTHING = [Rule(["*"], ["*"], ["*"])]


def is_in(allowed: Sequence[str], item: str) -> bool:
    return "*" in allowed or item in allowed


def rules_of(role: Manifest) -> Iterator[Rule]:
    """Yield the rules of a Role or ClusterRole; those of a Role hold in its namespace."""
    for rule in role.get("rules") or ():
        if "resources" in rule:
            yield Rule(
                rule["verbs"],
                rule.get("apiGroups", [""]),
                rule["resources"],
                rule.get("resourceNames", ()),
                role["metadata"].get("namespace", "") if role["kind"] == "Role" else "",
            )


def bound_rules(objects: Iterable[Manifest], user: str, groups: Sequence[str]) -> Iterator[Rule]:
    """Yield the rules that the bindings among some objects give to a user or service account."""
    objects = list(objects)
    roles = {
        (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]): item
        for item in objects
        if item["kind"] in ("Role", "ClusterRole")
    }
    for binding in objects:
        if binding["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        namespace = binding["metadata"].get("namespace", "")
        if any(is_subject(item, namespace, user, groups) for item in binding.get("subjects") or ()):
            reference = binding["roleRef"]
            where = namespace if reference["kind"] == "Role" else ""
            role = roles.get((reference["kind"], where, reference["name"]))
            for rule in rules_of(role) if role else ():
                yield replace(rule, namespace=namespace)


def is_subject(subject: Manifest, namespace: str, user: str, groups: Sequence[str]) -> bool:
    """Return whether the subject of a binding is this user; the groups are those of a review."""
    name = subject["name"]
    if subject["kind"] == "ServiceAccount":
        return user == f"system:serviceaccount:{subject.get('namespace', namespace)}:{name}"
    return name in groups if subject["kind"] == "Group" else name == user
