"""A dictionary that is unpacked: all of it stays, a part of it, or nothing."""

from metaflow import step

from churn_model import BaseFlow, k8s

TEAM = {"image": "ghcr.io/acme/nlp:4", "service_account": "nlp"}
BIG = {"memory": 64000, "cpu": 16}


class UnpackedFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.embed)

    @k8s(**BIG)
    @step
    def embed(self):
        self.next(self.end)

    @k8s(memory=500)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    UnpackedFlow()
