from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.arch.expressions import parse_expression

NAMES = {"a": 7, "b": 12, "half": 0.5}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        (" a ", 7),
        ("2 * a", 14),
        ("-a + +b", 5),
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("2 ** 3 ** 2", 512),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("b / 4", 3),
        ("a / 2", 3.5),
        ("b / a * a", 12),
        ("1 / 3", 1 / 3),
        ("half * b", 6),
        ("a // 2", 3),
        ("-a // 2", -4),
        ("a % 4", 3),
        ("min(a, b, 3)", 3),
        ("max(a, half)", 7),
        ("ceil(a / 2)", 4),
        ("floor(-a / 2)", -4),
        ("ceil((2 ** 60 + 1) / 2)", 2**59 + 1),
        ("sqrt(16)", 4),
        ("sqrt(2)", 2**0.5),
        ("log2(1024)", 10),
        ("2 ** log2(b / 3)", 4),
        ("1e3", 1000),
        (".5", 0.5),
        ("10 ** 30", 10**30),
        ("(-1) ** (10 ** 9)", 1),
        ("(\n  a\n) + 1", 8),
        ("+".join(["a"] * 99), 693),
    ],
)
def test_values(text: str, value: float) -> None:
    found = parse_expression(text).value(NAMES)
    assert (found, type(found)) == (value, type(value))


def test_names_are_listed_once() -> None:
    assert parse_expression("b * max(a, b) - half").names == ("b", "a", "half")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an arithmetic expression; expected numbers, names"),
        ("a +", "not an arithmetic expression"),
        ("a b", "not an arithmetic expression"),
        ("(a", "not an arithmetic expression"),
        ("a, b", "not an arithmetic expression"),
        ("a if b else 1", "not an arithmetic expression"),
        ("not a", "not an arithmetic expression"),
        ("True", "not an arithmetic expression"),
        ("min(a, *b)", "not an arithmetic expression"),
        ("(min)(*a)", "min takes two or more numbers, got 1"),
        ("min(a)", "min takes two or more numbers, got 1"),
        ("sqrt(a, b)", "sqrt takes one number, got 2"),
        ("sqr(a)", r"unknown function 'sqr' \(did you mean 'sqrt'\?\)"),
        ("eval(a)", "unknown function 'eval'"),
        ("a ^ 2", r"unexpected '\^ 2'"),
        ("a.real", r"unexpected '\.real'"),
        ("a[0]", r"unexpected '\[0\]'"),
        ("'a'", "unexpected \"'a'\""),
        ("a == b", "unexpected '== b'"),
        ("2a", "unexpected '2a'"),
        ("0x10", "unexpected '0x10'"),
        ("1_000", "unexpected '1_000'"),
        ("١", "unexpected '١'"),
        ("a\0", "unexpected"),
        ("1e400", "not within -1e30 to 1e30"),
        ("9" * 400, "not within -1e30 to 1e30"),
        ("-" * 300 + "a", "nested more than 100 deep"),
        ("(" * 240 + "a" + ")" * 240, "not an arithmetic expression"),
        ("a" + " + a" * 200, "longer than 500 characters"),
    ],
)
def test_what_is_not_arithmetic(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_expression(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a / (b - 12)", "division by zero"),
        ("a // 0", "division by zero"),
        ("a % 0.0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("sqrt(-a)", "the square root of a negative number"),
        ("log2(a - 7)", "the logarithm of a number that is not positive"),
        ("(-a) ** half", "not a real number"),
        ("1e30 * 10", "not within -1e30 to 1e30"),
        ("a ** a ** a ** a", "not within -1e30 to 1e30"),
        ("10 ** 10 ** 10 ** 10", "not within -1e30 to 1e30"),
        ("1.5 ** 10 ** 9", "not within -1e30 to 1e30"),
        ("a / 1e-300 / 1e-300", "not within -1e30 to 1e30"),
    ],
)
def test_what_has_no_value(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_expression(text).value(NAMES)


def test_huge_powers_cost_nothing() -> None:
    # Digit by digit, these would take years.
    for text in ("(1 / 3) ** 10 ** 29", "(1 / 3) ** 1e15 ** 1.9", "2 ** -10 ** 29"):
        assert parse_expression(text).value({}) == 0


EXACT = st.recursive(
    st.integers(0, 99).map(lambda n: (str(n), Fraction(n))),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
        lambda parts: (
            f"({parts[0][0]} {parts[1]} {parts[2][0]})",
            {"+": Fraction.__add__, "-": Fraction.__sub__, "*": Fraction.__mul__}[parts[1]](
                parts[0][1], parts[2][1]
            ),
        )
    ),
    max_leaves=8,
)


@given(EXACT, EXACT)
def test_arithmetic_is_exact(top: tuple[str, Fraction], bottom: tuple[str, Fraction]) -> None:
    text = f"{top[0]} / {bottom[0]}"
    if bottom[1] == 0:
        with pytest.raises(ValueError, match="division by zero"):
            parse_expression(text).value({})
        return
    value = parse_expression(text).value({})
    exact = top[1] / bottom[1]
    assert value == (exact.numerator if exact.denominator == 1 else float(exact))
    assert isinstance(value, int) or exact.denominator != 1
