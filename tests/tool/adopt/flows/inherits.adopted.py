"""Derives from a base class of another file, and takes a value from it."""

from metaflow import step
from team_base import BaseFlow


class InheritsFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.end)


if __name__ == "__main__":
    InheritsFlow()
