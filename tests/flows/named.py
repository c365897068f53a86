"""First and last steps of other names, in a @project, on a @schedule."""

from churn_model import BaseFlow
from metaflow import project, schedule, step


@project(name="churn")
@schedule(daily=True)
class NamedFlow(BaseFlow):
    @step(start=True)
    def fetch(self):
        self.next(self.publish)

    @step(end=True)
    def publish(self):
        pass


if __name__ == "__main__":
    NamedFlow()
