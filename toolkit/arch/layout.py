"""How the outermost memory lays tensors out, and what it fetches at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.arch.packing import sum_bits, words_per_value
from toolkit.errors import ArchitectureError, DoesNotFitError
from toolkit.messages import suggest
from toolkit.workload.kernel import Tensor, Workload


@dataclass(frozen=True, slots=True)
class Bursts:
    """Bursts of one tensor, in a unit that divides a word and a value.

    Parameters
    ----------
    burst_units : int
        Of a whole burst.
    value_units : int
        Of a value, of a partial sum as long as it may be incomplete.
    complete_units : int
        Of an output that is complete; of other tensors as `value_units`.
    """

    burst_units: int
    value_units: int
    complete_units: int


def bursts_of(arch: Architecture, tensor: Tensor) -> Bursts:
    """Say how bursts of the outermost memory and values of a tensor compare.

    Examples
    --------
    >>> from toolkit.arch import Compute
    >>> memory = Memory("DRAM", None, 1, 1, 1, 1, word_bits=16, burst_words=32)
    >>> arch = Architecture("machine", (memory, Compute("MAC", 1)))
    >>> bursts_of(arch, Tensor("W", "weight", (), bits=4))
    Bursts(burst_units=128, value_units=1, complete_units=1)
    """
    memory = arch.memories[0]
    value = words_per_value(memory, sum_bits(tensor))
    complete = words_per_value(memory, tensor.bits)
    units = math.lcm(value.denominator, complete.denominator)
    return Bursts(memory.burst_words * units, int(value * units), int(complete * units))


def inside_out(memory: Memory, tensor: Tensor) -> tuple[int, ...]:
    """List the axes of a tensor in the order in which a memory lays it out, innermost first.

    An axis stands where the first of its dimensions is named.

    Raises
    ------
    ValueError
        Naming the dimensions of an axis that the layout leaves out.
    """
    axes = range(len(tensor.indices))
    named = memory.layout.of(tensor.role)
    if not named:
        return tuple(reversed(axes))
    places = {dimension: place for place, dimension in enumerate(named)}
    found = {}
    for axis in axes:
        terms = [term.dimension for term in tensor.indices[axis]]
        if terms and not any(d in places for d in terms):
            raise ValueError(" or ".join(terms))
        found[axis] = min((places[d] for d in terms if d in places), default=-1)
    return tuple(sorted(axes, key=lambda axis: -found[axis]))


def check_layout(arch: Architecture, workload: Workload) -> None:
    """Refuse layouts that a workload's tensors cannot have, and bursts narrower than a value.

    Raises
    ------
    ArchitectureError
        Naming the dimension.
    DoesNotFitError
        If bursts are narrower than a value.
    """
    memory = arch.memories[0]
    for tensor in workload.tensors:
        _check_named(arch, memory.layout.of(tensor.role), workload.dimensions)
        try:
            inside_out(memory, tensor)
        except ValueError as missing:
            raise ArchitectureError(
                f"{memory.name} does not say where {missing} of {tensor.name} stands; expected "
                f"every index of {tensor.name}, outermost first, in the layout",
                source=arch.name,
                key="levels[0].layout",
            ) from None
        bursts = bursts_of(arch, tensor)
        if memory.burst_words > 1 and bursts.burst_units < bursts.value_units:
            raise DoesNotFitError(
                f"{memory.name} has bursts of {memory.burst_words} words, narrower than a value "
                f"of {tensor.name} ({sum_bits(tensor)} bits); expected room for at least one",
                source=arch.name,
                key="levels[0].burst_words",
            )


def _check_named(arch: Architecture, named: Sequence[str], known: Sequence[str]) -> None:
    for dimension in named:
        if dimension not in known:
            raise ArchitectureError(
                f"unknown dimension {dimension!r}{suggest(dimension, known)}; "
                f"expected some of {', '.join(known)}",
                source=arch.name,
                key="levels[0].layout",
            )
