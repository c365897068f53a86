"""Tables and lists: what is shared leaves them, item by item."""

from metaflow import FlowSpec, kubernetes, step


class TablesFlow(FlowSpec):
    @kubernetes(secrets=["db", "mail"], persistent_volume_claims={"data": "/data"})
    @step
    def start(self):
        self.next(self.work)

    @kubernetes(
        secrets=["db"],
        persistent_volume_claims={"data": "/data", "scratch": "/scratch"},  # two
    )
    @step
    def work(self):
        self.next(self.end)

    @kubernetes(secrets=["db"], persistent_volume_claims={"old-data": "/data"})
    @step
    def end(self):
        pass


if __name__ == "__main__":
    TablesFlow()
