"""How objects show themselves: shortly in prints, as tables in notebooks."""

from __future__ import annotations

import re

import toolkit
from toolkit.codesign.exact.boxes import Box
from toolkit.codesign.exact.certificate import ClosedBox, HardwareProof, PointCost
from toolkit.codesign.exact.front_certificate import FrontProof, MissedBox, TradeOff
from toolkit.display import MOST_ROWS, object_html, shortened, table_html

ARCH, WORKLOAD = toolkit.load_arch("eyeriss"), toolkit.gemm(12, 8, 4)
PROBLEM = toolkit.make_problem(ARCH, WORKLOAD)
RESULT = toolkit.search_mappings(PROBLEM, "random", budget=toolkit.Budget(evaluations=50))
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


def shown(value: object) -> str:
    """The table of a notebook; what is printed is one short line."""
    printed = repr(value)
    assert re.fullmatch(r"<\w+ .*>", printed) and len(printed) < 200, printed
    html: str = value._repr_html_()  # type: ignore[attr-defined]
    assert html.count("<table>") == html.count("</table>") > 0 and len(html) < 20_000
    return html


def test_objectives_spaces_samples_and_explanations() -> None:
    assert repr(toolkit.OBJECTIVES["edp"]) == "<Objective edp: energy * latency>"
    assert "trade-offs of energy and latency" in shown(toolkit.OBJECTIVES["energy,latency"])
    size = toolkit.problem_size(PROBLEM)
    assert "for each tiling" in shown(size) and f"{size.mappings:,}" in repr(size)
    found = toolkit.sample_landscape(PROBLEM, 20)
    assert "median" in shown(found) and "20 random mappings" in repr(found)
    why = toolkit.explain(RESULT.mapping, "eyeriss", WORKLOAD)
    assert why.evaluation.bottleneck in shown(why) and "idle instances" in shown(why)


def test_proofs_and_fronts() -> None:
    perfect = toolkit.make_problem(ARCH, WORKLOAD, factors="perfect")
    result = toolkit.search_mappings(perfect, "exact")
    assert result.certificate is not None
    assert "choices of spatial factors" in shown(result.certificate)
    asked = toolkit.make_problem(ARCH, WORKLOAD, objective="energy,latency")
    front = toolkit.search_mappings(asked, "random", budget=toolkit.Budget(evaluations=50))
    assert front.front and shown(front).count("<tr>") > len(front.front)


def test_comparisons_of_strategies() -> None:
    few = toolkit.Budget(evaluations=20)
    found = toolkit.compare([PROBLEM], ["random", "greedy"], few, 2)
    assert repr(found) == "<Comparison random, greedy: 1 problem, 2 seeds>"
    assert shown(found).count("<tr>") == 5
    (first, *_) = found.outcomes
    assert repr(first).startswith("<Outcome gemm:M=12,K=8,N=4 on eyeriss, edp")


def test_networks_and_their_layers() -> None:
    network = toolkit.NetworkByHand("one")
    network.add_layer("conv", toolkit.conv2d(4, 4, 8, 8, 3, 3))
    graph = network.graph()
    assert repr(graph) == "<LayerGraph one: 1 layer, 9,216 MACs, 144 parameters>"
    assert "9,216" in shown(graph)
    search = toolkit.LayerSearch(budget=toolkit.Budget(evaluations=20))
    arch = toolkit.load_arch("eyeriss-conv")
    found = toolkit.compare_networks([graph], [arch], search, jobs=1, cache=False)
    assert "eyeriss-conv" in shown(found)
    (result,) = found.results
    (layer,) = result.layers
    assert "DRAM" in shown(layer) and repr(layer.cost).startswith("<LayerCost conv:M=4")


def test_hardware() -> None:
    space = toolkit.hardware_space("gemmini-ws", ranges={"side": [8, 16]})
    assert repr(space) == "<HardwareSpace gemmini-ws: 180 points>" and "side" in shown(space)
    problem = toolkit.make_problem(
        space.build(space.largest).arch, toolkit.conv2d(16, 8, 4, 4, 1, 1)
    )
    mapped = toolkit.search_mappings(problem, "greedy", budget=toolkit.Budget(evaluations=50))
    least = toolkit.minimal_hardware(space, [(mapped.mapping, problem.workload)])
    assert "most for" in shown(least) and "side=" in repr(least) and "side=" in repr(least.point)
    point = PointCost({"side": 8}, 1e3, 2e-3, 1e6, 10.0, (), value=2.0)
    whole_space = ClosedBox(Box(((0, 1),)), 1.0, "open")
    proof = HardwareProof(point, 1.0, (whole_space,), 3, 0.1)
    assert "side=8: within 100.000%" in repr(proof) and "open" in shown(proof)
    trade = TradeOff({"side": 8}, 1e3, 2.0, 1e6, 10.0, ())
    front = FrontProof((trade,), (MissedBox(whole_space.box, 0.25, "bound"),), 3, 0.1)
    assert "1 trade-offs, others missed by 25.000%" in repr(front) and "1 mm²" in shown(front)


def test_what_users_write_is_escaped_and_long_tables_are_cut() -> None:
    assert "<b>a &lt; b</b>" in object_html("a < b", [("x", "<y>")])
    rows = [(str(i),) for i in range(MOST_ROWS + 5)]
    assert "and 5 more rows" in table_html(("n",), rows, (False,), MOST_ROWS)
    assert shortened("abc", 3) == "abc"
