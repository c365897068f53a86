"""A name, and functions, that stand for @kubernetes."""

from metaflow import FlowSpec, kubernetes, step

small = kubernetes(memory=1000, service_account="batch-jobs")


def sized(memory, cpu=2):
    """Return the decorator of a step of this team."""
    return kubernetes(memory=memory, cpu=cpu, service_account="batch-jobs")


class HelpersFlow(FlowSpec):
    @small
    @step
    def start(self):
        self.next(self.work)

    @sized(20000)
    @step
    def work(self):
        self.next(self.end)

    @sized(memory=1000, cpu=4)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    HelpersFlow()
