"""Fronts over hardware, held against all trade-offs of all points of small spaces."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from codesign.exact.checks import check_optimum
from codesign.exact.drawn_spaces import draw_question, trade_offs
from codesign.jobs import product

from toolkit.arch.template import make_template
from toolkit.codesign import NetworkWeight, hardware_space
from toolkit.codesign.evaluation import hardware_objective
from toolkit.codesign.exact import FrontProof, Question, prove_front, prove_hardware
from toolkit.codesign.exact.front import FrontProver
from toolkit.codesign.exact.front_certificate import front_from_record, join_fronts, missed_by
from toolkit.codesign.exact.question import question_of
from toolkit.codesign.job import JobSettings, make_job
from toolkit.errors import InputError
from toolkit.workload.network import LayerGraph
from toolkit.yaml_files import parse_yaml


def check_front(question: Question, proof: FrontProof) -> None:
    """Every trade-off of every point is missed by no more than its box says; all are real."""
    found = np.array([[x.energy_pj, x.latency_cycles, x.area_um2] for x in proof.points])
    ranges, seen = question.space.ranges, set()
    real = {}
    for entry in proof.boxes:
        for places in itertools.product(*(range(a, b + 1) for a, b in entry.box.sides)):
            assert places not in seen
            seen.add(places)
            point = {n: r.values[i] for (n, r), i in zip(ranges.items(), places, strict=True)}
            area = question.space.build(point).area_um2
            real[tuple(point.values())] = totals = trade_offs(question, point)
            if entry.closing in ("area", "power", "DRAM", "unfit"):
                assert not len(totals)
            for costs in totals:
                excess = (found / [*costs, area]).max(axis=1).min()
                assert excess <= (1 + entry.miss) * (1 + 1e-9)
    assert len(seen) == question.space.size
    for x in proof.points:
        totals = real[tuple(x.parameters.values())]
        assert np.isclose(totals, [x.energy_pj, x.latency_cycles], rtol=1e-9).all(axis=1).any()


def smallest_question() -> Question:
    settings = JobSettings(
        ranges={"side": [1, 2], "scratchpad_words": [32, 64], "accumulator_words": [4, 8]},
        area_budget_um2=1.92e4,
        factors="perfect",
    )
    layers = [product("a", 4, 6, 2, "x", "y")]
    return question_of(make_job("gemmini-ws", [LayerGraph.from_layers(layers)], settings))


def test_nothing_is_missed_by_more_than_is_said() -> None:
    question = smallest_question()
    proof = prove_front(question, within=0.05)
    check_front(question, proof)
    assert len({tuple(x.parameters.values()) for x in proof.points}) > 1
    assert all(x.miss <= 0.05 for x in proof.boxes if x.closing == "bound")


def test_no_mapping_no_front() -> None:
    question = draw_question(3)
    proof = prove_front(question, within=0.2)
    check_front(question, proof)
    assert (proof.points, proof.miss) == ((), 0.0)


def test_a_front_that_is_cut_short_says_what_it_may_miss() -> None:
    question = smallest_question()
    proof = prove_front(question, within=0.01, seconds=1e-6)
    check_front(question, proof)
    assert proof.miss > 0.01
    assert "open" in {x.closing for x in proof.boxes}


def test_what_known_points_miss() -> None:
    hull = np.array([[1.0, 4.0], [4.0, 1.0]])
    ends = np.array([[1.0, 4.0, 1.0], [4.0, 1.0, 1.0]])
    # Between them (2.5, 2.5): the nearest end exceeds it by 1.6 in one cost.
    assert missed_by(hull, 1.0, ends) == pytest.approx(0.6)
    assert missed_by(hull, 1.0, np.zeros((0, 3))) == math.inf
    assert missed_by(hull[:1], 1.0, ends) == 0.0
    assert missed_by(hull[:1], 0.5, ends) == pytest.approx(1.0)


def test_a_front_goes_on_from_its_record() -> None:
    question = smallest_question()
    rough = prove_front(question, within=0.5)
    read = front_from_record(rough.record())
    assert [(x.box, x.miss) for x in read.boxes] == [(x.box, x.miss) for x in rough.boxes]
    assert read.points == rough.points
    left = read.left(0.02)
    assert {x.closing for x in left} == {"bound"}
    prover = FrontProver(question)
    prover.resume(read.of_boxes(left))
    part = prover.run(None, 0.02)
    whole = join_fronts([([x.box for x in left], part)], read, 0.02)
    check_front(question, whole)
    assert whole.miss <= 0.02
    assert whole.left(0.02) == ()


PACED = """
name: paced
kernel: gemm
parameters: {side: 1, pace: 1}
levels:
  - {memory: DRAM, capacity_words: unlimited, access_energy_pj: 20, component: lpddr4,
     bandwidth_words_per_cycle: = side * pace, word_bits: 8, area_um2: 0}
  - {memory: Buffer, capacity_words: 24, access_energy_pj: 1, component: sram,
     bandwidth_words_per_cycle: 8, word_bits: 8}
  - {fanout: Columns, mesh: = side, dimensions: [M]}
  - {compute: MAC, mac_energy_pj: 0.4, component: integer-mac, word_bits: 8, accumulator_bits: 32}
"""


def test_what_takes_too_much_of_dram_is_no_trade_off() -> None:
    """Two parameters make the bandwidth, so that no range ends where the budget does."""
    template = make_template(parse_yaml(PACED.encode(), source="paced"), "paced")
    ranges = {"side": [1, 2], "pace": [1, 2, 3]}
    space = hardware_space(template, ranges=ranges, dram_budget_gb_per_s=3.0)
    networks = [NetworkWeight(LayerGraph.from_layers([product("a", 4, 3, 2, "x", "y")]), 1.0)]
    question = Question(space, networks, hardware_objective("latency"), factors="perfect")
    front = prove_front(question, within=0.1)
    check_front(question, front)
    assert all(not space.excess(space.build(x.parameters)) for x in front.points)
    proof = prove_hardware(question)
    check_optimum(question, proof)
    assert {x.closing for x in (*front.boxes, *proof.boxes)} > {"DRAM"}


def test_a_front_that_shall_miss_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="within: a front is proved to a fraction of more than 0"):
        prove_front(smallest_question(), within=0.0)
