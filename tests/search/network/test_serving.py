"""Serving: dimensions of decoders, costs over the context, and what they are spent on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import toolkit
from toolkit.codesign.serving import serving_mix
from toolkit.errors import InputError
from toolkit.search.network.serving import ATTENTION, PARTS, WEIGHTS, ServingResult, serve
from toolkit.workload.network.decoding import find_decoder

HEADS, SIZE, HIDDEN = 4, 16, 64


def decoder(batch: str, seq: str, past: str) -> onnx.ModelProto:
    """One layer of attention with a cache, with dimensions called as asked."""

    def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT16, shape)

    inputs = [value("x", batch, seq, HIDDEN)]
    inputs += [value(f"past.{k}", batch, HEADS, past, SIZE) for k in ("key", "value")]
    weights = [
        helper.make_tensor(n, TensorProto.FLOAT16, [HIDDEN, HIDDEN], np.ones(HIDDEN * HIDDEN))
        for n in ("wq", "wk", "wv", "wo")
    ]
    nodes = [helper.make_node("MatMul", ["x", f"w{k}"], [k], name=k) for k in "qkv"]
    nodes.append(
        helper.make_node(
            "Attention", ["q", "k", "v", "", "past.key", "past.value"],
            ["c", "present.key", "present.value"], name="attention",
            q_num_heads=HEADS, kv_num_heads=HEADS, is_causal=1,
        )
    )  # fmt: skip
    nodes.append(helper.make_node("MatMul", ["c", "wo"], ["y"], name="o"))
    outputs = [value("y", batch, seq, HIDDEN)]
    outputs += [onnx.ValueInfoProto(name=f"present.{k}") for k in ("key", "value")]
    graph = helper.make_graph(nodes, "decoder", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)


def served(
    model: onnx.ModelProto, dims: Mapping[str, int | str] | None = None, **options: int
) -> ServingResult:
    arch = toolkit.load_arch("tensor-core-sm")
    run = partial(
        toolkit.map_network,
        arch=arch,
        budget=toolkit.Budget(evaluations=500),
        jobs=1,
        cache=False,
    )
    load = partial(toolkit.load_network, model)
    return serve(find_decoder(model, dims), load, run, **options)


@pytest.mark.parametrize(
    "names",
    [
        ("batch", "seq", "past"),
        ("batch_size", "sequence_length", "past_sequence_length"),
        ("N", "L", "P"),
    ],
)
def test_dimensions_are_known_by_name_or_by_place(names: tuple[str, str, str]) -> None:
    found = find_decoder(decoder(*names))
    assert found.caches == ("past.key", "past.value")
    sizes = found.dims(batch=2, new=3, past=5, longest=9)
    assert sizes == dict(zip(names, (2, 3, 5), strict=True))


def test_the_user_says_what_a_dimension_is() -> None:
    model = decoder("past", "batch", "seq")
    roles = {"past": "batch", "batch": "seq", "seq": "past"}
    found = find_decoder(model, roles)
    assert found.dims(batch=2, new=3, past=5, longest=9) == {"past": 2, "batch": 3, "seq": 5}
    with pytest.raises(toolkit.InputError, match=r"dims\['seq'\].*expected a size, or one of"):
        find_decoder(model, {"seq": "token"})


def test_a_model_without_a_cache_does_not_serve() -> None:
    with pytest.raises(toolkit.InputError, match="resnet18: has no cache that grows"):
        find_decoder("resnet18")


def test_every_token_costs_what_one_at_its_context_costs() -> None:
    result = served(decoder("batch", "seq", "past"), prompt=32, decode=4, batch=2, contexts=4)
    assert [step.context for step in result.steps] == [32, 33, 34, 35]
    assert result.decode_cycles == sum(step.latency_cycles for step in result.steps)
    assert result.decode_pj == pytest.approx(sum(step.total_pj for step in result.steps))
    assert result.pj_per_token == pytest.approx(result.decode_pj / 8)
    assert result.tokens_per_second == pytest.approx(8 / (result.decode_cycles / 1.41e9))
    assert (result.prefill.context, result.prefill.new) == (0, 32)
    # Keys and values of all heads, of two bytes each.
    assert result.kv_bytes_per_token == 2 * HEADS * SIZE * 2
    assert result.kv_bytes == result.kv_bytes_per_token * 2 * 36
    assert result.weight_bytes == 4 * HIDDEN * HIDDEN * 2


def test_caches_have_the_bits_that_the_user_says() -> None:
    model = decoder("batch", "seq", "past")
    dims = {"batch": 1, "seq": 1, "past": 9}
    caches = toolkit.load_network(model, dims, bits={"activation": 8}).inputs[1:]
    assert [tensor.bytes for tensor in caches] == [HEADS * 9 * SIZE] * 2


def test_costs_between_contexts_are_interpolated() -> None:
    model = decoder("batch", "seq", "past")
    few = served(model, prompt=32, decode=9, contexts=2)
    assert [step.context for step in few.steps] == [32, 40]
    ends = [step.total_pj for step in few.steps]
    assert few.decode_pj == pytest.approx(9 * sum(ends) / 2)


def test_parts_and_words_add_up() -> None:
    result = served(decoder("batch", "seq", "past"), prompt=32, decode=2, batch=2)
    for step in (result.prefill, *result.steps):
        assert sum(step.energy_pj.values()) == pytest.approx(step.total_pj)
        assert sum(step.cycles.values()) == pytest.approx(step.latency_cycles)
        assert set(step.cycles) == set(PARTS)
        words = step.result.dram_reads + step.result.dram_writes
        assert step.dram_words == words
    last = result.steps[-1]
    assert min(last.energy_pj[WEIGHTS], last.energy_pj[ATTENTION]) > 0
    # Every weight once, in one word each; the cache by two products, and one token written.
    assert last.weight_words == 4 * HIDDEN * HIDDEN
    read = 2 * 2 * HEADS * SIZE * (last.context + 1)
    assert last.cache_words == read + 2 * (2 * 2 * HEADS * SIZE)


@pytest.mark.parametrize(("key", "options"), [("prefill", {"prompt": 0}), ("batch", {"batch": 0})])
def test_numbers_start_at_one(key: str, options: dict[str, int]) -> None:
    given = {"prompt": 4, "decode": 2, **options}
    with pytest.raises(toolkit.InputError, match=f"{key}: 0 is not an integer from 1"):
        served(decoder("batch", "seq", "past"), **given)


def test_a_mix_for_hardware_searches_adds_up_to_what_serving_costs() -> None:
    model = decoder("batch", "seq", "past")
    whole = served(model, prompt=8, decode=9, batch=2, contexts=3)
    load = partial(toolkit.load_network, model)
    mix = serving_mix(
        find_decoder(model), load, prompt=8, decode=9, batch=2, weight=2.0, contexts=3
    )
    assert [use.graph.graph["name"] for use in mix] == [
        "decoder prefill of 8",
        *(f"decoder token after {length}" for length in (8, 12, 16)),
    ]
    assert [use.weight for use in mix] == [2.0, 5.0, 8.0, 5.0]
    arch = toolkit.load_arch("tensor-core-sm")
    few = toolkit.Budget(evaluations=500)
    results = [
        toolkit.map_network(use.graph, arch, budget=few, jobs=1, cache=False) for use in mix
    ]
    cycles = sum(use.weight * r.latency_cycles for use, r in zip(mix, results, strict=True))
    energy = sum(use.weight * r.energy_pj for use, r in zip(mix, results, strict=True))
    assert cycles == pytest.approx(2 * (whole.prefill.latency_cycles + whole.decode_cycles))
    assert energy == pytest.approx(2 * (whole.prefill.total_pj + whole.decode_pj))
    with pytest.raises(InputError, match="prefill: 0 is not an integer from 1"):
        serving_mix(find_decoder(model), load, prompt=0, decode=1)
