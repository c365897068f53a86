"""A flow of AWS Batch, as tutorials write it."""

from metaflow import retry, step

from churn_model import BaseFlow, k8s

IMAGE = "ghcr.io/acme/churn:3"
BIG = 32000


class BatchFlow(BaseFlow):
    @k8s(cpu=2, memory=8000)
    @step
    def start(self):
        self.batches = [[1, 2], [3]]
        self.next(self.train, foreach="batches")

    # Trains on what it gets.
    @retry(times=2)
    # with CUDA
    @k8s(
        gpu=1,
        memory=BIG,
        shared_memory=8196,
        cpu=8,
    )
    # as measured
    @step
    def train(self):
        self.total = sum(batch for batch in self.input)
        self.next(self.join)

    @k8s(cpu=4)
    @step
    def join(self, inputs):
        for batch in inputs:
            print(batch.total)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    BatchFlow()
