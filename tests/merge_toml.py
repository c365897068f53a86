"""Adds a block of TOML, from stdin, to a file, as a reader of a page does: table by table."""

import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import AoT, Table


def merge(config: MutableMapping[str, Any], more: MutableMapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, AoT) and key in config:
            config[key].extend(value)
        elif isinstance(value, Table) and key in config:
            merge(config[key], value)
        else:
            config[key] = value


if __name__ == "__main__":
    file = Path(sys.argv[1])
    config = tomlkit.parse(file.read_text())
    merge(config, tomlkit.parse(sys.stdin.read()))
    file.write_text(tomlkit.dumps(config))
