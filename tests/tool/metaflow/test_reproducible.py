"""What makes a code package the same on each machine."""

import json
import subprocess
from pathlib import Path

import pytest
from mf_k8s.metaflow.reproducible import stable_content, stored_gzip


def test_how_a_library_was_installed_is_left_out() -> None:
    """Of a library with mutators, which Metaflow packs: scripts and .pth files hold paths."""
    record = (
        "../../../bin/steps,sha256=1,200\n"
        "steps/b.py,sha256=2,9\n"
        "steps/a.py,sha256=3,9\n"
        "_editable_impl_steps.pth,sha256=4,30\n"
        "steps-1.0.dist-info/direct_url.json,sha256=5,80\n"
    )
    packed = json.dumps({"steps": {"METADATA": "Name: steps\n", "RECORD": record}}).encode()
    assert json.loads(stable_content(".mf_meta/DIST_INFO", packed)) == {
        "steps": {
            "METADATA": "Name: steps\n",
            "RECORD": "steps/a.py,sha256=3,9\nsteps/b.py,sha256=2,9\n",
        }
    }
    assert stable_content(".mf_meta/CONFIG", packed) == packed


@pytest.mark.parametrize("size", [0, 5, 65535, 65536, 200_000])
def test_gzip_reads_what_is_not_compressed(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "x.gz").write_bytes(stored_gzip(content[:size]))
    done = subprocess.run(["gzip", "-dc", tmp_path / "x.gz"], capture_output=True, check=True)
    assert done.stdout == content[:size]
