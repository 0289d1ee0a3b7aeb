"""How often every word of a tensor moves, and which loops make it move again.

Whatever the conventions are, they are asked rather than imitated: a loop that does not index a
tensor is taken out of the nest, and the model says by how much the counts drop without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.arch.levels import Memory
from toolkit.mapping.bounds import tensor_words
from toolkit.mapping.mapping import to_arrays
from toolkit.model.cost import batch_cost
from toolkit.model.evaluate import Evaluation
from toolkit.model.plan import Plan, TensorPlan, make_plan

KINDS = ("reads", "updates", "fills", "drains")
"""Kinds of accesses, as `toolkit.model.TensorAccesses` names them."""

_SAME = 1e-9
"""Factors this close to 1 are 1: the rest is rounding."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop with more than one iteration.

    Parameters
    ----------
    level : str
        Memory, fanout or compute level that it belongs to.
    dimension : str
        What it iterates.
    iterations : int
        How often, or over how many instances.
    spatial : bool
        Whether it is unrolled over instances.
    """

    level: str
    dimension: str
    iterations: int
    spatial: bool


@dataclass(frozen=True, slots=True)
class Repetition:
    """A loop that makes words of a tensor that it does not index move more than once.

    Parameters
    ----------
    loop : Loop
        The loop.
    times : float
        Words moved over words moved if the loop had one iteration.
    outside_of : Loop or None
        The next loop inside it, before the child, that indexes the tensor, and so moves the
        tile on; None if there is none or the loop is spatial.
    """

    loop: Loop
    times: float
    outside_of: Loop | None


@dataclass(frozen=True, slots=True)
class Movement:
    """Words of one tensor that one memory moves in one way.

    Parameters
    ----------
    level, tensor, kind : str
        The memory, the tensor, and one of `KINDS`.
    supplier, child : str or None
        The next memories outside and inside that hold the tensor; None is the outside world
        and the multiply-accumulate lanes.
    words : int
        Values, which are words if they have no bits: of all instances in the whole run.
    charged_words : float
        Words that cost energy: what the values take by their bits, or what fills whole wordlines
        and bursts.
    distinct_words : int
        Values of the whole tensor.
    returning : bool
        Whether these are partial sums on their way back in: none at the first visit.
    repetitions : tuple of Repetition
        Loops that multiply the words, outermost first; for partial sums on their way back,
        those that multiply the visits.
    rest : float
        ``times`` over the product of the repetitions: windows that overlap, first visits that
        start from zero, and what else the conventions count.
    bits, sum_bits : int or None
        Of a value, and of a partial sum if it has others.
    wanted_words : float or None
        Those of the charged words that bursts do not only move with others; None where there are
        no bursts.
    """

    level: str
    tensor: str
    kind: str
    supplier: str | None
    child: str | None
    words: int
    charged_words: float
    distinct_words: int
    returning: bool
    repetitions: tuple[Repetition, ...]
    rest: float
    bits: int | None = None
    sum_bits: int | None = None
    wanted_words: float | None = None

    @property
    def times(self) -> float:
        """How often each distinct word moves on average, all instances together."""
        return self.words / self.distinct_words


def movements(evaluation: Evaluation) -> tuple[Movement, ...]:
    """List everything that moves, memory by memory from the outermost, with its causes.

    Raises
    ------
    PrecisionError
        If the words of a tensor are too many to be counted.
    """
    nest = _Nest(evaluation)
    moved = []
    for entry in evaluation.accesses:
        for kind in KINDS:
            words = getattr(entry, kind)
            if words:
                moved.append(_movement(nest, entry.level, entry.tensor, kind, words))
    return tuple(moved)


class _Nest:
    """The loops of one mapping, and the counts of the model with and without each of them."""

    def __init__(self, evaluation: Evaluation) -> None:
        arch, workload = evaluation.arch, evaluation.workload
        self.plan: Plan = make_plan(
            arch, workload, evaluation.conventions, bias_read=evaluation.bias_read
        )
        self.names = [level.name for level in arch.levels]
        self.tensors = {tensor.name: t for t, tensor in enumerate(workload.tensors)}
        factors, order = to_arrays(evaluation.mapping, arch, workload)
        sizes = np.array([list(workload.sizes.values())], dtype=np.float64)
        self.distinct = {
            tensor.name: int(tensor_words(tensor, sizes, workload.dimensions, "distinct")[0])
            for tensor in workload.tensors
        }
        self.loops = [
            (
                int(i),
                int(d),
                Loop(
                    self.names[i],
                    workload.dimensions[d],
                    int(factors[i, d]),
                    not isinstance(arch.levels[i], Memory),
                ),
            )
            for i in range(len(arch.levels))
            for d in order[i]
            if factors[i, d] > 1
        ]
        without = np.tile(factors.astype(np.float64), (len(self.loops) + 1, 1, 1))
        for row, (i, d, _) in enumerate(self.loops, 1):
            without[row, i, d] = 1.0
        orders = np.tile(order, (len(without), 1, 1))
        # What is left of the workload if a loop has one iteration.
        left = np.minimum(without.prod(axis=1), sizes)
        with np.errstate(all="ignore"):
            self._cost = batch_cost(self.plan, without, orders, sizes=left)
        self.counts = self._cost.accesses

    def words(self, level: int, tensor: int, kind: str) -> Any:
        """Words moved by the whole nest, then without each loop, float64 [loops + 1]."""
        values = getattr(self.counts[level, tensor], kind)
        return np.broadcast_to(np.asarray(values, dtype=np.float64), (len(self.loops) + 1,))

    def charged(self, level: int, tensor: int, kind: str) -> float:
        """Words that cost energy."""
        return self._whole(self._cost.charged(level, tensor, kind))

    def wanted(self, level: int, tensor: int, kind: str) -> float | None:
        """Those that bursts do not only move with others; None where there are no bursts."""
        wanted = self._cost.wanted(level, tensor, kind)
        return None if wanted is None else self._whole(wanted)

    def _whole(self, words: Any) -> float:
        return float(np.broadcast_to(words, (len(self.loops) + 1,))[0])

    def repetitions(
        self, level: int, tensor: TensorPlan, kind: str, end: int
    ) -> tuple[Repetition, ...]:
        """Which loops multiply these words; `end` is the first level that they do not pass."""
        whole, *without = self.words(level, self.tensors[tensor.tensor.name], kind)
        found = []
        for number, ((_, d, loop), less) in enumerate(zip(self.loops, without, strict=True)):
            if tensor.relevant[d] or not less or abs(whole / less - 1) < _SAME:
                continue
            found.append(Repetition(loop, float(whole / less), self._inside(number, tensor, end)))
        return tuple(found)

    def _inside(self, number: int, tensor: TensorPlan, end: int) -> Loop | None:
        if self.loops[number][2].spatial:
            return None
        return next(
            (
                loop
                for i, d, loop in self.loops[number + 1 :]
                if tensor.relevant[d] and not loop.spatial and i < end
            ),
            None,
        )


def _movement(nest: _Nest, level: str, name: str, kind: str, words: int) -> Movement:
    m, tensor = nest.names.index(level), nest.plan.tensors[nest.tensors[name]]
    outer = [nest.names[h] for h in tensor.holders if h < m]
    inner = [h for h in tensor.holders if h > m]
    returning = tensor.is_output and kind in ("reads", "fills")
    cause = kind
    if returning:
        # Sums come back as often as they have left, but for the first visit.
        left = "updates" if kind == "reads" else "drains"
        cause = left if nest.words(m, nest.tensors[name], left)[0] else kind
    inwards = kind in ("reads", "updates")
    end = m if not inwards else inner[0] if inner else len(nest.names)
    repetitions = nest.repetitions(m, tensor, cause, end)
    distinct = nest.distinct[name]
    return Movement(
        level,
        name,
        kind,
        outer[-1] if outer else None,
        nest.names[inner[0]] if inner else None,
        words,
        nest.charged(m, nest.tensors[name], kind),
        distinct,
        returning,
        repetitions,
        words / distinct / math.prod(r.times for r in repetitions),
        tensor.tensor.bits,
        tensor.tensor.sum_bits,
        nest.wanted(m, nest.tensors[name], kind),
    )
