"""Mapping whole networks."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

import toolkit
from toolkit.errors import DoesNotFitError, InputError
from toolkit.search.network import (
    LayerProgress,
    LayerSearch,
    NetworkResult,
    lowerings,
    map_layer,
    map_workload,
)
from toolkit.workload.network import Layer

from .layers import network, product, relu, tensor, total

ARCH = toolkit.load_arch("eyeriss")
FEW = toolkit.Budget(evaluations=300)
MODELS = Path(__file__).parents[2] / "data" / "networks"


def mapped(*layers: Layer, **options: object) -> NetworkResult:
    chosen = {"budget": FEW, "cache": False, "jobs": 1, **options}
    return toolkit.map_network(network(*layers), chosen.pop("arch", ARCH), **chosen)


def test_a_layer_costs_what_its_workload_costs_alone() -> None:
    workload = toolkit.gemm(8, 4, 6)
    result = mapped(product("a", workload))
    problem = toolkit.make_problem(ARCH, workload)
    alone = toolkit.search_mappings(problem, "greedy", budget=FEW)
    evaluation = toolkit.evaluate(alone.mapping, problem.arch, workload)
    cost = result["a"].cost
    assert cost.mapping == alone.mapping
    assert (cost.energy_pj, cost.latency_cycles) == (alone.energy_pj, alone.latency_cycles)
    assert (cost.accesses, cost.levels) == (evaluation.accesses, evaluation.energies)
    assert cost.compute_cycles <= cost.latency_cycles
    dram = {t.tensor: (t.reads, t.writes) for t in cost.dram}
    rows = {a.tensor: (a.reads, a.updates) for a in evaluation.accesses if a.level == "DRAM"}
    assert dram == rows


def test_identical_workloads_are_searched_once_whatever_their_names() -> None:
    seen: list[LayerProgress] = []
    result = mapped(
        product("a", toolkit.gemm(8, 4, 6, name="one")),
        product("b", toolkit.gemm(8, 4, 6, name="two"), reads="a"),
        product("c", toolkit.gemm(8, 4, 2), reads="b"),
        on_layer=seen.append,
    )
    assert [(p.done, p.total, p.layer, p.cached) for p in seen] == [
        (1, 2, "a", False),
        (2, 2, "c", False),
    ]
    assert (result.searches, result.reads) == (2, 0)
    a, b = result["a"].cost, result["b"].cost
    assert (a.workload.name, b.workload.name) == ("one", "two")
    assert replace(a, workload=b.workload) == b


def test_repetitions_multiply_and_totals_add_up() -> None:
    once = mapped(product("a", toolkit.gemm(8, 4, 6)))
    layers = (product("a", toolkit.gemm(8, 4, 6), repetitions=5), total("r", "a", 8))
    result = mapped(*layers)
    a, r = result.layers
    assert (a.energy_pj, a.latency_cycles) == (5 * once.energy_pj, 5 * once.latency_cycles)
    assert a.dram_words == 5 * once.layers[0].cost.dram_words
    assert result.energy_pj == math.fsum((a.energy_pj, r.energy_pj))
    assert result.latency_cycles == a.latency_cycles + r.latency_cycles
    assert result.edp_pj_cycles == result.energy_pj * result.latency_cycles
    assert result.macs == 5 * 8 * 4 * 6
    assert sum(result.level_energies().values()) == pytest.approx(result.energy_pj)
    assert result.utilization == result.macs / (result.latency_cycles * 14 * 12)
    totals = result.totals()
    assert totals["energy_total_pj"] == result.energy_pj
    assert totals["dram_read_words"] == a.dram_reads + r.dram_reads


def test_layers_without_a_workload() -> None:
    view = Layer("v", "Reshape", "view", (tensor("x", 8),), (), (tensor("v", 8),))
    moved = Layer("t", "Transpose", "movement", view.outputs, (), (tensor("t", 8),), elements=8)
    result = mapped(view, moved, total("r", "t", 8))
    v, t, r = result.layers
    assert (v.energy_pj, v.latency_cycles, v.lowering) == (0.0, 0.0, "view")
    assert (t.energy_pj, t.dram_reads, t.dram_writes) == (16 * 64, 8, 8)
    # Through the DRAM and the global buffer both ways, and eight operations.
    assert r.energy_pj == pytest.approx(16 * 64 + 32 * 2.02 + 8 * 0.21)
    assert result.vector_unit_assumed
    assert result.level_energies()["VectorUnit"] == pytest.approx(8 * 0.21)


def test_constants_are_read_where_weights_are() -> None:
    table = Layer(
        "g", "Gather", "movement", (tensor("x", 8),), (tensor("w", 100, 4),),
        (tensor("g", 8, 4),), elements=32,
    )  # fmt: skip
    result = mapped(table)
    assert (result["g"].dram_reads, result["g"].dram_writes) == (8 + 32, 32)


def test_what_is_folded_into_repetitions_is_applied_once() -> None:
    # Four groups, which share a bias and an activation of all of the output.
    weights = {"weights": (tensor("w", 8, 4), tensor("bias", 16))}
    grouped = replace(product("a", toolkit.gemm(8, 4, 6), repetitions=4), **weights)
    slopes = replace(relu("r", "a", 8), elements=64, weights=(tensor("slopes", 20),))
    (result,) = mapped(grouped, slopes).layers
    (alone,) = mapped(replace(grouped, weights=grouped.weights[:1])).layers
    assert result.layer.operators == "MatMul + Relu"
    assert result.repetitions * result.vector.operations == result.layer.operations == 64
    assert result.dram_reads - alone.dram_reads == 16 + 20


def test_scales_of_a_table_are_read_with_its_rows() -> None:
    table, scales = tensor("w", 100, 32), tensor("s", 100, 4)
    gather = Layer(
        "g", "Gather", "movement", (tensor("x", 8),), (table, scales),
        (tensor("g", 8, 32),), elements=256,
    )  # fmt: skip
    assert mapped(gather)["g"].dram_reads == 8 + 256 + 32


def test_gates_of_a_recurrent_cell_read_one_step_at_a_time() -> None:
    sums, states = tensor("l/input", 10, 1, 2, 32), tensor("l/recurrent", 1, 2, 32)
    gates = Layer(
        "l", "LSTM", "elementwise", (sums, states), (), (tensor("y", 10, 1, 2, 8),),
        repetitions=10, elements=16, operations_per_element=22,
    )  # fmt: skip
    result = mapped(gates)["l"]
    assert result.dram_reads == sums.elements + 10 * states.elements
    assert result.dram_writes == 160


def test_rescaling_outputs_costs_operations_and_no_traffic() -> None:
    plain = product("a", toolkit.gemm(8, 4, 6))
    rescaled = replace(plain, elements=48, operations_per_element=3)
    one, other = mapped(plain), mapped(rescaled)
    assert other.energy_pj == pytest.approx(one.energy_pj + 144 * 0.21)
    assert other.latency_cycles == max(one.latency_cycles, 144 / 16)
    assert other["a"].dram_words == one["a"].dram_words


def test_the_vector_unit_of_the_architecture_is_used() -> None:
    unit = toolkit.VectorUnit(1, 10.0, "DRAM")
    result = mapped(relu("r", "x", 8), arch=replace(ARCH, vector_unit=unit))
    assert (result["r"].energy_pj, result["r"].latency_cycles) == (16 * 64 + 80.0, 8.0)
    assert not result.vector_unit_assumed


def test_the_better_of_two_ways_is_taken() -> None:
    # 17 columns do not fit the 14 of the array, 14 positions along Q do.
    arch, workload = toolkit.load_arch("eyeriss-conv"), toolkit.gemm(17, 64, 14)
    options = {"objective": "latency", "factors": "perfect"}
    chosen = mapped(product("a", workload), arch=arch, **options)["a"]
    search = LayerSearch(budget=FEW, objective=toolkit.OBJECTIVES["latency"], factors="perfect")
    ways = [map_workload(arch, way.workload, search) for way in lowerings(arch, workload)]
    assert chosen.latency_cycles == min(way.latency_cycles for way in ways)
    assert chosen.lowering == "1x1 convolution, N along Q"


def test_processes_change_nothing() -> None:
    layers = [product(f"l{m}", toolkit.gemm(m, 4, 6)) for m in (4, 8, 12)]
    one, two = mapped(*layers), mapped(*layers, jobs=2)
    assert [r.cost for r in one.layers] == [r.cost for r in two.layers]


def test_one_layer_can_be_mapped_alone() -> None:
    layer = product("a", toolkit.gemm(8, 4, 6), repetitions=3)
    search = LayerSearch(budget=FEW)
    assert map_layer(layer, ARCH, search, cache=False) == mapped(layer)["a"]


def test_sizes_are_padded_or_refused_by_name() -> None:
    arch = toolkit.load_arch("gemmini")
    layers = product("a", toolkit.gemm(16, 16, 16)), product("prime", toolkit.gemm(31, 16, 16))
    padded = mapped(*layers, arch=arch, factors="perfect")["prime"]
    assert padded.cost.workload.sizes["M"] == 32
    assert padded.notes[-1].startswith("padded M from 31 to 32")
    assert padded.row()["macs"] == 31 * 16 * 16
    message = r"^tiny: layer 'prime' \(MatMul\): gemmini: .*SARows requires M == 16"
    with pytest.raises(DoesNotFitError, match=message):
        mapped(*layers, arch=arch, pad=False, factors="perfect")
    cut_off = mapped(*layers, arch=arch, pad=False)["prime"]
    assert (cut_off.cost.workload.sizes["M"], cut_off.notes) == (31, ())


def test_a_memory_that_is_too_small_is_told_before_any_search() -> None:
    levels = [replace(ARCH.levels[0], capacity_words=90), *ARCH.levels[1:]]
    seen: list[LayerProgress] = []
    message = r"layer 'large' \(MatMul\): eyeriss: .* even the smallest tile"
    with pytest.raises(DoesNotFitError, match=message):
        mapped(
            product("small", toolkit.gemm(4, 4, 4)),
            product("large", toolkit.gemm(8, 8, 8)),
            arch=replace(ARCH, levels=tuple(levels)),
            on_layer=seen.append,
        )
    assert seen == []


def test_what_cannot_be_lowered_is_named() -> None:
    workload = toolkit.gemm(4, 2, 3)
    third = replace(workload.tensors[0], name="third")
    odd = product("odd", replace(workload, tensors=(*workload.tensors, third)))
    with pytest.raises(DoesNotFitError, match=r"^tiny: layer 'odd' \(MatMul\): eyeriss-conv: "):
        mapped(odd, arch=toolkit.load_arch("eyeriss-conv"))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"strategy": "gredy"}, "strategy"),
        ({"objective": "speed"}, "objective"),
        ({"seed": -1}, "seed"),
        ({"jobs": 0}, "jobs"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], key: str) -> None:
    with pytest.raises(InputError) as raised:
        mapped(product("a", toolkit.gemm(8, 4, 6)), **options)
    assert raised.value.key == key


def test_tables_have_a_row_per_layer() -> None:
    result = mapped(product("a", toolkit.gemm(8, 4, 6)), total("r", "a", 8))
    table = result.table()
    assert list(table["layer"]) == ["a", "r"]
    assert table["energy_total_pj"].sum() == pytest.approx(result.energy_pj)
    assert list(table["class"]) == ["einsum", "reduction"]
    assert result.total_table()["latency_cycles"][0] == result.latency_cycles
    levels = result.level_table()
    assert levels["share"].sum() == pytest.approx(1)
    record = result.to_dict()
    assert [row["layer"] for row in record["layers"]] == ["a", "r"]
    assert record["layers"][0]["mapping"]["levels"][0]["level"] == "DRAM"
    assert record["layers"][1]["mapping"] is None


def test_no_layers_cost_nothing() -> None:
    result = mapped()
    assert (result.energy_pj, result.latency_cycles, result.utilization) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("arch", ["eyeriss-conv", "gemmini"])
def test_resnet18_whole(arch: str) -> None:
    graph = toolkit.load_network(MODELS / "resnet18.onnx")
    budget = toolkit.Budget(evaluations=200)
    result = toolkit.map_network(
        graph, toolkit.load_arch(arch), budget=budget, cache=False, jobs=1
    )
    assert (result.macs, result.searches) == (1_814_073_344, 12)
    # Batch normalizations and activations go with what they are applied to.
    assert len(result.layers) == 32
    assert result["Conv_t6"].layer.operators == "Conv + BatchNormalization + Relu"
    assert sum(r.layer.operations for r in result.layers) == graph.operations
    assert result.totals()["parameters"] == graph.parameters
    ways = {layer.lowering for layer in result.layers if layer.cost}
    expected = {"eyeriss-conv": {"direct", "1x1 convolution"}, "gemmini": {"im2col", "direct"}}
    assert ways == expected[arch]
    # Everything is read at least once: no fewer words than parameters and images.
    assert result.dram_reads > graph.parameters + 3 * 224 * 224
