"""All of Metaflow is imported, and `k8s` is an attribute of the flow."""
from metaflow import *

from churn_model import BaseFlow
from churn_model import k8s as k8s_settings


class StarsFlow(BaseFlow):
    k8s = Parameter("k8s", default="none")

    @k8s_settings(cpu=2)
    @step
    def start(self):
        self.next(self.end)

    @k8s_settings(cpu=3)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    StarsFlow()
