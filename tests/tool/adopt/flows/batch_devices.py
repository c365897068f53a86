"""What AWS Batch says in another way than Kubernetes."""

from metaflow import *

TMPFS = dict(use_tmpfs=True, tmpfs_path="/scratch", tmpfs_tempdir=False)


class BatchDevicesFlow(FlowSpec):
    @batch(privileged=True, trainium=2, efa=1, swappiness=0)
    @step
    def start(self):
        self.next(self.work)

    @batch(ephemeral_storage=50, memory="3000", gpu=0, log_options=["awslogs-group:aws/batch/job"])
    @step
    def work(self):
        self.next(self.gang, num_parallel=2)

    @batch(cpu=3)
    @parallel
    @step
    def gang(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @batch(tmpfs_size=500, **TMPFS, aws_batch_tags={"team": "risk"})
    @step
    def end(self):
        pass


if __name__ == "__main__":
    BatchDevicesFlow()
