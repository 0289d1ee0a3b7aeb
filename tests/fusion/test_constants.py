"""Constants and recurrent layers: what fusing does not make free."""

from __future__ import annotations

import pytest
from fusion.networks import network, tensor

import toolkit
from toolkit.fusion import MappedModel, cost_partition, fold
from toolkit.fusion.dram_port import weights_memory
from toolkit.fusion.group_model import FusionObjective, value_of
from toolkit.search.network import LayerSearch
from toolkit.search.objective import OBJECTIVES
from toolkit.search.result import Budget
from toolkit.workload import gemm
from toolkit.workload.network import Layer, LayerGraph, TensorInfo
from toolkit.workload.network.layer import CostClass

SEARCH = LayerSearch(budget=Budget(evaluations=200))


def matrix(name: str, rows: int, columns: int) -> TensorInfo:
    return TensorInfo(name, (rows, columns), "int8")


def vector(name: str, operator: str, source: TensorInfo, constant: TensorInfo) -> Layer:
    kind: CostClass = "movement" if operator in ("Gather", "Concat") else "elementwise"
    out = matrix(f"{name}.out", 16, 8)
    return Layer(
        name,
        operator,
        kind,
        (source,),
        (constant,),
        (out,),
        elements=out.elements,
        operations_per_element=int(kind == "elementwise"),
    )


def product(name: str, source: TensorInfo) -> Layer:
    out, weights = matrix(f"{name}.out", source.shape[0], 8), matrix(f"{name}.w", 8, 8)
    work = gemm(8, 8, source.shape[0])
    return Layer(name, "MatMul", "einsum", (source,), (weights,), (out,), workload=work)


def model(graph: LayerGraph) -> MappedModel:
    arch = toolkit.load_arch("eyeriss-conv")
    return MappedModel(fold(graph), arch, search=SEARCH, proof_seconds=0.0, cache=False)


def test_rows_of_a_table_are_read_in_a_group_too() -> None:
    places = TensorInfo("places", (16,), "int64")
    rows = vector("rows", "Gather", places, matrix("table", 1000, 8))
    mapped = model(network([rows, product("mm", rows.outputs[0])]))
    fused = cost_partition(mapped, [["rows", "mm"]])
    assert fused.dram_words == 16 + 16 * 8 + 64 + 16 * 8 == mapped.graph.floor_words
    assert fused.dram_words < fused.unfused_dram_words


def test_constants_next_to_what_is_fused_are_read() -> None:
    first = product("mm", matrix("x", 4, 8))
    joined = vector("cat", "Concat", first.outputs[0], matrix("past", 12, 8))
    fused = cost_partition(model(network([first, joined])), [["mm", "cat"]])
    assert fused.dram_words >= 4 * 8 + 64 + 12 * 8 + 16 * 8


@pytest.mark.parametrize(("shape", "words"), [((16, 8), 128), ((8,), 8), ((1, 8), 8)])
def test_a_folded_operator_reads_its_constants(shape: tuple[int, ...], words: int) -> None:
    first = product("mm", matrix("x", 16, 8))
    add = vector("add", "Add", first.outputs[0], TensorInfo("c", shape, "int8"))
    plain, more = (model(network(layers)) for layers in ([first], [first, add]))
    before, after = (cost_partition(m, []).dram_words for m in (plain, more))
    assert len(more.graph) == 1
    assert after - before == words == more.graph.layer_of("mm").constant_words


@pytest.mark.parametrize("seconds", [0.0, 0.2])
@pytest.mark.parametrize("objective", ["latency", "edp"])
def test_a_layer_reads_its_constants_beside_its_operands(
    objective: FusionObjective, seconds: float
) -> None:
    first = product("mm", matrix("x", 16, 8))
    add = vector("add", "Add", first.outputs[0], matrix("c", 16, 8))
    mapped = MappedModel(
        fold(network([first, add])),
        toolkit.load_arch("eyeriss"),
        objective=objective,
        search=LayerSearch(budget=Budget(evaluations=1000), objective=OBJECTIVES[objective]),
        proof_seconds=seconds,
        cache=False,
    )
    found = mapped.alone("mm").costs
    assert value_of(mapped.bound) <= value_of(found)
    assert value_of(mapped.least(frozenset(("mm",)))) <= value_of(found)


@pytest.mark.parametrize("arch", ["eyeriss", "tpu-v1"])
def test_constants_of_a_group_are_paid_once(arch: str) -> None:
    first = product("mm", matrix("x", 16, 8))
    second = product("two", first.outputs[0])
    add = vector("add", "Add", second.outputs[0], matrix("c", 16, 8))
    graph, machine = fold(network([first, second, add])), toolkit.load_arch(arch)
    mapped = MappedModel(graph, machine, search=SEARCH, proof_seconds=0.0, cache=False)
    (dram, *_), weights = machine.memories, weights_memory(machine) or machine.memories[0]
    for option in mapped.options(frozenset(graph.names)):
        cost = mapped.cost(option.plan)
        words = cost.plan
        assert words.dram_words == 2 * 128 + 2 * 64 + 128
        paid = sum(cost.levels[name] for name in {dram.name, weights.name})
        streamed = 128 + words.weight_words
        assert paid == 256 * dram.read_energy_pj + streamed * weights.read_energy_pj


def test_products_with_a_state_from_nowhere_are_kept() -> None:
    x = tensor("x", 8, 4)
    sums, state, out = (matrix(name, 16, 8) for name in ("sums", "state", "out"))
    weights = matrix("w", 8, 8)
    layers = [
        Layer("in", "LSTM", "einsum", (x,), (weights,), (sums,), workload=gemm(8, 8, 16)),
        Layer("again", "LSTM", "einsum", (), (weights,), (state,), workload=gemm(8, 8, 16)),
        Layer("gates", "LSTM", "elementwise", (sums, state), (), (out,), elements=128),
    ]
    graph = network(layers)
    mapped = model(graph)
    assert mapped.graph.macs == graph.macs == 2 * 8 * 8 * 16
    fused = cost_partition(mapped, [["in", "again", "gates"]])
    assert fused.dram_words >= 128 + 64 + 64 + 128
