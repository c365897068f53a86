"""k8s.toml with new values: its comments, its order and all else stay as they are."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import CommandError
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
    for inside_tables in (False, True):
        document: Any = tomlkit.parse(text)
        added: Added = []
        change(document, old, config, [], added, inside_tables)
        for candidate in candidates(tomlkit.dumps(document), added):
            if holds(candidate, config):
                return candidate
    lines = "; ".join(toml_lines(added))
    raise CommandError(f"k8s.toml has no place for {lines}: write this there yourself")


def holds(text: str, config: Config) -> bool:
    try:
        return tomllib.loads(text) == config
    except tomllib.TOMLDecodeError:
        return False


def change(
    document: Any,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    path: list[str],
    added: Added,
    inside_tables: bool,
) -> None:
    """Set what differs in `document`; append to `added` the keys that it does not have.

    With `inside_tables`, only those that belong to none of its tables.
    """
    for key, value in new.items():
        if key in old and old[key] == value:
            continue
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            change(document[key], old[key], value, [*path, key], added, inside_tables)
        elif isinstance(value, list) and key in old and value[: len(old[key])] == old[key]:
            for item in value[len(old[key]) :]:
                document[key].append(item)
        elif key in old or (inside_tables and path and path[0] != POOLS):
            document[key] = value
        else:
            added.append(([*path, key], value))


def candidates(text: str, added: Added) -> Iterator[str]:
    """Yield texts with the new keys: before a table or at the end, pools perhaps with a heading."""
    if not added:
        yield text
        return
    yield from placed(text, list(toml_lines(added)))
    pools = [(path, value) for path, value in added if path[0] == POOLS]
    others = [(path, value) for path, value in added if path[0] != POOLS]
    line_break = line_break_of(text)
    headed = "".join(headed_lines(pools, line_break))
    for inner in placed(text, list(toml_lines(others))) if others else [text]:
        yield inner.rstrip("\r\n") + line_break + headed


def placed(text: str, lines: list[str]) -> Iterator[str]:
    """Yield texts with lines before each of its tables, and at its end."""
    line_break = line_break_of(text)
    block = line_break.join(f"{line}{line_break}" for line in lines)
    for end in [*(match.start() for match in TABLE.finditer(text)), len(text)]:
        head, tail = text[:end], text[end:]
        if head and not head.endswith("\n"):
            head += line_break
        apart = line_break if head and not head.endswith(line_break * 2) else ""
        yield head + apart + block + (line_break + tail if tail else "")


def line_break_of(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def toml_lines(added: Added) -> Iterator[str]:
    """Yield `key.name = value` for each new value; a table in a table is written inline."""
    for path, value in added:
        deeper = len(path) == 1 or (path[0] == POOLS and len(path) == 2)
        if isinstance(value, dict) and value and deeper:
            yield from toml_lines([([*path, name], item) for name, item in value.items()])
        else:
            yield f"{'.'.join(map(toml_key, path))} = {toml_value(value)}"


def headed_lines(added: Added, line_break: str) -> Iterator[str]:
    """Yield new pools, each below a heading of its own."""
    for path, value in added:
        tables = {"": value} if len(path) > 1 else value
        for table, items in tables.items():
            name = ".".join(map(toml_key, filter(None, [*path, table])))
            yield f"{line_break}[{name}]{line_break}"
            for key, item in items.items():
                yield f"{toml_key(key)} = {toml_value(item)}{line_break}"


def toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def toml_value(value: Any) -> str:
    if isinstance(value, dict):
        items = (f"{toml_key(name)} = {toml_value(item)}" for name, item in value.items())
        return f"{{ {', '.join(items)} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
