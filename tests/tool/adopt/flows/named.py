"""The first and last step have names of their own."""

from __future__ import annotations

from metaflow import FlowSpec, kubernetes, step

# What follows is of this flow.
BIG = 30000


class NamedFlow(FlowSpec):
    @kubernetes(memory=BIG, gpu=0)
    @step(start=True)
    def fetch(self):
        self.next(self.publish)

    @kubernetes(memory=BIG, qos="guaranteed")
    @step(end=True)
    def publish(self):
        pass


if __name__ == "__main__":
    NamedFlow()
