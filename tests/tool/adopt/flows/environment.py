"""A value that only a run knows stays where it is."""

import os

from metaflow import FlowSpec, kubernetes, step

IMAGE = os.environ.get("TRAIN_IMAGE", "ghcr.io/acme/train:1")


class EnvironmentFlow(FlowSpec):
    @kubernetes(service_account="reader", memory=2000)
    @step
    def start(self):
        self.next(self.train)

    @kubernetes(image=IMAGE, service_account="reader", memory=9000)
    @step
    def train(self):
        self.next(self.end)

    @kubernetes(image=os.environ.get("END_IMAGE", "ghcr.io/acme/end:1"))
    @step
    def end(self):
        pass


if __name__ == "__main__":
    EnvironmentFlow()
