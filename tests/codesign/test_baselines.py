"""Strategies that others are held against: the written rule, and the evolution strategy."""

from __future__ import annotations

from itertools import islice

import optuna
import pytest
from codesign.jobs import small_job
from optuna.trial import TrialState

from toolkit.arch import load_template
from toolkit.codesign.filled_points import filled_points, parameter_roles
from toolkit.codesign.registry import HARDWARE_STRATEGIES
from toolkit.codesign.space import hardware_space
from toolkit.study.hardware.plan import SCORE, Plan
from toolkit.study.hardware.workers import Worker, make_study

TWO_MM2 = 2e6


def scored(strategy: str, samples: int, seed: int = 0, **settings: object) -> list[dict[str, int]]:
    memory = optuna.storages.InMemoryStorage()
    make_study(memory, small_job(**settings), Plan(strategy, seed, samples), "mine")
    worker = Worker(memory, "mine", cache=False)
    worker.run()
    trials = worker.study.get_trials(states=(TrialState.COMPLETE,))
    return [trial.user_attrs[SCORE] for trial in trials]


def test_parameters_have_roles() -> None:
    roles = parameter_roles(hardware_space("eyeriss-like"))
    assert roles.units == ("columns", "rows")
    assert roles.registers == ("input_words", "weight_words", "output_words")
    assert roles.buffers == ("buffer_words",)
    assert roles.others == ("buffer_bandwidth", "dram_bandwidth")
    assert parameter_roles(hardware_space("gemmini-ws")).buffers == (
        "scratchpad_words",
        "accumulator_words",
    )


@pytest.mark.parametrize("template", ["gemmini-ws-fine", "eyeriss-like"])
def test_filled_points_leave_no_room(template: str) -> None:
    space = hardware_space(template, area_budget_um2=TWO_MM2)
    roles = parameter_roles(space)
    points = list(islice(filled_points(space), 4))
    assert len({tuple(point.values()) for point in points}) == 4
    for point in points:
        assert not space.excess(space.build(point))
        assert all(point[name] == space.smallest[name] for name in roles.registers)
        # One step more of any buffer is too much.
        for name in roles.buffers:
            values = space.ranges[name].values
            place = values.index(point[name])
            if place + 1 < len(values):
                assert space.excess(space.build({**point, name: values[place + 1]}))
    # The first point gives all it can to units: with the least buffers there are no more of them.
    first, name = points[0], roles.units[0]
    values = space.ranges[name].values
    more = {**first, **{n: space.smallest[n] for n in roles.buffers}}
    assert space.excess(space.build({**more, name: values[values.index(first[name]) + 1]}))
    sizes = [space.build(point).arch.fanouts[0].mesh for point in points]
    assert sizes[0] > sizes[2] > sizes[1] > sizes[3]


def test_without_a_budget_the_first_point_is_all_units() -> None:
    space = hardware_space("gemmini-ws")
    first = next(filled_points(space))
    assert first["side"] == 128


def test_bandwidths_give_way_where_they_take_half_the_area() -> None:
    wide = hardware_space("eyeriss-like", area_budget_um2=2e7)
    tight = hardware_space("eyeriss-like", area_budget_um2=TWO_MM2)
    assert next(filled_points(wide))["dram_bandwidth"] == 8
    assert next(filled_points(tight))["dram_bandwidth"] == 2


def test_the_rule_knows_no_seed_and_goes_on_where_it_was() -> None:
    first, again = (scored("fill-area", 3, seed, area_budget_um2=6e5) for seed in (0, 1))
    parameters = [score["parameters"] for score in first]
    assert parameters == [score["parameters"] for score in again]
    space = small_job(area_budget_um2=6e5).space
    assert parameters == list(islice(filled_points(space), 3))
    memory = optuna.storages.InMemoryStorage()
    make_study(memory, small_job(area_budget_um2=6e5), Plan("fill-area", 0, 3), "mine")
    for _ in range(3):
        Worker(memory, "mine", cache=False).run(most=1)
    study = optuna.load_study(study_name="mine", storage=memory)
    assert [trial.user_attrs[SCORE]["parameters"] for trial in study.trials] == parameters


def test_a_rule_that_has_no_more_points_begins_again() -> None:
    ranges = {"side": [4, 8], "scratchpad_words": [8192], "accumulator_words": [64]}
    found = scored("fill-area", 4, ranges=ranges)
    assert len({score["parameters"]["side"] for score in found}) <= 2


@pytest.mark.parametrize("objective", ["edp", "front"])
def test_evolution_keeps_the_budget_and_its_seed(objective: str) -> None:
    wide = {
        "side": list(range(4, 33, 4)),
        "scratchpad_words": list(range(8192, 131073, 8192)),
        "accumulator_words": list(range(64, 1025, 64)),
    }
    settings = {"ranges": wide, "area_budget_um2": 6e5, "objective": objective}
    first, again = (scored("cma-es", 14, 3, **settings) for _ in range(2))
    assert [s["parameters"] for s in first] == [s["parameters"] for s in again]
    assert all(score["area_um2"] <= 6e5 for score in first)
    points = [tuple(score["parameters"].values()) for score in first]
    assert len(set(points[4:])) == 10
    # What it learned shows: it does better than the random points that it began with.
    edps = [score["energy_pj"] * score["latency_cycles"] for score in first]
    assert min(edps[4:]) < min(edps[:4])


def test_baselines_are_marked() -> None:
    baselines = {name for name, entry in HARDWARE_STRATEGIES.items() if entry.baseline}
    assert baselines == {"random", "random-mappings", "fill-area", "cma-es"}


def test_the_fine_space_differs_from_the_template_in_its_ranges_alone() -> None:
    fine, coarse = load_template("gemmini-ws-fine"), load_template("gemmini-ws")
    assert hardware_space(fine).size == 131_072
    assert fine.parameters == coarse.parameters
    for side in (8, 64):
        ours, theirs = (t.architecture({"side": side}) for t in (fine, coarse))
        assert ours.levels == theirs.levels
