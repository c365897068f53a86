"""k8s.toml with new values: its comments, its order and all else stay as they are."""

import contextlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import CommandError, Finding
from ..project.k8s_toml import Config

Added = list[tuple[list[str], Any]]  # paths of keys, and their values
POOLS = "pools"
TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


def write_config(text: str, config: Config) -> str:
    """Return the text of a k8s.toml that holds `config`, which adds to what `text` holds.

    Raise CommandError where that cannot be done without a change of something else.
    """
    import tomlkit

    old = tomllib.loads(text)
    if old == config:
        return text
    if text.count("\r\n") == text.count("\n") > 0:
        return write_config(text.replace("\r\n", "\n"), config).replace("\n", "\r\n")
    for inside_tables in (False, True):
        document: Any = tomlkit.parse(text)
        added = [*change(document, old, config, [], inside_tables)]
        for candidate in candidates(tomlkit.dumps(document), added):
            with contextlib.suppress(tomllib.TOMLDecodeError):
                if tomllib.loads(candidate) == config:
                    return candidate
    lines = "; ".join(toml_lines(added))
    what = f"k8s.toml has no place for {lines}"
    raise CommandError(Finding("no-place-in-config", what, "k8s.toml", "write this there yourself"))


def change(
    document: Any, old: Mapping[str, Any], new: Config, path: list[str], inside_tables: bool
) -> Iterator[tuple[list[str], Any]]:
    """Set what differs in `document`, and yield the keys that it does not have.

    With `inside_tables`, only those that belong to none of its tables.
    """
    for key, value in new.items():
        present = old.get(key)
        if key in old and present == value:
            continue
        if isinstance(value, dict) and isinstance(present, dict):
            yield from change(document[key], present, value, [*path, key], inside_tables)
        elif isinstance(value, list) and isinstance(present, list):
            for item in value:
                if item not in present:
                    document[key].append(item)
        elif key in old or (inside_tables and path and path[0] != POOLS):
            document[key] = value
        else:
            yield [*path, key], value


def candidates(text: str, added: Added) -> Iterator[str]:
    """Yield texts with the new keys: before a table or at the end, pools perhaps with a heading."""
    yield from placed(text, added)
    pools = "".join(headed_pools([(path, value) for path, value in added if path[0] == POOLS]))
    for inner in placed(text, [(path, value) for path, value in added if path[0] != POOLS]):
        yield inner.rstrip("\n") + "\n" + pools


def placed(text: str, added: Added) -> Iterator[str]:
    """Yield texts with new keys before each of its tables, and at its end."""
    if not added:
        yield text
        return
    block = "\n".join(f"{line}\n" for line in toml_lines(added))
    for end in [*(match.start() for match in TABLE.finditer(text)), len(text)]:
        head, tail = text[:end], text[end:]
        if head and not head.endswith("\n"):
            head += "\n"
        apart = "\n" if head and not head.endswith("\n\n") else ""
        yield head + apart + block + ("\n" + tail if tail else "")


def toml_lines(added: Added) -> Iterator[str]:
    """Yield `key.name = value` for each new value; a table in a table is written inline."""
    for path, value in added:
        deeper = len(path) == 1 or (path[0] == POOLS and len(path) == 2)
        if isinstance(value, dict) and value and deeper:
            yield from toml_lines([([*path, name], item) for name, item in value.items()])
        else:
            yield f"{'.'.join(map(toml_key, path))} = {toml_value(value)}"


def headed_pools(added: Added) -> Iterator[str]:
    """Yield new pools, each below a heading of its own."""
    for path, value in added:
        for name, settings in (value if len(path) == 1 else {path[1]: value}).items():
            yield f"\n[{POOLS}.{toml_key(name)}]\n"
            for key, item in settings.items():
                yield f"{toml_key(key)} = {toml_value(item)}\n"


def toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def toml_value(value: Any) -> str:
    if isinstance(value, dict):
        items = (f"{toml_key(name)} = {toml_value(item)}" for name, item in value.items())
        return f"{{ {', '.join(items)} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
