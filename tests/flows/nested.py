"""A foreach in a foreach."""

from churn_model import BaseFlow
from metaflow import step


class NestedFlow(BaseFlow):
    @step
    def start(self):
        self.outer = [1, 2]
        self.next(self.middle, foreach="outer")

    @step
    def middle(self):
        self.inner = [3]
        self.next(self.work_item, foreach="inner")

    @step
    def work_item(self):
        self.next(self.join_inner)

    @step
    def join_inner(self, inputs):
        self.next(self.join_outer)

    @step
    def join_outer(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    NestedFlow()
