"""Every way to write a value, which the tests compare with what each says."""

from churn_model import BaseFlow, k8s
from metaflow import kubernetes, resources, step

MEMORY = 7000


class MergedFlow(BaseFlow):
    @k8s
    @step
    def start(self):
        self.next(self.scalar)

    @k8s(memory=MEMORY)
    @step
    def scalar(self):
        self.next(self.plain)

    @kubernetes(memory=5000, labels={"team": "churn"})
    @step
    def plain(self):
        self.next(self.both)

    @k8s(cpu=2)
    @kubernetes(memory=5000)
    @step
    def both(self):
        self.next(self.taken)

    @k8s(gpu=None, persistent_volume_claims=None, shared_memory=None)
    @step
    def taken(self):
        self.next(self.table)

    @k8s(persistent_volume_claims={"scratch": "/scratch"}, secrets=["db"])
    @step
    def table(self):
        self.next(self.one_claim)

    @k8s(persistent_volume_claims={"metaflow-training": None, "scratch": "/scratch"})
    @step
    def one_claim(self):
        self.next(self.pool)

    @k8s("big", cpu=3)
    @step
    def pool(self):
        self.next(self.resource)

    @resources(cpu=4, memory=1000, gpu=2)
    @step
    def resource(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    MergedFlow()
