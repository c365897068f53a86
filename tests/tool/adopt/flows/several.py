"""Two flows in a file; the command line says which one is started."""

import os

import metaflow as mf


class FirstFlow(mf.FlowSpec):
    @mf.kubernetes(labels={"team": "risk", "part": "first"})
    @mf.step
    def start(self):
        self.next(self.end)

    @mf.step
    def end(self):
        pass


class SecondFlow(mf.FlowSpec):
    @mf.step
    def start(self):
        self.next(self.end)

    @mf.kubernetes(labels={"team": "risk", "part": "second"})
    @mf.step
    def end(self):
        pass


if __name__ == "__main__":
    flow = SecondFlow if os.environ.get("SECOND") else FirstFlow
    flow()
