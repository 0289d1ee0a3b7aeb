"""Hardware points as parameters of Optuna's trials: ordered integers, one per range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from optuna.distributions import IntDistribution

from toolkit.arch.expressions import Number
from toolkit.arch.ranges import Range
from toolkit.codesign.space import HardwareSpace


@dataclass(frozen=True, eq=False)
class Encoding:
    """How the points of a space are written.

    Sizes that double are chosen by their logarithm, all others by their place in the range.

    Parameters
    ----------
    space : HardwareSpace
        Whose points.

    Examples
    --------
    >>> from toolkit.codesign.space import hardware_space
    >>> space = hardware_space("gemmini-ws", ranges={"side": [8, 16, 32]})
    >>> encoding = Encoding(space)
    >>> encoding.encode(space.default)["log2 side"], list(encoding.distributions)[0]
    (4, 'log2 side')
    """

    space: HardwareSpace

    @cached_property
    def distributions(self) -> dict[str, IntDistribution]:
        """What Optuna chooses."""
        return {
            _name(name, found): IntDistribution(first, first + len(found.values) - 1)
            for name, found in self.space.ranges.items()
            for first in (_first(found),)
        }

    def encode(self, parameters: Mapping[str, Number]) -> dict[str, int]:
        """Write a point."""
        return {
            _name(name, found): _first(found) + found.index(parameters[name])
            for name, found in self.space.ranges.items()
        }

    def decode(self, params: Mapping[str, int]) -> dict[str, Number]:
        """Read a point."""
        return {
            name: found.values[params[_name(name, found)] - _first(found)]
            for name, found in self.space.ranges.items()
        }


def _first(found: Range) -> int:
    """Code of the first value: its logarithm, if that is whole and the others follow."""
    low = found.bounds[0]
    return int(low) if found.encoding == "log2" and low == int(low) else 0


def _name(name: str, found: Range) -> str:
    if found.encoding == "log2" and found.bounds[0] == int(found.bounds[0]):
        return f"log2 {name}"
    return f"place of {name}"
