"""Budgets of a space: the bandwidth of DRAM, beside area and power."""

from __future__ import annotations

import json
import math

import pytest
from codesign.jobs import small_job

from toolkit.arch.technology import Technology
from toolkit.codesign.job import job_from_record
from toolkit.codesign.scoring import Scorer
from toolkit.codesign.space import hardware_space
from toolkit.errors import InputError

WIDE = {"dram_bandwidth": [1, 2, 4, 8, 16]}


@pytest.mark.parametrize(("clock_ghz", "most"), [(1.0, 8), (0.5, 16), (2.0, 4)])
def test_a_budget_of_dram_ends_the_range_of_its_bandwidth(clock_ghz: float, most: int) -> None:
    # Words of 8 bits: as many GB/s as words per cycle at 1 GHz.
    space = hardware_space(
        "gemmini-ws",
        ranges=WIDE,
        technology=Technology(clock_ghz=clock_ghz),
        dram_budget_gb_per_s=8.0,
    )
    assert space.ranges["dram_bandwidth"].values[-1] == most
    assert space.build(space.largest).dram_gb_per_s == 8.0
    assert not space.excess(space.build(space.largest))


def test_a_bandwidth_of_two_parameters_is_held_point_by_point() -> None:
    ranges = {"lanes": [1, 2, 4], "rate": [1, 2, 4]}
    text = """
name: two
kernel: gemm
parameters: {lanes: 2, rate: 2}
levels:
  - {memory: DRAM, capacity_words: unlimited, access_energy_pj: 1, component: lpddr4,
     word_bits: 8, bandwidth_words_per_cycle: = lanes * rate, ports: shared}
  - {compute: MAC, mac_energy_pj: 1, component: integer-mac, word_bits: 8, accumulator_bits: 32}
"""
    from toolkit.arch.template import make_template
    from toolkit.yaml_files import parse_yaml

    template = make_template(parse_yaml(text.encode(), source="two"), "two")
    space = hardware_space(template, ranges=ranges, dram_budget_gb_per_s=4.0)
    assert space.size == 9 and space.interfaces
    within = space.build({"lanes": 4, "rate": 1})
    beyond = space.build({"lanes": 4, "rate": 4})
    assert space.shares(within) == {"DRAM": 1.0} and not space.excess(within)
    assert space.excess(beyond) == {"DRAM": 4.0}


def test_what_breaks_it_is_told_as_other_budgets_are() -> None:
    job = small_job(dram_budget_gb_per_s=16.0, area_budget_um2=1e9)
    score = Scorer(job, cache=False).score(job.space.default)
    assert score.feasible
    assert score.constraints["DRAM"] == pytest.approx(math.log(0.5))
    with pytest.raises(InputError, match="4 GB/s of DRAM binds: the least that would do is 8 GB"):
        small_job(dram_budget_gb_per_s=4.0)
    with pytest.raises(InputError, match="dram_budget_gb_per_s: expected a positive number"):
        small_job(dram_budget_gb_per_s=0)


def test_jobs_keep_it_and_older_ones_have_none() -> None:
    job, none = small_job(ranges=WIDE, dram_budget_gb_per_s=4.0), small_job(ranges=WIDE)
    read = job_from_record(json.loads(json.dumps(job.record())), "here")
    assert read.settings == job.settings and read.record() == job.record()
    assert read.space.ranges["dram_bandwidth"].values == (1, 2, 4)
    assert "dram_budget_gb_per_s" not in none.record()["settings"]
