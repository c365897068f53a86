"""The flow of the report: only its middle step is decorated."""

from metaflow import step

from churn_model import BaseFlow


class ReportFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.train)

    # Trains on one GPU.
    # may read the bucket
    @step
    def train(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ReportFlow()
