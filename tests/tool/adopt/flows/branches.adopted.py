"""A foreach, a branch and its join; names as they are, and decorators in odd places."""

import json  # of this module

from metaflow import (
    catch,
    step,
)

from churn_model import BaseFlow


class BranchesFlow(BaseFlow):
    """Fans out."""

    @step
    def start(self):
        self.items = json.loads("[1, 2]")
        self.next(self.work, foreach="items")

    @catch(var="failed")
    # each item is large
    @step
    def work(self):
        self.next(self.collect)


    # joins
    @step
    def collect(self, inputs):
        self.next(self.split)

    @step
    def split(self):
        self.next(self.left, self.right)

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
