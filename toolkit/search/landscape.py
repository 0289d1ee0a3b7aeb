"""What random mappings of a problem cost, and where greedy's descents lead from them.

How rare good mappings are tells whether a search is worth its time, and how far apart the ends of
descents lie tells how much it depends on where it starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.arguments import check_integer, check_kind
from toolkit.display import object_html, shortened, shown_unit, table_html
from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.search.basin import Basins
from toolkit.search.chosen_mappings import sample_mappings
from toolkit.search.evaluator import Evaluator
from toolkit.search.problem import Problem
from toolkit.search.result import Budget, SearchResult

if TYPE_CHECKING:
    import pandas as pd


BATCH = 1024
"""Mappings drawn at once. Where bypasses may be chosen, each batch makes a few choices, so that
several batches see more of them."""

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""Of which tables tell the values: best, then shares of all from the best on, to the worst."""

NEAR = (1e-3, 0.01, 0.05, 0.1, 0.5, 1.0)
"""Fractions above the best known value, within which mappings are counted."""


@dataclass(frozen=True)
class Landscape:
    """Random mappings and what became of them; `sample_landscape` makes one.

    Parameters
    ----------
    problem : Problem
        Whose mappings.
    seed : int
        Of the draw.
    energy_pj, latency_cycles, utilization, drawn : float64 arrays, shape (count,)
        Costs of the mappings drawn, and their objective values.
    bottoms : float64 array, shape (count,), or None
        Objective values at the ends of greedy's descents from them (`toolkit.search.basin`).
    best : SearchResult
        The mapping of the lowest objective value among all that were drawn or passed on the way
        down, costed anew.

    Examples
    --------
    >>> import toolkit
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> landscape = toolkit.sample_landscape(problem, 20)
    >>> landscape.drawn.shape, bool(landscape.best.objective == landscape.drawn.min())
    ((20,), True)
    """

    problem: Problem
    seed: int
    energy_pj: FloatArray
    latency_cycles: FloatArray
    utilization: FloatArray
    drawn: FloatArray
    bottoms: FloatArray | None
    best: SearchResult

    def __repr__(self) -> str:
        return f"<Landscape {self._title}: best {self._shown(self.best.objective)}>"

    def _repr_html_(self) -> str:
        """For notebooks: values by the share of mappings that are no worse."""
        summary = self.summary(self.best.objective)
        names = {0.0: "best", 0.5: "median", 1.0: "worst"}
        rows = [
            (
                names.get(share, f"{100 * share:g} %"),
                *(self._shown(told["quantiles"][share]) for told in summary.values()),
            )
            for share in QUANTILES
        ]
        left = [True] + [False] * len(summary)
        return object_html(self._title, (), table_html(("share", *summary), rows, left))

    @property
    def _title(self) -> str:
        problem = self.problem
        name = shortened(f"{problem.workload.name} on {problem.arch.name}")
        return f"{name}, {len(self.drawn):,} random mappings, {problem.objective}"

    def _shown(self, value: float) -> str:
        number, unit = shown_unit(value, self.problem.objective.unit)
        return f"{number:.6g} {unit}".rstrip()

    @property
    def kinds(self) -> dict[str, FloatArray]:
        """Objective values of mappings drawn and, where there were descents, of their ends."""
        found = {"drawn": self.drawn}
        return found if self.bottoms is None else {**found, "descended": self.bottoms}

    def table(self) -> pd.DataFrame:
        """One row per mapping drawn.

        Returns
        -------
        DataFrame
            Columns ``sample`` (from 1), ``energy_pj``, ``latency_cycles``, ``utilization``,
            ``objective_value`` and, after descents, ``descended_value``.
        """
        import pandas as pd

        columns: dict[str, Any] = {
            "sample": np.arange(1, len(self.drawn) + 1),
            "energy_pj": self.energy_pj,
            "latency_cycles": self.latency_cycles,
            "utilization": self.utilization,
            "objective_value": self.drawn,
        }
        if self.bottoms is not None:
            columns["descended_value"] = self.bottoms
        return pd.DataFrame(columns)

    def summary(self, reference: float) -> dict[str, dict[str, Any]]:
        """Describe how values are distributed, by kind as `kinds` has them.

        Parameters
        ----------
        reference : float
            Objective value that others are held against, such as the optimum.

        Returns
        -------
        dict
            ``quantiles`` (by the share of mappings that are no worse) and ``within`` (shares of
            mappings by the fraction that they exceed the reference by at most), for each kind.
        """
        return {
            kind: {
                "quantiles": {share: float(np.quantile(values, share)) for share in QUANTILES},
                "within": {
                    near: float((values <= reference + near * abs(reference)).mean())
                    for near in NEAR
                },
            }
            for kind, values in self.kinds.items()
        }


@dataclass(frozen=True)
class Histogram:
    """How many values lie in each of some bins.

    Parameters
    ----------
    edges : float64 array, shape (bins + 1,)
        In multiples of a reference, even in the logarithm where all values are positive.
    counts : dict of str to int64 array, shape (bins,)
        By the kind of value; those that are not finite lie in none.
    """

    edges: FloatArray
    counts: dict[str, NDArray[np.int64]]


def histogram(
    values: Mapping[str, FloatArray],
    reference: float,
    bins: int = 20,
    also: Sequence[float] = (),
) -> Histogram:
    """Count values in bins from the least to the largest.

    Parameters
    ----------
    values : dict of str to float64 array
        By kind; at least one of them is finite.
    reference : float
        Edges are multiples of it; of 1 unless it is positive.
    bins : int
        How many.
    also : sequence of float
        Values that the bins reach to as well, which are not counted.

    Examples
    --------
    >>> found = histogram({"drawn": np.array([1.0, 1.0, 100.0])}, 1.0, bins=2)
    >>> found.edges.round(6).tolist(), found.counts["drawn"].tolist()
    ([1.0, 10.0, 100.0], [2, 1])
    """
    unit = reference if reference > 0 else 1.0
    scaled = {kind: own[np.isfinite(own)] / unit for kind, own in values.items()}
    every = np.concatenate([*scaled.values(), np.array(also) / unit])
    low, high = float(every.min()), float(every.max())
    if high <= low:
        high = low + 0.01 * abs(low or 1.0)
    edges = (np.geomspace if low > 0 else np.linspace)(low, high, bins + 1)
    edges[0], edges[-1] = low, high  # Roots of their ratio may be rounded beyond.
    counts = {kind: np.histogram(own, edges)[0].astype(np.int64) for kind, own in scaled.items()}
    return Histogram(edges, counts)


def sample_landscape(
    problem: Problem, count: int = 1000, *, seed: int = 0, descend: bool = False
) -> Landscape:
    """Draw random valid mappings of a problem and cost them.

    Parameters
    ----------
    problem : Problem
        With an objective of one value.
    count : int
        How many, repetitions possible; as `toolkit.sample` draws them.
    seed : int
        Of the draw.
    descend : bool
        Whether greedy's descent sets out from each of them, to the bottom of its basin.

    Raises
    ------
    InputError
        If the objective asks for a front, or descents for one that is a product of powers, or a
        number is not as expected.
    DoesNotFitError
        If no valid mapping is found.

    Examples
    --------
    >>> import toolkit
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> found = sample_landscape(problem, 100, descend=True)
    >>> bool((found.bottoms <= found.drawn).all())
    True
    """
    check_kind(problem, Problem, "problem")
    count, seed = check_integer(count, 1, "count"), check_integer(seed, 0, "seed")
    if problem.objective.front:
        raise InputError(
            f"{problem.objective} asks for a front; expected an objective of one value, such as "
            "edp",
            key="objective",
        )
    evaluator = Evaluator(problem, Budget())
    factors, order, choice = _drawn(problem, count, seed)
    drawn = evaluator.evaluate(factors, order, choice)
    costs, _ = evaluator.costs(factors, order, choice)
    bottoms = None
    if descend:
        basins = Basins(evaluator)
        bottoms = np.array(
            [
                basins.bottom((f, o, int(c)))[0]
                for f, o, c in zip(factors, order, choice, strict=True)
            ]
        )
    return Landscape(
        problem,
        seed,
        costs[:, 0],
        costs[:, 1],
        costs[:, 2],
        drawn,
        bottoms,
        evaluator.result("sample", seed, None),
    )


def random_values(problem: Problem, count: int, seed: int = 0) -> FloatArray:
    """Draw random valid mappings as `sample_landscape` does, and cost them, whatever is asked.

    Returns
    -------
    float64 array
        Finite values of the objective, in its own unit, the product of its costs if it asks for a
        front; at most `count`.

    Raises
    ------
    DoesNotFitError
        If no valid mapping is found.
    """
    values = Evaluator(problem, Budget()).evaluate(*_drawn(problem, count, seed))
    return np.asarray(values[np.isfinite(values)], dtype=np.float64)


def _drawn(problem: Problem, count: int, seed: int) -> tuple[IntArray, IntArray, IntArray]:
    """Draw factors, orders and choices of bypasses, batch by batch."""
    rng = np.random.default_rng(seed)
    batches = [
        sample_mappings(problem, min(BATCH, count - begun), rng)
        for begun in range(0, count, BATCH)
    ]
    factors, order, choice = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return factors, order, choice
