"""What complete outputs cost less than the partial sums as which all words are counted at first.

As many outputs as there are arrive at a memory complete, and leave it so, whatever loops turn in
time, unless instances apart sum up the same ones (`toolkit.model.values`). So what they take less
is a constant of the spatial factors: accounts take every output for a partial sum, and what all
mappings share is so much less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from toolkit.mapping.mapping import BoolArray, FloatArray, IntArray
from toolkit.search.exact.chains import Chain
from toolkit.search.exact.limits import Limit
from toolkit.search.problem import Problem
from toolkit.workload.distinct import count_window


class CompleteOutputs:
    """Where outputs of a problem can be complete, and what that saves.

    Parameters
    ----------
    problem : Problem
        Of which choices of spatial factors are looked at.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        plan, tables = problem.plan, problem.tables
        t = next(i for i, tensor in enumerate(plan.tensors) if tensor.is_output)
        self._tensor = plan.tensors[t]
        alone = {terms[0][0] for terms in self._tensor.sums if len(terms) == 1}
        self._summed = [d for d in range(len(plan.workload.dimensions)) if d not in alone]
        rows = {m: tables.values[t, m] for m in plan.memories}
        self._less: dict[int, tuple[float, float]] = {
            m: (row.less_drained, row.less_updated)
            for m, row in rows.items()
            if row.less_drained or row.less_updated
        }
        self.outputs: int = math.prod(
            count_window([int(problem.space.sizes[d]) for d, _ in terms], [c for _, c in terms])
            for terms in self._tensor.sums
        )

    def energy_pj(self, factors: IntArray | FloatArray) -> FloatArray:
        """Energy that complete outputs save, by spatial factors [..., levels, dimensions]."""
        saved = np.zeros(factors.shape[:-2])
        for m, (drained, updated) in self._less.items():
            memory = self.problem.plan.memory(m)
            pj = memory.read_energy_pj * drained + memory.write_energy_pj * updated
            saved += np.where(self._complete(factors, m), pj * self.outputs, 0.0)
        return saved

    def port_cycles(
        self, factors: IntArray, limit: Limit, chains: Sequence[Chain] | None = None
    ) -> float:
        """Cycles that complete outputs save at a port of one instance of a memory.

        Of an average one, or of the first one if `chains` say how the dimensions are split.
        """
        words = sum(self.words(factors, limit.level, x, chains) for x in limit.port.kinds)
        return words / limit.port.bandwidth

    def words(
        self, factors: IntArray, memory: int, kind: str, chains: Sequence[Chain] | None = None
    ) -> float:
        """Words of one kind of traffic that they save there, like `port_cycles`."""
        drained, updated = self._less.get(memory, (0.0, 0.0))
        less = drained * (kind == "drains") + updated * (kind == "updates")
        if not less or not self._complete(factors, memory):
            return 0.0
        if chains is None:
            return less * self.outputs / float(factors[:memory].prod())
        outputs = 1.0
        for terms in self._tensor.sums:
            sizes = [chains[d].size for d, _ in terms]
            if len(terms) == 1:
                outputs *= float(chains[terms[0][0]].elements(memory, 1))
            else:
                outputs *= count_window(sizes, [c for _, c in terms])
        return less * outputs

    def _complete(self, factors: IntArray | FloatArray, memory: int) -> BoolArray:
        """Whether no instances of a memory sum up the same outputs."""
        outside = factors[..., :memory, :][..., self._summed]
        return np.asarray((outside == 1).all(axis=(-2, -1)))
