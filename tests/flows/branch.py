"""A static split and its join, under the retries and time limits that flows have."""

from churn_model import BaseFlow, k8s
from metaflow import resources, retry, step, timeout


class BranchFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.left, self.right)

    @k8s(memory=9000)
    @retry(times=2)
    @step
    def left(self):
        self.next(self.join)

    @resources(cpu=3, memory=2000)
    @timeout(hours=1)
    @step
    def right(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    BranchFlow()
