"""Steps that come from a team's own base class."""

from churn_model import BaseFlow, k8s
from metaflow import step


class TeamFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.work)

    @k8s(memory=9000)
    @step
    def work(self):
        self.next(self.end)

    @step
    def end(self):
        pass


class InheritedFlow(TeamFlow):
    @step
    def work(self):
        self.next(self.more)

    @step
    def more(self):
        self.next(self.end)


if __name__ == "__main__":
    InheritedFlow()
