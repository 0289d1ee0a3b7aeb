"""Points that an architect would write down in a minute: small registers, the area full of units.

They look at no network and at no score (`toolkit.codesign.area_filling`), and are where searches
may begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.arch.levels import Fanout, Memory
from toolkit.codesign.space import HardwareSpace

MOST_SHARES = 256
"""Shares of the area that are tried for units; a space has no other points of this kind."""

FIRST_POINTS = 5
"""Points that searches which begin at the best of the rule's look at: all of the area for units,
a half, three quarters, a quarter and seven eighths."""

Point = dict[str, Number]


@dataclass(frozen=True)
class Roles:
    """What the parameters of a space size, by name; no parameter has two roles.

    Parameters
    ----------
    units : tuple of str
        Meshes, and with them the multiply-accumulate units.
    registers : tuple of str
        Memories inside all fanouts.
    buffers : tuple of str
        Other memories on the chip.
    others : tuple of str
        The rest: bandwidths, bits.
    """

    units: tuple[str, ...]
    registers: tuple[str, ...]
    buffers: tuple[str, ...]
    others: tuple[str, ...]


def parameter_roles(space: HardwareSpace) -> Roles:
    """Find what every parameter of a space sizes, from its least to its largest value.

    Examples
    --------
    >>> from toolkit.codesign import hardware_space
    >>> parameter_roles(hardware_space("gemmini-ws")).units
    ('side',)
    """
    found: dict[str, list[str]] = {"units": [], "registers": [], "buffers": [], "others": []}
    for name, values in space.ranges.items():
        ends = [space.build({**space.default, name: values.values[i]}).arch for i in (0, -1)]
        meshes, registers, buffers = (
            list(pair) for pair in zip(*(_sizes(arch) for arch in ends), strict=True)
        )
        sized = {"units": meshes, "registers": registers, "buffers": buffers}
        roles = (role for role, (least, largest) in sized.items() if least != largest)
        found[next(roles, "others")].append(name)
    return Roles(**{role: tuple(names) for role, names in found.items()})


def _sizes(arch: Architecture) -> tuple[list[int], list[int | None], list[int | None]]:
    """Meshes, capacities inside all fanouts, and capacities outside one of them."""
    meshes = [level.mesh for level in arch.levels if not isinstance(level, Memory)]
    last = max((i for i, x in enumerate(arch.levels) if isinstance(x, Fanout)), default=0)
    held = [
        (i > last, x.capacity_words) for i, x in enumerate(arch.levels) if isinstance(x, Memory)
    ]
    registers = [words for inside, words in held if inside]
    return meshes, registers, [words for inside, words in held if not inside]


def filled_points(space: HardwareSpace, shares: int = MOST_SHARES) -> Iterator[Point]:
    """List points as the heuristic makes them, each once, all within the budgets.

    What is neither a mesh nor a memory keeps its default; where this alone takes more than half
    of a budget, it is lowered, first what saves most. Registers are as small as they can be.
    Meshes, as equal as can be, then grow until they fill a share of the area, and buffers, by
    equal areas, until they fill the rest. The first point
    gives units all of the area, the next one a half of it, then three quarters, a quarter, seven
    eighths, and so on. Without a budget the area is that of the space's largest hardware.

    Parameters
    ----------
    shares : int
        How many shares are tried; several may make the same point.

    Yields
    ------
    dict of str to number
        Parameters of a point.
    """
    if space.area_budget_um2 is None:
        area = space.build(space.largest).area_um2
        space = space.within_area(area)
    roles = parameter_roles(space)
    start = _with_room(space, roles)
    seen: set[tuple[Number, ...]] = set()
    for number in range(shares):
        point = _filled(space, start, roles, 1.0 - _spread(number))
        key = tuple(point[name] for name in space.ranges)
        if key not in seen:
            seen.add(key)
            yield point


def _spread(number: int) -> float:
    """Number `number` of van der Corput's sequence: 0, 1/2, 1/4, 3/4, 1/8, ...

    Examples
    --------
    >>> [_spread(number) for number in range(5)]
    [0.0, 0.5, 0.25, 0.75, 0.125]
    """
    value, step = 0.0, 0.5
    while number:
        number, digit = divmod(number, 2)
        value, step = value + digit * step, step / 2
    return value


def _with_room(space: HardwareSpace, roles: Roles) -> Point:
    """Take the smallest of what is sized, and all else up to the default, within half the area."""
    assert space.area_budget_um2 is not None
    half = space.within_area(space.area_budget_um2 / 2)
    sized = {n: space.smallest[n] for n in space.ranges if n not in roles.others}
    point = {**space.default, **sized}
    while half.excess(half.build(point)):
        lowered = [
            {**point, name: _next(space, point, name, -1)}
            for name in roles.others
            if space.ranges[name].index(point[name]) > 0
        ]
        if not lowered:
            break
        point = min(lowered, key=lambda each: space.build(each).area_um2)
    return point


def _filled(space: HardwareSpace, start: Point, roles: Roles, share: float) -> Point:
    assert space.area_budget_um2 is not None
    least = space.build(start).area_um2
    for_units = least + share * (space.area_budget_um2 - least)

    def taken_um2(point: Point, name: str) -> float:
        without = {**point, name: start[name]}
        return space.build(point).area_um2 - space.build(without).area_um2

    units = space.within_area(max(for_units, least))
    point = _grown(units, start, roles.units, lambda point, name: point[name])
    return _grown(space, point, roles.buffers, taken_um2)


def _grown(
    space: HardwareSpace,
    point: Point,
    names: Sequence[str],
    size: Callable[[Point, str], float],
) -> Point:
    """Let parameters grow, the smallest first, step by step, until none can within the budgets."""
    point, growing = dict(point), list(names)
    while growing:
        name = min(growing, key=lambda each: size(point, each))
        if space.ranges[name].index(point[name]) + 1 == len(space.ranges[name].values):
            growing.remove(name)
            continue
        larger = {**point, name: _next(space, point, name, 1)}
        if space.excess(space.build(larger)):
            growing.remove(name)
        else:
            point = larger
    return point


def _next(space: HardwareSpace, point: Point, name: str, step: int) -> Number:
    values = space.ranges[name]
    return values.values[values.index(point[name]) + step]
