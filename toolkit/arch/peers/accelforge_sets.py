"""AccelForge's set expressions over tensors, such as ``input | output`` or ``~MainMemory``."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from toolkit.messages import describe
from toolkit.peer_files import Node
from toolkit.workload.kernel import ROLES

_ALL: frozenset[str] = frozenset(ROLES)
# In one layer nothing is handed on from another.
_NAMES: dict[str, frozenset[str]] = {
    "All": _ALL,
    "Nothing": frozenset(),
    "Intermediates": frozenset(),
    "Inputs": frozenset(("input", "weight")),
    "Outputs": frozenset(("output",)),
    "input": frozenset(("input",)),
    "weight": frozenset(("weight",)),
    "output": frozenset(("output",)),
}
_MAX_LENGTH = 500


def tensors_in(node: Node, kept: Mapping[str, frozenset[str] | None]) -> frozenset[str]:
    """Compute a set expression for one layer.

    Parameters
    ----------
    node : Node
        The expression.
    kept : mapping
        By memory further out, the roles that it holds; None where a mapping decides.

    Raises
    ------
    InputError
        If it is no such expression, or depends on the mapping.
    """
    text = node.text()
    try:
        if len(text) > _MAX_LENGTH:
            raise ValueError
        return _value(ast.parse(text.strip(), mode="eval").body, node, kept)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise node.refuse(
            f"expected tensors such as input | output, ~weight or All, got {describe(text)}"
        ) from None


def _value(
    tree: ast.expr, node: Node, kept: Mapping[str, frozenset[str] | None]
) -> frozenset[str]:
    match tree:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id=name), attr="tensors"):
            if name in kept:
                held = kept[name]
                if held is None:
                    raise node.refuse(f"what {name} holds depends on the mapping")
                return held
            if name in _NAMES:
                return _NAMES[name]
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return _ALL - _value(operand, node, kept)
        case ast.BinOp(left=left, op=op, right=right):
            first, second = _value(left, node, kept), _value(right, node, kept)
            if isinstance(op, ast.BitOr):
                return first | second
            if isinstance(op, ast.BitAnd):
                return first & second
            if isinstance(op, ast.Sub):
                return first - second
    raise ValueError
