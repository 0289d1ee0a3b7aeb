"""Proofs over hardware, held against all points of small spaces."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from codesign.exact.checks import all_values, check_certificate, check_optimum
from codesign.exact.drawn_spaces import draw_question
from codesign.exact.relaxation import check_corners, check_floors
from codesign.jobs import product, small_job
from examples import some

from toolkit.arch.template import make_template
from toolkit.codesign import NetworkWeight, hardware_space
from toolkit.codesign.evaluation import HardwareObjective, hardware_objective
from toolkit.codesign.exact import Question, prove_hardware
from toolkit.codesign.exact.certificate import (
    join_proofs,
    nothing_proved,
    proof_from_record,
)
from toolkit.codesign.exact.corners import Corners
from toolkit.codesign.exact.floors import SOLVED, Rows, Table
from toolkit.codesign.exact.question import question_of
from toolkit.codesign.exact.search import HardwareProver
from toolkit.codesign.job import Job, JobSettings, make_job
from toolkit.codesign.scoring import Scorer
from toolkit.errors import InputError
from toolkit.model.conventions import EXACT
from toolkit.workload import gemm, with_bits
from toolkit.workload.network import LayerGraph
from toolkit.yaml_files import parse_yaml

QUICK = (1, 3, 5)
"""Seeds of questions that take a second; `hunt` looks at as many as there is time for."""


@pytest.mark.parametrize("seed", QUICK)
def test_the_best_point_is_that_of_all(seed: int) -> None:
    question = draw_question(seed)
    check_optimum(question, prove_hardware(question))


@pytest.mark.parametrize("seed", some(range(6), 4))
def test_what_runs_on_a_point_costs_no_more_on_the_corner_of_a_box(seed: int) -> None:
    check_corners(draw_question(seed), seed)


def test_no_mapping_costs_less_than_tables_by_instances_say() -> None:
    compared = [check_floors(draw_question(seed), seed) for seed in range(12)]
    assert sum(compared) > 1_000


def test_what_is_impossible_is_not_bounded_closely() -> None:
    """Not even for latency alone, which has no weight for an infinite energy."""
    settled: list[int] = []
    costs = np.array([[math.inf, 3.0], [2.0, 5.0]])
    table = SimpleNamespace(stages=np.zeros(2), settle=settled.append, costs=costs)
    rows = Rows(np.arange(2), costs, np.zeros(2), cast(Table, table))
    with np.errstate(invalid="raise"):
        assert rows.settle(np.array([0.0, 1.0]), costs[1], SOLVED)
    assert settled == [1]


SIZES = {"side": [1, 2, 4], "scratchpad_words": [32, 64], "accumulator_words": [4, 8]}


def tiny() -> LayerGraph:
    layers = [product("a", 4, 6, 2, "x", "y"), product("b", 3, 4, 2, "y", "z")]
    return LayerGraph.from_layers(layers, name="tiny")


def tiny_job() -> Job:
    settings = JobSettings(ranges=SIZES, area_budget_um2=1.92e4, factors="perfect")
    return make_job("gemmini-ws", [tiny()], settings)


@pytest.fixture(scope="module")
def gemmini() -> Question:
    return question_of(tiny_job())


@pytest.fixture(scope="module")
def values(gemmini: Question) -> dict[tuple[float, ...], float]:
    return all_values(gemmini)


@pytest.mark.parametrize("name", ["edap", "energy", "latency"])
def test_every_objective_of_a_template_with_prices(gemmini: Question, name: str) -> None:
    question = replace(gemmini, objective=hardware_objective(name))
    check_optimum(question, prove_hardware(question))


def test_networks_count_by_their_weights(gemmini: Question) -> None:
    networks = [NetworkWeight(tiny(), 2.0), NetworkWeight(tiny(), 0.5)]
    found = prove_hardware(replace(gemmini, networks=networks))
    alone = prove_hardware(gemmini)
    assert found.proved
    assert alone.best is not None
    assert found.best is not None
    assert found.best.value == pytest.approx(2.5**2 * alone.best.value)
    assert found.best.networks[0] == found.best.networks[1]


def test_no_strategy_finds_anything_better(
    gemmini: Question, values: dict[tuple[float, ...], float]
) -> None:
    job = tiny_job()
    scorer = Scorer(job, cache=False)
    proof = prove_hardware(gemmini)
    check_certificate(gemmini, proof, values)
    scores = [
        scorer.score(dict(zip(job.space.ranges, point, strict=True)))
        for point, value in values.items()
        if value < math.inf
    ]
    assert min(s.edp_pj_cycles for s in scores if s.feasible) >= proof.bound * (1 - 1e-9)


def test_a_proof_that_is_cut_short_says_what_it_knows(
    gemmini: Question, values: dict[tuple[float, ...], float]
) -> None:
    early = prove_hardware(gemmini, seconds=1e-6)
    check_certificate(gemmini, early, values)
    assert not early.proved
    assert {entry.closing for entry in early.boxes} <= {"open", "area"}
    rough = prove_hardware(gemmini, within=0.5)
    check_certificate(gemmini, rough, values)
    assert rough.gap <= 0.5


def test_a_proof_goes_on_from_its_record(
    gemmini: Question, values: dict[tuple[float, ...], float]
) -> None:
    rough = prove_hardware(gemmini, within=0.5)
    read = proof_from_record(rough.record())
    assert read == rough
    prover = HardwareProver(gemmini)
    prover.resume(read)
    proof = prover.run(None, 0.0)
    check_certificate(gemmini, proof, values)
    assert proof.proved
    assert proof.seconds >= rough.seconds


def test_what_two_provers_find_of_boxes_in_turns_is_a_proof(
    gemmini: Question, values: dict[tuple[float, ...], float]
) -> None:
    provers = [HardwareProver(gemmini), HardwareProver(gemmini)]
    proof, turns = nothing_proved(gemmini.space.ranges), 0
    while left := proof.left(0.0):
        prover, turns = provers[turns % 2], turns + 1
        prover.resume(proof.of_boxes(left[:1]))
        part = prover.run(None, 0.0, None, lambda: True)
        proof = join_proofs([([left[0].box], part)], proof, 0.0)
        check_certificate(gemmini, proof, values)
    assert turns > 1
    assert proof.proved
    assert proof.proofs == sum(prover.proofs.proofs for prover in provers)


TEMPLATE = """
name: odd
kernel: gemm
parameters: {words: 64, side: 4, width: 8}
levels:
  - {memory: DRAM, capacity_words: unlimited, access_energy_pj: 9, bandwidth_words_per_cycle: 4}
  - memory: Buffer
    capacity_words: = words
    access_energy_pj: = 1 + (words - 64) * (words - 64) / 1000
    bandwidth_words_per_cycle: 8
    area_um2: = 100 * words
    word_bits: = width
  - fanout: Columns
    mesh: = side
    dimensions: [M]
    area_um2: = 40 - 4 * side
  - {compute: MAC, mac_energy_pj: 1, area_um2: = 1 + (side % 3)}
"""


def odd_question(**ranges: list[int]) -> Question:
    template = make_template(parse_yaml(TEMPLATE.encode(), source="odd"), "odd")
    space = hardware_space(template, ranges=ranges, energies=False)
    return Question(space, [NetworkWeight(tiny())], hardware_objective("edp"))


def test_figures_need_not_go_one_way() -> None:
    question = odd_question(words=[16, 32, 64, 96], side=[1, 2, 4])
    proof = prove_hardware(question)
    check_optimum(question, proof)
    # Energies are looked up; areas next to lanes are what lengths of wires follow from.
    assert [note.split(":")[0] for note in proof.notes] == [
        "the values of side are taken one by one"
    ]
    assert "area_um2 of MAC does not rise or fall" in proof.notes[0]


def test_what_is_no_figure_is_named() -> None:
    corners = Corners(odd_question(words=[32, 64], width=[8, 16]).space, EXACT)
    assert corners.one_by_one == {"width": "Buffer is of another kind at other values"}


def test_fronts_and_falling_objectives_are_refused(gemmini: Question) -> None:
    for objective in (
        hardware_objective("front"),
        HardwareObjective("latency/area", (0.0, 1.0, -1.0)),
    ):
        with pytest.raises(InputError, match=f"^objective: {objective.name}: expected one value"):
            prove_hardware(replace(gemmini, objective=objective))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fusion": "greedy"}, "fusion: exact proves hardware for layers that are not fused"),
        ({"pad": ("all",)}, "pad: exact proves hardware for the sizes that layers have"),
    ],
)
def test_jobs_of_which_nothing_can_be_proved(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        question_of(small_job(**settings))


def test_levels_that_take_too_many_values() -> None:
    question = odd_question(words=list(range(1, 60_001)))
    with pytest.raises(InputError, match=r"Buffer takes words, which have 60,000 values together"):
        prove_hardware(question)


def test_a_space_without_a_point_that_runs() -> None:
    question = odd_question(words=[1, 2])
    proof = prove_hardware(question)
    assert (proof.best, proof.bound, proof.proved) == (None, math.inf, True)
    assert {entry.closing for entry in proof.boxes} == {"unfit"}


def test_sizes_that_are_fitted_to_the_hardware_are_named() -> None:
    # Nothing but the fanout unrolls M, so that what 4 and 2 do not divide is rounded up.
    text = TEMPLATE.replace("word_bits: = width", "constraints: [M == 1]").replace(
        "bandwidth_words_per_cycle: 4}", "bandwidth_words_per_cycle: 4, constraints: [M <= 2]}"
    )
    text = text.replace("side: 4, width: 8", "side: 4").replace("(side % 3)", "side")
    text = text.replace("= 40 - 4 * side", "= side")
    template = make_template(parse_yaml(text.encode(), source="odd"), "odd")
    ranges = {"words": [32, 64], "side": [1, 2, 3, 4]}
    space = hardware_space(template, ranges=ranges, energies=False)
    networks = [NetworkWeight(tiny())]
    question = Question(space, networks, hardware_objective("edp"), factors="perfect")
    proof = prove_hardware(question)
    check_optimum(question, proof)
    assert "are taken one by one: constraints or sizes of workloads" in proof.notes[0]


NARROW = """
name: narrow
kernel: gemm
parameters: {bits: 8, burst: 2}
levels:
  - {memory: DRAM, capacity_words: unlimited, access_energy_pj: 20, component: lpddr4,
     bandwidth_words_per_cycle: 2, word_bits: 4, burst_words: = burst}
  - {memory: Buffer, capacity_words: 24, access_energy_pj: 1, component: sram,
     bandwidth_words_per_cycle: 8, word_bits: = bits, packed: false}
  - {compute: MAC, mac_energy_pj: 0.4, component: integer-mac, word_bits: 8, accumulator_bits: 32}
"""


def test_points_whose_words_or_bursts_are_too_narrow_run_nothing() -> None:
    template = make_template(parse_yaml(NARROW.encode(), source="narrow"), "narrow")
    space = hardware_space(template, ranges={"bits": [8, 16], "burst": [2, 4]})
    layer = product("a", 4, 3, 2, "x", "y")
    layer = replace(layer, workload=with_bits(gemm(4, 3, 2), 16))
    networks = [NetworkWeight(LayerGraph.from_layers([layer]), 1.0)]
    question = Question(space, networks, hardware_objective("energy"), factors="perfect")
    proof = prove_hardware(question)
    check_optimum(question, proof)
    assert proof.best is not None
    assert dict(proof.best.parameters) == {"bits": 16, "burst": 4}
