"""Lets Python read other files in the place of some, so that nothing has to be written to those.

Loaded by compile_worker from its file, for `k8s adopt`.
"""

import importlib.machinery
import io
import linecache
import os
import tokenize
from collections.abc import Mapping
from typing import Any


def replace_files(replaced: Mapping[str, str]) -> None:
    """Let whatever reads one of these files as Python's code read another one.

    That is what runpy and importlib open by io.open_code, and what inspect finds in linecache.
    """
    import _io

    loader: Any = importlib.machinery.SourceFileLoader
    open_code, path_stats = io.open_code, loader.path_stats

    def open_other(path: str) -> Any:
        other = replaced.get(os.path.realpath(path))
        if other is None:
            return open_code(path)
        with tokenize.open(other) as file:
            lines = file.readlines()
        linecache.cache[path] = (0, None, lines, path)  # None: it is never read again
        return open_code(other)

    def stats_of_other(loader: Any, path: str) -> Any:
        if os.path.realpath(path) in replaced:
            raise OSError(f"{path} is replaced")  # so that its .pyc is not used
        return path_stats(loader, path)

    io.open_code = _io.open_code = open_other
    loader.path_stats = stats_of_other
