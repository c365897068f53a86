"""How new values are written into a k8s.toml, whose other lines stay."""

import tomllib

import pytest
from mf_k8s.adopt.write_config import write_config

# A k8s.toml, what it gets, and what it is then.
WRITTEN = {
    "dotted keys": (
        'persistent_volume_claims.data = "/data"\n\nimage = "a:1"',
        {"persistent_volume_claims": {"data": "/data", "more": "/more"}, "gpu": 1},
        'persistent_volume_claims.data = "/data"\n\nimage = "a:1"\n\n'
        'persistent_volume_claims.more = "/more"\n\ngpu = 1\n',
    ),
    "tables": (
        'image = "a:1"\n\n[labels]\nteam = "x"  # ours\n\n[pools.big]\nmemory = 9\n',
        {"labels": {"team": "x", "part": "y"}, "gpu": 1},
        'image = "a:1"\n\ngpu = 1\n\n[labels]\nteam = "x"  # ours\npart = "y"\n\n'
        "[pools.big]\nmemory = 9\n",
    ),
    "a list of lines": (
        'secrets = [\n  "a",  # first\n  "b",\n]\n',
        {"secrets": ["a", "b", "c"]},
        'secrets = [\n  "a",  # first\n  "b",\n  "c",\n]\n',
    ),
    "lines that look like tables": (
        'image = """\n[no]\n"""\n[workflow]\nx = 1\n',
        {"memory": 5},
        'image = """\n[no]\n"""\n\nmemory = 5\n\n[workflow]\nx = 1\n',
    ),
    "Windows line ends": (
        'image = "a:1"  # ours\r\nmemory = 4\r\n',
        {"image": "b:2", "gpu": 1},
        'image = "b:2"  # ours\r\nmemory = 4\r\n\r\ngpu = 1\r\n',
    ),
    "nothing": ("", {"pools": {"a": {"gpu": 1}}}, "pools.a.gpu = 1\n"),
    "a key that needs quotes": (
        "gpu = 1\n",
        {"node_selector": {"example.com/zone": "a"}},
        'gpu = 1\n\nnode_selector."example.com/zone" = "a"\n',
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_k8s_toml_is_written(name: str) -> None:
    text, new, expected = WRITTEN[name]
    assert write_config(text, tomllib.loads(text) | new) == expected
