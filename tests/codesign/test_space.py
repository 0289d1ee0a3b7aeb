"""Hardware spaces."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.arch import arch_to_yaml, load_template
from toolkit.arch.technology import Technology
from toolkit.codesign import HardwareSpace, hardware_space
from toolkit.errors import ArchitectureError, InputError

GEMMINI = hardware_space("gemmini-ws", technology=Technology(40))
EYERISS = hardware_space("eyeriss-like", technology=Technology(65, 0.2))
SPACES = st.sampled_from([GEMMINI, EYERISS])


def test_points_of_gemmini() -> None:
    assert GEMMINI.size == 6 * 10 * 9
    assert GEMMINI.default == {
        "side": 16,
        "scratchpad_words": 262144,
        "accumulator_words": 1024,
    }
    point = GEMMINI.build({"side": 32, "scratchpad_words": 65536, "accumulator_words": 256})
    assert point.arch.name == "gemmini-ws:side=32,scratchpad_words=65536,accumulator_words=256"
    assert [fanout.mesh for fanout in point.arch.fanouts] == [32, 32]
    # The bandwidth of the scratchpad follows the side.
    assert point.arch.memories[1].read_bandwidth == 32
    assert point.arch.compute.mac_energy_pj == Technology(40).mac(8, 32).energy_pj


def test_energies_of_the_template() -> None:
    space = hardware_space("gemmini-ws", energies=False)
    arch = space.build(space.default).arch
    own = toolkit.load_arch("gemmini-ws")
    assert [m.read_energy_pj for m in arch.memories] == [m.read_energy_pj for m in own.memories]
    assert space.build(space.default).area_um2 > 0


def test_points_are_built_once() -> None:
    assert GEMMINI.build(GEMMINI.smallest) is GEMMINI.build(dict(GEMMINI.smallest))


def draw(space: HardwareSpace, data: st.DataObject) -> dict[str, float]:
    return {
        name: data.draw(st.sampled_from(found.values), label=name)
        for name, found in space.ranges.items()
    }


@given(SPACES, st.data())
def test_codes_go_both_ways(space: HardwareSpace, data: st.DataObject) -> None:
    parameters = draw(space, data)
    assert space.decode(space.encode(parameters)) == parameters


@given(SPACES, st.data())
def test_more_of_anything_takes_more_area(space: HardwareSpace, data: st.DataObject) -> None:
    parameters = draw(space, data)
    name = data.draw(st.sampled_from(list(space.ranges)))
    values = space.ranges[name].values
    larger = values[min(values.index(parameters[name]) + 1, len(values) - 1)]
    before, after = space.build(parameters), space.build({**parameters, name: larger})
    assert before.area_um2 <= after.area_um2 * (1 + 1e-9)


def test_samples_keep_the_budgets() -> None:
    space = hardware_space("gemmini-ws", area_budget_um2=1e6, power_budget_mw=500)
    rng = np.random.default_rng(1)
    points = [space.sample(rng) for _ in range(20)]
    assert all(point.area_um2 <= 1e6 and point.power_mw <= 500 for point in points)
    assert len({tuple(point.parameters.items()) for point in points}) > 5
    again = np.random.default_rng(1)
    assert space.sample(again).parameters == points[0].parameters


def test_excess_names_the_budgets() -> None:
    space = hardware_space("gemmini-ws", area_budget_um2=1e6, power_budget_mw=1e6)
    point = space.build(space.largest)
    assert space.excess(point) == {"area": point.area_um2 / 1e6}


def test_chosen_hardware_is_an_architecture_file(tmp_path: Path) -> None:
    point = GEMMINI.build(GEMMINI.default)
    path = tmp_path / "chosen.yaml"
    path.write_text(arch_to_yaml(point.arch, kernel="conv"))
    assert toolkit.load_arch(path) == point.arch


def test_bits_are_a_choice_only_when_asked() -> None:
    assert "bits" not in EYERISS.ranges
    assert hardware_space("eyeriss-like", ranges={"bits": [8, 16]}).ranges["bits"].values == (
        8,
        16,
    )


def test_what_is_chosen_costs() -> None:
    # Where the bandwidth of DRAM is open, so is the chip's side of the bus.
    assert EYERISS.interfaces and not GEMMINI.interfaces
    assert EYERISS.free() == GEMMINI.free() == ()
    given = hardware_space("gemmini-ws", ranges={"dram_bandwidth": [4, 8, 16]})
    assert given.interfaces and given.free() == ()
    fixed = hardware_space("gemmini-ws", ranges={"dram_bandwidth": [16]})
    assert not fixed.interfaces
    # Wider words move more bits per cycle, too.
    bits = {"bits": [8, 16], "dram_bandwidth": [8]}
    assert hardware_space("eyeriss-like", ranges=bits).interfaces
    never = hardware_space("eyeriss-like", dram_interface="never")
    assert not never.interfaces and never.free() == ("dram_bandwidth",)
    always = hardware_space("gemmini-ws", dram_interface="always")
    assert always.build(always.default).area_um2 > GEMMINI.build(GEMMINI.default).area_um2
    with pytest.raises(InputError, match="dram_interface: expected one of chosen, always, never"):
        hardware_space("gemmini-ws", dram_interface="sometimes")  # type: ignore[arg-type]


def test_chosen_hardware_with_an_interface_is_a_file_too(tmp_path: Path) -> None:
    point = EYERISS.build(EYERISS.default)
    path = tmp_path / "chosen.yaml"
    path.write_text(arch_to_yaml(point.arch, kernel="conv"))
    assert toolkit.load_arch(path) == point.arch
    assert toolkit.area_um2(toolkit.load_arch(path)) == pytest.approx(point.area_um2)


def test_ranges_may_be_given() -> None:
    template = load_template("gemmini-ws")
    ranges = {"side": [8], "dram_bandwidth": {"from": 4, "to": 16, "step": 4}}
    space = hardware_space(template, ranges=ranges)
    assert space.size == 10 * 9 * 4
    assert space.default["side"] == 8
    assert space.build(space.largest).arch.memories[0].read_bandwidth == 8


@pytest.mark.parametrize(
    ("template", "ranges", "message"),
    [
        ("gemmini-ws", {"side": []}, "gemmini-ws.yaml: ranges.side: the range is empty"),
        ("gemmini-ws", {"side": {"from": 8, "to": 4}}, "reversed: from 8 is larger than to 4"),
        ("gemmini-ws", {"sid": [8]}, r"unknown parameter 'sid' \(did you mean 'side'\?\)"),
        ("gemmini-ws", {"side": [0.5]}, "expected an integer.*side"),
        ("eyeriss", {}, "no parameter has a range; expected ranges in the file"),
        ("eyeriss", {"side": [8]}, "unknown parameter 'side'; known: none"),
    ],
)
def test_bad_ranges(template: str, ranges: dict[str, object], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        hardware_space(template, ranges=ranges)


def test_bad_points() -> None:
    with pytest.raises(ArchitectureError, match="parameters.side: expected one of 4..128 doub"):
        GEMMINI.build({**GEMMINI.default, "side": 12})
    with pytest.raises(ArchitectureError, match="'dram_bandwidth' has no range; those with one"):
        GEMMINI.build({**GEMMINI.default, "dram_bandwidth": 8})
    with pytest.raises(ArchitectureError, match="parameters.side: .* got nothing"):
        GEMMINI.build({})


def test_budgets_that_nothing_meets_say_what_would_do() -> None:
    message = (
        r"nothing meets the budgets, because the area budget of 0.01 mm\^2 binds: the smallest "
        r"area that would do is (\S+) mm\^2 \(Scratchpad takes .*side=4, scratchpad_words=8192"
    )
    with pytest.raises(InputError, match=message) as caught:
        hardware_space("gemmini-ws", area_budget_um2=1e4)
    enough = float(str(caught.value).split("would do is ")[1].split()[0])
    assert hardware_space("gemmini-ws", area_budget_um2=enough * 1e6).size
    with pytest.raises(InputError, match="the power budget of 1 mW binds"):
        hardware_space("gemmini-ws", area_budget_um2=1e6, power_budget_mw=1)


@pytest.mark.parametrize("budget", [0, -1, float("nan"), True])
def test_bad_budgets(budget: float) -> None:
    with pytest.raises(InputError, match="area_budget_um2: expected a positive number"):
        hardware_space("gemmini-ws", area_budget_um2=budget)


def test_spaces_and_points_go_to_other_processes() -> None:
    space = pickle.loads(pickle.dumps(GEMMINI))
    point = pickle.loads(pickle.dumps(GEMMINI.build(GEMMINI.default)))
    assert space.build(space.default).arch == point.arch
    assert (space.technology, hash(space.technology)) == (Technology(40), hash(Technology(40)))


def test_another_area_knows_what_was_built() -> None:
    space = hardware_space("gemmini-ws")
    point = space.build(space.largest)
    tight = space.within_area(point.area_um2 / 2)
    assert tight.build(space.largest) is point
    assert (space.excess(point), tight.excess(point)) == ({}, {"area": 2.0})
