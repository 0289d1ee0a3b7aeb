"""Fusion by gradients: a probability per edge, annealed until it is a decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from toolkit.errors import MissingPackageError
from toolkit.fusion.groups import Group, candidates
from toolkit.fusion.nsga2 import decode
from toolkit.fusion.objective import GroupModel, Option, value_of
from toolkit.fusion.partition import total_costs

if TYPE_CHECKING:
    import torch

MOST_GROUPS = 4000
"""Candidate groups; longer ones are left out where there are more."""

STARTS, STEPS, ROUND_EVERY = 12, 300, 25
"""Starts side by side, steps of Adam, and after how many of them decisions are read off."""

_ALONE_PENALTY = 0.05
_WARM, _COLD = 1.0, 0.1


@dataclass(frozen=True)
class Relaxation:
    """The expected costs of a partition whose edges are kept with independent probabilities.

    A group comes about if all its edges are kept and all around it are cut. What remains of the
    probability of a layer belongs to sets that are no candidates, because they are not legal or
    do not fit: there it runs alone, and a little dearer, so that such mass is worth removing.

    Parameters
    ----------
    edges : tuple of (str, str)
        The decisions.
    groups : tuple of frozenset of str
        Candidate groups of two layers or more.
    options : tuple of tuple of Option
        Ways to run each.
    inside, around : tensor, shape (groups, edges)
        Which edges are in a group, and which have one end in it.
    covers : tensor, shape (groups, layers)
        Which layers are in a group.
    group_costs : tensor, shape (groups, ways, costs)
        Repeats the first way where a group has fewer.
    ways : tensor, shape (groups, ways)
        0 for a way, -inf for a repeated one.
    alone_costs : tensor, shape (layers, costs)
        Layers on their own.
    cut_costs : tensor, shape (layers, edges)
        Which edges touch a layer.
    """

    edges: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]
    options: tuple[tuple[Option, ...], ...]
    inside: torch.Tensor
    around: torch.Tensor
    covers: torch.Tensor
    group_costs: torch.Tensor
    ways: torch.Tensor
    alone_costs: torch.Tensor
    cut_costs: torch.Tensor

    def expected(
        self, keep: torch.Tensor, choice: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        """Expected costs; differentiable in every decision.

        Parameters
        ----------
        keep : tensor, shape (starts, edges)
            Logits of keeping an edge inside of a group.
        choice : tensor, shape (starts, groups, ways)
            Logits of the ways to run a group, that is of its tiles.
        temperature : float
            Divides both.

        Returns
        -------
        tensor, shape (starts, costs)
        """
        import torch

        kept = torch.nn.functional.logsigmoid(keep / temperature)
        cut = torch.nn.functional.logsigmoid(-keep / temperature)
        chance = torch.exp(kept @ self.inside.T + cut @ self.around.T)
        way = torch.softmax(choice / temperature + self.ways, dim=-1)
        costs = torch.einsum("sgw,gwc->sgc", way, self.group_costs)
        fused = torch.einsum("sg,sgc->sc", chance, costs)
        single = torch.exp(cut @ self.cut_costs.T)
        stray = torch.clamp(1 - single - chance @ self.covers, min=0.0)
        alone = single + (1 + _ALONE_PENALTY) * stray
        return fused + alone @ self.alone_costs


def relax(model: GroupModel, most_layers: int) -> Relaxation:
    """Cost all candidate groups and lay out the relaxation.

    Raises
    ------
    MissingPackageError
        If torch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as cause:
        raise MissingPackageError(
            "needs torch, which is not installed; pip install 'accel-search-toolkit[torch]'",
            key="fusion",
        ) from cause
    graph = model.graph
    edges = tuple(graph.edges)
    found = {group: tuple(model.options(group)) for group in _candidates(model, most_layers)}
    groups = tuple(group for group, options in found.items() if options)
    options = tuple(found[group] for group in groups)
    alone = [_alone(model, name).costs for name in graph.names]
    most = max((len(entry) for entry in options), default=1)

    def matrix(rows: Sequence[Sequence[float]], columns: int) -> Any:
        return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), columns)

    return Relaxation(
        edges,
        groups,
        options,
        matrix([[float(a in g and b in g) for a, b in edges] for g in groups], len(edges)),
        matrix([[float((a in g) != (b in g)) for a, b in edges] for g in groups], len(edges)),
        matrix([[float(n in g) for n in graph.names] for g in groups], len(graph)),
        torch.tensor(
            [[(e[i] if i < len(e) else e[0]).costs for i in range(most)] for e in options],
            dtype=torch.float64,
        ).reshape(len(groups), most, len(alone[0])),
        matrix(
            [[0.0 if i < len(e) else -torch.inf for i in range(most)] for e in options], most
        ),
        matrix(alone, len(alone[0])),
        matrix([[float(n in edge) for edge in edges] for n in graph.names], len(edges)),
    )


def gradient_groups(model: GroupModel, most_layers: int, seed: int) -> tuple[Option, ...]:
    """Descend with Adam from several starts; the best partition read off on the way.

    Starts differ in how many edges they keep at first. The temperature falls geometrically,
    and noise on the logits (the logistic one of the binary Gumbel trick) falls with it. Read
    off, a partition keeps edges in the order of their probability, as far as that is legal,
    and is costed by the model itself.
    """
    relaxation = relax(model, most_layers)
    best = [decode(model, (), most_layers)]
    if relaxation.edges and relaxation.groups:
        for logits in _descend(relaxation, seed):
            best = _read_off(model, relaxation, logits, most_layers, best)
    return best[0]


def _descend(relaxation: Relaxation, seed: int) -> Iterator[list[list[float]]]:
    """Logits of all starts, every now and then."""
    import torch

    source = torch.Generator().manual_seed(seed)
    shape = (STARTS, len(relaxation.edges))
    centre = torch.linspace(-1.5, 2.5, STARTS, dtype=torch.float64)[:, None]
    keep = centre + 0.5 * torch.randn(shape, generator=source, dtype=torch.float64)
    keep.requires_grad_()
    ways = (STARTS, *relaxation.ways.shape)
    choice = torch.zeros(ways, dtype=torch.float64, requires_grad=True)
    unit = relaxation.alone_costs.sum(dim=0)
    adam = torch.optim.Adam([keep, choice], lr=0.08)
    for step in range(STEPS):
        progress = step / (STEPS - 1)
        temperature = _WARM * (_COLD / _WARM) ** progress
        uniform = torch.rand(shape, generator=source, dtype=torch.float64).clamp(1e-6, 1 - 1e-6)
        noise = 0.3 * temperature * (1 - progress) * torch.logit(uniform)
        adam.zero_grad()
        costs = relaxation.expected(keep + noise, choice, temperature)
        # The starts do not meet in the sum: every one follows its own gradient.
        torch.log(costs / unit).sum().backward()  # type: ignore[no-untyped-call]
        adam.step()
        if (step + 1) % ROUND_EVERY == 0:
            yield keep.detach().tolist()


def _read_off(
    model: GroupModel,
    relaxation: Relaxation,
    logits: list[list[float]],
    most_layers: int,
    best: list[tuple[Option, ...]],
) -> list[tuple[Option, ...]]:
    for row in logits:
        pairs = sorted(zip(row, relaxation.edges, strict=True), reverse=True)
        kept = [edge for logit, edge in pairs if logit > 0]
        groups = decode(model, kept, most_layers, by_size=False)
        if value_of(total_costs(groups)) < value_of(total_costs(best[0])):
            best = [groups]
    return best


def _candidates(model: GroupModel, most_layers: int) -> list[Group]:
    """Legal groups, up to a length at which there are not too many."""
    for length in range(min(most_layers, len(model.graph)), 1, -1):
        found = list(islice(candidates(model.graph, length), MOST_GROUPS + 1))
        if len(found) <= MOST_GROUPS:
            return found
    return list(islice(candidates(model.graph, 2), MOST_GROUPS))


def _alone(model: GroupModel, name: str) -> Option:
    return min(model.options(frozenset((name,))), key=lambda option: value_of(option.costs))
