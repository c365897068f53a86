"""A plain @kubernetes on the first step, the one that a cluster without answers gets to see."""

import platform

from churn_model import BaseFlow
from metaflow import kubernetes, step


class FirstFlow(BaseFlow):
    @kubernetes(memory=5000)
    @step
    def start(self):
        print(f"start ran on Python {platform.python_version()}.")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    FirstFlow()
