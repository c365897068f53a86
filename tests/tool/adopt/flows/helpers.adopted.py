"""A name, and functions, that stand for @kubernetes."""

from metaflow import kubernetes, step

from churn_model import BaseFlow, k8s

small = kubernetes(memory=1000, service_account="batch-jobs")


def sized(memory, cpu=2):
    """Return the decorator of a step of this team."""
    return kubernetes(memory=memory, cpu=cpu, service_account="batch-jobs")


class HelpersFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.work)

    @k8s(memory=20000, cpu=2)
    @step
    def work(self):
        self.next(self.end)

    @k8s(cpu=4)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    HelpersFlow()
