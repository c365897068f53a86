"""Fails on purpose, for the pod that then reports it."""

from churn_model import BaseFlow
from metaflow import step


class FailingFlow(BaseFlow):
    @step
    def start(self):
        raise RuntimeError("on purpose")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    FailingFlow()
