"""The workers of a @parallel step."""

from metaflow import current, parallel, step

from churn_model import BaseFlow
from churn_model.settings import CONTRACT


class GangFlow(BaseFlow):
    @step
    def start(self):
        self.contract = CONTRACT
        self.next(self.train, num_parallel=2)

    @parallel
    @step
    def train(self):
        self.index = current.parallel.node_index
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    GangFlow()
