"""Two flows in a file; the command line says which one is started."""

import os

import metaflow as mf

from churn_model import BaseFlow, k8s


class FirstFlow(BaseFlow):
    @k8s(labels={"part": "first"})
    @mf.step
    def start(self):
        self.next(self.end)

    @mf.step
    def end(self):
        pass


class SecondFlow(BaseFlow):
    @mf.step
    def start(self):
        self.next(self.end)

    @k8s(labels={"part": "second"})
    @mf.step
    def end(self):
        pass


if __name__ == "__main__":
    flow = SecondFlow if os.environ.get("SECOND") else FirstFlow
    flow()
