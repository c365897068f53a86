"""The text of a TOML file with fewer values in it; its comments and formatting stay."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

LINE = re.compile(r".*\n|.+\Z")  # not str.splitlines, which also parts at characters in comments


def with_less_toml(text: str, target: Mapping[str, Any]) -> str:
    """Return the text of a TOML file that holds `target`: a part of what it holds, or new texts.

    A line or a heading goes if none of it is left, and one of the empty lines around it.
    """
    kept: list[str] = []
    table: tuple[str, ...] = ()
    is_cut = False  # the statement before this one is taken out
    for statement in statements(text):
        content = tomllib.loads(statement)
        path, _ = single_path(content)
        if statement.lstrip().startswith("["):
            table = path
            new = statement if value_at(target, table) is not None else ""
        elif not content:  # a comment, or an empty line
            is_double = is_cut and not statement.strip() and not (kept and kept[-1].strip())
            new = "" if is_double else statement
        else:
            new = reduced(statement, content, value_at(target, table))
        is_cut = not new
        kept += [new] if new else []
    while is_cut and kept and not kept[-1].strip():
        kept.pop()
    return "".join(kept)


def statements(text: str) -> Iterator[str]:
    """Yield the lines of a TOML file; those of a value of several lines together."""
    pending = ""
    for line in LINE.findall(text):
        pending += line
        try:
            tomllib.loads(pending)
        except tomllib.TOMLDecodeError:
            continue
        yield pending
        pending = ""
    if pending:
        yield pending


def single_path(content: Any) -> tuple[tuple[str, ...], Any]:
    """Return the keys that lead to the first value that is not a table of one key, and it."""
    path: tuple[str, ...] = ()
    while isinstance(content, dict) and len(content) == 1:
        ((key, content),) = content.items()
        path += (key,)
    return path, content


def value_at(target: Any, path: tuple[str, ...]) -> Any:
    """Return the value to which keys lead, or None; TOML has no null."""
    for key in path:
        target = target.get(key) if isinstance(target, Mapping) else None
    return target


def reduced(statement: str, content: dict[str, Any], target: Any) -> str:
    """Return `key = value` with what is left of the value; an empty text if nothing is."""
    path, value = single_path(content)
    left = value_at(target, path)
    if left is None or left == value:
        return "" if left is None else statement
    import tomlkit

    document: Any = tomlkit.parse(statement)
    reduce(document, content, target)
    return tomlkit.dumps(document)


def reduce(document: Any, content: Mapping[str, Any], target: Mapping[str, Any]) -> None:
    """Take out of a table of tomlkit what `target` has not, of what `content` says it holds."""
    for key, value in content.items():
        left = target.get(key)
        if left is None:
            del document[key]
        elif isinstance(value, dict):
            reduce(document[key], value, left)
        elif isinstance(value, list):
            for index in reversed(range(len(value))):
                if value[index] not in left:
                    del document[key][index]
        elif left != value:
            document[key] = left
