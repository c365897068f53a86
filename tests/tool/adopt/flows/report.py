"""The flow of the report: only its middle step is decorated."""

from metaflow import FlowSpec, kubernetes, step


class ReportFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.train)

    # Trains on one GPU.
    @kubernetes(
        gpu=1,
        image="ghcr.io/acme/churn:1.2.3",
        service_account="trainer",  # may read the bucket
        shared_memory=8196,
        persistent_volume_claims={"metaflow-training": "/cache"},
    )
    @step
    def train(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ReportFlow()
