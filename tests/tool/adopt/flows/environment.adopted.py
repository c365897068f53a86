"""A value that only a run knows stays where it is."""

import os

from metaflow import kubernetes, step

from churn_model import BaseFlow, k8s

IMAGE = os.environ.get("TRAIN_IMAGE", "ghcr.io/acme/train:1")


class EnvironmentFlow(BaseFlow):
    @k8s(memory=2000)
    @step
    def start(self):
        self.next(self.train)

    @kubernetes(image=IMAGE, memory=9000)
    @step
    def train(self):
        self.next(self.end)

    @kubernetes(image=os.environ.get("END_IMAGE", "ghcr.io/acme/end:1"))
    @step
    def end(self):
        pass


if __name__ == "__main__":
    EnvironmentFlow()
