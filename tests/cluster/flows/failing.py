"""Uses more memory than it asked for, for what is then said, and for the pod that reports it."""

from churn_model import BaseFlow, k8s
from metaflow import step


class FailingFlow(BaseFlow):
    @k8s(memory=600, qos="Guaranteed")
    @step
    def start(self):
        print("on purpose", flush=True)
        b"x" * 2**30
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    FailingFlow()
