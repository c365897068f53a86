"""Derives from a base class of another file, and takes a value from it."""

from metaflow import kubernetes, step
from team_base import IMAGE, BaseFlow


class InheritsFlow(BaseFlow):
    @kubernetes(image=IMAGE)
    @step
    def start(self):
        self.next(self.end)


if __name__ == "__main__":
    InheritsFlow()
