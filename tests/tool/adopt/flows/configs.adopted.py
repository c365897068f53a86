"""Values of a Config stay where they are."""

from metaflow import Config, kubernetes, step

from churn_model import BaseFlow


class ConfigsFlow(BaseFlow):
    settings = Config("settings", default_value='{"memory": 7000, "pod": {"cpu": 3}}')

    @kubernetes(memory=settings.memory)
    @step
    def start(self):
        self.next(self.end)

    @kubernetes(**settings.pod)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ConfigsFlow()
