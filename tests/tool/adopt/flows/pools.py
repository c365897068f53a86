"""Two steps share a set of values, which becomes a pool."""

from metaflow import FlowSpec, kubernetes, step

A100 = {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"}


class PoolsFlow(FlowSpec):
    @kubernetes(image="ghcr.io/acme/vision:2")
    @step
    def start(self):
        self.next(self.train)

    @kubernetes(image="ghcr.io/acme/vision:2", gpu=1, node_selector=A100)
    @step
    def train(self):
        self.next(self.tune)

    @kubernetes(
        image="ghcr.io/acme/vision:2",
        gpu=1,
        node_selector=A100,
        memory=64000,
    )
    @step
    def tune(self):
        self.next(self.score)

    @kubernetes(image="ghcr.io/acme/vision:2", gpu=1, node_selector=A100)
    @step
    def score(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    PoolsFlow()
