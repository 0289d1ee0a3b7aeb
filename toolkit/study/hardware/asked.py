"""Searches over hardware in the words of the command line, and helping those of others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from toolkit.codesign.evaluation import NetworkWeight
from toolkit.codesign.job import JobSettings, make_job
from toolkit.compilation import kernels
from toolkit.errors import InputError
from toolkit.study.hardware import DEFAULT_SAMPLES, DEFAULT_STRATEGIES
from toolkit.study.hardware.comparison import HardwareComparison
from toolkit.study.hardware.shared import HEARTBEAT_SECONDS, open_shared
from toolkit.study.hardware.strategies import compare_hardware
from toolkit.study.hardware.workers import OnBox, OnSample, Worker, study_names
from toolkit.study.storage.opening import storage_name
from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.load import load_network


def search_hardware(
    networks: Sequence[LayerGraph | NetworkWeight | str],
    template: str,
    strategies: Sequence[str] = DEFAULT_STRATEGIES,
    *,
    storage: str,
    settings: JobSettings | None = None,
    samples: int = DEFAULT_SAMPLES,
    seconds: float | None = None,
    evaluations: int | None = None,
    within: float = 0.0,
    seeds: int = 1,
    jobs: int | None = None,
    cache: bool | str | os.PathLike[str] = True,
    on_sample: OnSample | None = None,
    on_box: OnBox | None = None,
) -> HardwareComparison:
    """Search for hardware: sizes of an architecture for networks, within budgets.

    Parameters
    ----------
    networks : sequence of LayerGraph, NetworkWeight or str
        At least one; texts are what `toolkit.load_network` takes. Weighted sums of energies and
        latencies count.
    template : str
        Name of an architecture with ranges, or its file.
    strategies : sequence of str
        Keys of `toolkit.codesign.registry.HARDWARE_STRATEGIES`.
    storage : str
        Where every point is recorded, such as ``"designs.journal"`` or a URL of a database.
    settings : JobSettings, optional
        Ranges, technology, budgets, objective, the mapper of layers, fusion.
    samples, seconds, evaluations, within, seeds, jobs, cache, on_sample, on_box
        As `toolkit.study.hardware.strategies.compare_hardware` takes them.

    Raises
    ------
    InputError
        If something is unknown, or nothing meets the budgets.

    Examples
    --------
    >>> import toolkit
    >>> found = toolkit.search_hardware(
    ...     ["resnet18"], "gemmini-ws", ["random"], storage="designs.journal"
    ... )  # doctest: +SKIP
    >>> found.best.choice.area_um2  # doctest: +SKIP
    1846270.0
    """
    uses = [
        load_network(network, fold_batch_norm=True, bits="word")
        if isinstance(network, str)
        else network
        for network in networks
    ]
    return compare_hardware(
        make_job(template, uses, settings),
        strategies,
        storage=storage,
        samples=samples,
        seconds=seconds,
        evaluations=evaluations,
        within=within,
        seeds=seeds,
        jobs=jobs,
        cache=cache,
        on_sample=on_sample,
        on_box=on_box,
    )


def join_studies(
    storage: str,
    study: str | None = None,
    *,
    most: int | None = None,
    heartbeat: int = HEARTBEAT_SECONDS,
    cache: bool | str = True,
    on_sample: OnSample | None = None,
    on_box: OnBox | None = None,
) -> dict[str, int]:
    """Take part in searches over hardware that were begun elsewhere, until they end.

    Parameters
    ----------
    storage : str
        Where they are recorded.
    study : str, optional
        The only one to join; by default all that have not ended, one after the other.
    most : int, optional
        Points to score, at most.
    heartbeat : int
        Seconds between two signs of life.
    cache : bool or str
        Where mappings are kept on this machine.
    on_sample : callable, optional
        Called after every point.
    on_box : callable, optional
        Called after every box that a proof has looked at.

    Returns
    -------
    dict of str to int
        Points scored, by study.

    Raises
    ------
    InputError
        If the storage cannot be used or holds no such study.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.join_studies("postgresql://user@host/designs", most=50)  # doctest: +SKIP
    {'resnet18 on gemmini-ws, random, seed 0': 50}
    """
    # Finalizers run while machine code is loaded, and what a signal raises in one is lost.
    for kernel in kernels():
        if kernel.is_kept:
            kernel.load()
    scored: dict[str, int] = {}
    with open_shared(storage, heartbeat) as opened:
        names = [study] if study is not None else study_names(opened)
        if not names:
            raise InputError(
                "holds no search over hardware; expected one made by toolkit codesign",
                source=storage_name(storage),
            )
        scorers: dict[str, Any] = {}
        for name in names:
            left = None if most is None else most - sum(scored.values())
            if left == 0:
                break
            worker = Worker(opened, name, cache=cache, heartbeat=heartbeat, scorers=scorers)
            scored[name] = worker.run(on_sample, left, on_box)
    return scored
