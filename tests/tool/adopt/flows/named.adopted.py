"""The first and last step have names of their own."""

from __future__ import annotations

from metaflow import step

from churn_model import BaseFlow, k8s

# What follows is of this flow.
BIG = 30000


class NamedFlow(BaseFlow):
    @k8s(gpu=0)
    @step(start=True)
    def fetch(self):
        self.next(self.publish)

    @k8s(qos="guaranteed")
    @step(end=True)
    def publish(self):
        pass


if __name__ == "__main__":
    NamedFlow()
