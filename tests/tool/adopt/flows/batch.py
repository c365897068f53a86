"""A flow of AWS Batch, as tutorials write it."""

from metaflow import FlowSpec, batch, resources, retry, step

IMAGE = "ghcr.io/acme/churn:3"
BIG = 32000


class BatchFlow(FlowSpec):
    @batch(cpu=2, memory=8000, image=IMAGE, queue="cpu-queue")
    @step
    def start(self):
        self.batches = [[1, 2], [3]]
        self.next(self.train, foreach="batches")

    # Trains on what it gets.
    @retry(times=2)
    @batch(
        queue="gpu-queue",  # eight of these
        gpu=1,
        image=IMAGE,  # with CUDA
        memory=2000,
        shared_memory=8196,
        host_volumes=["/data"],
        max_swap=None,
    )
    @resources(cpu=8, memory=BIG, gpu=0)  # as measured
    @step
    def train(self):
        self.total = sum(batch for batch in self.input)
        self.next(self.join)

    @resources(cpu=4)
    @batch(memory=2000, image=IMAGE, iam_role="arn:aws:iam::1:role/reader")
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
