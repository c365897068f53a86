"""Fails until there is a file in a claim, and then needs to be resumed."""

from pathlib import Path

from churn_model import BaseFlow
from metaflow import step


class ResumedFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        assert Path("/cache/ready").exists()


if __name__ == "__main__":
    ResumedFlow()
