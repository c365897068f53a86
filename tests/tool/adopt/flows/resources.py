"""@resources stays, beside @kubernetes or alone."""

from metaflow import FlowSpec, kubernetes, resources, retry, step, timeout


class ResourcesFlow(FlowSpec):
    @resources(memory=9000)
    @step
    def start(self):
        self.next(self.train)

    @retry(times=2)
    @resources(cpu=4, gpu=2, memory=3000)
    @kubernetes(service_account="trainer", memory=2000)
    @timeout(hours=2)
    @step
    def train(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ResourcesFlow()
