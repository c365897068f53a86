"""Asks for what the cluster does not have: the environment says what."""

import json
import os

from churn_model import BaseFlow, k8s
from metaflow import step

LACKS = json.loads(os.environ.get("LACKS", "{}"))


class LackingFlow(BaseFlow):
    @k8s(**LACKS)
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    LackingFlow()
