"""Other ways to write mappings for Optuna, kept to be compared with the chosen ones.

``studies/compare_encodings.py`` measures them; see `toolkit.search.optuna_samplers.encodings`.
Those that write numbers anyhow take `ordered` like all others, and have no use for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.mapping.factors import divisors
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.rounding import Rounding
from toolkit.mapping.space import MapSpace
from toolkit.search.optuna_samplers.encoding import Parameters, Primes, choice, spread
from toolkit.search.optuna_samplers.ragged import ragged_cells
from toolkit.search.optuna_samplers.repairs import valid_tiling

SHARES = 17
"""Numbers to choose a share of a size by: four for each factor of 2 in 16."""


class PrimeShares:
    """How many instances of each prime every level gets, in proportion to small integers.

    Parameters
    ----------
    space : MapSpace
        Whose tilings.
    """

    def __init__(self, space: MapSpace, *, ordered: bool = False) -> None:
        del ordered
        self._primes = Primes(space)
        self._groups: list[tuple[IntArray, slice]] = []
        self.parameters: Parameters = {}
        for members in self._primes.groups:
            first = int(members[0])
            width = len(self.parameters)
            for level in self._primes.levels[first]:
                name = f"{space.arch.levels[level].name}.{self._primes.labels[first]}"
                self.parameters[name] = choice(range(len(members) + 1), ordered=True)
            self._groups.append((members, slice(width, len(self.parameters))))

    def decode(self, genes: IntArray) -> IntArray:
        """Read factors from genes."""
        placed = np.empty((len(genes), len(self._primes.prime)), dtype=np.int64)
        for members, columns in self._groups:
            counts = apportion(genes[:, columns], len(members))
            placed[:, members] = self._primes.levels[members[0]][spread(counts, len(members))]
        return self._primes.place(placed)

    def encode(self, arrays: IntArray) -> IntArray:
        """Write factors as genes."""
        found = self._primes.find(arrays)
        genes = np.empty((len(arrays), len(self.parameters)), dtype=np.int64)
        for members, columns in self._groups:
            levels = self._primes.levels[members[0]]
            genes[:, columns] = (found[:, members, None] == levels).sum(axis=1)
        return genes


def apportion(weights: IntArray, total: int) -> IntArray:
    """Share out `total` items by weights [batch, receivers], largest remainders first.

    Without any weight all items go to the first receiver.

    Examples
    --------
    >>> apportion(np.array([[1, 0, 2], [0, 0, 0]]), 4).tolist()
    [[1, 0, 3], [4, 0, 0]]
    """
    weights = weights.copy()
    weights[weights.sum(axis=1) == 0, 0] = 1
    counts, remainders = np.divmod(weights * total, weights.sum(axis=1, keepdims=True))
    missing = total - counts.sum(axis=1, keepdims=True)
    order = np.argsort(-remainders, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    return np.asarray(counts + (rank < missing))


class SplitIndex:
    """The number of each dimension's split in the list of all of them, large outer factors first.

    Parameters
    ----------
    space : MapSpace
        Whose tilings.
    """

    def __init__(self, space: MapSpace, *, ordered: bool = False) -> None:
        del ordered
        self._tables = [lattice.table() for lattice in space.bound_lattices]
        self.parameters: Parameters = {
            f"{name}.split": choice(range(len(table)), ordered=True)
            for name, table in zip(space.dimensions, self._tables, strict=True)
        }

    def decode(self, genes: IntArray) -> IntArray:
        """Read factors from genes."""
        columns = [table[genes[:, d]] for d, table in enumerate(self._tables)]
        return np.stack(columns, axis=2)

    def encode(self, arrays: IntArray) -> IntArray:
        """Write factors as genes."""
        genes = [
            [int((table == row).all(axis=1).argmax()) for row in arrays[:, :, d]]
            for d, table in enumerate(self._tables)
        ]
        return np.array(genes, dtype=np.int64).T


class DivisorIndex:
    """The number of each factor among the divisors; the outermost free level takes the rest.

    Where the inner factors do not divide the size, the outermost one is 0: no mapping, for
    which `toolkit.search.optuna_samplers.repairs.shortfalls` has a word and a `Repair` has none.

    Parameters
    ----------
    space : MapSpace
        Whose tilings.
    """

    def __init__(self, space: MapSpace, *, ordered: bool = True) -> None:
        free = space.lower < space.upper
        self._sizes = space.sizes
        self._fixed = np.where(free, 1, space.lower)
        self._outer = free.argmax(axis=0)
        self._cells: list[tuple[int, int, IntArray]] = []
        self.parameters: Parameters = {}
        for d, name in enumerate(space.dimensions):
            options = divisors(int(space.sizes[d]))
            for level in np.flatnonzero(free[:, d])[1:].tolist():
                low, high = space.lower[level, d], space.upper[level, d]
                fitting = options[(options >= low) & (options <= high)]
                self._cells.append((level, d, fitting))
                label = f"{space.arch.levels[level].name}.{name}"
                self.parameters[label] = choice(fitting.tolist(), ordered=ordered)

    def decode(self, genes: IntArray) -> IntArray:
        """Read factors from genes."""
        factors = np.tile(self._fixed, (len(genes), 1, 1))
        for column, (level, d, options) in enumerate(self._cells):
            factors[:, level, d] = options[genes[:, column]]
        rest = self._sizes / factors.astype(np.float64).prod(axis=1)
        whole = np.where(rest == np.rint(rest), rest, 0).astype(np.int64)
        factors[:, self._outer, np.arange(len(self._sizes))] *= whole
        return factors

    def encode(self, arrays: IntArray) -> IntArray:
        """Write factors as genes."""
        columns = [np.searchsorted(o, arrays[:, level, d]) for level, d, o in self._cells]
        return np.array(columns, dtype=np.int64).reshape(len(columns), len(arrays)).T


class DivisorChoices(DivisorIndex):
    """The factors themselves, of which each takes what is left of its size; none is no mapping.

    From the innermost level outwards a factor becomes its largest common divisor with what inner
    ones leave; the outermost free level takes the rest. Names and values are those of mappings.

    Parameters
    ----------
    space : MapSpace
        Whose tilings.
    ordered : bool
        Whether parameters are positions among the divisors, for samplers that know numbers only.
    """

    def __init__(self, space: MapSpace, *, ordered: bool = False) -> None:
        super().__init__(space, ordered=ordered)

    def decode(self, genes: IntArray) -> IntArray:
        """Read factors from genes."""
        factors = np.tile(self._fixed, (len(genes), 1, 1))
        left = np.tile(self._sizes // self._fixed.prod(axis=0), (len(genes), 1))
        for column, (level, d, options) in reversed(list(enumerate(self._cells))):
            factors[:, level, d] = np.gcd(options[genes[:, column]], left[:, d])
            left[:, d] //= factors[:, level, d]
        factors[:, self._outer, np.arange(len(self._sizes))] *= left
        return factors


class SizeShares:
    """Shares of the logarithm of each ragged size, in proportion to small integers.

    Parameters
    ----------
    space : MapSpace
        Whose tilings; all dimensions are ragged.
    """

    def __init__(self, space: MapSpace, *, ordered: bool = False) -> None:
        del ordered
        self._space = space
        self._cells = ragged_cells(space)
        self._rounding, self._start = Rounding(space), valid_tiling(space)
        self.parameters: Parameters = {
            f"{space.arch.levels[level].name}.{space.dimensions[d]}": choice(
                range(SHARES), ordered=True
            )
            for d, level in self._cells
        }

    def decode(self, genes: IntArray) -> IntArray:
        """Read factors from genes."""
        logs = np.zeros((len(genes), *self._space.shape))
        for column, (d, level) in enumerate(self._cells):
            logs[:, level, d] = genes[:, column]
        total = logs.sum(axis=1, keepdims=True)
        logs *= np.log(self._space.sizes) / np.where(total > 0, total, 1.0)
        factors, valid = self._rounding.round(logs)
        factors[~valid] = self._start
        return factors

    def encode(self, arrays: IntArray) -> IntArray:
        """Write factors as genes, roughly."""
        sizes = np.log(np.maximum(self._space.sizes, 2))
        shares = np.log(arrays) / sizes * (SHARES - 1)
        columns = [shares[:, level, d] for d, level in self._cells]
        return np.rint(np.stack(columns, axis=1)).astype(np.int64)


class InnermostDimensions:
    """The two innermost loops of each memory, the others outside of them.

    Parameters
    ----------
    space : MapSpace
        Whose orders.
    """

    def __init__(
        self, space: MapSpace, known: Sequence[IntArray] = (), *, ordered: bool = False
    ) -> None:
        del known
        self._space = space
        self._memories: list[tuple[int, int, IntArray]] = []
        self.parameters: Parameters = {}
        for m, level in enumerate(space.memory_levels.tolist()):
            active = np.flatnonzero(space.upper[level] > 1)
            if len(active) > 1 and space.order_rules[m].admissible > 1:
                self._memories.append((m, level, active))
                loops = [space.dimensions[d] for d in active]
                for place in ("innermost", "second"):
                    name = f"{space.arch.levels[level].name}.{place}"
                    self.parameters[name] = choice(loops, ordered=ordered)

    def decode(self, genes: IntArray) -> IntArray:
        """Read orders from genes; what a constraint excludes becomes the first it admits."""
        space = self._space
        order = np.tile(np.arange(space.shape[1], dtype=np.int64), (len(genes), space.shape[0], 1))
        for rule, level in zip(space.order_rules, space.memory_levels, strict=True):
            order[:, level] = rule.complete(())
        for i, (m, level, active) in enumerate(self._memories):
            rule = space.order_rules[m]
            for row, (inner, second) in enumerate(active[genes[:, 2 * i : 2 * i + 2]].tolist()):
                wanted = [inner] if inner == second else [second, inner]
                filled = np.array([rule.complete(wanted)], dtype=np.int64)
                if rule.check(filled)[0]:
                    order[row, level] = filled[0]
        return order

    def encode(self, arrays: IntArray, factors: IntArray | None = None) -> IntArray:
        """Write orders as genes, up to the loops outside of the two innermost."""
        del factors
        genes = np.empty((len(arrays), 2 * len(self._memories)), dtype=np.int64)
        for i, (_, level, active) in enumerate(self._memories):
            for row, order in enumerate(arrays[:, level]):
                kept = order[np.isin(order, active)]
                genes[row, 2 * i : 2 * i + 2] = np.searchsorted(active, kept[[-1, -2]])
        return genes
