"""Starts another flow from a step, and has a mutator."""

from pathlib import Path

from churn_model import BaseFlow
from metaflow import Runner, StepMutator, step


class MoreMemory(StepMutator):
    """Gives a step @kubernetes when Metaflow has attached its own, in place of any other."""

    def mutate(self, mutable_step):
        mutable_step.add_decorator("kubernetes:memory=5000", duplicates=mutable_step.OVERRIDE)


class ParentFlow(BaseFlow):
    @MoreMemory
    @step
    def start(self):
        with Runner(str(Path(__file__).with_name("hello.py"))).run(who="child") as running:
            assert running.status == "successful", running.stderr
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ParentFlow()
