"""The trap: the same configuration without BaseFlow, written on the middle step alone."""

from metaflow import FlowSpec, kubernetes, step


class PlainFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.middle)

    @kubernetes(
        gpu=1,
        image="ghcr.io/acme/churn:1.2.3",
        service_account="metaflow",
        shared_memory=8196,
        persistent_volume_claims={"metaflow-training": "/cache"},
    )
    @step
    def middle(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    PlainFlow()
