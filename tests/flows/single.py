"""One step, which is neither called start nor end."""

from churn_model import BaseFlow
from metaflow import step


class SingleFlow(BaseFlow):
    @step(start=True, end=True)
    def everything(self):
        pass


if __name__ == "__main__":
    SingleFlow()
