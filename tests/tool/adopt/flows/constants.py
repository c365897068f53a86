"""Values that stand in constants of the module and of a class."""

from metaflow import FlowSpec, kubernetes, step

REGISTRY = "ghcr.io/acme"
IMAGE = f"{REGISTRY}/vision:2"
GB = 1000


class Sizes:
    LARGE = 32 * GB


class ConstantsFlow(FlowSpec):
    @kubernetes(image=IMAGE, memory=Sizes.LARGE)
    @step
    def start(self):
        self.next(self.score)

    @kubernetes(image=REGISTRY + "/vision:2", memory=Sizes.LARGE)
    @step
    def score(self):
        self.next(self.end)

    @kubernetes(image=IMAGE, memory=2 * GB)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ConstantsFlow()
