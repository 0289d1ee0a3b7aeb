"""Boxes to begin with: parts in which all that is no figure is the same.

Also whether the sizes that workloads are rounded up to depend on how large the hardware is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from toolkit.codesign.exact.boxes import Box, whole
from toolkit.errors import DoesNotFitError, InputError
from toolkit.workload.kernel import Workload

if TYPE_CHECKING:
    from toolkit.arch.architecture import Architecture
    from toolkit.codesign.exact.search import HardwareProver

REASON = "constraints or sizes of workloads are fitted to it"


MOST_KINDS = 4_096
"""Most boxes to begin with, where parameters are given their values one by one."""


def each_first_box(prover: HardwareProver) -> Iterator[Box]:
    """The space, or its parts where some parameters are given their values one by one.

    Why they are is added to the notes of the prover.

    Raises
    ------
    InputError
        If these are too many.
    """
    names = prover.corners.names
    one_by_one = [names.index(name) for name in prover.corners.one_by_one]
    for part in _apart(prover, whole(prover.question.space.ranges), one_by_one):
        fitted = padding_follows_sizes(prover, part)
        prover.notes |= {names[axis]: reason for axis, reason in fitted.items()}
        prover.proofs.fits_vary |= bool(fitted)
        yield from _apart(prover, part, list(fitted))


def _apart(prover: HardwareProver, box: Box, axes: Sequence[int]) -> Iterator[Box]:
    """Parts of a box with one value each of some parameters."""
    sides = [range(box.sides[axis][0], box.sides[axis][1] + 1) for axis in axes]
    count = math.prod(len(side) for side in sides)
    if count > MOST_KINDS:
        names = prover.corners.names
        reasons = "; ".join(f"{name}: {reason}" for name, reason in prover.notes.items())
        raise InputError(
            f"{', '.join(names[axis] for axis in axes)} have {count:,} values together that "
            f"have to be looked at one by one, expected at most {MOST_KINDS:,}: {reasons}",
            source=prover.question.space.template.source,
            key="ranges",
        )
    for chosen in itertools.product(*sides):
        part = box
        for axis, place in zip(axes, chosen, strict=True):
            part = part.with_side(axis, place, place)
        yield part


def padding_follows_sizes(prover: HardwareProver, box: Box) -> dict[int, str]:
    """Parameters that have to be taken one by one because layers are fitted to them.

    Where constraints leave no mapping, sizes are rounded up and constraints shrink
    (`toolkit.mapping.fitting`). As long as the largest and the smallest meshes and ``<=`` of a
    box have the same fit, so has all between them, and mappings are those of one workload.

    Returns
    -------
    dict of int to str
        Places of the parameters, and why; empty if all hardware of the box has one fit.
    """
    corners = prover.corners
    wide, narrow = corners.corner(box).arch, corners.narrow(box)
    mix = prover._mix(wide)
    if mix is None or all(_fit(prover, wide, w) == _fit(prover, narrow, w) for w in mix.workloads):
        return {}
    return {axis: REASON for axis in corners.sizing if box.sides[axis][0] < box.sides[axis][1]}


def _fit(prover: HardwareProver, arch: Architecture, workload: Workload) -> object:
    try:
        problem = prover.proofs.stated(arch, workload)
    except DoesNotFitError:
        return None
    fitted = [
        [c for c in level.constraints if c.relation != "<="] for level in problem.arch.levels
    ]
    return problem.workload, fitted
