"""Which instances hardware of a box can have within its budget for the area."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.levels import Compute, Fanout
from toolkit.codesign.exact.boxes import Box
from toolkit.codesign.exact.corners import ROUNDED, Corners
from toolkit.codesign.exact.part_figures import MESH
from toolkit.mapping.mapping import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Room:
    """The meshes of a box.

    Instances that a mapping uses ask for meshes, and so for values of parameters, which may come
    with more instances than are used; all of them take the area that they have at least.

    Parameters
    ----------
    corners : Corners
        Of the space.
    box : Box
        Its part.
    budget_um2 : float or None
        The most area.
    """

    corners: Corners
    box: Box
    budget_um2: float | None

    def holds(self, used: IntArray) -> BoolArray:
        """Tell which instances some hardware of the box has room for.

        Parameters
        ----------
        used : int64 array, shape (n, spatial levels)
            Instances of every spatial level within one of the level outside.
        """
        lean = self.corners.lean(self.box)
        levels = list(zip(lean.levels, self.corners.tables, strict=False))
        spatial = [(x, table) for x, table in levels if isinstance(x, Fanout | Compute)]
        fits = np.ones(len(used), dtype=np.bool_)
        places: dict[int, IntArray] = {}
        for (_, table), own in zip(spatial, used.T, strict=True):
            meshes = table.figures[MESH][table.entries(self.box)]
            fits &= own <= meshes.max()
            if self._rises(table.axes, meshes):
                asked = np.searchsorted(meshes, own)
                before = places.get(table.axes[0], np.zeros_like(asked))
                places[table.axes[0]] = np.maximum(before, asked)
        for axis, place in places.items():
            first, last = self.box.sides[axis]
            fits &= place <= last - first
            np.minimum(place, last - first, out=place)
        if self.budget_um2 is None:
            return fits
        least, _ = self.corners.area_and_power(self.box)
        most, fewest, area = np.ones(len(used)), 1.0, np.zeros(len(used))
        for level, table in levels:
            area += (most - fewest) * (level.area_um2 or 0.0)
            if isinstance(level, Fanout):
                meshes = table.figures[MESH][table.entries(self.box)]
                rises = self._rises(table.axes, meshes)
                most = most * (meshes[places[table.axes[0]]] if rises else level.mesh)
                fewest *= level.mesh
        return np.asarray(fits & (least + area * ROUNDED <= self.budget_um2))

    @staticmethod
    def _rises(axes: tuple[int, ...], meshes: NDArray[np.float64]) -> bool:
        """Whether a mesh follows one parameter, and is larger where that is."""
        return len(axes) == 1 and bool((np.diff(meshes) >= 0).all())
