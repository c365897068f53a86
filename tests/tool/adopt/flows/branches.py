"""A foreach, a branch and its join; names as they are, and decorators in odd places."""

import json  # of this module

from metaflow import (
    FlowSpec,
    catch,
    kubernetes,
    step,
)


class BranchesFlow(FlowSpec):
    """Fans out."""

    @step
    def start(self):
        self.items = json.loads("[1, 2]")
        self.next(self.work, foreach="items")

    @catch(var="failed")
    @kubernetes(memory=8000, cpu=2)  # each item is large
    @step
    def work(self):
        self.next(self.collect)

    @kubernetes( memory = 8000,
                 cpu = 2 , disk=20000 )

    # joins
    @step
    def collect(self, inputs):
        self.next(self.split)

    @step
    def split(self):
        self.next(self.left, self.right)

    @kubernetes(memory=8000, disk=20000)
    @step
    def left(self):
        self.next(self.meet)

    @step
    def right(self):
        self.next(self.meet)

    @step
    def meet(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    BranchesFlow()
