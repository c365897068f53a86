"""No step is decorated, or one with no value."""
from metaflow import FlowSpec, kubernetes, step

class BareFlow(FlowSpec):
    @kubernetes
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self): pass

if __name__ == "__main__": BareFlow()
