"""The text of a JSON file with fewer values in it; its formatting stays."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

SPACE = re.compile(r"\s*")
Edit = tuple[int, int, str]  # from where to where a text is replaced, and by what


class Member(NamedTuple):
    """A member of an object, or an item of an array, and where it is in the text."""

    key: str | None  # of an object
    value: Any
    start: int
    value_start: int
    end: int


def with_less_json(text: str, target: dict[str, Any]) -> str:
    """Return the text of a JSON file that holds `target`: a part of what it holds, or new texts."""
    for start, end, new in sorted(edits(text, after_space(text, 0), target), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def edits(text: str, start: int, target: Any) -> Iterator[Edit]:
    """Yield what makes `target` of the object or array that begins at `start`."""
    found = [*members(text, start)]
    stays = [each.key in target if each.key is not None else each.value in target for each in found]
    last = max((index for index, stay in enumerate(stays) if stay), default=-1)
    if found and last < 0:
        yield start + 1, found[-1].end, ""
        return
    for index, member in enumerate(found):
        if index == last + 1:
            yield found[last].end, found[-1].end, ""  # with the comma before it
        elif not stays[index] and index < last:
            yield member.start, found[index + 1].start, ""
        elif stays[index] and member.key is not None and target[member.key] != member.value:
            left = target[member.key]
            if isinstance(left, (dict, list)):
                yield from edits(text, member.value_start, left)
            else:
                yield member.value_start, member.end, json.dumps(left, ensure_ascii=False)


def members(text: str, start: int) -> Iterator[Member]:
    """Yield the members of the object, or the items of the array, that begins at `start`."""
    decode = json.JSONDecoder().raw_decode
    at, key = after_space(text, start + 1), None
    while text[at] not in "}]":
        first = at
        if text[start] == "{":
            key, at = decode(text, at)
            at = after_space(text, after_space(text, at) + 1)  # the colon is between
        value, end = decode(text, at)
        yield Member(key, value, first, at, end)
        at = after_space(text, end)
        if text[at] == ",":
            at = after_space(text, at + 1)


def after_space(text: str, start: int) -> int:
    """Return where the first character is that is no white space, from `start` on."""
    found = SPACE.match(text, start)
    return found.end() if found else start
