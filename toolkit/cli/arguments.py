"""Arguments and options that several commands share, and the problems and mappings they name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import toolkit

Arch = Annotated[
    str,
    typer.Argument(
        metavar="ARCH",
        help="A name (see: toolkit list archs) or a YAML file, also ZigZag's or Timeloop's, with "
        "parameters if it has any: gemmini-ws:side=32.",
    ),
]
WorkloadWords = Annotated[
    list[str],
    typer.Argument(
        metavar="WORKLOAD",
        help="A name (see: toolkit list workloads), a specification such as "
        "gemm:M=128,K=768,N=512, a YAML file, also ZigZag's (net.yaml:Layer2) or Timeloop's, "
        "or three integers M K N.",
    ),
]
ObjectiveName = Annotated[
    str,
    typer.Option(
        "--objective",
        metavar="NAME",
        help="What to minimise: edp, energy, latency or edp_per_utilization.",
    ),
]
ConventionsName = Annotated[
    str,
    typer.Option(
        "--conventions",
        metavar="NAME",
        help="How costs are counted: exact, factorflow or timeloop.",
    ),
]
LatencyCorrection = Annotated[
    str | None,
    typer.Option(
        "--latency-correction",
        metavar="NAME",
        help="Replace the latency by one fitted to RTL simulations: gemmini-rtl.",
        show_default=False,
    ),
]
Pad = Annotated[
    list[str],
    typer.Option(
        "--pad",
        metavar="DIM",
        help="Round this dimension up where a constraint does not divide it; "
        "repeat for several, or say all.",
    ),
]
BiasRead = Annotated[
    bool, typer.Option("--bias-read", help="Outputs start from an initial value that is read.")
]
MappingFile = Annotated[
    str,
    typer.Argument(
        metavar="MAPPING", help="A file: this toolkit's YAML or JSON, Timeloop's or ZigZag's."
    ),
]
MappingFormat = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="How the mapping is written: toolkit, timeloop or zigzag; auto looks at it.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]


def read_problem(
    arch: str,
    workload: Sequence[str],
    objective: str,
    conventions: str,
    pad: Sequence[str],
    bias_read: bool,
) -> toolkit.Problem:
    """State the problem that the arguments of a command describe.

    Parameters
    ----------
    arch, objective, conventions : str
        As the user gave them.
    workload : sequence of str
        One word that `toolkit.load_workload` takes, or the sizes M, K and N of a GEMM.
    pad : sequence of str
        Dimensions that may grow; ``all`` among them means all.
    bias_read : bool
        Whether outputs start from an initial value.

    Raises
    ------
    InputError
        If anything of it is unknown, malformed or does not fit.
    """
    from toolkit.model.conventions import conventions_named

    named = conventions_named(conventions)
    loaded_arch = toolkit.load_arch(arch)
    loaded_workload = read_workload_words(workload)
    return toolkit.make_problem(
        loaded_arch,
        loaded_workload,
        objective=objective,
        conventions=named,
        bias_read=bias_read,
        pad="all" if "all" in pad else tuple(pad),
    )


def read_workload_words(words: Sequence[str]) -> toolkit.Workload:
    """Read a workload from one word, or from the three sizes M, K and N of a GEMM.

    Raises
    ------
    WorkloadError
        If the words are neither, or name no usable workload.
    """
    from toolkit.errors import WorkloadError
    from toolkit.messages import describe

    if len(words) == 3:
        m, k, n = words
        return toolkit.load_workload(f"gemm:M={m},K={k},N={n}")
    if len(words) != 1:
        raise WorkloadError(
            f"expected one name, specification or file, or three integers M K N, "
            f"got {len(words)} words: {describe(' '.join(words))}",
            source="WORKLOAD",
        )
    return toolkit.load_workload(words[0])


def read_valid_mapping(
    path: str, problem: toolkit.Problem, format: str = "auto"
) -> toolkit.Mapping:
    """Read a mapping from a file in any of `toolkit.MAPPING_FORMATS`.

    Our own format may also be the JSON object that ``toolkit map`` prints.

    Parameters
    ----------
    path : str
        The file.
    problem : Problem
        What it must map.
    format : str
        A key of `toolkit.MAPPING_FORMATS`, or ``"auto"`` for what the file looks like.

    Raises
    ------
    MappingError
        If the file holds no mapping of the problem, or one that breaks rules: all of them.
    InputError
        If `format` is unknown.
    """
    from toolkit.errors import MappingError
    from toolkit.mapping.explain import violations
    from toolkit.mapping.peers import AUTO, find_format, read_mapping_text
    from toolkit.search.problem import chosen_problem

    if format != AUTO:
        find_format(format, also=AUTO)
    text = read_mapping_text(path)
    mapping = toolkit.mapping_from_text(
        text, problem.arch, problem.workload, format=format, source=path
    )
    broken = violations(chosen_problem(problem, mapping).space, mapping)
    if broken:
        raise MappingError(
            f"not a valid mapping of {problem.workload.name} on {problem.arch.name}: "
            + "; ".join(broken),
            source=path,
        )
    return mapping


def check_writable(path: str) -> None:
    """Refuse a file that cannot be written, before a long search rather than after it.

    Raises
    ------
    InputError
        If the path is a folder, lies in no folder, or may not be written.
    """
    from toolkit.errors import InputError
    from toolkit.messages import describe

    target = Path(path)
    try:
        if not path:
            raise InputError("expected the name of a file, got nothing", source="--save")
        if target.is_dir():
            raise InputError(f"{describe(path)} is a folder; expected a file", source="--save")
        if not target.parent.is_dir():
            raise InputError(f"{describe(path)} lies in no folder", source="--save")
        if target.exists() and not target.is_file():
            raise InputError(f"{describe(path)} is not a regular file", source="--save")
        writable = os.access(target if target.exists() else target.parent, os.W_OK)
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise InputError(f"{describe(path)}: {reason}", source="--save") from None
    if not writable:
        raise InputError(f"{describe(path)} may not be written", source="--save")


def evaluated(mapping: toolkit.Mapping, problem: toolkit.Problem) -> toolkit.Evaluation:
    """Evaluate a mapping of a problem."""
    return toolkit.evaluate(
        mapping,
        problem.arch,
        problem.workload,
        conventions=problem.conventions,
        bias_read=problem.bias_read,
    )
