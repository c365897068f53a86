"""What AWS Batch says in another way than Kubernetes."""

from metaflow import *

from churn_model import BaseFlow, k8s

TMPFS = dict(use_tmpfs=True, tmpfs_path="/scratch", tmpfs_tempdir=False)


class BatchDevicesFlow(BaseFlow):
    @k8s(security_context={"privileged": True}, extended_resources={"aws.amazon.com/neuron": "2"})
    @step
    def start(self):
        self.next(self.work)

    @k8s(disk=53688, memory="3000", gpu=0)
    @step
    def work(self):
        self.next(self.gang, num_parallel=2)

    @k8s(cpu=3)
    @parallel
    @step
    def gang(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @k8s(tmpfs_size=500, **TMPFS)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    BatchDevicesFlow()
