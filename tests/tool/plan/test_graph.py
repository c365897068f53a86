"""The graph of a flow that changes."""

from typing import Any

from mf_k8s.plan.graph import PlannedFlow, graph_of_change
from mf_k8s.pods.flow_facts import StepFacts
from mf_k8s.show.mermaid import Box


def pod(image: str = "ghcr.io/acme/churn:1", **settings: Any) -> dict[str, Any]:
    return {"image": image, "cpu": "1", "memory": "4096M", "gpu": None, **settings}


def step(*following: str, pool: str | None = None, foreach: str | None = None) -> StepFacts:
    return {
        "overrides": [{"pool": pool, "values": {}}],
        "resources": {},
        "timeout": None,
        "parallel": False,
        "next": [*following],
        "foreach": foreach,
    }


ONE, TWO = {"nvidia.com/gpu": "1"}, {"amd.com/gpu": "2"}
BEFORE = PlannedFlow(
    {
        "start": pod(),
        "train/control": pod(),
        "train/worker": pod(),
        "clean": pod(),
        "end": pod(timeout=60),
        "error-msg-capture-hook": pod(),
    },
    {"start": step("train"), "train": step("clean"), "clean": step("end"), "end": step()},
)
AFTER = PlannedFlow(
    {
        "start": pod(),
        "train/control": pod("quay.io/acme/churn:1", gpu=ONE, memory="9000M", qos="Burstable"),
        "train/worker": pod("quay.io/acme/churn:1", gpu=ONE, memory="9000M", qos="Burstable"),
        "report": pod(gpu=TWO),
        "end": pod(timeout=90),
        "error-msg-capture-hook": pod("ghcr.io/acme/other:1"),
    },
    {
        "start": step("train", foreach="folds"),
        "train": step("report", pool="big"),
        "report": step("end"),
        "end": step(),
    },
)


def test_a_step_says_what_it_will_ask_for_and_what_it_did() -> None:
    """Steps and arrows that are gone are drawn, helper pods are not."""
    assert graph_of_change(BEFORE, AFTER) == {
        "start": Box(["start", "cpu 1, memory 4096M"], {"train": "foreach folds"}),
        "train": Box(
            [
                "train",
                "cpu 1, memory 4096M → 9000M",
                "gpu none → 1",
                "image ghcr.io/acme/churn:1 → quay.io/acme/churn:1",
                "pool none → big",
            ],
            {"report": ""},
            "changed",
            ("clean",),
        ),
        "report": Box(
            ["report", "cpu 1, memory 4096M", "gpu 2 amd.com/gpu", "added"], {"end": ""}, "added"
        ),
        "end": Box(["end", "cpu 1, memory 4096M", "changed: timeout"], {}, "changed"),
        "clean": Box(["clean", "cpu 1, memory 4096M", "removed"], {}, "removed", ("end",)),
    }


def test_nothing_is_marked_in_a_new_flow() -> None:
    assert {box.mark for box in graph_of_change(None, AFTER).values()} == {""}


def test_an_image_that_is_new_everywhere_is_named_only() -> None:
    new = {name: pod("ghcr.io/acme/churn:2") for name in ("start", "end")}
    old = {name: pod() for name in ("start", "end")}
    steps = {"start": step("end"), "end": step()}
    graph = graph_of_change(PlannedFlow(old, steps), PlannedFlow(new, steps))
    lines = ["cpu 1, memory 4096M", "changed: image"]
    assert [box.lines for box in graph.values()] == [["start", *lines], ["end", *lines]]
