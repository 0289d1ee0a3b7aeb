"""Objectives for training loops of torch: modules whose forward pass is the cost model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, overload

from toolkit.arch.architecture import Architecture
from toolkit.arguments import check_integer, check_kind
from toolkit.codesign.evaluation import NetworkWeight
from toolkit.codesign.problem import HardwareProblem
from toolkit.codesign.space import HardwareSpace
from toolkit.errors import InputError
from toolkit.extras import load
from toolkit.fusion.group_model import FusionOverhead
from toolkit.messages import describe
from toolkit.objectives.what import What, check_choose, check_what
from toolkit.search.network import NetworkResult
from toolkit.search.network.problem import NetworkProblem
from toolkit.search.objective import Objective
from toolkit.search.problem import Problem

if TYPE_CHECKING:
    import torch

    from toolkit.codesign.joint_gradient.hardware import Sizes
    from toolkit.codesign.joint_gradient.network import RelaxedNetwork
    from toolkit.search.gradient.alternatives import Relaxing
    from toolkit.search.gradient.layer import RelaxedLayer


@overload
def for_torch(
    what: Problem,
    *,
    starts: int = ...,
    choose: str | Sequence[str] | None = ...,
    orders: Relaxing = ...,
    bypasses: Relaxing = ...,
    sizes: Sizes = ...,
    known: Sequence[NetworkResult] = ...,
    overhead: FusionOverhead = ...,
    device: str | torch.device = ...,
    seed: int = ...,
) -> RelaxedLayer: ...


@overload
def for_torch(
    what: NetworkProblem | HardwareProblem,
    *,
    starts: int = ...,
    choose: str | Sequence[str] | None = ...,
    orders: Relaxing = ...,
    bypasses: Relaxing = ...,
    sizes: Sizes = ...,
    known: Sequence[NetworkResult] = ...,
    overhead: FusionOverhead = ...,
    device: str | torch.device = ...,
    seed: int = ...,
) -> RelaxedNetwork: ...


def for_torch(
    what: What,
    *,
    starts: int = 16,
    choose: str | Sequence[str] | None = None,
    orders: Relaxing = "fixed",
    bypasses: Relaxing = "fixed",
    sizes: Sizes = "needed",
    known: Sequence[NetworkResult] = (),
    overhead: FusionOverhead = FusionOverhead(),  # noqa: B008 - it is frozen
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> RelaxedLayer | RelaxedNetwork:
    """Make a module of torch of what is asked: its parameters are what a loop learns.

    Calling the module gives latency, energy and area of every start as tensors with gradients,
    and penalties by name (`toolkit.search.gradient.layer.RelaxedCosts`). After a step of an
    optimiser, ``project_()`` returns to valid factors; ``round()`` gives valid mappings, a legal
    partition and an architecture, scored by the true model.

    Parameters
    ----------
    what : Problem, NetworkProblem or HardwareProblem
        A layer's mapping, a network on an architecture, or hardware for networks.
    starts : int
        How many are learned side by side, each by itself.
    choose : str or sequence of str, optional
        What is learned: mappings and, of a hardware problem, hardware in any case; with
        ``"fusion"`` among them also which tensors between layers are fused.
    orders, bypasses : {"fixed", "relaxed"}
        Whether loop orders and optional bypasses are chances that are learned, too, or stay as
        they are drawn.
    sizes : {"needed", "learned"}
        Of hardware: whether capacities and meshes are what the tilings need, or parameters beyond
        which needs are penalised.
    known : sequence of NetworkResult
        Mappings that the first start sets out from, of each network; random ones by default.
    overhead : FusionOverhead
        What fusing two layers costs besides.
    device : str or torch.device
        Where the module is, such as ``"cuda"``.
    seed : int
        Of all starts, and of noise.

    Raises
    ------
    InputError
        If `what` is no question, its objective is a Python function, the device is not there,
        another argument is not as expected, or has no meaning there.
    MissingPackageError
        If torch is not installed.
    DoesNotFitError
        Naming the layer, if one has no mapping.

    Examples
    --------
    >>> import toolkit
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> model = for_torch(problem, starts=4)
    >>> model().latency_cycles.shape
    torch.Size([4])
    """
    check_what(what)
    check_integer(starts, 1, "starts")
    check_integer(seed, 0, "seed")
    check_kind(overhead, FusionOverhead, "overhead")
    _check_known(what, known)
    if sizes != "needed" and not isinstance(what, HardwareProblem):
        raise InputError("only a HardwareProblem has sizes", key="sizes")
    place = load("toolkit.search.gradient.tilings:torch_device", "for_torch", "torch", "what")(
        device
    )
    fusion = "fusion" in _learned(what, choose)
    if isinstance(what, Problem):
        from toolkit.search.gradient.layer import RelaxedLayer

        _check_powers(what.objective)
        return RelaxedLayer(what, starts, orders=orders, bypasses=bypasses, seed=seed).to(place)
    from toolkit.codesign.joint_gradient.build import FIRST, relax_networks

    where: Architecture | HardwareSpace
    if isinstance(what, HardwareProblem):
        where, uses, given = what.space, what.uses, what.mapper
        powers = what.asked.powers
    else:
        where, uses, given = what.arch, (NetworkWeight(what.graph),), what.search
        powers = (*what.asked.powers[:2], 0.0)
    _check_powers(given.objective)
    network = relax_networks(
        where,
        uses,
        starts=starts,
        search=replace(given, strategy=FIRST.strategy, budget=FIRST.budget, seed=seed),
        fusion=fusion,
        sizes=sizes,
        orders=orders,
        bypasses=bypasses,
        known=known,
        powers=powers,
        overhead=overhead,
        seed=seed,
    )
    return network.to(place)


def _check_known(what: What, known: Sequence[NetworkResult]) -> None:
    if not isinstance(known, Sequence) or any(not isinstance(k, NetworkResult) for k in known):
        raise InputError(
            f"expected a list of what toolkit.map_network returns, got {describe(known)}",
            key="known",
        )
    if known and isinstance(what, Problem):
        raise InputError("expected results of networks, of a question about them", key="known")


def _learned(what: What, choose: str | Sequence[str] | None) -> tuple[str, ...]:
    """What is learned besides mappings."""
    chosen = check_choose(what, choose)
    if choose is not None and "mappings" not in chosen:
        raise InputError(
            f"expected mappings among them, which are learned in any case, got {choose!r}",
            key="choose",
        )
    return chosen


def _check_powers(objective: Objective) -> None:
    if objective.function is not None:
        raise InputError(
            f"{objective} is a Python function, whose gradient is not known; expected a product "
            "of powers such as 'energy*latency^2'",
            key="objective",
        )
