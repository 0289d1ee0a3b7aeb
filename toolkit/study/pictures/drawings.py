"""Which pictures show what: those of a machine, a mapping, a search, a comparison, networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from toolkit.arch.architecture import Architecture
from toolkit.fusion.partition import FusionResult
from toolkit.model.evaluate import Evaluation, evaluate
from toolkit.search.landscape import Landscape, random_values
from toolkit.search.network import NetworkComparison, NetworkResult
from toolkit.search.network.serving import ServingResult
from toolkit.search.problem import Problem
from toolkit.search.result import SearchResult
from toolkit.study.pictures.bars import draw_bars, layer_bars
from toolkit.study.pictures.canvas import Drawing
from toolkit.study.pictures.comparison import file_names, problem_drawings
from toolkit.study.pictures.costs import cost_picture, draw_costs
from toolkit.study.pictures.curves import problem_plots
from toolkit.study.pictures.fusion import draw_fusion, fusion_graph
from toolkit.study.pictures.machine import draw_machine, machine_picture
from toolkit.study.pictures.map_space import (
    SAMPLES,
    draw_space,
    landscape_picture,
    space_picture,
)
from toolkit.study.pictures.mapping import draw_mapping, mapping_picture
from toolkit.study.pictures.network import draw_graph, energy_graph
from toolkit.study.pictures.networks import draw_networks, networks_picture
from toolkit.study.pictures.roofline import draw_roofline, roofline
from toolkit.study.pictures.serving import draw_serving, serving_picture
from toolkit.study.pictures.timelines import draw_timelines, drawn_timelines
from toolkit.study.storage.runs import Comparison, Outcome, problem_name

MOST_MAPPED = 3
"""Problems of a comparison up to which the best mapping of each is drawn."""


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
        draw_space(
            space_picture(problem, {"random": random_values(problem, samples)}, results, bound)
        ),
    )


def landscape_drawings(
    found: Landscape, proof: SearchResult | None, evaluation: Evaluation
) -> tuple[Drawing, ...]:
    """Draw random mappings and the ends of descents, and the best mapping of all.

    Parameters
    ----------
    found : Landscape
        What was drawn.
    proof : SearchResult or None
        What a search for the optimum found, if there was one.
    evaluation : Evaluation
        Of the best mapping.
    """
    ended = "" if found.bottoms is None else " Blue: where descents from them ended."
    space = Drawing(
        "space",
        "Random mappings",
        f"Grey: random valid mappings.{ended} Lines: the best, listed below.",
        draw_space(landscape_picture(found, proof)),
    )
    return (space, *evaluation_drawings(evaluation))


def map_space_drawings(problem: Problem) -> tuple[Drawing, ...]:
    """Draw random mappings of a problem, and the machine."""
    return (space_drawing(problem, [], None), machine_drawing(problem.arch))


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
    roofs, bars, graph = roofline(result), layer_bars(result), energy_graph(result)
    return (
        machine_drawing(result.arch),
        Drawing(
            "roofline",
            "Roofline",
            "Filled marks: layers by what they move from and to the outermost memory, as large as "
            "their cycles; crosses: by what they move through each memory on chip.",
            draw_roofline(roofs),
            partial(draw_roofline, roofs, narrow=True),
        ),
        Drawing(
            "layers",
            "Layer by layer",
            "Energy by level, and cycles by what they are spent on.",
            draw_bars(bars),
            partial(draw_bars, bars, narrow=True),
        ),
        Drawing(
            "graph",
            "The graph of layers",
            "Coloured by energy; what costs nothing is left out.",
            draw_graph(graph),
            partial(draw_graph, graph, narrow=True),
        ),
    )


def networks_drawings(found: NetworkComparison) -> tuple[Drawing, ...]:
    """Draw networks side by side, and the machines."""
    machines = _machines(result.arch for result in found.results)
    picture = networks_picture(found)
    compared = Drawing(
        "networks",
        "Networks and architectures",
        "Lines reach from the best architecture to the worst.",
        draw_networks(picture),
        partial(draw_networks, picture, narrow=True),
    )
    return (compared, *machines)


def serving_drawings(result: ServingResult) -> tuple[Drawing, ...]:
    """Draw what a token costs while a context grows, and the machine."""
    picture = serving_picture(result)
    tokens = Drawing(
        "serving",
        "What a token costs",
        "By the tokens that are in the cache already.",
        draw_serving(picture),
        partial(draw_serving, picture, narrow=True),
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
            lambda: draw_fusion(fusion_graph(result, narrow=True)),
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
                partial(draw_timelines, timelines, narrow=True),
            )
        )
    return (*drawings, machine_drawing(arch))
