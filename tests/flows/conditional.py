"""A switch whose branches meet again: one of them is skipped."""

from churn_model import BaseFlow, k8s
from metaflow import step


class ConditionalFlow(BaseFlow):
    @step
    def start(self):
        self.side = "left"
        self.next({"left": self.left, "right_hand": self.right_hand}, condition="side")

    @k8s(memory=9000)
    @step
    def left(self):
        self.next(self.meet)

    @step
    def right_hand(self):
        self.next(self.meet)

    @step
    def meet(self):
        print(f"came from the {self.side}")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ConditionalFlow()
