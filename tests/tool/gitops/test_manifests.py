"""How manifests are written as YAML."""

import pytest
import yaml
from mf_k8s.gitops.manifests import dump


def test_null_values_are_left_out() -> None:
    """But not those that are text: a null in a podSpecPatch takes a field away."""
    patch = '{"nodeSelector":null}'
    manifest = {"a": None, "b": [{"c": None, "d": 1}], "podSpecPatch": patch, "e": {}}
    assert yaml.safe_load(dump(manifest)) == {"b": [{"d": 1}], "podSpecPatch": patch, "e": {}}


@pytest.mark.parametrize("text", ["1e3", "12e4567", "y", "N", "on", "0o17", "1_000", "1.2.3", "~"])
def test_text_stays_text(text: str) -> None:
    """Also for YAML 1.2, and for what Kubernetes reads it with: in quotes."""
    assert dump({"tag": text}) == f"tag: '{text}'\n"
