"""The team's own base class, whose name the template's has too."""

from metaflow import FlowSpec, kubernetes, step

IMAGE = "ghcr.io/acme/team:5"


class BaseFlow(FlowSpec):
    owner = "team-a"

    @kubernetes(image=IMAGE, memory=3000)
    @step
    def end(self):
        print(self.owner)
