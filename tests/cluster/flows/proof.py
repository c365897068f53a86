"""Tells from inside of its pods how large /dev/shm is, and passes a file on through a claim."""

import subprocess
from pathlib import Path

from churn_model import BaseFlow, k8s
from metaflow import Config, current, step


def shared_memory() -> int:
    """Give the size of /dev/shm in MiB."""
    return int(subprocess.check_output(["df", "-m", "/dev/shm"], text=True).split()[-5])


class ProofFlow(BaseFlow):
    sizes = Config("sizes", required=True)

    @step
    def start(self):
        assert shared_memory() == self.sizes.start, shared_memory()
        Path("/cache/proof").write_text(current.run_id)
        self.next(self.end)

    @k8s(shared_memory=sizes.end)
    @step
    def end(self):
        assert shared_memory() == self.sizes.end, shared_memory()
        assert Path("/cache/proof").read_text() == current.run_id


if __name__ == "__main__":
    ProofFlow()
