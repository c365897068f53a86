"""Values that stand in constants of the module and of a class."""

from metaflow import step

from churn_model import BaseFlow, k8s

REGISTRY = "ghcr.io/acme"
IMAGE = f"{REGISTRY}/vision:2"
GB = 1000


class Sizes:
    LARGE = 32 * GB


class ConstantsFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.score)

    @step
    def score(self):
        self.next(self.end)

    @k8s(memory=2 * GB)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ConstantsFlow()
