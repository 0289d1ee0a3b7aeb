"""Whether the sizes that workloads are rounded up to depend on how large the hardware is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.codesign.exact.boxes import Box
from toolkit.errors import DoesNotFitError
from toolkit.workload.kernel import Workload

if TYPE_CHECKING:
    from toolkit.arch.architecture import Architecture
    from toolkit.codesign.exact.search import HardwareProver

REASON = "constraints or sizes of workloads are fitted to it"


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
