"""A mapping: tile factors for every level, loop orders and chosen bypasses for every memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.arguments import check_kind, plain_integer
from toolkit.display import object_html, shortened, table_html
from toolkit.errors import MappingError
from toolkit.workload.kernel import Workload

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LevelMapping:
    """What one level iterates.

    Parameters
    ----------
    level : str
        Name of the level.
    factors : tuple of (str, int)
        Iterations per dimension; dimensions left out iterate once.
    order : tuple of str
        For a memory, all dimensions, outermost loop first; empty for a spatial level.
    bypasses : tuple of str or None
        For a memory, all tensors, by name, that it does not hold in this mapping; what it may
        choose is up to the architecture (`toolkit.mapping.chosen_arch`). None: as that says.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> level = best.mapping.levels[0]
    >>> level.level, dict(level.factors).keys() == {"M", "K", "N"}
    ('DRAM', True)
    """

    level: str
    factors: tuple[tuple[str, int], ...]
    order: tuple[str, ...] = ()
    bypasses: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        plain = tuple((dimension, plain_integer(factor)) for dimension, factor in self.factors)
        object.__setattr__(self, "factors", plain)
        if self.bypasses is not None:
            object.__setattr__(self, "bypasses", tuple(self.bypasses))

    def factor(self, dimension: str) -> int:
        """Iterations of `dimension` here, 1 if none are given."""
        return dict(self.factors).get(dimension, 1)


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a workload runs on an architecture, level by level, outermost first.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> [level.level for level in best.mapping.levels][:2]
    ['DRAM', 'GlobalBuffer']
    """

    levels: tuple[LevelMapping, ...]

    def __repr__(self) -> str:
        loops = ", ".join(
            f"{entry.level} {_loops(entry)}" for entry in self.levels if _loops(entry)
        )
        return f"<Mapping {shortened(loops or 'of single iterations')}>"

    def _repr_html_(self) -> str:
        """For notebooks: a row per level, outermost first."""
        rows = [
            (entry.level, _loops(entry) or "-", ", ".join(entry.bypasses or ()))
            for entry in self.levels
        ]
        heads = ("level", "loops, outermost first", "bypasses")
        return object_html("Mapping", (), table_html(heads, rows, (True, True, True)))


def _loops(entry: LevelMapping) -> str:
    """Loops of more than one iteration, outermost first."""
    factors = dict(entry.factors)
    order = entry.order or tuple(factors)
    return " ".join(f"{d.lower()}:{factors[d]}" for d in order if factors.get(d, 1) > 1)


def check_levels(mapping: Mapping, arch: Architecture) -> None:
    """Refuse a mapping of another architecture.

    Raises
    ------
    MappingError
        If its levels are not those of `arch`, outermost first.
    """
    names = [level.name for level in arch.levels]
    given = [entry.level for entry in mapping.levels]
    if given != names:
        raise MappingError(
            f"levels {given} do not match those of {arch.name}: {names}", key="levels"
        )


def to_arrays(
    mapping: Mapping, arch: Architecture, workload: Workload
) -> tuple[IntArray, IntArray]:
    """Write the loops of a mapping as integer arrays.

    What it bypasses is told by `toolkit.mapping.chosen_holds`.

    Returns
    -------
    factors : int64 array, shape (levels, dimensions)
        Iterations per level and dimension, in the workload's order of dimensions.
    order : int64 array, shape (levels, dimensions)
        Per level a permutation of dimension numbers, outermost loop first (the identity on
        spatial levels, where order has no meaning).

    Raises
    ------
    MappingError
        If levels are missing, unknown or out of order, a dimension is unknown, a factor is not
        a positive integer, or an order is not a permutation of the dimensions.
    InputError
        If an argument is of another kind.
    """
    check_kind(mapping, Mapping, "mapping")
    check_kind(arch, Architecture, "arch")
    check_kind(workload, Workload, "workload")
    check_levels(mapping, arch)
    position = {d: i for i, d in enumerate(workload.dimensions)}
    factors = np.ones((len(arch.levels), len(position)), dtype=np.int64)
    order = np.tile(np.arange(len(position), dtype=np.int64), (len(arch.levels), 1))
    for i, (entry, level) in enumerate(zip(mapping.levels, arch.levels, strict=True)):
        for dimension, factor in entry.factors:
            if dimension not in position:
                raise MappingError(
                    f"unknown dimension {dimension!r}; {workload.name} has {', '.join(position)}",
                    key=f"{entry.level}.factors",
                )
            if isinstance(factor, bool) or not isinstance(factor, int) or factor < 1:
                raise MappingError(
                    f"factor {factor!r} is not a positive integer",
                    key=f"{entry.level}.factors.{dimension}",
                )
            if factor >= 2**63:
                raise MappingError(
                    f"factor {factor} exceeds 2^63 - 1", key=f"{entry.level}.factors.{dimension}"
                )
            factors[i, position[dimension]] = factor
        if isinstance(level, Memory) and entry.order:
            if sorted(entry.order) != sorted(position):
                raise MappingError(
                    f"order {list(entry.order)} is not a permutation of {list(position)}",
                    key=f"{entry.level}.order",
                )
            order[i] = [position[d] for d in entry.order]
    return factors, order


def from_arrays(
    factors: IntArray, order: IntArray, arch: Architecture, workload: Workload
) -> Mapping:
    """Read a mapping back from the arrays that `to_arrays` describes.

    It bypasses what the architecture does; see `toolkit.mapping.with_holds`.
    """
    dimensions = workload.dimensions
    return Mapping(
        tuple(
            LevelMapping(
                level.name,
                tuple((d, int(factors[i, j])) for j, d in enumerate(dimensions)),
                _names(order[i], dimensions) if isinstance(level, Memory) else (),
            )
            for i, level in enumerate(arch.levels)
        )
    )


def _names(row: Iterable[int], dimensions: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dimensions[int(j)] for j in row)
