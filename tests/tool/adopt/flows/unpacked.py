"""A dictionary that is unpacked: all of it stays, a part of it, or nothing."""

from metaflow import FlowSpec, kubernetes, step

TEAM = {"image": "ghcr.io/acme/nlp:4", "service_account": "nlp"}
BIG = {"memory": 64000, "cpu": 16}


class UnpackedFlow(FlowSpec):
    @kubernetes(**TEAM)
    @step
    def start(self):
        self.next(self.embed)

    @kubernetes(**TEAM, **BIG)
    @step
    def embed(self):
        self.next(self.end)

    @kubernetes(**{**TEAM, "memory": 500})
    @step
    def end(self):
        pass


if __name__ == "__main__":
    UnpackedFlow()
