"""Which pictures show what: those of one mapping, a search, a comparison, networks, hardware."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.codesign.exact.front_certificate import FrontProof
from toolkit.codesign.near_best import ParameterCurve
from toolkit.fusion.partition import FusionResult
from toolkit.model.evaluate import Evaluation, evaluate
from toolkit.search.network import NetworkComparison, NetworkResult
from toolkit.search.network.serving import ServingResult
from toolkit.search.problem import Problem
from toolkit.search.result import SearchResult
from toolkit.study.hardware.comparison import HardwareComparison
from toolkit.study.pictures.bars import draw_bars, layer_bars
from toolkit.study.pictures.canvas import Drawing
from toolkit.study.pictures.chip import Chip, chip_of, draw_chips
from toolkit.study.pictures.comparison import file_names, problem_drawings
from toolkit.study.pictures.costs import cost_picture, draw_costs
from toolkit.study.pictures.curves import problem_plots
from toolkit.study.pictures.fusion import draw_fusion, fusion_graph
from toolkit.study.pictures.hardware import draw_codesign, strategy_points
from toolkit.study.pictures.look import level_colors
from toolkit.study.pictures.machine import draw_machine, machine_picture
from toolkit.study.pictures.map_space import SAMPLES, draw_space, space_picture
from toolkit.study.pictures.mapping import draw_mapping, mapping_picture
from toolkit.study.pictures.near_best import draw_curves, draw_tradeoffs, tradeoffs
from toolkit.study.pictures.network import draw_graph, energy_graph
from toolkit.study.pictures.networks import draw_networks, networks_picture
from toolkit.study.pictures.roofline import draw_roofline, roofline
from toolkit.study.pictures.serving import draw_serving, serving_picture
from toolkit.study.pictures.timelines import draw_timelines, drawn_timelines
from toolkit.study.storage.runs import Comparison, Outcome, problem_name

_CHIPS = (
    "Each level takes the share of the square that its area is, all instances together; where it "
    "lies says nothing. Shares in the legend are those of the machines from left to right."
)

MOST_MAPPED = 3
"""Problems of a comparison up to which the best mapping of each is drawn."""

MOST_CHIPS = 4
"""Strategies whose best machines are drawn side by side, the best ones."""


def chips_of(comparison: HardwareComparison) -> tuple[Chip, ...]:
    """The best machines of the best strategies; equal ones are drawn once."""
    found: dict[tuple[tuple[str, Number], ...], list[str]] = {}
    runs = [(name, comparison.best_of(name)) for name in comparison.strategies]
    chosen = [(name, run) for name, run in runs if run is not None and run.choice is not None]
    for name, run in sorted(chosen, key=lambda pair: comparison.value(pair[1])):
        assert run.choice is not None
        found.setdefault(tuple(run.choice.parameters.items()), []).append(name)
    space = comparison.job.space
    return tuple(
        chip_of(space.build(dict(parameters)).arch, ", ".join(names))
        for parameters, names in list(found.items())[:MOST_CHIPS]
    )


def machine_drawing(arch: Architecture, name: str = "machine", title: str = "") -> Drawing:
    """Draw a machine.

    Parameters
    ----------
    arch : Architecture
        The machine.
    name, title : str
        Of the drawing; the title says which machine it is by default.
    """
    return Drawing(
        name,
        title or f"The machine: {arch.name}",
        "Left: levels from the outermost to the innermost; what lies on sheets is there once per "
        "instance. Right: what each memory holds, to scale.",
        draw_machine(machine_picture(arch)),
    )


def mapping_drawings(evaluation: Evaluation, *, suffix: str = "") -> tuple[Drawing, ...]:
    """Draw a mapping and what it costs.

    Parameters
    ----------
    evaluation : Evaluation
        Of the mapping.
    suffix : str
        Of the drawings' names, where there are those of several mappings.
    """
    return (
        Drawing(
            f"mapping{suffix}",
            "The mapping",
            "Left: loops; a full square says that each turn needs other values of a tensor. "
            "Right: how full each memory is, and which tensors pass it by.",
            draw_mapping(mapping_picture(evaluation)),
        ),
        Drawing(
            f"costs{suffix}",
            "Where energy and cycles go",
            "Above: energy by level and tensor. Below: what the cycles of the run are spent on, "
            "and how many of them each port is busy, divided by the words of each tensor.",
            draw_costs(cost_picture(evaluation)),
        ),
    )


def evaluation_drawings(evaluation: Evaluation) -> tuple[Drawing, ...]:
    """Draw a machine, a mapping on it, and what that costs."""
    return (machine_drawing(evaluation.arch), *mapping_drawings(evaluation))


def search_drawings(
    result: SearchResult, evaluation: Evaluation, *, samples: int = SAMPLES
) -> tuple[Drawing, ...]:
    """Draw what a search found: machine, mapping, costs, and its place among all mappings.

    Parameters
    ----------
    result : SearchResult
        What was found.
    evaluation : Evaluation
        Of its mapping.
    samples : int
        Random mappings that it is compared with.
    """
    found = [(result.strategy, result.objective)]
    return (
        *evaluation_drawings(evaluation),
        space_drawing(result.problem, found, result.bound, samples=samples),
    )


def space_drawing(
    problem: Problem,
    results: Sequence[tuple[str, float]],
    bound: float | None,
    *,
    name: str = "space",
    samples: int = SAMPLES,
) -> Drawing:
    """Draw where results lie among random mappings; see `space_picture`."""
    return Drawing(
        name,
        "Its place among all mappings" if len(results) == 1 else "Among all mappings",
        "Grey: random valid mappings. Lines: what strategies found, listed below.",
        draw_space(space_picture(problem, results, bound, samples=samples)),
    )


def map_space_drawings(problem: Problem) -> tuple[Drawing, ...]:
    """Draw random mappings of a problem, and the machine."""
    return (space_drawing(problem, [], None), machine_drawing(problem.arch))


def minimal_drawings(given: Architecture, least: Architecture) -> tuple[Drawing, ...]:
    """Draw a machine, and the least one that its mappings run on."""
    names = [level.name for level in given.levels]
    chips = [chip_of(given, "given"), chip_of(least, "least")]
    return (
        Drawing(
            "chips",
            "Both machines, to scale",
            _CHIPS,
            draw_chips(chips, level_colors(given, [*names, "vector_unit"])),
        ),
        machine_drawing(given, "machine-given", "As given"),
        machine_drawing(least, "machine-least", "The least"),
    )


def comparison_drawings(comparison: Comparison, *, samples: int = SAMPLES) -> tuple[Drawing, ...]:
    """Draw a comparison: machines, and per problem convergence, all mappings, the best one.

    Parameters
    ----------
    comparison : Comparison
        What strategies found.
    samples : int
        Random mappings that it is compared with.
    """
    names = [problem_name(problem) for problem in comparison.problems]
    drawings = list(_machines(problem.arch for problem in comparison.problems))
    plots = problem_drawings(problem_plots(comparison), names)
    for problem, plot, name in zip(comparison.problems, plots, file_names(names), strict=True):
        drawings.append(plot)
        outcomes = [
            outcome
            for outcome in comparison.outcomes
            if outcome.mapping and problem_name(outcome.run.problem) == problem_name(problem)
        ]
        if not outcomes:
            continue
        drawings.append(_place(problem, outcomes, f"space-{name}", samples))
        if len(names) > MOST_MAPPED:
            continue
        best = min(outcomes, key=lambda outcome: outcome.objective)
        assert best.mapping is not None
        evaluation = evaluate(
            best.mapping,
            problem.arch,
            problem.workload,
            conventions=problem.conventions,
            bias_read=problem.bias_read,
        )
        drawings += mapping_drawings(evaluation, suffix=f"-{name}")
    return tuple(drawings)


def _place(problem: Problem, outcomes: Sequence[Outcome], name: str, samples: int) -> Drawing:
    """Draw the best result of each strategy among random mappings."""
    best: dict[str, float] = {}
    for outcome in outcomes:
        strategy = outcome.run.strategy
        best[strategy] = min(best.get(strategy, outcome.objective), outcome.objective)
    bound = max((o.bound for o in outcomes if o.bound is not None), default=None)
    return space_drawing(problem, list(best.items()), bound, name=name, samples=samples)


def _machines(archs: Iterable[Architecture]) -> Iterable[Drawing]:
    """Draw each machine once."""
    different = {arch.name: arch for arch in archs}
    for name, arch in different.items():
        suffix = f"-{file_names([name])[0]}" if len(different) > 1 else ""
        yield machine_drawing(arch, f"machine{suffix}")


def network_drawings(result: NetworkResult) -> tuple[Drawing, ...]:
    """Draw a mapped network: machine, roofline, bars of layers, graph of layers."""
    return (
        machine_drawing(result.arch),
        Drawing(
            "roofline",
            "Roofline",
            "Filled marks: layers by what they move from and to the outermost memory, as large as "
            "their cycles; crosses: by what they move through each memory on chip.",
            draw_roofline(roofline(result)),
        ),
        Drawing(
            "layers",
            "Layer by layer",
            "Left: energy by level. Right: cycles by what they are spent on.",
            draw_bars(layer_bars(result)),
        ),
        Drawing(
            "graph",
            "The graph of layers",
            "Coloured by energy; what costs nothing is left out.",
            draw_graph(energy_graph(result)),
        ),
    )


def networks_drawings(found: NetworkComparison) -> tuple[Drawing, ...]:
    """Draw networks side by side, and the machines."""
    machines = _machines(result.arch for result in found.results)
    compared = Drawing(
        "networks",
        "Networks and architectures",
        "Lines reach from the best architecture to the worst.",
        draw_networks(networks_picture(found)),
    )
    return (compared, *machines)


def serving_drawings(result: ServingResult) -> tuple[Drawing, ...]:
    """Draw what a token costs while a context grows, and the machine."""
    tokens = Drawing(
        "serving",
        "What a token costs",
        "By the tokens that are in the cache already.",
        draw_serving(serving_picture(result)),
    )
    return (tokens, machine_drawing(result.arch))


def fusion_drawings(result: FusionResult, arch: Architecture) -> tuple[Drawing, ...]:
    """Draw groups of layers, what the largest keep on chip over time, and the machine."""
    drawings = [
        Drawing(
            "fusion",
            "Fused groups",
            "Boxes are groups in the order in which they run, lines tensors: full ones stay on "
            "chip, dashed ones go through DRAM.",
            draw_fusion(fusion_graph(result)),
        )
    ]
    timelines = drawn_timelines(result)
    if timelines:
        drawings.append(
            Drawing(
                "fusion_timelines",
                "What the largest groups keep on chip",
                "Layer by layer, in the order in which they run in each step.",
                draw_timelines(timelines),
            )
        )
    return (*drawings, machine_drawing(arch))


def hardware_drawings(
    comparison: HardwareComparison, curves: Sequence[ParameterCurve] = ()
) -> tuple[Drawing, ...]:
    """Draw what a search over hardware found.

    Parameters
    ----------
    comparison : HardwareComparison
        What strategies found; without a feasible point there is nothing but how they went.
    curves : sequence of ParameterCurve
        Around the best point (`toolkit.codesign.near_best.parameter_curves`).

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    space, best = comparison.job.space, comparison.best
    drawings = [
        Drawing(
            "pareto",
            "EDP against area, and how fast each strategy found",
            "Left: feasible points of all seeds, and a line around what they dominate. Right: the "
            "median seed's best so far, and a band from the best to the worst seed.",
            draw_codesign(strategy_points(comparison), comparison.job.title),
        )
    ]
    if best is None or best.choice is None:
        return tuple(drawings)
    if curves:
        where = ", ".join(f"{curve.name} {curve.values[curve.at]}" for curve in curves)
        drawings.append(
            Drawing(
                "parameters",
                "What each parameter does",
                f"One parameter at a time, from the best point ({where}), layers mapped by the "
                "mapper of the search; the star is what its strategy found there. Dashes: what no "
                "mapping undercuts on that hardware, as far as a proof tells.",
                draw_curves(curves, comparison.value(best)),
            )
        )
    largest = space.build(space.largest).arch
    names = [level.name for level in largest.levels]
    chips = chips_of(comparison)
    return (
        *drawings,
        machine_drawing(
            space.build(best.choice.parameters).arch,
            title=f"The best machine, by {best.plan.strategy}",
        ),
        Drawing(
            "chips",
            "The machines, to scale",
            _CHIPS,
            draw_chips(chips, level_colors(largest, [*names, "vector_unit"])),
        ),
        Drawing(
            "tradeoffs",
            "Energy, latency and area",
            "All feasible points of all seeds, from three sides and in three axes; rings: no "
            "other point is better in energy, latency and area." + _missed(comparison.front),
            draw_tradeoffs(
                tradeoffs(comparison), comparison.front.miss if comparison.front else None
            ),
        ),
    )


def _missed(front: FrontProof | None) -> str:
    """Say what a proved front may miss."""
    if front is None or front.miss == math.inf:
        return ""
    return (
        " Those of exact are proved: whatever hardware of these ranges costs, one of them "
        f"exceeds none of the three by more than {front.miss:.2%}."
    )
