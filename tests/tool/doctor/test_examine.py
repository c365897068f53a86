"""Running the rules: which comes first, and what cannot be told."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from cluster_manifests import healthy, node
from examinations import examination, flow_pod, line
from mf_k8s.cluster.rights import Right
from mf_k8s.cluster.view import CLAIMS, NODES
from mf_k8s.doctor.answers import Answer, FlowPod, cannot_tell, ok, problem
from mf_k8s.doctor.examination import Examination
from mf_k8s.doctor.examine import accepted_findings, examine, examine_all, exit_code
from mf_k8s.doctor.rules import Rule
from simulated_cluster import Simulate

START, TRAIN = flow_pod("TrainFlow/start"), flow_pod("TrainFlow/train")
HELLO = flow_pod("HelloFlow/start")
Examine = Callable[[Examination], Iterator[Answer]]


def rule(
    code: str,
    examine: Examine,
    needs: Sequence[str] = (),
    reads: Sequence[Right] = (),
) -> dict[str, Rule]:
    return {code: Rule(code, "A statement.", needs, reads, examine)}


def holds(case: Examination) -> Iterator[Answer]:
    for pod in case.pods:
        yield ok("fine", [pod])


def stops(*pods: FlowPod, passes: bool = False) -> Examine:
    """Return a rule's function that finds a problem of some pods, and the others well."""

    def examine(case: Examination) -> Iterator[Answer]:
        yield problem("broken", [pod for pod in case.pods if pod in pods], "mend it", passes)
        yield ok("fine", [pod for pod in case.pods if pod not in pods])

    return examine


def lines(case: Examination, *rules: dict[str, Rule]) -> list[str]:
    together = {code: rule for each in rules for code, rule in each.items()}
    return [f"{answer.code}: {line(answer)}" for answer in examine(case, together)]


@pytest.fixture
def case(simulate: Simulate) -> Examination:
    return examination(simulate(*healthy()), START, TRAIN, HELLO)


def test_a_problem_stops_what_needs_it_for_the_same_pods(case: Examination) -> None:
    assert lines(
        case,
        rule("one", stops(TRAIN)),
        rule("two", holds, needs=["one"]),
        rule("three", holds, needs=["two"]),  # whose pods `two` has not seen
        rule("four", holds),
    ) == [
        "one: problem: broken | TrainFlow/train | mend it",
        "one: ok: fine | TrainFlow/start, HelloFlow/start",
        "two: ok: fine | TrainFlow/start",
        "two: ok: fine | HelloFlow/start",
        "three: ok: fine | TrainFlow/start",
        "three: ok: fine | HelloFlow/start",
        "four: ok: fine | TrainFlow/start",
        "four: ok: fine | TrainFlow/train",
        "four: ok: fine | HelloFlow/start",
    ]


def test_where_no_pod_is_left(case: Examination) -> None:
    def for_all(case: Examination) -> Iterator[Answer]:
        yield problem("gone", remedy="make it")

    assert lines(
        case, rule("one", for_all), rule("two", holds, ["one"]), rule("three", holds, ["two"])
    ) == [
        "one: problem: gone | make it",
        "two: not asked: one comes first | TrainFlow/start, TrainFlow/train, HelloFlow/start",
        "three: not asked: one comes first | TrainFlow/start, TrainFlow/train, HelloFlow/start",
    ]


def test_not_now_and_cannot_tell_stop_nothing(case: Examination) -> None:
    def unknown(case: Examination) -> Iterator[Answer]:
        yield cannot_tell("for want of a crystal ball", [START])

    found = lines(
        case,
        rule("one", stops(TRAIN, passes=True)),
        rule("two", unknown),
        rule("three", holds, ["one", "two"]),
    )
    assert found[0] == "one: not now: broken | TrainFlow/train | mend it"
    assert [text for text in found if text.startswith("three")] == [
        "three: ok: fine | TrainFlow/start",
        "three: ok: fine | TrainFlow/train",
        "three: ok: fine | HelloFlow/start",
    ]


def test_a_right_that_is_missing_in_the_middle(simulate: Simulate) -> None:
    """What was answered before stays, and the rest cannot be told; other rules go on."""

    def examine_nodes(case: Examination) -> Iterator[Answer]:
        yield ok("no claim", [HELLO])
        yield ok(f"{len(case.view.list(NODES))} nodes", [START, TRAIN])

    case = examination(simulate(lacking={"list nodes"}), START, TRAIN, HELLO)
    reads = [NODES.list]
    assert lines(case, rule("one", examine_nodes, (), reads), rule("two", holds, ["one"])) == [
        "one: ok: no claim | HelloFlow/start",
        "one: cannot tell: for want of the right to list nodes in the whole cluster"
        " | TrainFlow/start, TrainFlow/train",
        "two: ok: fine | TrainFlow/start",
        "two: ok: fine | TrainFlow/train",
        "two: ok: fine | HelloFlow/start",
    ]


def test_a_rule_reads_only_what_it_says(case: Examination) -> None:
    def examine_claims(case: Examination) -> Iterator[Answer]:
        case.view.get(CLAIMS, "data")
        yield ok("fine")

    with pytest.raises(AssertionError, match="READS lacks: get persistentvolumeclaims"):
        lines(case, rule("one", examine_claims))


@pytest.mark.parametrize("stop", ["refused", "reset", 504, 401])
def test_an_api_that_goes_away(simulate: Simulate, stop: str | int) -> None:
    """What is known so far is told, and one line says what happened."""
    cluster = simulate(node("n1"))
    cluster.stops_after, cluster.stop = 1, stop

    def count(kind: str) -> Examine:
        def examine(case: Examination) -> Iterator[Answer]:
            kinds = {"nodes": NODES, "claims": CLAIMS}
            yield ok(f"{len(case.view.list(kinds[kind]))} {kind}")

        return examine

    rules = {
        **rule("one", count("nodes"), (), [NODES.list]),
        **rule("two", count("claims"), (), [CLAIMS.list]),
        **rule("three", holds),
    }
    examined = examine_all(examination(cluster), rules)
    assert [line(answer) for answer in examined.answers] == ["ok: 1 nodes"]
    (error,) = examined.errors
    assert "cannot list persistentvolumeclaims: " in str(error) and "\n" not in str(error)
    code = {401: "credentials-refused", 504: "request-refused"}.get(stop, "cluster-unreachable")
    assert error.code == code


def test_exit_codes() -> None:
    well, wrong, unknown = ok("a"), problem("b"), cannot_tell("c")
    not_asked = Answer("not asked", "d")
    assert exit_code([], strict=True) == exit_code([well], strict=True) == 0
    assert exit_code([well, unknown, not_asked], strict=False) == 0
    assert exit_code([well, unknown], strict=True) == exit_code([not_asked], strict=True) == 2
    assert exit_code([unknown, wrong], strict=False) == exit_code([wrong], strict=True) == 1
    assert exit_code([problem("later", passes=True)], strict=False) == 1


def test_what_an_environment_accepts(case: Examination) -> None:
    def accepting(*codes: str) -> Examination:
        environment = replace(case.target.environment, name="prod", accepted=codes)
        return replace(case, target=replace(case.target, environment=environment))

    rules = (rule("one", stops(TRAIN, HELLO)), rule("two", holds, needs=["one"]))
    fine = "one: ok: fine | TrainFlow/start"
    assert lines(accepting("one"), *rules)[:2] == [
        "one: accepted: broken | TrainFlow/train, HelloFlow/start | mend it",
        fine,
    ]
    assert lines(accepting("two", "one=HelloFlow"), *rules) == [
        "one: accepted: broken | HelloFlow/start | mend it",
        "one: problem: broken | TrainFlow/train | mend it",
        fine,
        "two: ok: fine | TrainFlow/start",
        "two: ok: fine | HelloFlow/start",
    ]
    found = [
        *accepted_findings(accepting("one", "tow=HelloFlow").target.environment, ["one", "two"])
    ]
    assert [str(finding) for finding in found] == [
        "environments/prod.json: doctor_accepts has tow=HelloFlow, but no rule is called tow:"
        " did you mean two?"
    ]
    only_accepted = [*examine(accepting("one"), rules[0])]
    assert exit_code(only_accepted, strict=True) == 0


def test_alike_answers_are_one(case: Examination) -> None:
    """As where a rule finds the same of pods that ask for different sizes."""

    def examine_pods(case: Examination) -> Iterator[Answer]:
        yield problem("too large", [TRAIN], "make it smaller")
        yield problem("too large", [HELLO], "make it smaller")
        yield problem("too large", [START], "take it away")

    found = examine_all(case, rule("one", examine_pods)).answers
    assert [line(answer) for answer in found] == [
        "problem: too large | TrainFlow/train, HelloFlow/start | make it smaller",
        "problem: too large | TrainFlow/start | take it away",
    ]
