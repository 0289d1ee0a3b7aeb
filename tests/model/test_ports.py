"""Named ports: which of them limit a run, and in how many cycles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.ports import KINDS, least_cycles
from oracle.strategies import named_ports
from scipy.optimize import linprog

from toolkit.arch import Memory, MemoryPort
from toolkit.errors import ArchitectureError
from toolkit.model import EXACT, TIMELOOP, make_plan
from toolkit.model.plan_ports import Port, port_cycles, ports_of

from .nests import gemm, mapped, memory, run

DRAM, BUFFER = memory("dram"), memory("buffer")

Moved = dict[str, int]

moved = st.fixed_dictionaries({kind: st.integers(0, 1000) for kind in KINDS})


def with_ports(*ports: MemoryPort) -> Memory:
    return Memory("buffer", None, 1.0, 1.0, ports=ports)


def least_by_flow(ports: tuple[MemoryPort, ...], words: Moved) -> float:
    """Least cycles in which ports can move words of every kind, divided among them at will."""
    ways = [(kind, i) for i, port in enumerate(ports) for kind in port.serves]
    cost = np.array([0.0] * len(ways) + [1.0])
    busy = np.zeros((len(ports), len(ways) + 1))
    for column, (_, i) in enumerate(ways):
        busy[i, column] = 1.0
    busy[:, -1] = [-port.bandwidth for port in ports]
    whole = np.array([[kind == way for way, _ in ways] + [False] for kind in KINDS], dtype=float)
    found = linprog(
        cost,
        A_ub=busy,
        b_ub=np.zeros(len(ports)),
        A_eq=whole,
        b_eq=np.array([words[kind] for kind in KINDS], dtype=float),
    )
    assert found.success
    return float(found.fun)


@given(named_ports(), moved)
def test_rows_are_what_an_optimal_division_takes(
    ports: tuple[MemoryPort, ...], words: Moved
) -> None:
    expected = least_by_flow(ports, words)
    assert port_cycles(with_ports(*ports), EXACT, words) == pytest.approx(expected, rel=1e-7)
    assert float(least_cycles(with_ports(*ports), words)) == pytest.approx(expected, rel=1e-7)


@given(named_ports())
def test_every_row_can_be_the_only_one_that_limits(ports: tuple[MemoryPort, ...]) -> None:
    """Words as the bandwidths of a flow that fills its ports, and no more than fit elsewhere."""
    rows = ports_of(with_ports(*ports), EXACT)
    for row in rows:
        others = [other for other in rows if other is not row]
        assert least_slack(row, others) > 1e-9


def least_slack(row: Port, others: list[Port]) -> float:
    """By how much a row may exceed all others, at words that it moves in one cycle."""
    cost = np.array([0.0] * len(KINDS) + [1.0])  # Words by kind, and the longest of the others.
    ahead = [[*((k in o.kinds) / o.bandwidth for k in KINDS), -1.0] for o in others]
    own = [[*((k in row.kinds) / row.bandwidth for k in KINDS), 0.0]]
    found = linprog(
        cost,
        A_ub=np.array(ahead) if ahead else None,
        b_ub=np.zeros(len(others)) if ahead else None,
        A_eq=np.array(own),
        b_eq=np.ones(1),
    )
    assert found.success
    return 1.0 - float(found.fun)


def test_names() -> None:
    ports = (
        MemoryPort("read", ("reads", "drains"), 16.0),
        MemoryPort("fill", ("fills",), 4.0),
        MemoryPort("any", ("reads", "updates", "fills", "drains"), 8.0),
    )
    rows = ports_of(with_ports(*ports), EXACT)
    assert [(row.name, row.bandwidth, row.traffic) for row in rows] == [
        ("any port", 8, "updates"),
        ("read + any ports", 24, "reads, drains and updates"),
        ("fill + any ports", 12, "updates and fills"),
        ("read + fill + any ports", 28, "reads, drains, updates and fills"),
    ]
    shared = ports_of(with_ports(*ports), TIMELOOP)
    assert [(row.name, row.bandwidth) for row in shared] == [("port", 28)]


def test_a_port_for_each_direction_is_the_two_that_have_no_names() -> None:
    apart = (
        MemoryPort("read", ("drains", "reads"), 3.0),
        MemoryPort("write", ("fills", "updates"), 5.0),
    )
    usual = Memory("buffer", None, 1.0, 1.0, 3.0, 5.0)
    assert ports_of(with_ports(*apart), EXACT) == ports_of(usual, EXACT)


def test_a_run_waits_for_the_busiest_ports() -> None:
    """The buffer sends 4 In, 4 W and 4 Out that drain, receives 4 In, 1 W and 4 updates.

    Reads and updates fit nowhere but where two words pass per cycle: 12 of them take 6 cycles.
    """
    ports = (
        MemoryPort("inside", ("reads", "updates"), 2.0),
        MemoryPort("outside", ("fills", "drains"), 3.0),
    )
    buffer = replace(BUFFER, read_bandwidth=0.0, write_bandwidth=0.0, ports=ports)
    result = run(gemm(1, 1, 4), (DRAM, {"n": 4}), (buffer, {}))
    assert result.latency_cycles == 6
    table = result.port_table().set_index("port")
    assert table.loc["inside port", "busy_cycles_per_instance"] == 6
    assert table.loc["outside port", "busy_cycles_per_instance"] == 3
    assert result.bottleneck.startswith("buffer inside port: reads and updates need 3 words")
    assert result.to_dict()["ports"][2]["available_words_per_cycle_per_instance"] == 2
    levels = result.level_table()
    assert levels["read_port_busy_cycles_per_instance"].isna().tolist() == [False, True]


def test_what_passes_needs_a_port() -> None:
    ports = (MemoryPort("read", ("reads", "fills"), 2.0), MemoryPort("write", ("updates",), 2.0))
    buffer = replace(BUFFER, read_bandwidth=0.0, write_bandwidth=0.0, ports=ports)
    steps = ((DRAM, {"n": 4}), (buffer, {}))
    with pytest.raises(ArchitectureError, match=r"levels\[1\]\.ports: drains of Out pass buffer"):
        run(gemm(1, 1, 4), *steps)
    holds_none = replace(buffer, bypasses=("output",))
    assert run(gemm(1, 1, 4), (DRAM, {"n": 4}), (holds_none, {})).valid


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"read_bandwidth": 1.0}, "read_bandwidth has 1.0"),
        ({"shared_port": True}, "shared_port true; expected False"),
        ({"ports": (MemoryPort("p", KINDS, 0.0),)}, "ports.p.bandwidth 0.0; expected more than 0"),
    ],
)
def test_impossible_ports(changes: dict[str, object], key: str) -> None:
    base = with_ports(MemoryPort("p", KINDS, 1.0))
    _, arch, work = mapped(gemm(1, 1, 1), (DRAM, {}), (replace(base, **changes), {}))  # type: ignore[arg-type]
    with pytest.raises(ArchitectureError) as caught:
        make_plan(arch, work, EXACT)
    assert all(word in str(caught.value) for word in key.split(" has "))
