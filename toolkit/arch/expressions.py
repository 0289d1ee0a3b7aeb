"""Arithmetic that a file may hold: numbers, names, operators and a few functions."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from toolkit.messages import describe, suggest

Number = int | float

MAX_NUMBER = 10**30
"""Largest magnitude of a number, intermediate ones included."""

_Value = int | float | Fraction

# Ten times what people write; deeper nesting would near the recursion limit.
_MAX_LENGTH = 500
_MAX_DEPTH = 100
# Twice the bits of `MAX_NUMBER`: what is larger is refused anyway, and no power takes long.
_MAX_EXACT_BITS = 200
# Up to here every integral float is one integer only.
_MAX_EXACT_FLOAT = 2**53
_TOKEN = re.compile(
    r"\s+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![\w.])|[A-Za-z_]\w*|[-+*/%(),]",
    re.ASCII,
)


def simplest(value: Number) -> Number:
    """Turn a float that is an integer into one.

    Raises
    ------
    ValueError
        If it is not finite or beyond `MAX_NUMBER`.

    Examples
    --------
    >>> simplest(16.0), simplest(0.5)
    (16, 0.5)
    """
    return _rounded(_checked(value))


def _rounded(value: _Value) -> Number:
    return float(value) if isinstance(value, Fraction) else value


def _checked(value: _Value | complex) -> _Value:
    if isinstance(value, complex):
        raise ValueError("not a real number")
    # Not the other way around: nothing compares with nan.
    if not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise ValueError("not within -1e30 to 1e30")
    if isinstance(value, float):
        integral = value.is_integer() and abs(value) <= _MAX_EXACT_FLOAT
        return int(value) if integral else value
    if isinstance(value, Fraction) and value.denominator > MAX_NUMBER:
        return float(value)
    return value.numerator if value.denominator == 1 else value


def _divide(left: _Value, right: _Value) -> _Value:
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    return Fraction(left) / Fraction(right)


def _power(base: _Value, exponent: _Value) -> _Value | complex:
    if isinstance(base, float) or not isinstance(exponent, int):
        power: float | complex = float(base) ** float(exponent)
        return power
    if exponent < 0:
        return _power(_divide(1, base), -exponent)
    # Exact as long as that costs next to nothing.
    bits = max(abs(base.numerator), base.denominator).bit_length() * exponent
    return base**exponent if bits <= _MAX_EXACT_BITS else float(base) ** exponent


def _square_root(value: _Value) -> float:
    if value < 0:
        raise ValueError("the square root of a negative number")
    return math.sqrt(value)


def _binary_logarithm(value: _Value) -> float:
    if value <= 0:
        raise ValueError("the logarithm of a number that is not positive")
    return math.log2(value)


_OPERATORS: dict[type[ast.AST], Callable[..., _Value | complex]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable[..., _Value]] = {
    "min": min,
    "max": max,
    "ceil": math.ceil,
    "floor": math.floor,
    "sqrt": _square_root,
    "log2": _binary_logarithm,
}
_OF_SEVERAL = ("min", "max")

FUNCTIONS = tuple(_FUNCTIONS)
"""Names that an expression may call."""

_EXPECTED = "expected numbers, names, + - * / // ** %, parentheses, " + ", ".join(FUNCTIONS)


@dataclass(frozen=True, slots=True)
class Expression:
    """An arithmetic expression.

    Parameters
    ----------
    text : str
        As it was written.
    names : tuple of str
        What it takes, each once.
    tree : ast.expr
        Its syntax, of the kinds that `parse_expression` lets through.
    """

    text: str
    names: tuple[str, ...]
    tree: ast.expr = field(repr=False, compare=False)

    def value(self, names: Mapping[str, Number]) -> Number:
        """Compute the expression; integers stay integers wherever the result is one.

        Raises
        ------
        ValueError
            Saying why there is no result: a division by zero, a root or logarithm outside of
            its domain, a number beyond `MAX_NUMBER`.
        """
        try:
            value = _evaluate(self.tree, names)
        except ZeroDivisionError:
            raise ValueError("division by zero") from None
        except OverflowError:
            raise ValueError("not within -1e30 to 1e30") from None
        return _rounded(value)


def parse_expression(text: str) -> Expression:
    """Read an expression.

    Raises
    ------
    ValueError
        Naming what is not arithmetic.

    Examples
    --------
    >>> parse_expression("ceil(words / 1024) + 2 ** k").value({"words": 1500, "k": 3})
    10
    """
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"longer than {_MAX_LENGTH} characters")
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError(f"unexpected {describe(text[position : position + 20])}; {_EXPECTED}")
        position = token.end()
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f"not an arithmetic expression; {_EXPECTED}") from None
    names: dict[str, None] = {}
    _check(tree, names, 0)
    return Expression(text, tuple(names), tree)


def _check(node: ast.expr, names: dict[str, None], depth: int) -> None:
    """Refuse everything that `_evaluate` does not know, and collect names."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested more than {_MAX_DEPTH} deep")
    operands: list[ast.expr] = []
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            _checked(value)
        case ast.Name(id=name):
            names[name] = None
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            operands = [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            operands = [left, right]
        case ast.Call(func=ast.Name(id=name), args=operands, keywords=[]):
            _check_call(name, len(operands))
        case _:
            raise ValueError(f"not an arithmetic expression; {_EXPECTED}")
    for operand in operands:
        _check(operand, names, depth + 1)


def _check_call(name: str, count: int) -> None:
    if name not in _FUNCTIONS:
        raise ValueError(
            f"unknown function {describe(name)}{suggest(name, FUNCTIONS)}; "
            f"expected one of {', '.join(FUNCTIONS)}"
        )
    if count < 2 if name in _OF_SEVERAL else count != 1:
        expected = "two or more numbers" if name in _OF_SEVERAL else "one number"
        raise ValueError(f"{name} takes {expected}, got {count}")


def _evaluate(node: ast.expr, names: Mapping[str, Number]) -> _Value:
    match node:
        case ast.Name(id=name):
            return _checked(names[name])
        case ast.UnaryOp(op=op, operand=operand):
            return _checked(_OPERATORS[type(op)](_evaluate(operand, names)))
        case ast.BinOp(left=left, op=op, right=right):
            operands = _evaluate(left, names), _evaluate(right, names)
            return _checked(_OPERATORS[type(op)](*operands))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _checked(_FUNCTIONS[name](*(_evaluate(arg, names) for arg in args)))
        case ast.Constant(value=int() | float() as value):
            return _checked(value)
    raise ValueError(f"not an arithmetic expression; {_EXPECTED}")  # pragma: no cover
