"""A dictionary that is changed after it is written: its text would be wrong."""

from metaflow import FlowSpec, kubernetes, step

POD = {"memory": 1000}
POD["memory"] = 15000


class ChangingFlow(FlowSpec):
    @kubernetes(cpu=2, **POD)
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ChangingFlow()
