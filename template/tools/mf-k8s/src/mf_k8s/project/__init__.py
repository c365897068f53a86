"""The project on disk: k8s.toml, environments/, tests/kind.toml, flows, and its git repository.

It may import programs and show.
"""

from .project import find_project

__all__ = ["find_project"]  # tests of projects of contract 1 import it from here (testing.py)
