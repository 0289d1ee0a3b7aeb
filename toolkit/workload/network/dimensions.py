"""Sizes of dynamic dimensions, from the user's options."""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping
from typing import Any

from toolkit.arguments import plain_integer
from toolkit.errors import WorkloadError

MAX_SIZE = 1 << 40
"""Largest size of one dimension."""

_OPERATIONS: dict[type[ast.AST], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


class Dimensions:
    """The option ``dims``: sizes by a dimension's name or by ``tensor:axis``.

    Parameters
    ----------
    sizes : mapping of str to int
        Such as ``{"batch": 1, "images:0": 8}``; 0 for what is empty, such as a first cache.
    source : str
        The model, for messages.

    Raises
    ------
    WorkloadError
        If a size is not an integer, or negative.
    """

    def __init__(self, sizes: Mapping[str, int], source: str) -> None:
        self._sizes = {name: plain_integer(size) for name, size in sizes.items()}
        for name, size in self._sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_SIZE:
                raise WorkloadError(
                    f"expected an integer from 0 to {MAX_SIZE}, got {size!r}",
                    source=source,
                    key=f"dims[{name!r}]",
                )
        self._used: set[str] = set()
        self._known: set[str] = set()
        self._source = source

    def at(self, tensor: str, axis: int) -> int | None:
        """The size given for one axis of one tensor."""
        return self._take(f"{tensor}:{axis}")

    def iterations(self, loop: str) -> int | None:
        """How often a Loop that depends on data runs, given as ``loop:iterations``."""
        count = self._take(f"{loop}:iterations")
        if count == 0:
            raise WorkloadError(
                "expected at least 1 iteration, got 0",
                source=self._source,
                key=f"dims[{f'{loop}:iterations'!r}]",
            )
        return count

    def named(self, text: str) -> int | None:
        """The size of a named dimension, or of a sum or product such as ``past + 1``."""
        self._known.add(text)
        size = self._take(text)
        if size is not None:
            return size
        try:
            tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        size = self._evaluate(tree, depth=0)
        return size if size is not None and size >= 0 else None

    def check_all_used(self) -> None:
        """Refuse sizes of dimensions that the model does not have.

        Raises
        ------
        WorkloadError
            Naming the first such dimension, and those that the model has.
        """
        for name in self._sizes:
            if name not in self._used:
                known = ", ".join(sorted(filter(None, self._known))) or "none by name"
                raise WorkloadError(
                    f"the model has no such dynamic dimension; it has: {known}",
                    source=self._source,
                    key=f"dims[{name!r}]",
                )

    def _take(self, name: str) -> int | None:
        if name in self._sizes:
            self._used.add(name)
        return self._sizes.get(name)

    def _evaluate(self, tree: ast.AST, depth: int) -> int | None:
        if isinstance(tree, ast.Name):
            self._known.add(tree.id)
            return self._take(tree.id)
        if isinstance(tree, ast.Constant) and type(tree.value) is int:
            return tree.value
        if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATIONS and depth < 20:
            left = self._evaluate(tree.left, depth + 1)
            right = self._evaluate(tree.right, depth + 1)
            if left is None or right is None or (isinstance(tree.op, ast.FloorDiv) and not right):
                return None
            return int(_OPERATIONS[type(tree.op)](left, right))
        return None
