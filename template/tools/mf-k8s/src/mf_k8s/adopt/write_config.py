"""k8s.toml with new values: its comments, its order and all else stay as they are."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from ..config import Config
from ..errors import CommandError

TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


def write_config(text: str, config: Config) -> str:
    """Return the text of a k8s.toml that holds `config`, which adds to what `text` holds.

    Raise CommandError where that cannot be done without a change of something else.
    """
    import tomlkit

    old = tomllib.loads(text)
    if old == config:
        return text
    document: Any = tomlkit.parse(text)
    added: list[tuple[list[str], Any]] = []
    change(document, old, config, [], added)
    changed = tomlkit.dumps(document)
    for candidate in candidates(changed, added):
        try:
            if tomllib.loads(candidate) == config:
                return candidate
        except tomllib.TOMLDecodeError:
            continue
    lines = "; ".join(toml_lines(added)) or "the new values"
    raise CommandError(f"k8s.toml: its tables leave no place for: {lines}; write it there yourself")


def change(
    document: Any, old: Mapping[str, Any], new: Mapping[str, Any], path: list[str], added: Any
) -> None:
    """Set what differs in tables that are there; append to `added` what is in none of them."""
    for key, value in new.items():
        if key in old and old[key] == value:
            continue
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            change(document[key], old[key], value, [*path, key], added)
        elif key in old:
            document[key] = value
        else:
            added.append(([*path, key], value))


def candidates(text: str, added: list[tuple[list[str], Any]]) -> Iterator[str]:
    """Yield texts with the new keys: before the first table, or with tables at the end."""
    line_break = "\r\n" if "\r\n" in text else "\n"
    block = "".join(f"{line_break}{line}{line_break}" for line in toml_lines(added))
    ends = [match.start() for match in TABLE.finditer(text)]
    for end in [*ends, len(text)] if ends else [len(text)]:
        head, tail = text[:end], text[end:]
        if head and not head.endswith("\n"):
            head += line_break
        yield (
            head
            + block.removeprefix(line_break if head.endswith(line_break * 2) else "")
            + (line_break + tail if tail else "")
        )
    headed = "".join(headed_lines(added, line_break))
    plain = [(path, value) for path, value in added if not isinstance(value, dict)]
    for inner in candidates(text, plain) if plain else [text]:
        yield inner.rstrip("\r\n") + line_break + headed


def toml_lines(added: list[tuple[list[str], Any]]) -> Iterator[str]:
    """Yield `key.name = value` for each new value; a table in a table is written inline."""
    for path, value in added:
        deeper = len(path) == 1 or (path[0] == "pools" and len(path) == 2)
        if isinstance(value, dict) and value and deeper:
            yield from toml_lines([([*path, name], item) for name, item in value.items()])
        else:
            yield f"{'.'.join(map(toml_key, path))} = {toml_value(value)}"


def headed_lines(added: list[tuple[list[str], Any]], line_break: str) -> Iterator[str]:
    """Yield each new table below a heading of its own."""
    for path, value in added:
        if isinstance(value, dict):
            yield f"{line_break}[{'.'.join(map(toml_key, path))}]{line_break}"
            for name, item in value.items():
                yield f"{toml_key(name)} = {toml_value(item)}{line_break}"


def toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def toml_value(value: Any) -> str:
    if isinstance(value, dict):
        items = (f"{toml_key(name)} = {toml_value(item)}" for name, item in value.items())
        return f"{{ {', '.join(items)} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
