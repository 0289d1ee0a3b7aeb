"""Fusion by gradients: a probability per group and per tile, annealed until it is a decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import torch

from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.group_model import GroupModel, Option, total_costs, value_of
from toolkit.fusion.groups import Group, siblings
from toolkit.fusion.partition.exact import (
    Order,
    all_ideals,
    exact_predecessors,
    exact_states,
    segment_predecessors,
)
from toolkit.fusion.partition.merging import greedy_groups
from toolkit.fusion.partition.result import Found, FusionChance
from toolkit.processes import one_torch_thread
from toolkit.search.gradient.alternatives import Noise

MOST_DOWN_SETS = 800
"""Down-sets up to which all partitions are relaxed; beyond, segments of one order alone. Every
step solves a system of as many unknowns per start, whose matrix is dense."""

STARTS, STEPS, READ_EVERY = 8, 240, 20
"""Starts side by side, steps of Adam, and after how many of them decisions are read off."""

WARM, COLD = 1.0, 0.15
"""Temperatures of the first step, at which all decisions are mixed, and of the last, at which the
likeliest have most of the weight."""

RATE = 0.1
"""Step of Adam in units of a logit: the steps of a descent suffice to turn any decision around."""

_SPREAD, _NOISE = 0.3, 0.2
"""Standard deviation of first logits, and Gumbel noise in units of the temperature: starts differ,
and none follows the first small advantage, but good ones are not shaken off their way."""


@dataclass(frozen=True)
class Relaxation:
    """A random walk over down-sets, whose expected costs are differentiable.

    From the empty down-set on, the next group is drawn among those that can run then, with
    probabilities that are a softmax of one logit per group; and one of its ways to run, that is
    its tile, with a softmax of one logit per way. So all partitions that are drawn are legal,
    and any legal one can be drawn.

    Parameters
    ----------
    groups : tuple of frozenset of str
        The decisions.
    options : tuple of tuple of Option
        Ways to run each.
    sources, targets, taken : int tensor, shape (moves,)
        From which down-set to which each move leads, and with which group.
    down_sets : int
        How many there are; number 0 is empty, the last one has all layers.
    costs : tensor, shape (groups, ways, costs)
        Repeats the first way where a group has fewer.
    ways : tensor, shape (groups, ways)
        0 for a way, -inf for a repeated one.
    complete : bool
        Whether walks reach all partitions into groups of these lengths; else segments alone.
    """

    groups: tuple[Group, ...]
    options: tuple[tuple[Option, ...], ...]
    sources: torch.Tensor
    targets: torch.Tensor
    taken: torch.Tensor
    down_sets: int
    costs: torch.Tensor
    ways: torch.Tensor
    complete: bool

    def moves(self, logits: torch.Tensor, temperature: float) -> torch.Tensor:
        """Probability of every move once its source is reached; shape (starts, moves)."""
        score = logits[:, self.taken] / temperature
        shape = (len(logits), self.down_sets)
        index = self.sources.expand_as(score)
        low = torch.full(shape, -torch.inf, dtype=score.dtype)
        most = low.scatter_reduce(1, index, score.detach(), "amax")
        weight = torch.exp(score - most.gather(1, index))
        total = torch.zeros(shape, dtype=score.dtype).scatter_add(1, index, weight)
        return weight / total.gather(1, index)

    def expected(
        self,
        logits: torch.Tensor,
        choice: torch.Tensor,
        temperature: float,
        costs: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Expected costs of a partition; differentiable in every decision.

        Parameters
        ----------
        logits : tensor, shape (starts, groups)
            Of taking a group.
        choice : tensor, shape (starts, groups, ways)
            Of running it in one way.
        temperature : float
            Divides both.
        costs : tensor, shape (starts, groups, ways, costs), optional
            Instead of those that are known, with gradients of their own.

        Returns
        -------
        tensor, shape (starts, costs)
        """
        way = torch.softmax(choice / temperature + self.ways, dim=-1)
        known = self.costs[None] if costs is None else costs
        mean = (way[..., None] * known).sum(dim=2)
        walked = self._walked(logits, temperature)
        return torch.einsum("sm,smc->sc", walked, mean[:, self.taken])

    def group_chances(self, logits: torch.Tensor, temperature: float) -> torch.Tensor:
        """Probability that a group is one of the partition; shape (starts, groups)."""
        walked = self._walked(logits, temperature)
        chances = torch.zeros((len(logits), len(self.groups)), dtype=walked.dtype)
        return chances.scatter_add(1, self.taken.expand_as(walked), walked)

    def _walked(self, logits: torch.Tensor, temperature: float) -> torch.Tensor:
        """Probability that a walk takes a move; shape (starts, moves)."""
        chance = self.moves(logits, temperature)
        size = self.down_sets
        steps = torch.zeros((len(logits), size * size), dtype=chance.dtype)
        place = (self.targets * size + self.sources).expand_as(chance)
        # A walk only moves to larger down-sets, so that this matrix is triangular.
        system = torch.eye(size, dtype=chance.dtype) - steps.scatter(1, place, chance).reshape(
            -1, size, size
        )
        start = torch.zeros((len(logits), size, 1), dtype=chance.dtype)
        start[:, 0] = 1.0
        visited = torch.linalg.solve_triangular(system, start, upper=False, unitriangular=True)[
            :, :, 0
        ]
        walked: torch.Tensor = visited[:, self.sources] * chance
        return walked


def relax(model: GroupModel, most_layers: int) -> Relaxation:
    """Cost all groups and lay out the relaxation."""
    order = Order(model.graph)
    ideals = all_ideals(order, MOST_DOWN_SETS)
    complete = ideals is not None
    before = exact_predecessors(order, most_layers)
    if ideals is None:
        ideals = [(1 << end) - 1 for end in range(len(model.graph) + 1)]
        before = segment_predecessors(order, most_layers)
    number = {done: i for i, done in enumerate(ideals)}
    found: dict[Group, tuple[Option, ...]] = {}
    rows: dict[Group, int] = {}
    moves = []
    for after in ideals[1:]:
        for done in before(after):
            group = order.group(after & ~done)
            options = found.get(group)
            if options is None:
                options = found[group] = tuple(model.options(group))
            if options:
                moves.append((number[done], number[after], rows.setdefault(group, len(rows))))
    options_of = tuple(found[group] for group in rows)
    most = max(len(entry) for entry in options_of)
    sources, targets, taken = torch.tensor(moves).T
    return Relaxation(
        tuple(rows),
        options_of,
        sources,
        targets,
        taken,
        len(ideals),
        torch.tensor(
            [[(e[i] if i < len(e) else e[0]).costs for i in range(most)] for e in options_of],
            dtype=torch.float64,
        ),
        torch.tensor(
            [[0.0 if i < len(e) else -torch.inf for i in range(most)] for e in options_of],
            dtype=torch.float64,
        ),
        complete,
    )


class Decisions(torch.nn.Module):
    """Learnable chances of groups and of their ways to run, of several starts.

    Parameters
    ----------
    relaxation : Relaxation
        What is decided.
    starts : int
        Side by side; they prefer short or long groups more and more.

    Attributes
    ----------
    logits : Parameter, float64, shape (starts, groups)
        Of taking a group.
    choice : Parameter, float64, shape (starts, groups, ways)
        Of running it in one way.
    """

    def __init__(self, relaxation: Relaxation, starts: int) -> None:
        super().__init__()
        self.relaxation = relaxation
        length = torch.tensor([float(len(group) - 1) for group in relaxation.groups])
        slope = torch.linspace(-0.5, 1.0, starts, dtype=torch.float64)[:, None]
        self.logits = torch.nn.Parameter(slope * length)
        ways = torch.zeros((starts, *relaxation.ways.shape), dtype=torch.float64)
        self.choice = torch.nn.Parameter(ways)

    def forward(
        self, temperature: float, noise: Noise | None = None, costs: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Expected costs of a partition, [starts, costs], with gradients.

        Parameters
        ----------
        temperature : float
            Divides all logits.
        noise : Noise, optional
            Gumbel noise that is added to those of groups.
        costs : float64 tensor, shape (starts, groups, ways, costs), optional
            Instead of those that are known, with gradients of their own.
        """
        logits: torch.Tensor = self.logits
        if noise is not None:
            logits = logits + noise.like(logits)
        return self.relaxation.expected(logits, self.choice, temperature, costs)

    def decided(self) -> list[tuple[Option, ...]]:
        """The likeliest partition of every start; legal."""
        pairs = zip(self.logits.detach(), self.choice.detach(), strict=True)
        return [read_off(self.relaxation, *pair) for pair in pairs]

    def chances(self, graph: FoldedGraph, start: int) -> tuple[FusionChance, ...]:
        """Of layers that share a tensor, the probability that one group of a start has both."""
        return fusion_chances(self.relaxation, graph, self.logits.detach()[start : start + 1])


def gradient(model: GroupModel, most_layers: int, seed: int) -> Found:
    """Descend with Adam from several starts; the best partition read off on the way.

    Starts prefer short or long groups to different degrees. The temperature falls
    geometrically; the Gumbel noise on the logits falls with it. A partition is read off by
    always taking the likeliest group and the likeliest way, and costed by the model itself.
    """
    relaxation = relax(model, most_layers)
    with one_torch_thread():
        decisions = Decisions(relaxation, STARTS)
        found = list(enumerate(_descend(decisions, seed)))
        best, groups = min(found, key=lambda entry: value_of(total_costs(entry[1])))
        # All starts are read each time, in the same order.
        chances = decisions.chances(model.graph, best % STARTS)
    return measured(model, relaxation, most_layers, Found(groups, chances=chances))


def fusion_chances(
    relaxation: Relaxation, graph: FoldedGraph, logits: torch.Tensor
) -> tuple[FusionChance, ...]:
    """Of layers that share a tensor, the probability that one group has both, after a descent.

    Parameters
    ----------
    relaxation : Relaxation
        What was descended.
    graph : FoldedGraph
        The network.
    logits : tensor, shape (1, groups)
        Of one start.
    """
    chances = relaxation.group_chances(logits, COLD)[0].tolist()
    made = ((a, b, graph.layer_of(a).output.name, False) for a, b in graph.edges)
    pairs = [*made, *((*pair, True) for pair in siblings(graph))]
    among: dict[tuple[str, str], float] = {pair[:2]: 0.0 for pair in pairs}
    for group, chance in zip(relaxation.groups, chances, strict=True):
        for one, other in combinations(sorted(group, key=graph.positions.__getitem__), 2):
            if (one, other) in among:
                among[one, other] += chance
    return tuple(
        FusionChance(source, target, tensor, min(among[source, target], 1.0), shared)
        for source, target, tensor, shared in pairs
    )


def measured(model: GroupModel, relaxation: Relaxation, most_layers: int, found: Found) -> Found:
    """Add the value of the best partition, which is quickly proved: all groups are costed."""
    states = exact_states(model, most_layers) if relaxation.complete else None
    if states is None:
        return found
    # Where merging greedily finds the best, no state is better, and there may be none.
    merged = total_costs(greedy_groups(model, most_layers))
    least = min(map(value_of, (merged, *(state.costs for state in states[0]))))
    limited = most_layers < len(model.graph)
    return replace(
        found,
        bound=None if limited else least,
        down_sets=states[1],
        limited=limited,
        exact_value=least,
    )


def temperature_at(progress: float) -> float:
    """Temperature of a step, by progress from 0 to 1: it falls geometrically."""
    return float(WARM * (COLD / WARM) ** progress)


def _descend(decisions: Decisions, seed: int) -> Iterator[tuple[Option, ...]]:
    """Partitions of all starts, every now and then."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        shape = decisions.logits.shape
        spread = torch.randn(shape, generator=source, dtype=torch.float64)
        decisions.logits.add_(_SPREAD * spread)
    adam = torch.optim.Adam(decisions.parameters(), lr=RATE)
    for step in range(STEPS):
        progress = step / (STEPS - 1)
        temperature = temperature_at(progress)
        noise = Noise(source, _NOISE * temperature * (1 - progress))
        adam.zero_grad()
        # The starts do not meet in the sum: every one follows its own gradient.
        torch.autograd.backward(torch.log(decisions(temperature, noise)).sum())
        adam.step()
        if (step + 1) % READ_EVERY == 0:
            yield from decisions.decided()


def read_off(
    relaxation: Relaxation, logits: torch.Tensor, choice: torch.Tensor
) -> tuple[Option, ...]:
    """The partition that always takes the likeliest group, and its likeliest way."""
    score, ways = logits.tolist(), (choice + relaxation.ways).argmax(dim=-1).tolist()
    best: dict[int, tuple[float, int, int]] = {}
    moves = zip(
        relaxation.sources.tolist(),
        relaxation.targets.tolist(),
        relaxation.taken.tolist(),
        strict=True,
    )
    for source, target, group in moves:
        if source not in best or score[group] > best[source][0]:
            best[source] = (score[group], target, group)
    place, groups = 0, []
    while place != relaxation.down_sets - 1:
        _, place, group = best[place]
        groups.append(relaxation.options[group][ways[group]])
    return tuple(groups)
