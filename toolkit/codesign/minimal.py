"""The least hardware that runs given mappings: capacities, meshes, then bandwidths."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Literal

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.arch.levels import Fanout, Memory
from toolkit.codesign.space import HardwarePoint, HardwareSpace
from toolkit.display import object_html, table_html
from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping.bounds import word_limit
from toolkit.mapping.bypasses import chosen_arch
from toolkit.mapping.mapping import Mapping as LoopMapping
from toolkit.mapping.mapping import to_arrays
from toolkit.model.compiled import batch_totals
from toolkit.model.conventions import EXACT, Conventions, map_space
from toolkit.model.plan import make_plan
from toolkit.workload.kernel import Workload

Use = tuple[LoopMapping, Workload]
"""A mapping and the workload that it runs."""

Parameters = dict[str, Number]

_SLACK = 1 + 1e-12


@dataclass(frozen=True, slots=True)
class Requirement:
    """What mappings ask of one level.

    Parameters
    ----------
    level : str
        Its name.
    kind : {"words", "instances"}
        Capacity of one memory, or mesh of a spatial level.
    amount : int
        The least that will do; the maximum over the mappings.
    workload : str
        The first that asks for so much.
    """

    level: str
    kind: Literal["words", "instances"]
    amount: int
    workload: str


@dataclass(frozen=True, eq=False)
class MinimalHardware:
    """The least hardware for some mappings.

    Parameters
    ----------
    point : HardwarePoint
        Parameters within their ranges, and what they make.
    requirements : tuple of Requirement
        What the mappings ask for, before rounding up to the ranges; outermost level first.
    """

    point: HardwarePoint
    requirements: tuple[Requirement, ...]

    def __repr__(self) -> str:
        return f"<MinimalHardware {self._sizes}: {self.point.area_um2 * 1e-6:.4g} mm²>"

    def _repr_html_(self) -> str:
        """For notebooks: the least sizes, and what asks for them."""
        point = self.point
        facts = [
            ("sizes", self._sizes),
            ("area", f"{point.area_um2 * 1e-6:.4g} mm²"),
            ("power", f"up to {point.power_mw * 1e-3:.4g} W"),
        ]
        rows = [(n.level, n.workload, f"{n.amount:,} {n.kind}") for n in self.requirements]
        needs = table_html(("level", "most for", "needed"), rows, (True, True, False))
        return object_html("The least hardware", facts, needs)

    @property
    def _sizes(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.point.parameters.items())


def requirements(
    uses: Sequence[Use], arch: Architecture, *, conventions: Conventions = EXACT
) -> tuple[Requirement, ...]:
    """Work out the capacities and meshes that mappings need, the maximum over all of them.

    Parameters
    ----------
    uses : sequence of (Mapping, Workload)
        What runs, one after the other.
    arch : Architecture
        Its levels, whatever their capacities and meshes; unlimited memories are left out.
    conventions : Conventions
        How words of a tile are counted.

    Raises
    ------
    InputError
        If there are no mappings.
    MappingError
        If a mapping does not describe its workload on these levels.
    """
    if not uses:
        raise InputError("no mappings; expected at least one", key="uses")
    found: dict[int, Requirement] = {}
    for mapping, workload in uses:
        factors = to_arrays(mapping, arch, workload)[0]
        chosen = chosen_arch(arch, workload, mapping)
        space = map_space(chosen, workload, conventions, "ragged")
        for i, level in enumerate(chosen.levels):
            if not isinstance(level, Memory):
                need = Requirement(
                    level.name, "instances", prod(factors[i].tolist()), workload.name
                )
            elif level.capacity_words is None:
                continue
            else:
                words = space.needed_words(chosen.memories.index(level), factors)
                need = Requirement(level.name, "words", _capacity(level, words), workload.name)
            if i not in found or need.amount > found[i].amount:
                found[i] = need
    return tuple(found[i] for i in sorted(found))


def minimal_hardware(
    space: HardwareSpace,
    uses: Sequence[Use],
    parameters: Mapping[str, Number] | None = None,
    *,
    conventions: Conventions = EXACT,
) -> MinimalHardware:
    """Find the least hardware of a space that runs mappings.

    With `parameters`, the least hardware on which all mappings are valid and none is slower than
    there. Without, capacities and meshes come first, as small as the mappings allow (what
    follows from them, such as the bandwidth of a scratchpad, shrinks with them), and then
    bandwidths, as small as they can be without slowing any mapping further. In either case a
    value one step smaller for any one parameter would break a mapping or slow it.

    Parameters
    ----------
    space : HardwareSpace
        Parameters that change no capacity, mesh or bandwidth, such as a precision, keep their
        given or default values, as does what has no range. Budgets do not matter: see
        `HardwareSpace.excess`.
    uses : sequence of (Mapping, Workload)
        A network's layers; the maximum over them is taken.
    parameters : mapping of str to number, optional
        Hardware that the mappings were made for.
    conventions : Conventions
        How words and cycles are counted.

    Raises
    ------
    DoesNotFitError
        Naming level, need and what there is, if the mappings need more than the largest
        hardware, or more than `parameters` has.
    InputError
        As `requirements` does.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("gemmini-ws", "conv:M=4,C=4,P=8,Q=8,R=3,S=3", evaluations=100)
    >>> space = toolkit.hardware_space("gemmini-ws")
    >>> found = toolkit.minimal_hardware(space, [(best.mapping, best.problem.workload)])
    >>> found.point.parameters["side"] <= 16
    True
    """
    start = dict(parameters) if parameters is not None else _start(space)
    arch = space.build(start).arch
    needs = requirements(uses, arch, conventions=conventions)
    _check_needs(space, start, needs, parameters is not None)
    sized, paced = _roles(space, start)

    constraints = _Constraints(uses, arch)

    def fits(values: Parameters) -> bool:
        candidate = space.build(values).arch
        return _lacking(needs, candidate) is None and constraints.kept_by(candidate)

    values = start
    if parameters is None:
        values = _shrunk(space, values, sized, fits)
    limits = _Speed(uses, space.build(values).arch, conventions)

    def runs(values: Parameters) -> bool:
        return fits(values) and limits.kept_by(space.build(values).arch)

    names = [name for name in space.ranges if name in sized or name in paced]
    values = _shrunk(space, values, names, runs)
    return MinimalHardware(space.build(values), needs)


class _Constraints:
    """Constraints that mappings meet; where they follow parameters, smaller ones may not be met.

    What a mapping does not meet from the start was shrunk to its workload and stays out.
    """

    def __init__(self, uses: Sequence[Use], arch: Architecture) -> None:
        self._start = [level.constraints for level in arch.levels]
        self._met = [
            (i, k, entry.factor(constraint.dimension))
            for mapping, workload in uses
            for i, entry in enumerate(mapping.levels)
            for k, constraint in enumerate(self._start[i])
            if constraint.dimension in workload.dimensions
            and constraint.allows(entry.factor(constraint.dimension))
        ]

    def kept_by(self, arch: Architecture) -> bool:
        """Whether all that is met at the start is met there."""
        constraints = [level.constraints for level in arch.levels]
        if constraints == self._start:
            return True
        return all(constraints[i][k].allows(factor) for i, k, factor in self._met)


class _Speed:
    """The latencies of mappings, and whether other hardware keeps them."""

    def __init__(self, uses: Sequence[Use], arch: Architecture, conventions: Conventions) -> None:
        self._conventions = conventions
        self._bandwidths = _bandwidths(arch)
        self._limits = [(use, self._latency(use, arch)) for use in uses]

    def kept_by(self, arch: Architecture) -> bool:
        """Whether no mapping is slower there."""
        pairs = zip(_bandwidths(arch), self._bandwidths, strict=True)
        if all(own >= known for own, known in pairs):
            return True
        for place, (use, limit) in enumerate(self._limits):
            if self._latency(use, arch) > limit * _SLACK:
                # What fails once is likely to fail next.
                self._limits.insert(0, self._limits.pop(place))
                return False
        return True

    def _latency(self, use: Use, arch: Architecture) -> float:
        mapping, workload = use
        factors, order = to_arrays(mapping, arch, workload)
        plan = make_plan(chosen_arch(arch, workload, mapping), workload, self._conventions)
        totals = batch_totals(plan, factors[None], order[None], threads=1)
        return float(totals.latency_cycles[0])


def _start(space: HardwareSpace) -> Parameters:
    """The largest hardware, but for parameters that size nothing."""
    sized, paced = _roles(space, space.largest)
    default = space.default
    return {
        name: value if name in sized or name in paced else default[name]
        for name, value in space.largest.items()
    }


def _roles(space: HardwareSpace, values: Parameters) -> tuple[list[str], list[str]]:
    """Name the parameters that change capacities or meshes, and those that pace memories only.

    What changes how long words are is neither: needs are in words.
    """
    sized, paced = [], []
    for name, found in space.ranges.items():
        ends = [
            space.build({**values, name: value}).arch
            for value in (found.values[0], found.values[-1])
        ]
        if _word_bits(ends[0]) != _word_bits(ends[1]):
            continue
        if _sizes(ends[0]) != _sizes(ends[1]):
            sized.append(name)
        elif _bandwidths(ends[0]) != _bandwidths(ends[1]):
            paced.append(name)
    return sized, paced


def _shrunk(
    space: HardwareSpace,
    values: Parameters,
    names: Sequence[str],
    allowed: Callable[[Parameters], bool],
) -> Parameters:
    """Lower parameters one by one, each as far as allowed, until none can go one step lower."""
    values, before = dict(values), None
    while values != before:
        before = dict(values)
        for name in names:
            choices = space.ranges[name].values
            low, high = 0, space.ranges[name].index(values[name])
            while low < high:
                middle = (low + high) // 2
                if allowed({**values, name: choices[middle]}):
                    high = middle
                else:
                    low = middle + 1
            values[name] = choices[high]
    return values


def _check_needs(
    space: HardwareSpace, values: Parameters, needs: Sequence[Requirement], given: bool
) -> None:
    point = space.build(values)
    lacking = _lacking(needs, point.arch)
    if lacking is None:
        return
    need, available = lacking
    where = "the hardware given" if given else "the largest hardware of the ranges"
    setting = ", ".join(f"{name}={value}" for name, value in values.items())
    raise DoesNotFitError(
        f"{need.workload} needs {need.amount} {need.kind} of {need.level}, but {where} has "
        f"{available} ({setting})",
        source=space.template.source,
    )


def _lacking(needs: Sequence[Requirement], arch: Architecture) -> tuple[Requirement, int] | None:
    """Find the first need that an architecture does not meet, and what it has instead."""
    by_name = {level.name: level for level in arch.levels}
    for need in needs:
        level = by_name[need.level]
        has = level.capacity_words if isinstance(level, Memory) else level.mesh
        if has is not None and has < need.amount:
            return need, has
    return None


def _capacity(memory: Memory, words: int) -> int:
    """The least capacity whose usable share holds so many words."""
    capacity = max(1, math.ceil(words * Fraction(memory.multiple_buffering)))
    # Usable words are rounded as floats.
    while (word_limit(replace(memory, capacity_words=capacity)) or 0) < words:
        capacity += 1
    return capacity


def _sizes(arch: Architecture) -> tuple[int | None, ...]:
    return tuple(
        level.capacity_words if isinstance(level, Memory) else level.mesh for level in arch.levels
    )


def _word_bits(arch: Architecture) -> tuple[int | None, ...]:
    return tuple(memory.word_bits for memory in arch.memories)


def _bandwidths(arch: Architecture) -> tuple[float, ...]:
    found: list[float] = []
    for level in arch.levels:
        if isinstance(level, Memory):
            found += [level.read_bandwidth, level.write_bandwidth]
            found += [port.bandwidth for port in level.ports]
        elif isinstance(level, Fanout) and level.wires is not None:
            found += [level.wires.read_bandwidth, level.wires.write_bandwidth]
    return tuple(found)
