"""The team's own base class, whose name the template's has too."""

from metaflow import step

from churn_model import BaseFlow as SharedBaseFlow
from churn_model import k8s

IMAGE = "ghcr.io/acme/team:5"


class BaseFlow(SharedBaseFlow):
    owner = "team-a"

    @k8s(memory=3000)
    @step
    def end(self):
        print(self.owner)
