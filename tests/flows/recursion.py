"""A switch whose one case is the step itself."""

from churn_model import BaseFlow, k8s
from metaflow import step


class RecursionFlow(BaseFlow):
    @step
    def start(self):
        self.count = 0
        self.next(self.again)

    @k8s(memory=9000)
    @step
    def again(self):
        self.count += 1
        self.case = "more" if self.count < 3 else "enough"
        self.next({"more": self.again, "enough": self.end}, condition="case")

    @step
    def end(self):
        pass


if __name__ == "__main__":
    RecursionFlow()
