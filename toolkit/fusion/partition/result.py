"""Partitions of a network into fusion groups: what is found, boundaries and their reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from toolkit.display import MOST_ROWS, object_html, table_html
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.group_model import FusionObjective, Option, total_costs, value_of
from toolkit.fusion.groups import Group
from toolkit.fusion.tile.assumptions import Assumptions
from toolkit.fusion.tile.group_plan import GroupPlan
from toolkit.fusion.tile_names import tile_text

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.fusion.prefetch import PrefetchedNetwork

Reason = Literal["capacity", "barrier", "no gain", "missed"]
"""Why two groups are not one: what would have to change (`reasons` finds out).

- ``capacity``: with more room on the fusion level, joining them would lower the total; at present
  no tile of the joint group fits, or those that do make up for what is saved;
- ``no gain``: joining would not lower the total, however much room there is;
- ``barrier``: no room helps: some layer cannot run on what waits on chip, or so many layers must
  run between the two that no group of the length that is allowed holds both;
- ``missed``: the joint group is longer than groups may be, or would cost less and the search
  missed it.

Where other groups must run in between, the joint group is the one with these.
"""


def less_hidden(
    objective: FusionObjective, costs: tuple[float, ...], cycles: float
) -> tuple[float, ...]:
    """Costs of groups on their own, less cycles that they hide under each other.

    Examples
    --------
    >>> less_hidden("edp", (5.0, 100.0), 10.0), less_hidden("energy", (5.0,), 10.0)
    ((5.0, 90.0), (5.0,))
    """
    if objective in ("edp", "latency"):
        return (*costs[:-1], costs[-1] - cycles)
    return costs


@dataclass(frozen=True)
class Boundary:
    """A tensor that leaves one group for another, or that two groups load each on their own.

    Parameters
    ----------
    source, target : str
        The folded layers that make and read it, or that both read it.
    tensor : str
        Its name.
    words : int
        Its size.
    reason : {"capacity", "barrier", "no gain", "missed"}
        Why both are not in one group.
    detail : str
        The same in words, with numbers.
    shared : bool
        Whether both read it. Of several groups that do, those next to each other are told of.
    """

    source: str
    target: str
    tensor: str
    words: int
    reason: Reason
    detail: str
    shared: bool = False


@dataclass(frozen=True)
class FusionChance:
    """How likely a descent ended to fuse two layers that share a tensor.

    Parameters
    ----------
    source, target : str
        The folded layers that make and read the tensor, or that both read it.
    tensor : str
        Its name.
    probability : float
        That both are in one group: the sum over all groups with both.
    shared : bool
        Whether both read it.
    """

    source: str
    target: str
    tensor: str
    probability: float
    shared: bool = False


@dataclass(frozen=True)
class Found:
    """What a strategy hands over.

    Parameters
    ----------
    groups : tuple of Option
        One per group, in any order.
    bound : float or None
        A proved lower bound of the objective value, if better than the general one.
    down_sets : int or None
        How many were looked at, if all.
    limited : bool
        Whether longer groups than allowed might be better.
    notes : tuple of str
        What to keep in mind.
    chances : tuple of FusionChance
        One for each edge of the graph, and for neighbouring readers of a tensor, of strategies
        that descend probabilities.
    exact_value : float or None
        Objective value of the best partition into groups of the same lengths, where a strategy
        that proves nothing itself is measured against it.
    """

    groups: tuple[Option, ...]
    bound: float | None = None
    down_sets: int | None = None
    limited: bool = False
    notes: tuple[str, ...] = ()
    chances: tuple[FusionChance, ...] = ()
    exact_value: float | None = None


@dataclass(frozen=True)
class FusionResult:
    """A partition of a network.

    Parameters
    ----------
    strategy : str
        How it was found.
    graph : FoldedGraph
        The network.
    objective : {"dram", "energy", "latency", "edp"}
        What was minimised.
    groups : tuple of Option
        In an order in which they can run: how each runs, and its costs.
    unfused : tuple of Option
        Every layer on its own.
    boundaries : tuple of Boundary
        One for each edge between groups, and for neighbouring groups that load the same tensor;
        empty where reasons were not asked for.
    bound : float
        No partition has a lower objective value.
    costed : int
        Groups that were costed.
    seconds : float
        Time spent.
    down_sets : int or None
        Down-sets of the graph, where the strategy looked at all of them.
    most_layers : int or None
        Length to which groups were limited, where that leaves any out.
    notes : tuple of str
        What to keep in mind.
    chances : tuple of FusionChance
        The probabilities that ``gradient`` and ``joint`` end with, one for each edge and for
        neighbouring readers of a tensor; empty for other strategies.
    exact_value : float or None
        Objective value of the best partition into groups of the same lengths, which ``gradient``
        and ``joint`` are measured against where it is quickly proved.
    given : Assumptions or None
        What groups were allowed.
    prefetch : PrefetchedNetwork or None
        What groups hide under their neighbours, in the order of `groups`; None where they run one
        after the other. Costs of `groups` are those on their own.
    bound_within : float or None
        No partition into groups of the length that was allowed has a lower objective value,
        where more is known of these.
    bound_layers : int or None
        That length.

    Examples
    --------
    >>> import toolkit
    >>> network = toolkit.NetworkByHand("one layer")
    >>> network.add_layer("one", toolkit.conv2d(4, 4, 8, 8, 3, 3))
    >>> quick = toolkit.LayerSearch(budget=toolkit.Budget(evaluations=20))
    >>> fused = toolkit.fuse(network.graph(), "eyeriss-conv", search=quick)  # doctest: +SKIP
    >>> fused.partition  # doctest: +SKIP
    (frozenset({'one'}),)
    """

    strategy: str
    graph: FoldedGraph
    objective: FusionObjective
    groups: tuple[Option, ...]
    unfused: tuple[Option, ...]
    boundaries: tuple[Boundary, ...]
    bound: float
    costed: int
    seconds: float
    down_sets: int | None = None
    most_layers: int | None = None
    notes: tuple[str, ...] = ()
    chances: tuple[FusionChance, ...] = ()
    exact_value: float | None = None
    given: Assumptions | None = None
    prefetch: PrefetchedNetwork | None = None

    def __repr__(self) -> str:
        proved = "proved best" if self.proved else self.strategy
        return f"<FusionResult {self._title}; {self.objective}, {proved}>"

    def _repr_html_(self) -> str:
        """For notebooks: what fusing saves, and a row per group."""
        facts = [
            ("search", f"{self.strategy}, {self.costed:,} groups costed in {self.seconds:.1f} s"),
            (self.objective, f"{self.value:.6g}, unfused {self.unfused_value:.6g}"),
            ("no partition is below", f"{self.bound:.6g}"),
            ("DRAM words", f"{self.dram_words:,}, unfused {self.unfused_dram_words:,}"),
            *(("note", note) for note in self.notes),
        ]
        rows = [
            (
                f"{number}",
                ", ".join(sorted(plan.group, key=self.graph.positions.__getitem__)),
                tile_text(plan, self.graph),
                f"{plan.steps:,}",
                f"{plan.footprint_words:,}",
                f"{plan.dram_words:,}",
            )
            for number, plan in enumerate(self.plans)
        ]
        heads = ("group", "layers", "tile", "steps", "words held", "DRAM words")
        left = (False, True, True, False, False, False)
        return object_html(self._title, facts, table_html(heads, rows, left, MOST_ROWS))

    @property
    def _title(self) -> str:
        """How many groups there are, and what they save."""
        name = self.graph.graph.get("name") or "network"
        fused = sum(len(group) > 1 for group in self.partition)
        saved = self.value / self.unfused_value - 1 if self.unfused_value else 0.0
        groups = f"{len(self.groups)} groups, {fused} of several layers"
        return f"{name}: {groups}, {saved:+.1%} against unfused"

    @property
    def hidden_cycles(self) -> float:
        """Cycles of groups on their own that neighbouring groups hide."""
        return 0.0 if self.prefetch is None else self.prefetch.hidden_cycles

    bound_within: float | None = None
    bound_layers: int | None = None

    @property
    def plans(self) -> tuple[GroupPlan, ...]:
        """How each group runs."""
        return tuple(option.plan for option in self.groups)

    @property
    def partition(self) -> tuple[Group, ...]:
        """The groups."""
        return tuple(plan.group for plan in self.plans)

    @property
    def costs(self) -> tuple[float, ...]:
        """Total costs: one, or energy in pJ and latency in cycles, less what is hidden."""
        return less_hidden(self.objective, total_costs(self.groups), self.hidden_cycles)

    @property
    def value(self) -> float:
        """The objective value."""
        return value_of(self.costs)

    @property
    def unfused_value(self) -> float:
        """The objective value of every layer on its own."""
        return value_of(total_costs(self.unfused))

    @property
    def dram_words(self) -> int:
        """Words that the plans move to and from DRAM."""
        return sum(plan.dram_words for plan in self.plans)

    @property
    def unfused_dram_words(self) -> int:
        """The same for every layer on its own."""
        return sum(option.plan.dram_words for option in self.unfused)

    @property
    def proved(self) -> bool:
        """Whether no partition is better."""
        return self.value <= self.bound

    @property
    def above_exact(self) -> float | None:
        """By which fraction the value exceeds `exact_value`, where that is known."""
        if self.exact_value is None:
            return None
        return self.value / self.exact_value - 1 if self.exact_value else 0.0

    def table(self) -> pd.DataFrame:
        """Tabulate the groups: a row each, in the order in which they run."""
        import pandas as pd

        return pd.DataFrame([self._row(i, option) for i, option in enumerate(self.groups)])

    def _row(self, number: int, option: Option) -> dict[str, object]:
        plan = option.plan
        names = sorted(plan.group, key=self.graph.positions.__getitem__)
        row: dict[str, object] = {
            "group": number,
            "layers": len(names),
            "first": names[0],
            "last": names[-1],
            "tile": tile_text(plan, self.graph),
            "steps": plan.steps,
            "recomputed": len(plan.halo),
            "footprint_words": plan.footprint_words,
            "resident_weight_words": plan.resident_words,
            "inner": " ".join(f"{tensor}:{home}" for tensor, home in sorted(plan.homes.items())),
            "dram_input_words": plan.input_words,
            "dram_output_words": plan.output_words,
            "dram_weight_words": plan.weight_words,
        }
        names_of_costs = {"dram": (), "edp": ("energy_pj", "latency_cycles")}
        others = {"energy": ("energy_pj",), "latency": ("latency_cycles",)}
        for key, cost in zip(
            (names_of_costs | others)[self.objective], option.costs, strict=False
        ):
            row[key] = cost
        if self.prefetch is not None:
            row["hidden_cycles"] = self.prefetch.groups[number].hidden_cycles
        return row

    def boundary_table(self) -> pd.DataFrame:
        """Tabulate the boundaries: which tensor leaves or is loaded again, its size, and why."""
        import pandas as pd

        columns = ["source", "target", "tensor", "words", "shared", "reason", "detail"]
        rows = [[getattr(entry, column) for column in columns] for entry in self.boundaries]
        return pd.DataFrame(rows, columns=columns)

    def chance_table(self) -> pd.DataFrame:
        """Tabulate the probabilities of a descent, and what became of each pair of layers."""
        import pandas as pd

        home = {name: group for group in self.partition for name in group}
        columns = ["source", "target", "tensor", "shared", "probability", "fused"]
        rows = [
            [c.source, c.target, c.tensor, c.shared, c.probability, c.target in home[c.source]]
            for c in self.chances
        ]
        return pd.DataFrame(rows, columns=columns)
