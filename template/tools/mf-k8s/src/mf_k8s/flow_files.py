"""Tests of projects of contract 1 import it from here (testing.py)."""

from .project.flow_files import starts_flow

__all__ = ["starts_flow"]
