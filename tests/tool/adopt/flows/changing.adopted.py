"""A dictionary that is changed after it is written: its text would be wrong."""

from metaflow import kubernetes, step

from churn_model import BaseFlow

POD = {"memory": 1000}
POD["memory"] = 15000


class ChangingFlow(BaseFlow):
    @kubernetes(**POD)
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ChangingFlow()
