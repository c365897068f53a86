"""All of Metaflow is imported, and `k8s` is an attribute of the flow."""
from metaflow import *


class StarsFlow(FlowSpec):
    k8s = Parameter("k8s", default="none")

    @kubernetes(cpu=2)
    @step
    def start(self):
        self.next(self.end)

    @kubernetes(cpu=3)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    StarsFlow()
