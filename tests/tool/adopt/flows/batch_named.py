"""Metaflow's batch behind names and helpers, and a value that only a run knows."""

import os

import metaflow as mf
from metaflow import batch, kubernetes, step
from metaflow import batch as on_batch

SMALL = {"memory": 1000, "queue": "small"}
gpu_job = batch(gpu=1, memory=64000, execution_role="arn:aws:iam::1:role/pull")


def sized(memory, **settings):
    """Return the decorator of a step of this team."""
    return batch(memory=memory, queue="cpu", **settings)


class BatchNamedFlow(mf.FlowSpec):
    @on_batch(**SMALL)
    @step
    def start(self):
        self.next(self.fetch)

    @mf.batch(memory=int(os.environ.get("MEMORY", "5000")), cpu=3, queue=os.environ.get("QUEUE"))
    @step
    def fetch(self):
        self.next(self.work)

    @sized(20000, cpu=2)
    @step
    def work(self):
        self.next(self.train)

    @gpu_job
    @step
    def train(self):
        self.next(self.rest)

    @batch
    @step
    def rest(self):
        self.next(self.end)

    @kubernetes(cpu=3)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    BatchNamedFlow()
