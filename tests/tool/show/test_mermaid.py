"""What is drawn of a graph. That Mermaid reads it so was tried with its own parser, 11.17."""

from mf_k8s.show.mermaid import Box, fenced, flowchart


def test_what_mermaid_would_read_is_escaped() -> None:
    """Names of boxes, too: `end` and `graph` are words of Mermaid's."""
    lines = ["end", 'a "b" <i> [c] {d} `e`; #35; %%', "__x__ a_b *y*", "größe 1.5 → —"]
    graph = {
        "end": Box(lines, {"graph": 'foreach "x" | y'}),
        "graph": Box(["graph"], {}, removed_arrows=("end",)),
    }
    assert flowchart([('A "title": end', graph)]) == [
        "flowchart LR",
        '  subgraph f1["A #34;title#34;: end"]',
        '  f1_s1["end'
        "<br>a #34;b#34; #60;i#62; #91;c#93; #123;d#125; #96;e#96;#59; #35;35#59; #37;#37;"
        "<br>#95;_x_#95; a_b #42;y#42;"
        '<br>größe 1.5 → —"]',
        '  f1_s1 -->|"foreach #34;x#34; #124; y"| f1_s2',
        '  f1_s2["graph"]',
        "  f1_s2 -.-> f1_s1",
        "  end",
    ]


def chain(length: int, more: str = "") -> dict[str, Box]:
    following = [{f"s{number}": ""} for number in range(1, length)]
    return {
        f"s{number}": Box([f"s{number}{more}"], arrows)
        for number, arrows in enumerate([*following, {}])
    }


def test_a_graph_that_nobody_would_look_at_is_not_drawn() -> None:
    assert fenced(chain(30))[0] == "```mermaid"
    assert fenced(chain(31)) == ["no graph: 31 steps, and at most 30 are drawn"]
    # 20 boxes like `  s1["s0"]` and 19 arrows like `  s1 --> s2`, each with the end of its line
    (line,) = fenced(chain(20, "x" * 300))
    assert line == "no graph: 6,490 characters, and at most 5,000 are drawn"


def test_of_all_flows_together_only_some_are_drawn() -> None:
    """Mermaid stops at 500 arrows; the others have a frame that says so."""
    lines = flowchart([(f"Flow{number}", chain(25)) for number in range(9)])
    assert sum("-->" in line for line in lines) == 8 * 24
    assert lines[-3:] == [
        '  subgraph f9["Flow8"]',
        '  f9_none["no graph: of more than 200 steps, name the flow alone"]',
        "  end",
    ]
