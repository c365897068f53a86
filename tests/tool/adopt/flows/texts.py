"""Metaflow takes text for numbers and tables."""

from metaflow import FlowSpec, kubernetes, step


class TextsFlow(FlowSpec):
    @kubernetes(memory="16000", node_selector="pool=large,zone=a")
    @step
    def start(self):
        self.next(self.end)

    @kubernetes(memory=16000, node_selector={"zone": "b", "pool": "large"})
    @step
    def end(self):
        pass


if __name__ == "__main__":
    TextsFlow()
