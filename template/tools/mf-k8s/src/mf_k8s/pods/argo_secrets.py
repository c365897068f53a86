"""The Secrets that Argo mounts in pods, besides those that the pods' own templates name."""

from collections.abc import Iterator
from typing import Any

TOKEN = ".service-account-token"  # how the names of Secrets with tokens of accounts end


def token_of(account: str) -> str:
    """Return the name of the Secret with a service account's token, unless the account names one.

    That would be an annotation workflows.argoproj.io/service-account-token.name of the account, or
    the first of its `secrets` (util/secrets/secrets.go in argo-workflows).
    """
    return account + TOKEN


def secret_volumes(location: Any) -> Iterator[dict[str, Any]]:
    """Yield a volume for each Secret that a location of artifacts names.

    They are references {name, key} in fields like accessKeySecret
    (createSecretVolumesFromArtifactLocations in workflowpod.go).
    """
    keys: dict[str, list[str]] = {}
    for name, key in secret_keys(location):
        keys.setdefault(name, []).append(key)
    for name, of_secret in keys.items():
        items = [{"key": key, "path": key} for key in dict.fromkeys(of_secret)]
        yield {"name": name, "secret": {"secretName": name, "items": items}}


def secret_keys(location: Any) -> Iterator[tuple[str, str]]:
    if isinstance(location, dict):
        for field, value in location.items():
            if field.endswith("Secret") and isinstance(value, dict) and value.get("name"):
                yield value["name"], value.get("key") or ""
            else:
                yield from secret_keys(value)
