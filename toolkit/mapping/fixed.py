"""Part of a mapping as constraints of the architecture, so that a search is left with the rest."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from toolkit.arch.architecture import Architecture
from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.levels import Memory, Spatial
from toolkit.errors import MappingError
from toolkit.mapping.fitting import fit
from toolkit.mapping.mapping import Mapping, to_arrays
from toolkit.workload.kernel import Workload


def fix_spatial(arch: Architecture, workload: Workload, mapping: Mapping) -> Architecture:
    """Constrain every spatial level to what it unrolls in a mapping.

    What memories do in it, tiles, loop orders and bypasses, does not matter and stays free.

    Parameters
    ----------
    arch, workload : Architecture, Workload
        What `mapping` maps.
    mapping : Mapping
        The mapping; only its spatial levels have to be valid.

    Returns
    -------
    Architecture
        The same levels; spatial ones with an ``==`` for every dimension that they may unroll.

    Raises
    ------
    MappingError
        If a spatial level unrolls more than it has instances, what it may not, or breaks its
        constraints.
    DoesNotFitError
        If the architecture's constraints exclude every mapping.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> from toolkit.mapping.peers import mapping_from_text
    >>> from toolkit.workload import gemm
    >>> arch, workload = load_arch("gemmini"), gemm(16, 32, 8)
    >>> text = "L3[WIO] N8 K2 - L2[WI] M16X - L1[O] K16X - L0[W]"
    >>> fixed = fix_spatial(arch, workload, mapping_from_text(text, arch, workload))
    >>> [str(c) for level in fixed.fanouts for c in level.constraints]
    ['M == 16', 'K == 16']
    """
    factors, _ = to_arrays(mapping, arch, workload)
    # Constraints that exceed the workload ask for no more than it has.
    fitted = fit(arch, workload, factors="ragged").arch
    levels = tuple(
        own
        if isinstance(own, Memory) or isinstance(level, Memory)
        else _fixed(level, dict(zip(workload.dimensions, row, strict=True)), arch)
        for own, level, row in zip(arch.levels, fitted.levels, factors.tolist(), strict=True)
    )
    return replace(arch, levels=levels)


def _fixed(level: Spatial, factors: dict[str, int], arch: Architecture) -> Spatial:
    for dimension, factor in factors.items():
        if factor > 1 and dimension not in level.dimensions:
            raise MappingError(
                f"unrolls {dimension} {factor} times, but may unroll "
                f"{', '.join(level.dimensions) or 'nothing'}",
                source=arch.name,
                key=level.name,
            )
    for constraint in level.constraints:
        if not constraint.allows(factors.get(constraint.dimension, 1)):
            raise MappingError(
                f"unrolls {constraint.dimension} {factors.get(constraint.dimension, 1)} times, "
                f"but is constrained to {constraint}",
                source=arch.name,
                key=level.name,
            )
    if prod(factors.values()) > level.mesh:
        raise MappingError(
            f"unrolls {prod(factors.values())} times over {level.mesh} instances",
            source=arch.name,
            key=level.name,
        )
    constraints = (
        FactorConstraint(dimension, "==", factor)
        for dimension, factor in factors.items()
        if dimension in level.dimensions
    )
    return replace(level, constraints=tuple(constraints))
