"""Metaflow takes text for numbers and tables."""

from metaflow import step

from churn_model import BaseFlow, k8s


class TextsFlow(BaseFlow):
    @k8s(node_selector={"zone": "a"})
    @step
    def start(self):
        self.next(self.end)

    @k8s(node_selector={"zone": "b"})
    @step
    def end(self):
        pass


if __name__ == "__main__":
    TextsFlow()
