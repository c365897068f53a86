"""What is read of a flow's decorators."""

from types import SimpleNamespace

from mf_k8s.metaflow.read_flow_facts import own_packages


def test_the_conda_of_an_extension_is_read() -> None:
    """That of netflixext has other attributes than Metaflow's."""
    attributes = {"libraries": {"numpy": "2"}, "pip_packages": {"rich": ""}, "python": None}
    conda = SimpleNamespace(name="conda", attributes=attributes)
    assert own_packages(SimpleNamespace(decorators=[conda])) == ["numpy", "rich"]
