"""Fitted latencies: cycles as measured in RTL simulations, for the hardware they were fitted to.

Off unless asked for: the cost model's own latency is a bound that no mapping can beat, a
correction is a statistical estimate with an error. Each is a data file of a few coefficients,
which says what it was fitted to and how well it predicts layers it was not fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Fanout, Memory
from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray, IntArray, to_arrays
from toolkit.messages import describe, suggest
from toolkit.model.compiled import BatchTotals
from toolkit.model.evaluate import Evaluation
from toolkit.model.gemmini_library import DIMENSIONS, array_width, stride, wrapped_rows
from toolkit.model.gemmini_program import ACTIVITIES, program_counts
from toolkit.records import Label, Record, validate
from toolkit.workload.kernel import Workload
from toolkit.yaml_files import parse_yaml

_LEVELS = (
    "memory",
    "memory without output",
    "fanout of M",
    "memory without input, weight",
    "fanout of C",
    "memory without input, output",
    "compute",
)

_Fraction = Annotated[float, Field(ge=-1, le=1)]
_Factor = Annotated[float, Field(ge=1)]
_Cycles = Annotated[float, Field(ge=0)]


class Fit(Record):
    """What a correction was fitted to: a file by its SHA-256, when, and by which script."""

    file: Label
    sha256: Label
    rows: int
    layers: int
    date: Label
    script: Label


class Score(Record):
    """A rank correlation over all rows, in the repeats of a cross-validation."""

    mean: _Fraction
    std: _Fraction
    min: _Fraction
    max: _Fraction


class Figures(Record):
    """How well latencies agree with what was measured, of all layers or of one kind.

    ``pairs`` are mappings of one layer that differ by more than 2 %, ``pairs_right`` the fraction
    of them whose order is as measured, ``regret`` the measured cycles of the mapping rated best
    over those of the fastest one (geometric mean over layers).
    """

    rows: int
    pairs: int
    pairs_right: _Fraction | None
    regret: _Factor
    median_error_percent: float


class CrossValidation(Record):
    """How well rows are estimated whose layer and whose array width were left out of the fit.

    ``corrected`` and ``uncorrected`` are by kind of layer, and ``all``; the latter are those of
    ``uncorrected_latency``, the best of the cost model's own.
    """

    folds: int
    repeats: int
    grouped_by: Label
    spearman: Score
    kendall: Score
    uncorrected_latency: Label
    corrected: dict[Label, Figures]
    uncorrected: dict[Label, Figures]


class FittedRange(Record):
    """Smallest and largest value among the rows of the fit."""

    array_width: Annotated[list[int], Field(min_length=2, max_length=2)]
    macs: Annotated[list[int], Field(min_length=2, max_length=2)]


class CorrectionFile(Record):
    """A correction as its data file holds it."""

    name: Label
    description: Label
    hardware: Label
    fitted_to: Fit
    cross_validation: CrossValidation
    fitted_range: FittedRange
    cycles_per: dict[str, _Cycles]


@dataclass(frozen=True, slots=True)
class LatencyCorrection:
    """A fitted latency; `latency_correction` loads one.

    Parameters
    ----------
    file : CorrectionFile
        Coefficients in cycles per activity (see `toolkit.model.gemmini_program.ACTIVITIES`),
        and where they come from.

    Examples
    --------
    >>> import toolkit
    >>> latency_correction("gemmini-rtl").file.cycles_per["convolution_tile"] > 0
    True
    """

    file: CorrectionFile

    def latency_cycles(
        self, arch: Architecture, workload: Workload, factors: IntArray
    ) -> FloatArray:
        """Estimate the latency of a batch of mappings, in cycles.

        Parameters
        ----------
        arch, workload : Architecture, Workload
            What runs on what.
        factors : int array, shape (batch, levels, dimensions)
            As `toolkit.mapping.to_arrays` describes them; loop orders do not matter.

        Returns
        -------
        float64 array, shape (batch,)

        Raises
        ------
        InputError
            If the architecture or the workload is of another kind than those of the fit.
        """
        check_scope(self.file.name, arch, workload)
        cycles = np.array([self.file.cycles_per[activity] for activity in ACTIVITIES])
        return program_counts(workload, factors).latency_cycles(cycles)

    def corrected(self, evaluation: Evaluation) -> Evaluation:
        """Put the estimate in place of an evaluation's latency, and its provenance in the notes.

        Energy, accesses and the cycles of the memories stay the cost model's.

        Raises
        ------
        InputError
            As `latency_cycles` does.
        """
        arch, workload = evaluation.arch, evaluation.workload
        factors = to_arrays(evaluation.mapping, arch, workload)[0][None]
        estimate = float(self.latency_cycles(arch, workload, factors)[0])
        notes = (
            *self.provenance,
            *self._extrapolations(workload, factors),
            f"without it the latency is {evaluation.latency_cycles:.10g} cycles; the energy, the "
            "bottleneck and the cycles of the memories are not corrected",
        )
        return replace(evaluation, latency_cycles=estimate, notes=(*evaluation.notes, *notes))

    def corrected_totals(
        self, arch: Architecture, workload: Workload, factors: IntArray, totals: BatchTotals
    ) -> BatchTotals:
        """Put the estimates in place of the latencies of a batch.

        Raises
        ------
        InputError
            As `latency_cycles` does.
        """
        return replace(totals, latency_cycles=self.latency_cycles(arch, workload, factors))

    @property
    def provenance(self) -> tuple[str, ...]:
        """Where the estimate comes from and how good it is, one sentence each."""
        fit, scores = self.file.fitted_to, self.file.cross_validation
        ours, theirs = scores.corrected["all"], scores.uncorrected["all"]
        return (
            f"latency corrected by {self.file.name}: {self.file.description}",
            f"fitted on {fit.date} to {fit.rows} rows of {fit.layers} layers in {fit.file} "
            f"(sha256 {fit.sha256[:12]}), {self.file.hardware}",
            f"on {scores.grouped_by} left out of the fit: {_right(ours)} of a layer's pairs of "
            f"mappings are ordered as measured, half of the estimates are within "
            f"{ours.median_error_percent:.0f} %; uncorrected ({scores.uncorrected_latency}): "
            f"{_right(theirs)}, {theirs.median_error_percent:.0f} %",
            "what is counted was chosen with all these rows in view; the folds judge the "
            "coefficients only",
        )

    def _extrapolations(self, workload: Workload, factors: IntArray) -> tuple[str, ...]:
        fitted = self.file.fitted_range
        found = {
            "an array width of": (array_width(workload, factors)[0], fitted.array_width),
            "a layer of (MACs)": (workload.macs, fitted.macs),
        }
        outside = [
            f"extrapolated: {what} {value:.10g} is outside of the fit's {low} to {high}"
            for what, (value, (low, high)) in found.items()
            if not low <= value <= high
        ]
        if wrapped_rows(workload, factors).any():
            outside.append(
                "estimated to within a factor of 3: some tiles lie beyond the padded input, and "
                "Gemmini's library wraps around when it counts their rows; no fit has learnt from "
                "such runs"
            )
        return tuple(outside)


def _right(figures: Figures) -> str:
    return "none" if figures.pairs_right is None else f"{figures.pairs_right:.1%}"


def check_scope(name: str, arch: Architecture, workload: Workload) -> None:
    """Refuse what a correction of Gemmini says nothing about.

    Parameters
    ----------
    name : str
        The correction, for the message.
    arch, workload : Architecture, Workload
        What it shall be applied to.

    Raises
    ------
    InputError
        Unless the levels are those of ``gemmini-ws`` and ``gemmini-rtl``, and the workload is an
        undilated convolution of batch size 1.
    """
    levels = tuple(_kind(level) for level in arch.levels)
    if levels != _LEVELS:
        raise InputError(
            f"the latency correction {name} was fitted to the levels of gemmini-rtl "
            f"({'; '.join(_LEVELS)}), {arch.name} has {'; '.join(levels)}",
            source=arch.name,
            key="levels",
        )
    sizes = workload.sizes
    known = set(DIMENSIONS) <= set(sizes) <= {*DIMENSIONS, "N"} and sizes.get("N", 1) == 1
    if workload.kernel != "conv" or not known:
        raise InputError(
            f"the latency correction {name} was fitted to convolutions over "
            f"{', '.join(DIMENSIONS)} of batch size 1, got {workload.kernel} over "
            f"{', '.join(f'{d} = {size}' for d, size in sizes.items())}",
            source=workload.name,
            key="kernel",
        )
    if stride(workload, "R") != 1 or stride(workload, "S") != 1:
        raise InputError(
            f"the latency correction {name} was fitted to convolutions without dilation",
            source=workload.name,
            key="dilation",
        )


def _kind(level: object) -> str:
    if isinstance(level, Memory):
        return (
            f"memory without {', '.join(sorted(level.bypasses))}" if level.bypasses else "memory"
        )
    return f"fanout of {', '.join(level.dimensions)}" if isinstance(level, Fanout) else "compute"


def latency_correction_names() -> tuple[str, ...]:
    """List the latency corrections that come with the package, sorted.

    Examples
    --------
    >>> latency_correction_names()
    ('gemmini-rtl',)
    """
    folder = resources.files("toolkit.model").joinpath("corrections")
    return tuple(sorted(Path(entry.name).stem for entry in folder.iterdir()))


def latency_correction(name: str) -> LatencyCorrection:
    """Load a latency correction by name.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.latency_correction("gemmini-rtl").file.name
    'gemmini-rtl'
    """
    names = latency_correction_names()
    if name not in names:
        raise InputError(
            f"unknown latency correction {describe(name)}{suggest(name, names)}; "
            f"expected one of {', '.join(names)}",
            key="latency_correction",
        )
    data = resources.files("toolkit.model").joinpath("corrections", f"{name}.yaml").read_bytes()
    return read_correction(data, f"corrections/{name}.yaml")


def read_correction(data: bytes, source: str) -> LatencyCorrection:
    """Read a correction's data file.

    Raises
    ------
    InputError
        Naming file and key if it is malformed, or lacks the cycles of an activity.
    """
    file = validate(CorrectionFile, parse_yaml(data, source=source), source=source)
    if tuple(file.cycles_per) != ACTIVITIES:
        raise InputError(
            f"expected cycles per {', '.join(ACTIVITIES)}, got {', '.join(file.cycles_per)}",
            source=source,
            key="cycles_per",
        )
    return LatencyCorrection(file)
