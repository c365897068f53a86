"""Tests of projects of contract 1 import it from here (testing.py)."""

from .project.kind_toml import read_flow_settings

__all__ = ["read_flow_settings"]
