"""What only a run decides stays, in whatever way it is written; today it is Metaflow's default."""

import os
from functools import partial

from metaflow import FlowSpec, kubernetes, step

PROD = "PROD" in os.environ
POD = {"memory": 4096}
if PROD:
    POD["memory"] = 64000
sized = kubernetes(memory=64000 if PROD else 4096)
with_cores = partial(kubernetes, cpu=8)


def on_gpus(number):
    return kubernetes(gpu=number if PROD else None, service_account="trainer")


class Pods:
    large = kubernetes(memory=9000)


class DecidedFlow(FlowSpec):
    MEMORY = 64000 if PROD else 4096

    @sized  # as large as it must be
    @step
    def start(self):
        self.next(self.train)

    @on_gpus(8)
    @step
    def train(self):
        self.next(self.tune)

    @kubernetes(**POD, service_account="trainer")
    @step
    def tune(self):
        self.next(self.score)

    @kubernetes(memory=MEMORY, service_account="trainer")
    @step
    def score(self):
        self.next(self.send)

    @with_cores(memory=1000)
    @step
    def send(self):
        self.next(self.end)

    @Pods.large
    @step
    def end(self):
        pass


if __name__ == "__main__":
    DecidedFlow()
