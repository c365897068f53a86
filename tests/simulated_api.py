"""What a simulated cluster answers to each request."""

import base64
import json
import socket
import struct
import time
from typing import Any
from urllib.parse import parse_qs

from kinds_of_objects import Kind, Manifest, has_fields, has_labels, unsupported_field
from kubernetes_api import JsonHandler
from rbac_rights import Right

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start"
    " a new list without the continue parameter, or use the continue token in this response to"
    " retrieve the remainder of the results."
)


def refusal(status: int, reason: str, message: str, **details: Any) -> Manifest:
    """Return a Status, as a server answers."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": status,
    }


def forbidden(kind: Kind, name: str, why: str) -> Manifest:
    plural = f"{kind.plural}{kind.group and f'.{kind.group}'}"
    what = f'{plural} "{name}"' if name else plural
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return refusal(403, "Forbidden", f"{what} is forbidden: {why}", **details)


class Handler(JsonHandler):
    protocol_version = "HTTP/1.1"  # as a real server, which keeps connections
    cluster: Any  # simulated_cluster.Cluster
    body: Any

    def handle_request(self) -> None:
        cluster = self.cluster
        length = int(self.headers.get("Content-Length") or 0)
        self.body = json.loads(self.rfile.read(length)) if length else None
        self.query = {key: value for key, (value, *_) in parse_qs(self.url.query).items()}
        self.parse_path()
        if cluster.stops_after is not None and len(cluster.requests) >= cluster.stops_after:
            return self.go_away()
        cluster.requests.append(self.right)
        time.sleep(cluster.delay)
        if not cluster.logged_in:
            self.answer_with(refusal(401, "Unauthorized", "Unauthorized"))
        elif self.kind is None:
            self.answer_discovery()
        elif cluster.allows(cluster.account, ["system:authenticated"], self.right):
            getattr(self, f"do_{self.right.verb}")(self.kind)
        else:
            why = f'User "{cluster.account}" {self.right.refusal}'
            self.answer_with(forbidden(self.kind, self.right.name, why))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request

    def parse_path(self) -> None:
        """Find out of which kind, in which namespace and of which name the request is."""
        self.kind: Kind | None = None
        _, root, *parts = self.url.path.split("/")
        group, version = ("", "") if root == "api" else (parts.pop(0), "") if parts else ("", "")
        if parts:
            version = parts.pop(0)
        namespace = ""
        if parts[:1] == ["namespaces"] and len(parts) > 2:
            _, namespace, *parts = parts
        plural, name, *rest = [*parts, "", ""][: max(2, len(parts))]
        method = self.command
        verb = VERBS.get(method) or ("get" if name else "list")
        resource = "/".join([plural, *rest])
        self.right = Right(verb, group, resource, namespace, name)
        if plural.endswith("reviews"):
            self.kind = Kind("Review", group, version, plural, bool(namespace))
        for kind in self.cluster.kinds:
            if (kind.group, kind.version, kind.plural) == (group, version, plural):
                self.kind = kind
                if kind.name == "Namespace" and name:
                    self.right = self.right._replace(namespace=name)

    def go_away(self) -> None:
        how, self.close_connection = self.cluster.stop, True
        if isinstance(how, int):
            return self.answer_with(refusal(how, "Unknown", "the server is gone"))
        if how == "refused":
            self.cluster.server.shutdown()
            self.cluster.server.server_close()
        no_wait = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_wait)
        self.connection.close()

    def answer_with(self, status: Manifest) -> None:
        self.answer(status["code"], status)

    def answer_discovery(self) -> None:
        group, _, version = self.url.path.removeprefix("/apis").lstrip("/").partition("/")
        installed = [kind for kind in self.cluster.kinds if kind.group in self.cluster.groups]
        installed += [kind for kind in self.cluster.kinds if kind.is_builtin]
        if self.url.path.rstrip("/") == "/version":
            major, minor, _ = self.cluster.version.lstrip("v").split(".")
            version = {"major": major, "minor": minor, "gitVersion": self.cluster.version}
            return self.answer(200, version | {"platform": "linux/amd64"})
        if self.url.path.startswith("/api/"):
            group, version = "", "v1"
        kinds = dict.fromkeys(k for k in installed if (k.group, k.version) == (group, version))
        groups = dict.fromkeys(kind.group for kind in installed if kind.group)
        if kinds:
            resources = [
                {"name": kind.plural, "kind": kind.name, "namespaced": kind.namespaced}
                for kind in kinds
            ]
            self.answer(200, {"kind": "APIResourceList", "resources": resources})
        elif not group:
            self.answer(200, {"kind": "APIGroupList", "groups": [{"name": g} for g in groups]})
        else:
            self.answer(404, b"404 page not found\n")

    def found(self, kind: Kind) -> Manifest | None:
        items = self.cluster.objects.get(kind, {})
        return items.get((self.right.namespace if kind.namespaced else "", self.right.name))

    def is_unknown(self, kind: Kind) -> bool:
        known = kind.is_builtin or kind.group in self.cluster.groups
        if not known:
            self.answer(404, b"404 page not found\n")
        return not known

    def answer_not_found(self, kind: Kind) -> None:
        plural = f"{kind.plural}{kind.group and f'.{kind.group}'}"
        details = {"name": self.right.name, "group": kind.group, "kind": kind.plural}
        message = f'{plural} "{self.right.name}" not found'
        self.answer_with(refusal(404, "NotFound", message, **details))

    def do_get(self, kind: Kind) -> None:
        if self.is_unknown(kind):
            return
        found = self.found(kind)
        if found is None:
            self.answer_not_found(kind)
        elif self.right.resource == "pods/log":
            container = self.query.get("container", "")
            logs, name = self.cluster.logs, self.right.name
            self.answer(200, (logs.get(f"{name}/{container}") or logs.get(name, "")).encode())
        else:
            self.answer(200, found)

    def do_list(self, kind: Kind) -> None:
        if self.is_unknown(kind):
            return
        fields, labels = self.query.get("fieldSelector", ""), self.query.get("labelSelector", "")
        if field := unsupported_field(kind.plural, fields):
            message = f"field label not supported: {field}"
            return self.answer_with(refusal(400, "BadRequest", message))
        if "continue" in self.query and self.cluster.expiring_tokens:
            self.cluster.expiring_tokens -= 1
            return self.answer_with(refusal(410, "Expired", EXPIRED))
        items = [
            item
            for (namespace, _), item in sorted(self.cluster.objects.get(kind, {}).items())
            if self.right.namespace in ("", namespace) and has_fields(item, fields)
            if has_labels(item, labels)
        ]
        metadata: Manifest = {"resourceVersion": "1"}
        start = int(base64.b64decode(self.query.get("continue", "")) or 0)
        end = start + int(self.query.get("limit") or 0) or len(items)
        if end < len(items):
            metadata["continue"] = base64.b64encode(str(end).encode()).decode()
            if not fields and not labels:
                metadata["remainingItemCount"] = len(items) - end
        page = items[start:end]
        if kind.is_builtin:  # whose lists leave it out
            page = [{k: v for k, v in i.items() if k not in ("kind", "apiVersion")} for i in page]
        whole = {"kind": f"{kind.name}List", "apiVersion": kind.api_version}
        self.answer(200, {**whole, "metadata": metadata, "items": page})

    def do_create(self, kind: Kind) -> None:
        if kind.plural.endswith("reviews"):
            return self.answer_review(kind)
        body, namespace = self.body, self.right.namespace
        if kind.namespaced and namespace not in self.names_of_namespaces():
            message = f'namespaces "{namespace}" not found'
            return self.answer_with(refusal(404, "NotFound", message))
        body["metadata"].setdefault("namespace", namespace)
        if "generateName" in body["metadata"]:
            body["metadata"].setdefault("name", f"{body['metadata']['generateName']}x7k2p")
        if kind.name == "Pod":
            body = self.cluster.admit(body)
        if body["kind"] == "Status":
            self.answer_with(body)
        elif self.query.get("dryRun") == "All":
            self.cluster.dry_runs.append(body)
            self.answer(201, body)
        else:
            self.cluster.written.append(self.right)
            self.cluster.add(body)
            self.answer(201, body)

    def names_of_namespaces(self) -> set[str]:
        """Return the namespaces; `default` is everywhere."""
        names = {
            name
            for kind in self.cluster.objects
            if kind.name == "Namespace"
            for _, name in self.cluster.objects[kind]
        }
        return names | {"default"}

    def do_delete(self, kind: Kind) -> None:
        found = self.found(kind)
        if found is None:
            return self.answer_not_found(kind)
        if self.query.get("dryRun") != "All":
            self.cluster.written.append(self.right)
            self.cluster.remove(kind.name, self.right.name)
        self.answer(200, found)

    def answer_review(self, kind: Kind) -> None:
        cluster, spec = self.cluster, self.body.get("spec", {})
        if kind.plural == "selfsubjectreviews":
            user = {"username": cluster.account, "groups": ["system:authenticated"]}
            return self.answer(201, {**self.body, "status": {"userInfo": user}})
        if kind.plural == "selfsubjectrulesreviews":
            rules = [
                {"verbs": [*r.verbs], "apiGroups": [*r.groups], "resources": [*r.resources]}
                for r in cluster.own_rules
                if r.namespace in ("", spec["namespace"])
            ]
            status = {"resourceRules": rules, "nonResourceRules": [], "incomplete": False}
            return self.answer(201, {**self.body, "status": status})
        asked = spec["resourceAttributes"]
        sub = asked.get("subresource")
        right = Right(
            asked["verb"],
            asked.get("group", ""),
            f"{asked['resource']}/{sub}" if sub else asked["resource"],
            asked.get("namespace", ""),
            asked.get("name", ""),
        )
        own = kind.plural == "selfsubjectaccessreviews"
        user = cluster.account if own else spec["user"]
        groups = ["system:authenticated"] if own else spec.get("groups", [])
        allowed = cluster.allows(user, groups, right)
        self.answer(201, {**self.body, "status": {"allowed": allowed}})
