"""Bypasses against the tensors of a workload."""

from __future__ import annotations

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.errors import ArchitectureError
from toolkit.records import suggest
from toolkit.workload.kernel import Workload

_ROLES = ("input", "weight", "output")


def check_bypasses(arch: Architecture, workload: Workload) -> None:
    """Refuse bypasses that mean nothing for a workload.

    A role that the workload lacks is no mistake: an element-wise operation has no weight.

    Raises
    ------
    ArchitectureError
        Naming the level, the tensor and the names that would have been understood.
    """
    known = (*_ROLES, *(tensor.name for tensor in workload.tensors))
    for i, level in enumerate(arch.levels):
        for name in level.bypasses if isinstance(level, Memory) else ():
            if name not in known:
                raise ArchitectureError(
                    f"{level.name} bypasses {name!r}{suggest(name, known)}, which is neither a "
                    f"role nor a tensor of {workload.name}; known: "
                    f"{', '.join(dict.fromkeys(known))}",
                    source=arch.name,
                    key=f"levels[{i}].bypasses",
                )
