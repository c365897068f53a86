"""Values of a Config stay where they are."""

from metaflow import Config, FlowSpec, kubernetes, step


class ConfigsFlow(FlowSpec):
    settings = Config("settings", default_value='{"memory": 7000, "pod": {"cpu": 3}}')

    @kubernetes(memory=settings.memory, gpu=1)
    @step
    def start(self):
        self.next(self.end)

    @kubernetes(gpu=1, **settings.pod)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    ConfigsFlow()
