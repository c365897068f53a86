"""Runs a step on many pods side by side."""

from churn_model import BaseFlow, k8s
from metaflow import step


class WideFlow(BaseFlow):
    @step
    def start(self):
        self.parts = [1, 2, 3]
        self.next(self.work, foreach="parts")

    @k8s(memory=2000)
    @step
    def work(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    WideFlow()
