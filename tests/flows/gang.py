"""A @parallel step: on Argo a JobSet."""

from churn_model import BaseFlow, k8s
from metaflow import current, parallel, step


class GangFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.train, num_parallel=2)

    @k8s(memory=9000)
    @parallel
    @step
    def train(self):
        self.node = current.parallel.node_index
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    GangFlow()
