"""A flow with @trigger and an exit hook."""

from churn_model import BaseFlow
from metaflow import exit_hook, step, trigger


def tell(run):
    print("done", run)


@trigger(event="data_ready")
@exit_hook(on_success=[tell], on_error=[tell])
class HookedFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    HookedFlow()
