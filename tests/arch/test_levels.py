from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.arch import FactorConstraint, check_constraints, check_loop_order, parse_constraint
from toolkit.errors import ArchitectureError

CONSTRAINTS = st.builds(
    FactorConstraint,
    st.sampled_from("MKN"),
    st.sampled_from(["==", "<=", ">="]),
    st.integers(1, 6),
)


@given(CONSTRAINTS)
def test_text_round_trip(constraint: FactorConstraint) -> None:
    assert parse_constraint(str(constraint)) == constraint


@given(st.lists(CONSTRAINTS, max_size=4))
def test_what_is_accepted_can_hold_and_the_rest_cannot_or_repeats(
    constraints: list[FactorConstraint],
) -> None:
    heads = [(c.dimension, c.relation) for c in constraints]
    possible = len(set(heads)) == len(heads) and all(
        any(all(c.allows(f) for c in constraints if c.dimension == d) for f in range(1, 7))
        for d in "MKN"
    )
    try:
        check_constraints(constraints)
        accepted = True
    except ArchitectureError:
        accepted = False
    assert accepted == possible


@pytest.mark.parametrize(
    "text",
    ["", "M", "M 4", "M = 4", "M != 4", "M == 0", "M == -1", "M == 1.5", "M == K", "4 == M",
     "M < 4", "_ == 4", "M == 4 5", "M == 2147483649", "M == ٤", "é == 4", "M == " + "9" * 5000],
)  # fmt: skip
def test_bad_text(text: str) -> None:
    with pytest.raises(ArchitectureError, match="such as M == 16, got") as caught:
        parse_constraint(text)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["M == 4", "M == 4"], "M == 4 and M == 4: expected == once"),
        (["M >= 5", "M <= 4"], "M >= 5 and M <= 4 contradict"),
        (["M == 4", "M <= 3"], "M == 4 and M <= 3 contradict"),
        (["Z >= 2"], r"Z >= 2 cannot hold: Z is not among the dimensions here \(M, K\)"),
    ],
)
def test_contradictions_are_named(texts: list[str], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        check_constraints([parse_constraint(text) for text in texts], ["M", "K"])


def test_a_dimension_that_iterates_once_may_be_told_so() -> None:
    check_constraints([parse_constraint("Z == 1"), parse_constraint("Z <= 4")], [])


def test_loop_orders() -> None:
    check_loop_order([])
    check_loop_order(["C", "_", "_", "M"])
    with pytest.raises(ArchitectureError, match="names C twice"):
        check_loop_order(["C", "_", "C"])
    with pytest.raises(ArchitectureError, match="only placeholders"):
        check_loop_order(["_", "_"])
