"""Objectives for Optuna: any study, any sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from toolkit.codesign.optuna_objective import HardwareTrials
from toolkit.codesign.problem import HardwareProblem
from toolkit.errors import InputError
from toolkit.fusion.folding import fold
from toolkit.fusion.partition.optuna_objective import (
    FusedMappingsObjective,
    PartitionObjective,
    fused_model,
)
from toolkit.fusion.partition.registry import MOST_LAYERS
from toolkit.mapping.mapping import Mapping
from toolkit.messages import describe
from toolkit.objectives.what import What, check_choose, check_what
from toolkit.search.chosen_mappings import checked_start
from toolkit.search.evaluator import Evaluator
from toolkit.search.network.optuna_objective import NetworkObjective
from toolkit.search.network.problem import NetworkProblem
from toolkit.search.network.trial_mappings import TrialMappings
from toolkit.search.optuna_samplers.chosen import problem_coding
from toolkit.search.optuna_samplers.mapping_objective import MappingObjective
from toolkit.search.problem import Problem
from toolkit.search.result import Budget

AnyObjective = MappingObjective | NetworkObjective | PartitionObjective | HardwareTrials


@overload
def for_optuna(
    what: Problem,
    *,
    choose: str | Sequence[str] | None = ...,
    numbers: bool = ...,
    encoding: str | None = ...,
    repaired: bool = ...,
    logarithms: bool = ...,
    notes: bool = ...,
    known: Sequence[Mapping] = ...,
) -> MappingObjective: ...


@overload
def for_optuna(
    what: NetworkProblem,
    *,
    choose: str | Sequence[str] | None = ...,
    numbers: bool = ...,
    encoding: str | None = ...,
    repaired: bool = ...,
    logarithms: bool = ...,
    notes: bool = ...,
    known: Sequence[Mapping] = ...,
) -> NetworkObjective | PartitionObjective: ...


@overload
def for_optuna(
    what: HardwareProblem,
    *,
    choose: str | Sequence[str] | None = ...,
    numbers: bool = ...,
    encoding: str | None = ...,
    repaired: bool = ...,
    logarithms: bool = ...,
    notes: bool = ...,
    known: Sequence[Mapping] = ...,
) -> HardwareTrials: ...


def for_optuna(
    what: What,
    *,
    choose: str | Sequence[str] | None = None,
    numbers: bool = False,
    encoding: str | None = None,
    repaired: bool = True,
    logarithms: bool = False,
    notes: bool = False,
    known: Sequence[Mapping] = (),
) -> AnyObjective:
    """Make an objective for `optuna.Study.optimize`, or for ``ask`` and ``tell``.

    Parameters
    ----------
    what : Problem, NetworkProblem or HardwareProblem
        What is asked.
    choose : str or sequence of str, optional
        What trials choose: ``mappings`` of a problem; some of ``mappings`` and ``fusion`` of a
        network, the mappings by default; ``hardware`` and, if wanted, ``mappings`` and ``fusion``
        of hardware. What they do not choose is searched as the question says, or not fused.
    numbers : bool
        Whether all parameters are numbers, for samplers that know nothing else, such as CMA-ES.
    encoding : str, optional
        How mappings are written: a key of
        `toolkit.search.optuna_samplers.encodings.ENCODINGS`; the one that was measured to be
        best by default.
    repaired : bool
        Whether every trial is made a valid mapping. Otherwise trials may break rules, which they
        tell as constraints. Fusion and hardware always repair.
    logarithms : bool
        Whether values of a problem are natural logarithms, for samplers that fit them.
    notes : bool
        Of a problem: whether trials keep the factors of their mappings, as they are once repaired
        and whatever the encoding, as user attributes such as ``GlobalBuffer.M``.
    known : sequence of Mapping
        Of a problem: mappings whose loop orders shall be among the choices as they are, beside one
        per reuse class.

    Returns
    -------
    MappingObjective, NetworkObjective, PartitionObjective or HardwareTrials
        Call it with a trial. Each has ``parameters``, ``directions``, ``create_study``,
        ``enqueue``, and reads trials back.

    Raises
    ------
    InputError
        If something else is asked, or an option has no meaning there.
    DoesNotFitError
        If there is no valid mapping.

    Examples
    --------
    >>> import toolkit
    >>> arch, workload = toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2)
    >>> objective = for_optuna(toolkit.make_problem(arch, workload))
    >>> objective.parameters["GlobalBuffer.M"]
    IntDistribution(high=8, log=True, low=1, step=1)
    """
    asked = check_what(what)
    if isinstance(known, Mapping) or not isinstance(known, Sequence):
        raise InputError(f"expected a list of mappings, got {describe(known)}", key="known")
    chosen = check_choose(asked, choose)
    if not isinstance(asked, Problem):
        if logarithms:
            raise InputError("only values of a layer's problem are told so", key="logarithms")
        if notes:
            raise InputError("only trials of a layer's problem keep notes", key="notes")
        if known:
            raise InputError("expected mappings of a layer's problem alone", key="known")
    if not repaired and ("fusion" in chosen or "hardware" in chosen):
        raise InputError("fusion and hardware always repair mappings", key="repaired")
    if isinstance(asked, Problem):
        coding = problem_coding(
            asked,
            [checked_start(asked, mapping, "known") for mapping in known],
            ordered=numbers,
            encoding=encoding,
            repaired=repaired,
        )
        evaluator = Evaluator(asked, Budget())
        return MappingObjective(evaluator, coding, logarithms=logarithms, notes=notes)
    if isinstance(asked, HardwareProblem):
        return HardwareTrials(
            asked,
            mappings="mappings" in chosen,
            fusion="fusion" in chosen,
            numbers=numbers,
            encoding=encoding,
        )
    if "mappings" not in chosen:
        most = asked.most_layers or MOST_LAYERS
        model = fused_model(asked, fold(asked.graph), search=asked.mapper, cache=asked.cache)
        apart = bool(asked.asked.front)
        return PartitionObjective(model, most, numbers=numbers, costs_apart=apart)
    mappings = TrialMappings(asked, numbers, encoding, repaired)
    if "fusion" in chosen:
        most = asked.most_layers or MOST_LAYERS
        return FusedMappingsObjective(asked, mappings, most, numbers=numbers)
    return NetworkObjective(asked, mappings)
