"""A node has the GPUs, MIG slices or other devices that a pod asks for.

A device is a resource like nvidia.com/gpu, which the device plugin of its vendor reports for a
node; a pod gets whole ones, all on one node
(https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/). If no
node has as many, the pod stays pending without an end.

Where nodes have another vendor's GPUs, or GPUs that are cut into MIG slices and so have another
name, that is what to ask for: `gpu` and `gpu_vendor`, or `extended_resources`, in k8s.toml. Where
nodes are labelled as having GPUs and report none, the device plugin is missing there, or is broken.
"""

from collections.abc import Iterator

from ...pods.scheduling import NEVER, SIZE, Placement
from ..answers import Answer, FlowPod
from ..examination import Examination
from ..node_words import names
from ..placements import READS_OF_NODES, Words, answers_at, nodes_of
from ..size_words import device_words, devices

NEEDS = ("node-ready",)
READS = READS_OF_NODES


def examine(case: Examination) -> Iterator[Answer]:
    nodes = nodes_of(case)

    def words(placement: Placement, pod: FlowPod) -> Words | None:
        lacking = devices(placement)
        return device_words(case, placement, lacking[0]) if lacking else None

    def fits(placement: Placement) -> str:
        requests = placement.demand.requests.items()
        asked = [f"{name} {number}" for name, number in requests if "/" in name and number]
        having = nodes.suitable(placement.demand, *NEVER)
        return f"{', '.join(asked)}: {names(having)}" if asked else ""

    yield from answers_at(case, SIZE, words, fits)
