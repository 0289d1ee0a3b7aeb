"""What each parameter does near a hardware point, all others staying as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.arch.expressions import Number
from toolkit.codesign.evaluation import HardwareObjective
from toolkit.codesign.exact.certificate import HardwareProof
from toolkit.codesign.scoring import Score, Scorer

MOST_VALUES = 9
"""Values of a parameter that are scored: the point's own, the next ones, and ever larger steps."""


@dataclass(frozen=True)
class ParameterCurve:
    """Scores of points that differ from one in a single parameter.

    Parameters
    ----------
    name : str
        Of the parameter.
    values : tuple of number
        Ascending, that of the point among them.
    scores : tuple of Score
        Of the point with each of them.
    bounds : tuple of float or None
        What no mapping undercuts there, in the unit of the objective; None where nothing is
        known.
    at : int
        Which of the values the point has.
    objective : HardwareObjective
        What a score is worth.
    """

    name: str
    values: tuple[Number, ...]
    scores: tuple[Score, ...]
    bounds: tuple[float | None, ...]
    at: int
    objective: HardwareObjective

    @property
    def found(self) -> tuple[float, ...]:
        """Objective values; inf where a layer does not fit."""
        return tuple(
            self.objective.value(s.energy_pj, s.latency_cycles, s.area_um2) for s in self.scores
        )


def parameter_curves(
    scorer: Scorer,
    parameters: Mapping[str, Number],
    proof: HardwareProof | None = None,
    most: int = MOST_VALUES,
) -> tuple[ParameterCurve, ...]:
    """Score what one parameter after the other does; points beyond the budgets, too.

    Parameters
    ----------
    scorer : Scorer
        Of the job.
    parameters : mapping of str to number
        The point, such as the best one.
    proof : HardwareProof, optional
        Knows bounds: of a point that of the box that it lies in.
    most : int
        Values of each parameter, at most; those with a single one have no curve.

    Raises
    ------
    ArchitectureError
        If it is no point of the space.
    """
    curves, ranges = [], scorer.job.space.ranges
    for name, found in ranges.items():
        if len(found.values) == 1:
            continue
        own = found.index(parameters[name])
        places = near_places(own, len(found.values), most)
        points = [{**parameters, name: found.values[place]} for place in places]
        curves.append(
            ParameterCurve(
                name,
                tuple(found.values[place] for place in places),
                tuple(scorer.score(point) for point in points),
                tuple(_bound_of(scorer, point, proof) for point in points),
                places.index(own),
                scorer.job.objective,
            )
        )
    return tuple(curves)


def near_places(own: int, count: int, most: int) -> list[int]:
    """Places around one of a range: next to it, then twice as far away every time; all if few.

    Examples
    --------
    >>> near_places(5, 64, 7), near_places(0, 3, 9)
    ([1, 3, 4, 5, 6, 7, 9], [0, 1, 2])
    """
    if count <= most:
        return list(range(count))
    places, step = {own}, 1
    while len(places) < most and step < 2 * count:
        for place in (own - step, own + step):
            within = min(max(place, 0), count - 1)
            if len(places) < most:
                places.add(within)
        step *= 2
    return sorted(places)


def _bound_of(
    scorer: Scorer, point: Mapping[str, Number], proof: HardwareProof | None
) -> float | None:
    if proof is None:
        return None
    places = [found.index(point[name]) for name, found in scorer.job.space.ranges.items()]
    for entry in proof.boxes:
        inside = zip(places, entry.box.sides, strict=True)
        if all(first <= place <= last for place, (first, last) in inside):
            # Boxes beyond the budgets are closed without a bound.
            return entry.bound if 0 < entry.bound < math.inf else None
    return None
