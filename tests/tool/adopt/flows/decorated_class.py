"""Decorators of the class, and a mutator that adds @kubernetes, stay."""

from metaflow import FlowMutator, FlowSpec, kubernetes, project, schedule, step


class Large(FlowMutator):
    def mutate(self, mutable_flow):
        for name, each in mutable_flow.steps:
            if name == "end":
                each.add_decorator(kubernetes, deco_kwargs={"memory": 12000})


@Large
@project(name="churn")
@schedule(daily=True)
class DecoratedFlow(FlowSpec):
    @kubernetes(secrets=["db"])
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    DecoratedFlow()
