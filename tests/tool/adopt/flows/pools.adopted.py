"""Two steps share a set of values, which becomes a pool."""

from metaflow import step

from churn_model import BaseFlow, k8s

A100 = {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"}


class PoolsFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.train)

    @k8s("gpu-1-a100")
    @step
    def train(self):
        self.next(self.tune)

    @k8s(
        "gpu-1-a100",
        memory=64000,
    )
    @step
    def tune(self):
        self.next(self.score)

    @k8s("gpu-1-a100")
    @step
    def score(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    PoolsFlow()
