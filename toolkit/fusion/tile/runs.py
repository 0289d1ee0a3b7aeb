"""Who runs in which loops of a nest, and in what order.

An operator runs in the loops that cut it; it runs again in a loop that does not cut it only if its
results are not kept there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from toolkit.fusion.folded import FoldedLayer
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.shared import SharedRank


class Runs:
    """Runs of the layers of a group in a nest.

    Parameters
    ----------
    view : GroupView
        The group.
    loops : sequence of SharedRank
        Of the nest, outermost first.
    again : bool
        Whether operators without multiply-accumulates run again in loops that do not cut them.
    """

    def __init__(self, view: GroupView, loops: Sequence[SharedRank], *, again: bool) -> None:
        self.view, self.loops, self.again = view, loops, again

    @cached_property
    def _loops_of(self) -> dict[str, frozenset[int]]:
        """Loops that each layer runs in."""
        found: dict[str, frozenset[int]] = {}
        for layer in reversed(self.view.layers):
            own = frozenset(i for i, loop in enumerate(self.loops) if layer.name in loop.members)
            if self.again and not layer.macs and own:
                readers = self.view.readers.get(layer.output.name, ())
                further = {i for reader in readers for i in found[reader.name]}
                own |= {i for i in further if i < max(own)}
            found[layer.name] = own
        return found

    @cached_property
    def layers(self) -> tuple[FoldedLayer, ...]:
        """Layers of the group, as they first run: those of a loop one after the other."""
        return tuple(self.view.graph.layer_of(name) for name, _ in self._tree)

    @cached_property
    def _tree(self) -> list[tuple[str, tuple[int, ...]]]:
        """Layers in order, and for every loop which run of it each is in; -1 for none."""
        return self._branches([layer.name for layer in self.view.layers], ())

    def _branches(
        self, names: list[str], runs: tuple[int, ...]
    ) -> list[tuple[str, tuple[int, ...]]]:
        """Layers outside of a loop run before it if it needs them or they stand before it."""
        loop = len(runs)
        if loop == len(self.loops):
            return [(name, runs) for name in names]
        own = [name for name in names if loop in self._loops_of[name]]
        needed = frozenset[str]().union(*(self.view.before[name] for name in own))
        first = names.index(own[0]) if own else len(names)
        after = [
            name
            for i, name in enumerate(names)
            if i > first and name not in own and name not in needed
        ]
        before = [name for name in names if name not in own and name not in after]
        # The place of its first layer tells one run of a loop from others.
        run = self.view.layers.index(self.view.graph.layer_of(own[0])) if own else -1
        return [
            branch
            for part, number in ((before, -1), (own, run), (after, -1))
            for branch in (self._branches(part, (*runs, number)) if part else ())
        ]

    @cached_property
    def places(self) -> dict[str, int]:
        """Place of each layer in that order."""
        return {layer.name: i for i, layer in enumerate(self.layers)}

    @cached_property
    def inside(self) -> tuple[frozenset[int], ...]:
        """Loops that each layer runs in."""
        return tuple(self._loops_of[layer.name] for layer in self.layers)

    def together(self, users: Sequence[int]) -> int:
        """Loops, from the outermost on, that layers run in side by side."""
        for i in range(len(self.loops)):
            if len({self._tree[user][1][i] for user in users}) > 1:
                return i
        return len(self.loops)

    def beside(self, place: int, loop: int) -> NDArray[np.bool_]:
        """Layers in the same run of a loop as another one, step by step."""
        run = self._tree[place][1][: loop + 1]
        return np.array([runs[: loop + 1] == run for _, runs in self._tree])
