"""Boxes of a proof, shared by workers through the storage of its study.

Whoever goes on with open boxes adds a running trial that names them, its claim, and ends it with
what it has found of them. So the proof is what all ended claims say, each in the place of its
boxes, and boxes that no running claim names are there for anybody. Of two claims of one box the
one whose trial has the lower number holds; the other is withdrawn. A claim whose worker was
killed ends without a result once its heart has stopped, and its boxes are open as before.

A worker that finds nothing open adds a claim of nothing: others see that somebody waits, give
back what they have, and leave it a part.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState, create_trial

from toolkit.codesign.exact.boxes import Box
from toolkit.study.hardware.plan import WITHDRAWN, WORKER
from toolkit.study.hardware.shared import Watch

CLAIM, FOUND, REPEATED = "claim", "found", "repeated"
"""Attributes of a trial: boxes that a worker goes on with, what it has found of them, and that it
is no more than a copy of one that was given up."""

_MAX_BYTES = 1 << 28


class Entry(Protocol):
    """A box, and what is known of it."""

    @property
    def box(self) -> Box:
        """Places in the ranges."""


class Proof(Protocol):
    """What is known of some boxes of a space."""

    @property
    def boxes(self) -> Sequence[Entry]:
        """Disjoint."""

    def left(self, within: float) -> Sequence[Entry]:
        """Boxes that have to be looked at, the most promising first."""

    def record(self) -> dict[str, Any]:
        """Write it as plain data."""


P = TypeVar("P", bound=Proof)


@dataclass(frozen=True)
class Kind(Generic[P]):
    """A kind of proofs.

    Parameters
    ----------
    read : function
        Reads what `Proof.record` wrote.
    join : function
        Puts parts together, each in the place of the boxes that it was asked about: parts, what
        is known to begin with, and how close it shall be.
    """

    read: Callable[[dict[str, Any]], P]
    join: Callable[[Sequence[tuple[Sequence[Box], P]], P, float], P]


@dataclass(frozen=True)
class Claim:
    """Boxes that this worker goes on with.

    Parameters
    ----------
    trial_id : int
        Of the trial that says so.
    number : int
        Of that trial.
    boxes : tuple of Box
        None of them while this worker waits for some.
    """

    trial_id: int
    number: int
    boxes: tuple[Box, ...]


@dataclass(eq=False)
class Shares(Generic[P]):
    """The proof of a study, as all workers together have it.

    Parameters
    ----------
    study : optuna.Study
        Whose trials claim boxes.
    kind : Kind
        Of proofs.
    nothing : Proof
        What is known to begin with.
    within : float
        How close the proof shall be.
    """

    study: optuna.Study
    kind: Kind[P]
    nothing: P
    within: float
    _parts: dict[int, tuple[tuple[Box, ...], P]] = field(default_factory=dict, init=False)
    _running: dict[int, tuple[Box, ...]] = field(default_factory=dict, init=False)
    _joined: tuple[int, P] | None = field(default=None, init=False)

    def read(self) -> P:
        """Read what all ended claims have found."""
        self._running = {}
        for trial in self._claims():
            if trial.state == TrialState.RUNNING:
                self._running[trial.number] = _read_boxes(trial)
            elif trial.number not in self._parts and FOUND in trial.user_attrs:
                found = self.kind.read(_read(trial.user_attrs[FOUND]))
                self._parts[trial.number] = _read_boxes(trial), found
        if self._joined is None or self._joined[0] != len(self._parts):
            parts = [self._parts[number] for number in sorted(self._parts)]
            joined = self.kind.join(parts, self.nothing, self.within)
            self._joined = len(self._parts), joined
        return self._joined[1]

    @property
    def begun(self) -> bool:
        """Whether any claim has ended, as last read."""
        return bool(self._parts)

    def _claims(self) -> list[FrozenTrial]:
        states = (TrialState.RUNNING, TrialState.FAIL)
        trials = self.study.get_trials(deepcopy=False, states=states)
        return [x for x in trials if CLAIM in x.user_attrs and REPEATED not in x.user_attrs]

    def somebody_waits(self) -> bool:
        """Whether a worker has nothing to do."""
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return any(CLAIM in x.user_attrs and not _read_boxes(x) for x in running)

    def claim(self, own: frozenset[Box], *, waiting: bool = False) -> tuple[P, Claim] | None:
        """Claim open boxes: a fair part if others wait, among them those that a worker knows.

        Parameters
        ----------
        own : frozenset of Box
            Boxes that this worker knows more of than others do.
        waiting : bool
            Whether one of those who wait is this worker.

        Returns
        -------
        Proof, Claim, or None
            What is known by then, and the claim; None if no box is there to be had.
        """
        proof = self.read()
        taken = {box for boxes in self._running.values() for box in boxes}
        free = [entry.box for entry in proof.left(self.within) if entry.box not in taken]
        if not free:
            return None
        others = sum(not boxes for boxes in self._running.values()) - waiting
        # Everybody gets promising ones.
        ordered = [*(x for x in free if x in own), *(x for x in free if x not in own)]
        seen = set(self._parts)
        claim = self._add(ordered[:: others + 1])
        if self._is_beaten(claim, seen):
            self.withdraw(claim)
            return None
        return proof, claim

    def wait(self) -> Claim:
        """Say that this worker has nothing to do."""
        return self._add([])

    def _add(self, boxes: Sequence[Box]) -> Claim:
        attributes = {
            CLAIM: _written([box.sides for box in boxes]),
            WORKER: f"{socket.gethostname()}:{os.getpid()}",
        }
        storage = self.study._storage
        trial = create_trial(state=TrialState.RUNNING, user_attrs=attributes)
        known = storage.create_new_trial(self.study._study_id, template_trial=trial)
        return Claim(known, storage.get_trial(known).number, tuple(boxes))

    def _is_beaten(self, claim: Claim, seen: set[int]) -> bool:
        """Whether an earlier claim, of which this worker knew nothing, is of the same boxes."""
        boxes = set(claim.boxes)
        for trial in self._claims():
            if trial.number < claim.number and trial.number not in seen:
                counts = trial.state == TrialState.RUNNING or FOUND in trial.user_attrs
                if counts and boxes.intersection(_read_boxes(trial)):
                    return True
        return False

    def give_back(self, claim: Claim, found: P) -> None:
        """End a claim with what was found, unless others took this worker for dead meanwhile."""
        storage = self.study._storage
        with suppress(UpdateFinishedTrialError):
            storage.set_trial_user_attr(claim.trial_id, FOUND, _written(found.record()))
            self.withdraw(claim)

    def withdraw(self, claim: Claim) -> None:
        """End a claim."""
        storage = self.study._storage
        with suppress(UpdateFinishedTrialError):
            storage.set_trial_user_attr(claim.trial_id, WITHDRAWN, True)
            storage.set_trial_state_values(claim.trial_id, state=TrialState.FAIL)

    def take_over(self, watch: Watch) -> None:
        """End the claims of workers that were killed."""
        watch.take_over()
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            # Optuna repeats what was given up; its boxes are there to be claimed instead.
            with suppress(UpdateFinishedTrialError):
                self.study._storage.set_trial_user_attr(trial._trial_id, REPEATED, True)
                self.study._storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)

    @contextmanager
    def waiting(self, watch: Watch) -> Iterator[Claim]:
        """Let others know for as long as the block takes that this worker has nothing to do."""
        claim = self.wait()
        try:
            with watch.alive(claim.trial_id):
                yield claim
        finally:
            self.withdraw(claim)


def _read_boxes(trial: FrozenTrial) -> tuple[Box, ...]:
    return tuple(Box(tuple(map(tuple, sides))) for sides in _read(trial.user_attrs[CLAIM]))


def _written(record: Any) -> str:
    """Write plain data as text that takes little room."""
    data = json.dumps(record, separators=(",", ":")).encode()
    return base64.b85encode(zlib.compress(data, 9)).decode()


def _read(text: str) -> Any:
    return json.loads(zlib.decompressobj().decompress(base64.b85decode(text), _MAX_BYTES))
