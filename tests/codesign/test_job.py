"""Jobs, their records, and the points that strategies choose from."""

from __future__ import annotations

import json
import math

import pytest
from codesign.jobs import FEW, small_job, two_products

from toolkit.arch.technology import LevelEstimate, Technology
from toolkit.codesign.job import (
    JobSettings,
    job_from_record,
    make_job,
    network_from_text,
    network_text,
)
from toolkit.codesign.range_words import read_ranges
from toolkit.codesign.samplers import Encoding
from toolkit.codesign.scoring import Scorer, score_from_record
from toolkit.errors import InputError


def test_a_record_holds_all_of_a_job() -> None:
    technology = Technology(22, 0.8, estimates={"scratchpad": LevelEstimate(1.0, 2.0)})
    job = small_job(technology=technology, area_budget_um2=1e6, objective="edap", fusion="greedy")
    read = job_from_record(json.loads(json.dumps(job.record())), "here")
    assert read.record() == job.record()
    assert read.settings == job.settings
    assert read.space.build(read.space.default).area_um2 == pytest.approx(
        job.space.build(job.space.default).area_um2
    )


def test_records_tell_ragged_and_padded_jobs_from_older_ones() -> None:
    perfect, ragged = small_job(factors="perfect"), small_job(factors="ragged")
    padded = small_job(pad=("N", "M"))
    assert padded.settings.factors == "perfect"
    for job in (perfect, ragged, padded):
        read = job_from_record(json.loads(json.dumps(job.record())), "here")
        assert read.settings == job.settings
        assert read.record() == job.record() == json.loads(json.dumps(job.record()))
    # Those of versions that say nothing of factors go on as what they were.
    assert not {"factors", "pad"} & set(perfect.record()["settings"])
    assert ragged.record()["settings"]["factors"] == "ragged"
    assert padded.record()["settings"]["pad"] == ["N", "M"]
    with pytest.raises(InputError, match="^pad: sizes are padded for whole tiles"):
        small_job(pad=("N",), factors="ragged")


def test_jobs_of_older_versions_have_no_interface_to_dram() -> None:
    job = small_job(ranges={"dram_bandwidth": [4, 8]})
    assert job.space.interfaces
    record = json.loads(json.dumps(job.record()))
    assert record["settings"].pop("dram_interface") == "chosen"
    assert not job_from_record(record, "here").space.interfaces


def test_networks_travel_as_text() -> None:
    graph = two_products()
    read = network_from_text(network_text(graph), "here")
    assert read.layers == graph.layers
    assert list(read.edges(data="bytes")) == list(graph.edges(data="bytes"))
    with pytest.raises(InputError, match="^here: holds no network"):
        network_from_text("nothing", "here")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "eddp"}, "unknown objective 'eddp'"),
        ({"mapper": "greddy"}, "unknown strategy 'greddy'"),
        ({"fusion": "all"}, "fusion: unknown way to fuse 'all'"),
        ({"fusion_layers": 1}, "fusion_layers: expected an integer from 2, got 1"),
        ({"mapper_evaluations": 0}, "0 is not a positive number"),
        ({"ranges": {"side": [8, 4]}}, "4 follows 8"),
        ({"ranges": {"size": [8]}}, "unknown parameter 'size'"),
        ({"area_budget_um2": 1e3}, "the smallest area that would do is"),
        ({"power_budget_mw": 1e-3}, "the least power that would do is"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small_job(**settings)


def test_a_job_needs_a_network() -> None:
    with pytest.raises(InputError, match="networks: expected at least one network"):
        make_job("gemmini-ws", [])


def test_a_foreign_record_is_refused() -> None:
    with pytest.raises(InputError, match="here: describes no job"):
        job_from_record({"template": {"name": "a", "text": "b"}}, "here")


@pytest.mark.parametrize("word", ["side", "side=", "=8", "side=8,x", "side=64..8", "side=,"])
def test_ranges_that_are_none(word: str) -> None:
    with pytest.raises(InputError, match="--range"):
        read_ranges([word])


def test_every_point_has_a_code_of_its_own() -> None:
    space = small_job(ranges={"side": [4, 8, 16], "dram_bandwidth": [6, 7, 10]}).space
    encoding = Encoding(space)
    assert {n: (d.low, d.high) for n, d in encoding.distributions.items()} == {
        "log2 side": (2, 4),
        "log2 scratchpad_words": (13, 22),
        "log2 accumulator_words": (6, 14),
        "place of dram_bandwidth": (0, 2),
    }
    for point in (space.smallest, space.default, space.largest):
        assert encoding.decode(encoding.encode(point)) == point


def test_a_score_is_the_mapped_network() -> None:
    job = small_job(area_budget_um2=2e5)
    scorer = Scorer(job, cache=False)
    score = scorer.score(job.space.default)
    mapped = scorer.mapped(job.space.default)
    assert score.energy_pj == mapped.energy_pj
    assert score.latency_cycles == mapped.latency_cycles
    assert score.constraints["area"] == pytest.approx(math.log(score.area_um2 / 2e5))
    assert not score.feasible
    assert score_from_record(json.loads(json.dumps(score.record()))) == score
    assert scorer.score(job.space.default) is score


def test_weights_count() -> None:
    from toolkit.codesign.evaluation import NetworkWeight

    settings = JobSettings(ranges=FEW, mapper_evaluations=200)
    uses = [NetworkWeight(two_products(), 3.0), NetworkWeight(two_products())]
    scorer = Scorer(make_job("gemmini-ws", uses, settings), cache=False)
    score = scorer.score(scorer.job.space.default)
    assert score.energy_pj == pytest.approx(4 * score.networks[0].energy_pj)


def test_fused_layers_are_named_and_never_cost_more() -> None:
    scorer = Scorer(small_job(fusion="exact"), cache=False)
    point = scorer.job.space.largest
    alone, fused = scorer.score(point, fused=False), scorer.score(point)
    assert fused.networks[0].groups == (("a", "b"),)
    assert fused.edp_pj_cycles < alone.edp_pj_cycles
    assert alone.networks[0].groups == ()


def test_fused_points_are_searched_for_the_objective_of_the_job() -> None:
    costs, scores = {"energy": "energy_pj", "latency": "latency_cycles"}, {}
    for objective, cost in costs.items():
        scorer = Scorer(small_job(fusion="exact", objective=objective), cache=False)
        point = scorer.job.space.largest
        alone, fused = scorer.score(point, fused=False), scorer.score(point)
        assert getattr(fused, cost) <= getattr(alone, cost)
        scores[objective] = fused
    assert scores["energy"].energy_pj <= scores["latency"].energy_pj
    assert scores["latency"].latency_cycles <= scores["energy"].latency_cycles
