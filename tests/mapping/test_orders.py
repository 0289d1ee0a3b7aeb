import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Compute, Memory
from toolkit.errors import ArchitectureError, MappingError
from toolkit.mapping.orders import admissible_orders, order_classes, order_rule, random_orders
from toolkit.workload.kernel import Tensor, Term, Workload

from .spaces import arch, conv1d, conv2d, gemm, memory

DIMS = ("M", "K", "N", "B")
ORDERS = ["", "M", "MK", "NKM", "BNKM", "_M__", "K_B_", "__", "_N", "___M", "MKNB"]


def admits(constraint: str, order: tuple[str, ...]) -> bool:
    if "_" in constraint:
        return all(c in ("_", d) for c, d in zip(constraint, order, strict=False))
    return [d for d in order if d in constraint] == list(constraint)


def names(rows: np.ndarray) -> list[tuple[str, ...]]:
    return [tuple(DIMS[d] for d in row) for row in rows]


@pytest.mark.parametrize("constraint", ORDERS)
def test_admissible_orders_are_those_that_follow_the_constraint(constraint):
    level = memory("Buffer", order=constraint)
    expected = [p for p in itertools.permutations(DIMS) if admits(constraint, p)]
    listed = names(admissible_orders(level, DIMS))
    assert sorted(listed) == sorted(expected)
    assert order_rule(level, DIMS).admissible == len(expected)


@pytest.mark.parametrize("constraint", ORDERS)
def test_check_agrees_with_the_constraint(constraint):
    rule = order_rule(memory("Buffer", order=constraint), DIMS)
    every = np.array(list(itertools.permutations(range(4))))
    assert rule.check(every).tolist() == [admits(constraint, p) for p in names(every)]


def test_check_refuses_what_is_no_permutation():
    rule = order_rule(memory("Buffer"), DIMS)
    assert rule.check(np.array([[0, 1, 2, 2], [0, 1, 2, 4], [3, 2, 1, 0]])).tolist() == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("constraint", ORDERS)
def test_random_orders_reach_every_admissible_one_evenly(constraint):
    level = memory("Buffer", order=constraint)
    rule = order_rule(level, DIMS)
    drawn = random_orders(rule, 4800, np.random.default_rng(3))
    seen, counts = np.unique(drawn, axis=0, return_counts=True)
    assert seen.tolist() == admissible_orders(level, DIMS).tolist()
    expected = 4800 / rule.admissible
    assert abs(counts - expected).max() <= 6 * math.sqrt(expected)


def test_dimensions_that_the_workload_lacks_are_dropped():
    assert order_rule(memory("Buffer", order="SRKM"), ("M", "K")).sequence == (1, 0)
    assert order_rule(memory("Buffer", order="C_RM__"), ("M", "K", "N")).slots == (-1, 0, -1)
    assert order_rule(memory("Buffer", order="__M"), ("M", "K")).slots == (-1, 0)


@given(st.sampled_from(ORDERS), st.permutations(DIMS), st.integers(0, 4))
def test_completing_an_order_keeps_it_and_is_admissible_if_possible(constraint, order, length):
    rule = order_rule(memory("Buffer", order=constraint), DIMS)
    wanted = [DIMS.index(d) for d in order[:length]]
    completed = rule.complete(wanted)
    assert sorted(completed) == [0, 1, 2, 3]
    assert [d for d in completed if d in wanted] == wanted
    if "_" not in constraint:
        possible = any(
            admits(constraint, p) and [DIMS.index(d) for d in p if d in order[:length]] == wanted
            for p in itertools.permutations(DIMS)
        )
        assert admits(constraint, names(np.array([completed]))[0]) == possible


def test_an_empty_order_completes_to_an_admissible_one():
    for constraint in ORDERS:
        rule = order_rule(memory("Buffer", order=constraint), DIMS)
        assert rule.check(np.array([rule.complete([])])).all()


@pytest.mark.parametrize(
    ("workload", "multiple_reuses", "classes"),
    [
        (gemm(4, 4, 4), True, 6),
        (gemm(4, 4, 4), False, 3),
        (conv2d(), True, 57),
        (conv2d(), False, 11),
    ],
)
def test_factorflow_class_counts(workload, multiple_reuses, classes):
    machine = arch(memory("DRAM", multiple_reuses=multiple_reuses))
    assert len(order_classes(machine, 0, workload, rule="factorflow")) == classes


def test_gemm_needs_three_orders():
    assert order_classes(arch(memory("DRAM")), 0, gemm(4, 4, 4)).tolist() == [
        [0, 1, 2],
        [0, 2, 1],
        [1, 2, 0],
    ]


def view(order, machine, level, workload, active, rule):
    """What the model sees of one order, tensor by tensor, written from the definition."""
    buffer = machine.levels[level]
    loops = [workload.dimensions[d] for d in order if active[d]]
    seen = []
    for tensor in workload.tensors:
        inside: list[str] = []
        for d in reversed(loops):
            if d in tensor.dimensions:
                break
            inside.append(d)
        else:
            continue
        if rule == "factorflow":
            matters = buffer.multiple_reuses
        else:
            outer = [m for m in machine.levels[: level + 1] if isinstance(m, Memory)]
            supplier = ([m for m in outer if holds(m, tensor)] or outer[:1])[-1]
            reuse = buffer.multiple_reuses or supplier.multiple_reuses or not inside
            window = next(i for i in tensor.indices if d in [t.dimension for t in i])
            matters = reuse and len(window) > 1
        seen.append((tensor.name, frozenset(inside), d if matters else None))
    return tuple(seen)


@st.composite
def class_problems(draw):
    workload = draw(st.sampled_from([gemm(2, 2, 2), conv1d(2, 2, 2), conv2d()]))
    dims = workload.dimensions
    order = draw(st.permutations(dims))[: draw(st.integers(0, 3))]
    if draw(st.booleans()):
        order = ["_" if draw(st.booleans()) else d for d in order]
    buffer = memory(
        "Buffer",
        order="".join(order),
        multiple_reuses=draw(st.booleans()),
        bypasses=draw(st.sampled_from([(), ("input",), ("weight", "output")])),
    )
    machine = arch(memory("DRAM", multiple_reuses=draw(st.booleans())), buffer)
    active = draw(st.lists(st.booleans(), min_size=len(dims), max_size=len(dims)))
    return machine, workload, active, draw(st.sampled_from(["model", "factorflow"]))


@given(class_problems())
def test_classes_are_complete_and_without_repetition(problem):
    machine, workload, active, rule = problem
    listed = order_classes(machine, 1, workload, active=active, rule=rule)
    buffer = machine.levels[1]
    assert order_rule(buffer, workload.dimensions).check(listed).all()
    views = [view(o, machine, 1, workload, active, rule) for o in listed]
    every = admissible_orders(buffer, workload.dimensions)
    assert len(set(views)) == len(views)
    assert set(views) == {view(o, machine, 1, workload, active, rule) for o in every}


def test_classes_of_ten_dimensions_need_no_permutations():
    names_ = "ABCDEFGHIJ"
    workload = Workload(
        "ten",
        "odd",
        dict.fromkeys(names_, 4),
        (
            Tensor("In", "input", (*((Term(d),) for d in "ABC"), (Term("D", 2), Term("E")))),
            Tensor("W", "weight", tuple((Term(d),) for d in "EFG")),
            Tensor("Out", "output", tuple((Term(d),) for d in "AHIJ")),
        ),
    )
    machine = arch(memory("DRAM"))
    assert 100 < len(order_classes(machine, 0, workload)) < 10_000
    with pytest.raises(MappingError, match="DRAM admits 3628800 loop orders"):
        admissible_orders(machine.memories[0], workload.dimensions)


def test_classes_exist_for_memories_only():
    with pytest.raises(ArchitectureError, match="level 1 is not a memory"):
        order_classes(arch(memory("DRAM")), 1, gemm(2, 2, 2))


def test_classes_need_a_flag_per_dimension():
    with pytest.raises(MappingError, match="active: 2 flags for 3 dimensions"):
        order_classes(arch(memory("DRAM")), 0, gemm(2, 2, 2), active=[True, False])


def test_the_result_is_shared_and_read_only():
    rows = order_classes(arch(memory("DRAM")), 0, gemm(2, 2, 2))
    with pytest.raises(ValueError, match="read-only"):
        rows[0, 0] = 9


def test_equal_problems_have_equal_classes():
    machine = Architecture("one", (memory("DRAM"), Compute("MAC", 1.0)))
    renamed = replace(machine, name="two")
    first = order_classes(machine, 0, conv2d())
    assert order_classes(renamed, 0, conv2d()).tolist() == first.tolist()
