"""Small hardware spaces and networks at random, and the best of them by looking at every point."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

import numpy as np

from toolkit.arch import Architecture
from toolkit.arch.technology import Technology
from toolkit.arch.template import make_template
from toolkit.codesign import HardwareSpace, NetworkWeight, hardware_space
from toolkit.codesign.evaluation import HardwareObjective
from toolkit.codesign.exact import Question
from toolkit.codesign.exact.mix import mix_of
from toolkit.errors import DoesNotFitError, InputError
from toolkit.model.conventions import EXACT
from toolkit.search.evaluator import Evaluator
from toolkit.search.exact import exact_front
from toolkit.search.network.cost import LayerSearch
from toolkit.search.network.workloads import problem_of
from toolkit.search.objective import OBJECTIVES as OBJECTIVES_OF_LAYERS
from toolkit.search.result import Budget
from toolkit.workload import Workload, gemm
from toolkit.workload.network import Layer, LayerGraph, TensorInfo
from toolkit.yaml_files import parse_yaml

OBJECTIVES = (
    HardwareObjective("edp", (1.0, 1.0, 0.0)),
    HardwareObjective("edap", (1.0, 1.0, 1.0)),
    HardwareObjective("energy", (1.0, 0.0, 0.0)),
    HardwareObjective("latency", (0.0, 1.0, 0.0)),
    HardwareObjective("energy*latency^2*area", (1.0, 2.0, 1.0)),
)
VALUES = {
    "words": ([16, 24, 40, 64, 256], 4),
    "side": ([1, 2, 3, 4, 6], 3),
    "inner": ([2, 4, 5, 9], 3),
    "pace": ([1, 2, 3, 8], 2),
}


def draw_template(rng: random.Random) -> str:
    """An architecture of two or three memories and one or two fanouts, as YAML."""
    pick = rng.choice
    energy = pick(["= 0.5 + words / 64", "= 2 + 0.01 * (words - 40) * (words - 40)", "1.5"])
    share = pick(["", "    ports: shared\n"])
    priced = rng.random() < 0.5

    def component(text: str) -> str:
        return f"    {text}\n" if priced else ""

    area = "" if priced else "    area_um2: = 100 * words\n"
    inner_area = "" if priced else "    area_um2: = 10 * inner\n"
    fixed = "" if priced else "    area_um2: 50\n"
    network = "" if priced else "    area_um2: = 5 * side\n"
    wires = "    wires: {energy_per_hop_pj: 0.2}\n" if not priced and rng.random() < 0.3 else ""
    constraint = pick(
        ["", "", "    constraints: [M <= inner]\n", "    constraints: [K == inner]\n"]
    )
    second = rng.random() < 0.4
    levels = [
        "  - memory: DRAM\n    capacity_words: unlimited\n    access_energy_pj: 20\n"
        "    bandwidth_words_per_cycle: = pace\n"
        + component("component: lpddr4\n    word_bits: 8"),
        f"  - memory: Buffer\n    capacity_words: = words\n    access_energy_pj: {energy}\n"
        f"    bandwidth_words_per_cycle: {pick(['= 2 * side', '4', '= 8 - side'])}\n{share}{area}"
        + pick(["", "    bypasses: [weight]\n", "    may_bypass: [input]\n"])
        + pick(["", "    leakage_pj_per_cycle: = words / 100\n"] if not priced else [""])
        + pick(["", "    overlap: never\n", "    overlap: double-buffered\n"])
        + component("component: sram\n    word_bits: 8"),
        f"  - fanout: Columns\n    mesh: = side\n    dimensions: [{pick(['M', 'M, K', 'N'])}]\n"
        + network
        + wires
        + pick(["", "    power_gating: true\n"]),
    ]
    if second:
        levels.append("  - fanout: Rows\n    mesh: = side + 1\n    dimensions: [K]\n" + fixed)
    levels.append(
        "  - memory: Register\n    capacity_words: = inner\n"
        f"    access_energy_pj: {pick(['0.3', '= 0.1 * inner'])}\n"
        "    bandwidth_words_per_cycle: 6\n"
        + constraint
        + inner_area
        + pick(["", "    leakage_pj_per_cycle: 0.02\n"] if not priced else [""])
        + component("component: register-file\n    word_bits: 8")
    )
    levels.append(
        "  - compute: MAC\n    mac_energy_pj: 0.4\n"
        + fixed
        + component("component: integer-mac\n    word_bits: 8\n    accumulator_bits: 32")
    )
    unit = "vector_unit:\n  lanes: = side\n  operation_energy_pj: 0.1\n  memory: Buffer\n"
    defaults = {name: values[0] for name, (values, _) in VALUES.items()}
    parameters = "".join(f"  {name}: {value}\n" for name, value in defaults.items())
    return (
        f"name: drawn\nkernel: gemm\nparameters:\n{parameters}levels:\n"
        + "\n".join(levels)
        + (unit if rng.random() < 0.5 else "")
    )


def draw_space(rng: random.Random) -> HardwareSpace:
    """A space of tens of points that has some within its budgets."""
    while True:
        template = make_template(parse_yaml(draw_template(rng).encode(), source="drawn"), "drawn")
        ranges = {
            name: sorted(rng.sample(values, rng.randint(1, most)))
            for name, (values, most) in VALUES.items()
            if name in template.parameters
        }
        budgets = {
            "area_budget_um2": rng.choice([None, None, rng.uniform(2e3, 3e4)]),
            "power_budget_mw": rng.choice([None, None, None, rng.uniform(5, 200)]),
        }
        try:
            return hardware_space(
                template,
                ranges=ranges,
                technology=Technology(45),
                energies=rng.random() < 0.8,
                bypass=rng.choice(["permitted", "permitted", "free"]),
                **budgets,
            )
        except InputError:
            continue


def draw_network(rng: random.Random, name: str) -> LayerGraph:
    """One or two products, and an addition of their results."""
    layers = []
    for i in range(rng.randint(1, 2)):
        m, k, n = (rng.choice([1, 2, 3, 4, 5, 6, 8, 12]) for _ in range(3))
        layers.append(
            Layer(
                f"{name}{i}",
                "MatMul",
                "einsum",
                (TensorInfo(f"x{i}", (k, n), "int8"),),
                (TensorInfo(f"w{i}", (m, k), "int8"),),
                (TensorInfo(f"y{i}", (m, n), "int8"),),
                workload=gemm(m, k, n),
                elements=rng.choice([0, m * n]),
                operations_per_element=1,
                repetitions=rng.choice([1, 1, 3]),
            )
        )
    return LayerGraph.from_layers(layers, name=name)


def draw_question(seed: int) -> Question:
    """A question that looking at every point answers in a second or so."""
    rng = random.Random(seed)
    networks = [
        NetworkWeight(draw_network(rng, name), rng.choice([1.0, 0.5, 2.0]))
        for name in rng.choice([["a"], ["a", "b"]])
    ]
    return Question(
        draw_space(rng),
        networks,
        rng.choice(OBJECTIVES),
        factors=rng.choice(["perfect", "ragged"]),
    )


def points_of(space: HardwareSpace) -> Iterator[dict[str, float]]:
    """All points of a space, be they within the budgets or not."""
    values = [found.values for found in space.ranges.values()]
    for chosen in itertools.product(*values):
        yield dict(zip(space.ranges, chosen, strict=True))


def least_value(question: Question, parameters: dict[str, float]) -> float:
    """The least objective value of a point: every combination of best trade-offs of layers."""
    totals = trade_offs(question, parameters)
    if not len(totals):
        return math.inf
    powers = question.objective.powers
    values = totals[:, 0] ** powers[0] * totals[:, 1] ** powers[1]
    return float(values.min()) * question.space.build(parameters).area_um2 ** powers[2]


def trade_offs(question: Question, parameters: dict[str, float]) -> np.ndarray:
    """All best trade-offs of energy and latency on a point; none beyond a budget.

    Fronts of layers are added point by point, with what no combination beats.
    """
    space, conventions = question.space, EXACT
    point, nothing = space.build(parameters), np.empty((0, 2))
    if space.excess(point):
        return nothing
    search = LayerSearch(
        "exact", objective=OBJECTIVES_OF_LAYERS["energy,latency"], factors=question.factors
    )
    totals = np.zeros((1, 2))
    try:
        mix = mix_of(question.networks, point.arch)
        for demand in mix.demands:
            energy, cycles = demand.beside(point.arch, conventions)
            own = np.array([[energy, cycles]])
            if demand.ways:
                costs = np.concatenate([_front(point.arch, way, search) for way in demand.ways])
                own = np.stack([costs[:, 0] + energy, np.maximum(costs[:, 1], cycles)], axis=1)
            count = demand.count * question.networks[demand.network].weight
            totals = _undominated((totals[:, None] + count * own[None]).reshape(-1, 2))
    except DoesNotFitError:
        return nothing
    return totals


def _front(arch: Architecture, workload: Workload, search: LayerSearch) -> np.ndarray:
    """All best trade-offs of one workload; none if it has no mapping."""
    try:
        problem = problem_of(arch, workload, search)
        # A proof spends half of what it may on looking for a first mapping.
        found = exact_front(Evaluator(problem, Budget(evaluations=4_000)))
        if found is None:
            found = exact_front(Evaluator(problem, Budget()))
    except DoesNotFitError:
        return np.empty((0, 2))
    assert found is not None
    return np.array([row[:2] for row in found]).reshape(-1, 2)


def _undominated(costs: np.ndarray) -> np.ndarray:
    costs = costs[np.lexsort((costs[:, 1], costs[:, 0]))]
    best = np.concatenate([[math.inf], np.minimum.accumulate(costs[:, 1])[:-1]])
    return costs[costs[:, 1] < best]
