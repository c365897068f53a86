"""Tables and lists: what is shared leaves them, item by item."""

from metaflow import step

from churn_model import BaseFlow, k8s


class TablesFlow(BaseFlow):
    @k8s(secrets=["mail"])
    @step
    def start(self):
        self.next(self.work)

    @k8s(
        persistent_volume_claims={"scratch": "/scratch"},  # two
    )
    @step
    def work(self):
        self.next(self.end)

    @k8s(persistent_volume_claims={"old-data": "/data", "data": None})
    @step
    def end(self):
        pass


if __name__ == "__main__":
    TablesFlow()
