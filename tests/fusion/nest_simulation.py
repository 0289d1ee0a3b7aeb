"""Runs a fused group on real numbers: buffers that forget, and a count of all that moves.

A softmax that streams keeps a running maximum and sum of each row, and what was summed from its
results is rescaled; normalisations keep sums, and are corrected in the end.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from fusion.nest_operations import EPSILON, NONE, Data, Floats, Ints, Operation, after, taken
from fusion.nest_program import Mask, Program, Turn
from fusion.nest_stays import Visit, stays, use

from toolkit.fusion import FoldedLayer, GroupPlan


@dataclass
class Buffer:
    """Values that are there, and what goes with values that are not complete yet."""

    there: Mask
    values: Floats
    maximum: Floats
    scaled: Floats
    shifted: Floats
    complete: Mask

    @classmethod
    def empty(cls, size: int) -> Buffer:
        """Nothing is there."""
        nan = [np.full(size, np.nan) for _ in range(4)]
        return cls(np.zeros(size, dtype=bool), *nan, np.zeros(size, dtype=bool))

    def forget(self, kept: Mask) -> None:
        """Lose all but a part."""
        self.there &= kept
        for values in (self.values, self.maximum, self.scaled, self.shifted):
            values[~self.there] = np.nan
        self.complete &= self.there

    def take(self, other: Buffer, part: Mask) -> None:
        """Copy a part of another buffer."""
        assert other.there[part].all(), "reads what is nowhere"
        self.there[part] = True
        for name in ("values", "maximum", "scaled", "shifted", "complete"):
            getattr(self, name)[part] = getattr(other, name)[part]


@dataclass
class Run:
    """What a run did.

    Parameters
    ----------
    outputs : dict of str to array
        What is in DRAM in the end.
    moved : list of int
        Words to and from DRAM of everything that the plan keeps, in its order.
    peak : int
        Most words on chip.
    runs : dict of str to Counter
        Per layer, sizes of parts that were made, and how often.
    turns : int
        How often a layer ran.
    """

    outputs: dict[str, Floats] = field(default_factory=dict)
    moved: list[int] = field(default_factory=list)
    peak: int = 0
    runs: dict[str, Counter[tuple[tuple[int | str, int], ...]]] = field(default_factory=dict)
    turns: int = 0


@dataclass
class _State:
    """What a softmax or a normalisation knows of its rows so far."""

    maximum: Floats
    total: Floats
    squares: Floats
    step: Ints


class _Machine:
    """Buffers, DRAM and what streams."""

    def __init__(self, program: Program, plan: GroupPlan, data: Data) -> None:
        self.program = program
        self.data = data
        self.view = program.view
        self.stays = stays(program, plan.kept)
        self.buffers = [Buffer.empty(entry.elements) for entry in self.stays]
        self.dram: dict[str, Buffer] = {}
        self.moved = [0] * len(self.stays)
        self.visited = [-1] * len(self.stays)
        self.streams: dict[str, tuple[int, _State]] = {}
        self.added: dict[str, Ints] = {}
        for entry in self.stays:
            if entry.kept.kind == "state":
                self._stream(entry.kept.name)
            if entry.kept.kind in ("input", "output"):
                self.dram[entry.kept.name] = Buffer.empty(entry.elements)
        for name, values in data.tensors.items():
            if name in self.dram:
                self.dram[name].values[:] = values
                self.dram[name].there[:] = self.dram[name].complete[:] = True

    def _stream(self, name: str) -> None:
        last = len(self.view.graph.layer_of(name).output.shape) - 1
        (number,) = (
            i
            for i, loop in enumerate(self.program.loops)
            if loop.cuts.get(name, ("", 0))[0] == last
        )
        count = self.view.graph.layer_of(name).output.elements
        rows = count // self.program.operations[name].row
        nan = [np.full(rows, np.nan) for _ in range(3)]
        self.streams[name] = number, _State(*nan, np.full(rows, -1))

    def run(self) -> Run:
        result = Run(turns=len(self.program.turns))
        for time, turn in enumerate(self.program.turns):
            self._arrive(time)
            self._work(turn, result)
        for number, entry in enumerate(self.stays):
            if entry.kept.kind == "output":
                self._store(number, entry.visits[-1])
        result.moved = self.moved
        result.peak = int(use(self.program, self.stays).max(initial=0))
        for name in {t.name for t in self.view.leaving}:
            assert self.dram[name].complete.all(), f"{name} is not complete"
            result.outputs[name] = self.dram[name].values
        return result

    def _arrive(self, time: int) -> None:
        """Let go of what was visited before, and load what a visit that starts now touches."""
        for number, entry in enumerate(self.stays):
            following = self.visited[number] + 1
            if following == len(entry.visits) or entry.visits[following].start != time:
                continue
            visit, buffer = entry.visits[following], self.buffers[number]
            if following and entry.kept.kind == "output":
                self._store(number, entry.visits[following - 1])
            if following:
                buffer.forget(entry.visits[following - 1].kept)
            self.visited[number] = following
            kind = entry.kept.kind
            if kind == "input":
                buffer.take(self.dram[entry.kept.name], visit.touched & ~buffer.there)
            if kind in ("input", "weights"):
                self.moved[number] += int(visit.brought.sum())
            elif kind == "output":
                stored = self.dram[entry.kept.name]
                partial = visit.brought & stored.there & ~stored.complete
                buffer.take(stored, partial)
                self.moved[number] += int(partial.sum())

    def _store(self, number: int, visit: Visit) -> None:
        stored = self.dram[self.stays[number].kept.name]
        todo = visit.touched & ~stored.complete & self.buffers[number].there
        stored.take(self.buffers[number], todo)
        self.moved[number] += int(todo.sum())

    def _buffer(self, name: str, user: str, *kinds: str) -> Buffer:
        (number,) = (
            i
            for i, entry in enumerate(self.stays)
            if entry.kept.name == name and user in entry.users and entry.kept.kind in kinds
        )
        return self.buffers[number]

    def _work(self, turn: Turn, result: Run) -> None:
        layer = self.view.layers[turn.place]
        done = self.program.operations[layer.name]
        self._count(layer, done, turn, result)
        inputs = []
        for tensor, read in zip(layer.inputs, done.reads, strict=True):
            buffer = self._buffer(tensor.name, layer.name, "input", "inside", "output")
            at = read[turn.terms]
            needed = at[at != NONE]
            missing = f"{layer.name} reads {tensor.name}, which is not there"
            assert buffer.there[needed].all(), missing
            streamed = self._streamed(layer, tensor.name)
            assert streamed or buffer.complete[needed].all(), f"{tensor.name} is not complete"
            inputs.append(taken(done, buffer.values, at))
        target = self._buffer(layer.output.name, layer.name, "inside", "output")
        if done.kind in ("softmax", "layer norm", "rms norm"):
            self._recur(layer, done, turn, inputs[0], target)
        else:
            self._sum(layer, done, turn, inputs, target)

    def _streamed(self, layer: FoldedLayer, tensor: str) -> str | None:
        """The operation that streams what a layer reads and sums."""
        maker = self.view.makers.get(tensor)
        if maker is None or maker.name not in self.streams:
            return None
        return maker.name

    def _count(self, layer: FoldedLayer, done: Operation, turn: Turn, result: Run) -> None:
        keys = [loop.cuts[layer.name][0] for loop in self.program.loops if layer.name in loop.cuts]
        part = tuple((key, len(np.unique(done.coordinates[key][turn.terms]))) for key in keys)
        result.runs.setdefault(layer.name, Counter())[part] += 1

    def _sum(
        self,
        layer: FoldedLayer,
        done: Operation,
        turn: Turn,
        inputs: list[Floats],
        target: Buffer,
    ) -> None:
        sums = [
            i
            for i, loop in enumerate(self.program.loops)
            if isinstance(loop.cuts.get(layer.name, (0, 0))[0], str)
        ]
        turn, inputs = self._not_yet(layer, turn, sums, inputs)
        out = done.out[turn.terms]
        every = np.unique(out)
        if all(turn.at[i] == 0 for i in sums):
            target.there[every] = True
            target.values[every] = -np.inf if done.kind == "max" else 0.0
            target.maximum[every] = -np.inf
            target.scaled[every] = target.shifted[every] = 0.0
        assert target.there[every].all(), f"partial sums of {layer.name} are not there"
        target.complete[every] = False
        if done.kind == "max":
            np.maximum.at(target.values, out, np.max(inputs, axis=0))
        elif done.kind == "sum of inputs":
            np.add.at(target.values, out, np.sum(inputs, axis=0))
        else:
            self._multiply(layer, done, turn, inputs, target, every)
        if all(turn.at[i] == self.program.loops[i].steps - 1 for i in sums):
            self._correct(layer, done, turn, target, every)
            target.values[every] = after(layer, target.values[every])
            target.complete[every] = True

    def _not_yet(
        self, layer: FoldedLayer, turn: Turn, sums: list[int], inputs: list[Floats]
    ) -> tuple[Turn, list[Floats]]:
        """Without what was added to partial sums before: halos that are asked for again."""
        if not sums:
            return turn, inputs
        done = self.program.operations[layer.name]
        added = self.added.setdefault(layer.name, np.full(len(done.out), -1))
        # Sums start anew where loops outside of them go on.
        times = sum(turn.at[i] * 1000**n for n, i in enumerate(range(sums[0])) if turn.at[i] >= 0)
        new = added[turn.terms] != times
        added[turn.terms] = times
        terms = turn.terms.copy()
        terms[turn.terms] = new
        return Turn(turn.place, turn.at, terms), [values[new] for values in inputs]

    def _multiply(
        self,
        layer: FoldedLayer,
        done: Operation,
        turn: Turn,
        inputs: list[Floats],
        target: Buffer,
        every: Ints,
    ) -> None:
        out, factors = done.out[turn.terms], list(inputs)
        if done.weight is not None:
            at = done.weight[turn.terms]
            passing = all(
                entry.kept.depth is None
                for entry in self.stays
                if (entry.kept.name, entry.kept.kind) == (layer.name, "weights")
            )
            assert passing or self._there(layer.name, at), "weights are not there"
            factors.append(self.data.weights[layer.name][at])
        for number, tensor in enumerate(layer.inputs):
            name = self._streamed(layer, tensor.name)
            if name is None:
                continue
            row = self._rows(name, done, number, turn)
            kind, state = self.program.operations[name].kind, self.streams[name][1]
            if kind == "softmax":
                new = np.full(len(target.values), np.nan)
                new[out] = state.maximum[row]
                with np.errstate(invalid="ignore"):
                    target.values[every] *= np.exp(target.maximum[every] - new[every])
                target.maximum[every] = new[every]
            else:
                scale, bias = self.data.scales[name]
                column = done.reads[number][turn.terms] % self.program.operations[name].row
                others = np.prod([f for i, f in enumerate(factors) if i != number], axis=0)
                np.add.at(target.scaled, out, scale[column] * others)
                np.add.at(target.shifted, out, bias[column] * others)
        np.add.at(target.values, out, np.prod(factors, axis=0))

    def _there(self, name: str, at: Ints) -> bool:
        for number, entry in enumerate(self.stays):
            if (entry.kept.name, entry.kept.kind) == (name, "weights"):
                return bool(entry.visits[self.visited[number]].touched[at].all())
        return False

    def _rows(self, name: str, done: Operation, number: int, turn: Turn) -> Ints:
        return np.asarray(done.reads[number][turn.terms] // self.program.operations[name].row)

    def _correct(
        self, layer: FoldedLayer, done: Operation, turn: Turn, target: Buffer, every: Ints
    ) -> None:
        """Divide by sums and spreads that were not known before."""
        for number, tensor in enumerate(layer.inputs):
            name = self._streamed(layer, tensor.name)
            if name is None:
                continue
            own, state = self.program.operations[name], self.streams[name][1]
            row = np.zeros(len(target.values), dtype=np.int64)
            row[done.out[turn.terms]] = self._rows(name, done, number, turn)
            row = row[every]
            if own.kind == "softmax":
                target.values[every] /= state.total[row]
                continue
            mean = state.total[row] / own.row if own.kind == "layer norm" else 0.0
            spread = np.sqrt(state.squares[row] / own.row - mean**2 + EPSILON)
            values = (target.values[every] - mean * target.scaled[every]) / spread
            target.values[every] = values + target.shifted[every]

    def _recur(
        self, layer: FoldedLayer, done: Operation, turn: Turn, x: Floats, target: Buffer
    ) -> None:
        out = done.out[turn.terms]
        rows, place = np.unique(out // done.row, return_inverse=True)
        target.there[out] = True
        if layer.name not in self.streams:
            assert len(out) == len(rows) * done.row, "rows are cut"
            self._row_by_row(layer, done, out, x, target)
            return
        number, state = self.streams[layer.name]
        step = turn.at[number]
        if step == 0:
            state.step[rows] = -1
        new = state.step[rows] != step
        assert new.all() or not new.any()
        if new.all():
            assert (state.step[rows] == step - 1).all(), "a step is left out"
            before = state.maximum.copy()
            self._learn(done, rows, place, x, state, step)
            if done.kind == "softmax" and step:
                # Earlier tiles that are still there count from the same maximum as new ones.
                factor = np.exp(before[rows] - state.maximum[rows])
                target.values.reshape(-1, done.row)[rows] *= factor[:, None]
        if done.kind == "softmax":
            target.values[out] = np.exp(x - state.maximum[rows][place])
        else:
            target.values[out] = x * self.data.scales[layer.name][0][out % done.row]
        target.complete[out] = False

    def _learn(
        self, done: Operation, rows: Ints, place: Ints, x: Floats, state: _State, step: int
    ) -> None:
        state.step[rows] = step
        if step == 0:
            state.maximum[rows] = -np.inf
            state.total[rows] = state.squares[rows] = 0.0
        if done.kind == "softmax":
            most = state.maximum[rows].copy()
            np.maximum.at(most, place, x)
            state.total[rows] *= np.exp(state.maximum[rows] - most)
            state.maximum[rows] = most
            np.add.at(state.total, rows[place], np.exp(x - most[place]))
            return
        np.add.at(state.total, rows[place], x)
        np.add.at(state.squares, rows[place], x**2)

    def _row_by_row(
        self, layer: FoldedLayer, done: Operation, out: Ints, x: Floats, target: Buffer
    ) -> None:
        x = x.reshape(-1, done.row)
        if done.kind == "softmax":
            e = np.exp(x - x.max(axis=1, keepdims=True))
            values = e / e.sum(axis=1, keepdims=True)
        else:
            scale, bias = self.data.scales[layer.name]
            mean = x.mean(axis=1, keepdims=True) if done.kind == "layer norm" else 0.0
            spread = np.sqrt(((x - mean) ** 2).mean(axis=1, keepdims=True) + EPSILON)
            values = (x - mean) / spread * scale + bias
        target.values[out] = after(layer, values.ravel())
        target.complete[out] = True


def run(program: Program, plan: GroupPlan, data: Data) -> Run:
    """Run a group as its plan says."""
    return _Machine(program, plan, data).run()
