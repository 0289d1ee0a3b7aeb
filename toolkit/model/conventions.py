"""Conventions: named sets of switches of the one cost model.

`EXACT` (the default) counts what an executed loop nest counts, first fills and last drains
included; `STEADY` is the same without these. `FACTORFLOW` reproduces the
FactorFlow reference model (Ronzani and Silvano, ASP-DAC 2025; branch with convolutions) value
for value, its peculiarities included. `TIMELOOP` counts as Timeloop (Parashar et al., ISPASS
2019) does, as far as its published results for Gemmini show (Hong et al., MICRO 2023), and
`TIMELOOP_4` as the version of its files 0.4 does, by the reference outputs of its public exercises
(github.com/Accelergy-Project/timeloop-accelergy-exercises). Every difference between the sets is
one switch here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args, get_type_hints

from toolkit.arch.architecture import Architecture
from toolkit.errors import InputError
from toolkit.mapping.bounds import Footprint
from toolkit.mapping.space import Factors, MapSpace
from toolkit.messages import describe, suggest
from toolkit.workload.kernel import Workload


@dataclass(frozen=True, slots=True)
class Conventions:
    """Switches of the cost model.

    Parameters
    ----------
    name : str
        How results refer to the set.
    transfers : {"per_instance", "persistent", "sequential"}
        ``per_instance``: the loops of memories that bypass a tensor join the nest of the memory
        that supplies it, multiply-accumulate lanes hold nothing between steps, and what enters
        and leaves a memory is counted at its own instances. ``persistent``: the same, and the
        loops of all outer memories join the nest too, so that a tile stays as long as no loop
        at all moves it (otherwise it is fetched anew whenever a loop outside its supplier
        advances). ``sequential``: FactorFlow's
        level-by-level extension. It floors its divisions, lets lanes keep operands across
        the loops of an outer bypassing memory, applies a fanout without multicast twice where it
        directly follows the supplier, carries fills inwards multiplied by orthogonal
        factors even if every instance was read for already, and drains as many values as the
        outer memory writes, its own fills included.
    reduction_for_writes : bool
        Of sequential transfers: outputs written by a memory's own children use
        ``selective_reduction``; otherwise ``selective_multicast``. All other transfers use the
        former.
    selective_needs_multicast : bool
        A fanout without multicast (reduction) cannot be selective either.
    charge_bypassing_outermost : bool
        The outermost memory pays for a tensor that it and the next memory bypass. It then
        supplies and takes back whatever it bypasses, paid for or not, so that nothing has to fit
        into a memory inside as a whole, which is asked otherwise (`toolkit.mapping.kept`).
    shares_at_lanes : bool
        The multiply-accumulates of a compute level share reads and sum up outputs, as its
        ``multicast`` and ``reduction`` say; otherwise each is served on its own.
    pairwise_windows : bool
        A sliding window keeps only what the preceding tile holds; otherwise all values seen
        during the sweep (more than the buffer has room for, if dilation leaves gaps).
    single_reuse : bool
        What a memory sends enjoys either stationarity or a sliding window, as if all memories
        had ``multiple_reuses: false``.
    window_footprint : {"distinct", "stride_blind", "bounding"}
        Words of a strided tile: its distinct values, those of the same tile with unit strides,
        or all from its first to its last value, gaps included.
    shared_ports : bool
        One port serves what a memory sends and receives, at the sum of all bandwidths;
        otherwise reads and drains use one port, updates and fills another, unless the memory
        says that it has one (`Memory.shared_port`) or which ones (`Memory.ports`).
    zero_fills : bool
        Of transfers that are not sequential: outputs that start from zero are written as zeros
        into the memory that accumulates them, though no outer memory is read for them.
    seeds_all : bool
        Of transfers that are not sequential: old partial sums come back into all instances of a
        spatial reduction, as if none of them counted twice. Otherwise they continue in one
        instance and the others, with all that is inside of them, start from zero again.
    leakage_until_end : bool
        Instances leak until the last one has finished; otherwise memories leak for
        their own busy time and compute for the cycles of a single step.
    only_used_memories_leak : bool
        Idle instances and multiply-accumulates do not leak, whatever the architecture says
        (`Leakage`).
    pe_to_pe_warm_up : bool
        Operands that hop through a fanout of F instances delay its last one by F - 1 cycles.
    first_and_last : bool
        The first tiles of every memory come before the levels inside begin, and the last ones
        leave after they have ended (`toolkit.model.waits`); otherwise a steady state is counted.
        Not of sequential transfers, which hide everything.
    flops_count_coefficients : bool
        FLOPs multiply in strides and dilations as if they were dimensions.
    whole_wordlines : bool
        What an instance reads, updates, fills and drains of a tensor costs energy in whole
        wordlines (`Memory.values_per_wordline`), rounded up once for the whole run.
    whole_cycles : bool
        The latency is rounded up to whole cycles.
    free_drains : bool
        Draining outputs costs the memory they leave neither energy nor bandwidth.
    overestimate_windows : bool
        Windows of two strided dimensions include the gaps between their values.
    factors : {"perfect", "ragged"}
        Which factors searches try unless they are told: those that multiply to the sizes, or all
        that reach them (see `MapSpace`). Costs of the latter are not covered by sequential
        transfers.

    Examples
    --------
    >>> import toolkit
    >>> from dataclasses import replace
    >>> replace(toolkit.EXACT, name="mine", zero_fills=True).zero_fills
    True
    """

    name: str
    transfers: Literal["per_instance", "persistent", "sequential"] = "per_instance"
    reduction_for_writes: bool = True
    selective_needs_multicast: bool = True
    charge_bypassing_outermost: bool = False
    shares_at_lanes: bool = True
    pairwise_windows: bool = True
    single_reuse: bool = False
    window_footprint: Footprint = "distinct"
    shared_ports: bool = False
    zero_fills: bool = False
    seeds_all: bool = False
    leakage_until_end: bool = True
    only_used_memories_leak: bool = False
    pe_to_pe_warm_up: bool = True
    first_and_last: bool = False
    flops_count_coefficients: bool = False
    whole_wordlines: bool = False
    whole_cycles: bool = False
    free_drains: bool = False
    overestimate_windows: bool = False
    factors: Factors = "perfect"

    @property
    def counted_factors(self) -> Factors:
        """The most general factors that these conventions can count."""
        return "perfect" if self.transfers == "sequential" else "ragged"

    @property
    def sums_go_on(self) -> bool:
        """Whether old partial sums continue in one instance; sequential transfers seed all."""
        return not self.seeds_all and self.transfers != "sequential"

    def with_settings(self, *, free_drains: bool, overestimate_windows: bool) -> Conventions:
        """Return the same set under FactorFlow's two model settings."""
        return replace(self, free_drains=free_drains, overestimate_windows=overestimate_windows)


EXACT = Conventions("exact", first_and_last=True, factors="ragged")

STEADY = replace(EXACT, name="steady", first_and_last=False)

FACTORFLOW = Conventions(
    "factorflow",
    transfers="sequential",
    reduction_for_writes=False,
    selective_needs_multicast=False,
    charge_bypassing_outermost=True,
    shares_at_lanes=False,
    pairwise_windows=False,
    window_footprint="stride_blind",
    seeds_all=True,
    leakage_until_end=False,
    pe_to_pe_warm_up=False,
    flops_count_coefficients=True,
)

TIMELOOP = Conventions(
    "timeloop",
    transfers="persistent",
    single_reuse=True,
    window_footprint="bounding",
    shared_ports=True,
    zero_fills=True,
    seeds_all=True,
    whole_wordlines=True,
    whole_cycles=True,
    free_drains=True,
    overestimate_windows=True,
)

TIMELOOP_4 = replace(TIMELOOP, name="timeloop-4", zero_fills=False, only_used_memories_leak=True)

CONVENTIONS = {
    conventions.name: conventions
    for conventions in (EXACT, STEADY, FACTORFLOW, TIMELOOP, TIMELOOP_4)
}


def map_space(
    arch: Architecture, workload: Workload, conventions: Conventions, factors: Factors
) -> MapSpace:
    """All mappings, and what makes them valid under a set of conventions."""
    supplies = conventions.charge_bypassing_outermost
    return MapSpace(arch, workload, conventions.window_footprint, factors, supplies)


def conventions_named(name: str) -> Conventions:
    """Look a set of conventions up.

    Raises
    ------
    InputError
        If there is no set of that name.
    """
    if name not in CONVENTIONS:
        raise InputError(
            f"unknown conventions {name!r}; expected one of {', '.join(CONVENTIONS)}",
            key="conventions",
        )
    return CONVENTIONS[name]


def switch_values() -> dict[str, tuple[bool, ...] | tuple[str, ...]]:
    """List every switch and what it may be set to.

    Examples
    --------
    >>> switch_values()["free_drains"], switch_values()["factors"]
    ((True, False), ('perfect', 'ragged'))
    """
    hints = get_type_hints(Conventions)
    return {
        field.name: (True, False) if hints[field.name] is bool else get_args(hints[field.name])
        for field in fields(Conventions)
        if field.name != "name"
    }


def switched(conventions: Conventions, switches: Mapping[str, object]) -> Conventions:
    """Turn switches of a set of conventions, by name.

    Parameters
    ----------
    conventions : Conventions
        Where to start from.
    switches : mapping of str to bool or str
        Values by switch; booleans may be written ``"true"`` and ``"false"``.

    Returns
    -------
    Conventions
        Its name says what differs, so that results under it are told apart from others; the set
        itself if nothing does.

    Raises
    ------
    InputError
        If there is no such switch, or it has no such value; the message lists those there are.

    Examples
    --------
    >>> turned = switched(EXACT, {"free_drains": "true", "factors": "ragged"})
    >>> turned.name, turned.free_drains
    ('exact+free_drains=true', True)
    """
    known = switch_values()
    found: dict[str, object] = {}
    for name, value in switches.items():
        if name not in known:
            raise InputError(
                f"unknown switch {describe(name)}{suggest(str(name), known)}; "
                f"expected some of {', '.join(known)}",
                key="switch",
            )
        spelt = {_spelt(own): own for own in known[name]}
        if _spelt(value) not in spelt:
            raise InputError(
                f"{name} is {describe(value)}; expected {' or '.join(spelt)}", key="switch"
            )
        found[name] = spelt[_spelt(value)]
    turned = {name: found[name] for name in known if name in found}
    turned = {name: value for name, value in turned.items() if getattr(conventions, name) != value}
    words = "".join(f"+{name}={_spelt(value)}" for name, value in turned.items())
    return replace(conventions, name=f"{conventions.name}{words}", **turned)  # type: ignore[arg-type]


def _spelt(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
