"""Metaflow's batch behind names and helpers, and a value that only a run knows."""

import os

import metaflow as mf
from metaflow import kubernetes, step

from churn_model import BaseFlow, k8s

SMALL = {"memory": 1000, "queue": "small"}
gpu_job = kubernetes(gpu=1, memory=64000)


def sized(memory, **settings):
    """Return the decorator of a step of this team."""
    return kubernetes(memory=memory, **settings)


class BatchNamedFlow(BaseFlow):
    @k8s(memory=1000)
    @step
    def start(self):
        self.next(self.fetch)

    @mf.kubernetes(memory=int(os.environ.get("MEMORY", "5000")), cpu=3)
    @step
    def fetch(self):
        self.next(self.work)

    @k8s(memory=20000, cpu=2)
    @step
    def work(self):
        self.next(self.train)

    @k8s(gpu=1, memory=64000)
    @step
    def train(self):
        self.next(self.rest)

    @step
    def rest(self):
        self.next(self.end)

    @k8s(cpu=3)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    BatchNamedFlow()
