"""How objects show themselves: shortly in prints, as tables in notebooks."""

from __future__ import annotations

import toolkit
from toolkit.display import MOST_ROWS, object_html, shortened, table_html

ARCH, WORKLOAD = toolkit.load_arch("eyeriss"), toolkit.gemm(12, 8, 4)
PROBLEM = toolkit.make_problem(ARCH, WORKLOAD)
RESULT = toolkit.search(PROBLEM, "random", budget=toolkit.Budget(evaluations=50))
EVALUATION = toolkit.evaluate(RESULT.mapping, ARCH, WORKLOAD)


def test_what_is_printed_is_one_line() -> None:
    assert repr(ARCH) == "<Architecture eyeriss: 8 levels, 168 lanes>"
    assert repr(WORKLOAD) == "<Workload gemm:M=12,K=8,N=4: gemm M=12, K=8, N=4>"
    assert repr(PROBLEM).startswith("<Problem gemm:M=12,K=8,N=4 on eyeriss: edp, exact, ")
    assert "50 evaluations" in repr(RESULT) and "J·cycle" in repr(RESULT)
    assert " on eyeriss: " in repr(EVALUATION) and "cycles" in repr(EVALUATION)
    for value in (ARCH, WORKLOAD, PROBLEM, RESULT, RESULT.mapping, EVALUATION):
        assert len(repr(value)) < 160 and "\n" not in repr(value)


def test_mappings_say_their_loops_and_nothing_else() -> None:
    levels = (
        toolkit.LevelMapping("DRAM", (("M", 3), ("K", 1), ("N", 2)), ("N", "K", "M")),
        toolkit.LevelMapping("MAC", (("M", 1),)),
    )
    assert repr(toolkit.Mapping(levels)) == "<Mapping DRAM n:2 m:3>"
    assert repr(toolkit.Mapping(levels[1:])) == "<Mapping of single iterations>"


def test_notebooks_show_tables() -> None:
    assert "GlobalBuffer" in ARCH._repr_html_() and "unlimited" in ARCH._repr_html_()
    assert "K = 8" in WORKLOAD._repr_html_() and "384" in WORKLOAD._repr_html_()
    assert "loops, outermost first" in RESULT.mapping._repr_html_()
    nest = toolkit.render(RESULT.mapping, ARCH, WORKLOAD)
    for shown in (RESULT, EVALUATION):
        assert nest.splitlines()[1] in shown._repr_html_()
    for value in (ARCH, WORKLOAD, RESULT, RESULT.mapping, EVALUATION):
        html = value._repr_html_()
        assert html.count("<table>") == html.count("</table>") and len(html) < 20_000


def test_networks_are_one_line_and_a_table() -> None:
    graph = toolkit.load_network("resnet18")
    budget = toolkit.Budget(evaluations=20)
    result = toolkit.map_network(
        graph, toolkit.load_arch("eyeriss-conv"), budget=budget, cache=False, jobs=1
    )
    assert repr(result).startswith("<NetworkResult resnet18 on eyeriss-conv: 32 layers, ")
    assert "/layer1/layer1.0/" in result._repr_html_().replace("<wbr>", "")


def test_what_users_write_is_escaped_and_long_tables_are_cut() -> None:
    assert "<b>a &lt; b</b>" in object_html("a < b", [("x", "<y>")])
    rows = [(str(i),) for i in range(MOST_ROWS + 5)]
    assert "and 5 more rows" in table_html(("n",), rows, (False,), MOST_ROWS)
    assert shortened("abc", 3) == "abc"
