"""The problems and mappings that the arguments of a command name, and files that it may write."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import toolkit
from toolkit.errors import InputError


def read_problem(
    arch: str | os.PathLike[str],
    workload: Sequence[str | os.PathLike[str]],
    objective: str,
    conventions: toolkit.Conventions,
    pad: Sequence[str],
    bias_read: bool,
    factors: str | None = None,
    bypass: str = "permitted",
    fix: str | None = None,
    estimates: Sequence[str] = (),
) -> toolkit.Problem:
    """State the problem that the arguments of a command describe.

    Parameters
    ----------
    arch, objective : str
        As the user gave them; an architecture as `trusted` has it.
    conventions : Conventions
        How costs are counted.
    workload : sequence of str
        One word that `toolkit.load_workload` takes, or sizes as `read_workload_words` does.
    pad : sequence of str
        Dimensions that may grow; see `read_pad`.
    bias_read : bool
        Whether outputs start from an initial value.
    factors : str, optional
        Which tile factors; None is what the conventions say.
    bypass : str
        What a mapping may leave out.
    fix : str, optional
        What is taken from a mapping, and its file: ``spatial:FILE``.
    estimates : sequence of str
        Files of Accelergy's.

    Raises
    ------
    InputError
        If anything of it is unknown, malformed or does not fit.
    """
    loaded_arch = read_arch(arch, estimates)
    loaded_workload = read_workload_words(workload)
    if fix is not None:
        loaded_arch = _with_fixed(loaded_arch, loaded_workload, fix)
    return toolkit.make_problem(
        loaded_arch,
        loaded_workload,
        objective=objective,
        conventions=conventions,
        bias_read=bias_read,
        pad=read_pad(pad),
        factors=factors,  # type: ignore[arg-type]  # It is checked there.
        bypass=bypass,  # type: ignore[arg-type]  # It is checked there.
    )


def _with_fixed(
    arch: toolkit.Architecture, workload: toolkit.Workload, fix: str
) -> toolkit.Architecture:
    from toolkit.mapping import with_bypass_rule
    from toolkit.messages import describe

    kind, colon, path = fix.partition(":")
    if kind != "spatial" or not colon or not path:
        raise InputError(
            f"expected spatial:FILE, what is fixed and a mapping that has it, got {describe(fix)}",
            source="--fix",
        )
    # Whatever its memories leave out, what is unrolled counts alone.
    free = with_bypass_rule(arch, "free")
    return toolkit.fix_spatial(arch, workload, _read_mapping(path, free, workload, "auto"))


def read_arch(arch: str | os.PathLike[str], estimates: Sequence[str] = ()) -> toolkit.Architecture:
    """Load an architecture, with figures from Accelergy's files where some are given.

    Raises
    ------
    ArchitectureError
        If it is unknown or malformed, or a file is, or none of its figures is for a level.
    """
    loaded = toolkit.load_arch(arch)
    if not estimates:
        return loaded
    from toolkit.arch.technology import read_accelergy, with_estimates

    return with_estimates(loaded, read_accelergy(estimates))


def read_pad(words: Sequence[str]) -> tuple[str, ...] | str:
    """Read dimensions, separated by commas in words or over several; ``all`` means all.

    Examples
    --------
    >>> read_pad(["M,N", "K"]), read_pad(["M", "all"])
    (('M', 'N', 'K'), 'all')
    """
    names = tuple(name.strip() for word in words for name in word.split(","))
    return "all" if "all" in names else names


def read_mapped(
    arch: str | os.PathLike[str],
    workload: Sequence[str | os.PathLike[str]],
    path: str,
    format: str = "auto",
    *,
    objective: str = "edp",
    conventions: toolkit.Conventions | None = None,
    pad: Sequence[str] = (),
    bias_read: bool = False,
    factors: str | None = None,
    bypass: str = "permitted",
    estimates: Sequence[str] = (),
) -> tuple[toolkit.Problem, toolkit.Mapping]:
    """Read a mapping, and state the problem that it solves.

    Parameters
    ----------
    path, format : str
        As `read_valid_mapping` takes them.
    conventions : Conventions, optional
        How costs are counted; exact ones by default.
    pad : sequence of str
        Dimensions that grow to what the factors of the mapping multiply to.
    factors : str, optional
        As for `read_problem`; by default any factors that the conventions can count.
    bypass : str
        What the mapping may leave out.
    estimates : sequence of str
        Files of Accelergy's.

    Raises
    ------
    InputError
        If anything of it is unknown, malformed or does not fit.
    MappingError
        If the file holds no mapping of the problem, or one that breaks rules: all of them.
    """
    from toolkit.model.conventions import EXACT
    from toolkit.search.problem import factors_rule

    named, dimensions = conventions or EXACT, read_pad(pad)
    if factors is None and not dimensions and named.transfers != "sequential":
        factors = "ragged"
    rule = factors_rule(named, factors, padded=bool(dimensions))  # type: ignore[arg-type]

    def stated(grown: toolkit.Workload) -> toolkit.Problem:
        return toolkit.make_problem(
            loaded,
            grown,
            objective=objective,
            conventions=named,
            bias_read=bias_read,
            factors=rule,
            round_up=dimensions,
            bypass=bypass,  # type: ignore[arg-type]  # It is checked there.
        )

    loaded, given = read_arch(arch, estimates), read_workload_words(workload)
    problem = stated(given)
    mapping = _read_mapping(path, problem.arch, problem.workload, format)
    if dimensions:
        grown, note = grown_to(mapping, given, dimensions)
        problem = stated(grown)
        problem = replace(problem, notes=(*problem.notes, *note))
    check_mapping(mapping, problem, path)
    return problem, mapping


def grown_to(
    mapping: toolkit.Mapping, workload: toolkit.Workload, dimensions: Sequence[str]
) -> tuple[toolkit.Workload, list[str]]:
    """Pad a workload to what the factors of a mapping multiply to, and say so."""
    from math import prod

    sizes = dict(workload.sizes)
    for d in workload.dimensions if "all" in dimensions else dimensions:
        product = prod(dict(level.factors)[d] for level in mapping.levels)
        sizes[d] = max(sizes[d], product)
    grown = [
        f"{d} from {workload.sizes[d]} to {n}" for d, n in sizes.items() if n != workload.sizes[d]
    ]
    if not grown:
        return workload, []
    padded = replace(workload, sizes=sizes)
    more = 100 * (padded.macs / workload.macs - 1)
    note = f"padded {', '.join(grown)}, as its factors: {more:.3g} % more multiply-accumulates"
    return padded, [note]


_SIZES = {
    3: ("gemm", "M K N"),
    6: ("conv", "M P Q C R S"),
    10: ("conv", "M P Q C R S Pstride Qstride Rdilation Sdilation"),
}
"""Kernels that integers alone stand for, by how many there are, and what each one is."""


def read_workload_words(words: Sequence[str | os.PathLike[str]]) -> toolkit.Workload:
    """Read a workload from one word, or from the sizes of a GEMM or a convolution.

    Raises
    ------
    WorkloadError
        If the words are neither, or name no usable workload.

    Examples
    --------
    >>> read_workload_words("64 56 56 64 3 3 2 2 1 1".split()).name
    'conv:M=64,P=56,Q=56,C=64,R=3,S=3,stride=2'
    """
    from toolkit.errors import WorkloadError
    from toolkit.messages import describe

    shown = [os.fspath(word) for word in words]
    if len(words) in _SIZES:
        kernel, names = _SIZES[len(words)]
        sizes = zip(names.split(), shown, strict=True)
        return toolkit.load_workload(f"{kernel}:{','.join('='.join(pair) for pair in sizes)}")
    if len(words) != 1:
        forms = " or ".join(names for _, names in _SIZES.values())
        raise WorkloadError(
            f"expected one name, specification or file, or three, six or ten integers ({forms}), "
            f"got {len(words)} words: {describe(' '.join(shown))}",
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
    mapping = _read_mapping(path, problem.arch, problem.workload, format)
    check_mapping(mapping, problem, path)
    return mapping


def _read_mapping(
    path: str, arch: toolkit.Architecture, workload: toolkit.Workload, format: str
) -> toolkit.Mapping:
    from toolkit.mapping.peers import AUTO, find_format, read_mapping_text

    if format != AUTO:
        find_format(format, also=AUTO)
    text = read_mapping_text(path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        mapping = toolkit.mapping_from_text(text, arch, workload, format=format, source=path)
    for warning in told:
        print(f"toolkit: {warning.message}", file=sys.stderr)
    return mapping


def check_mapping(mapping: toolkit.Mapping, problem: toolkit.Problem, path: str) -> None:
    """Refuse a mapping that is not valid.

    Raises
    ------
    MappingError
        Naming the file it was read from, the key if its factors do not make up a size, and all
        rules that it breaks.
    """
    from toolkit.errors import MappingError
    from toolkit.mapping.explain import broken_products, violations
    from toolkit.mapping.mapping import to_arrays
    from toolkit.search.problem import chosen_problem

    broken = violations(chosen_problem(problem, mapping).space, mapping)
    if broken:
        factors, _ = to_arrays(mapping, problem.arch, problem.workload)
        products = broken_products(problem.space, factors.tolist())
        raise MappingError(
            f"not a valid mapping of {problem.workload.name} on {problem.arch.name}: "
            + "; ".join(broken),
            source=path,
            key=next((f"factors.{dimension}" for _, dimension, _ in products), None),
        )


def check_writable(path: str, option: str = "--save") -> None:
    """Refuse a file that cannot be written, before a long search rather than after it.

    Parameters
    ----------
    path : str
        The file.
    option : str
        What asks for it.

    Raises
    ------
    InputError
        If the path is a folder, lies in no folder, or may not be written.
    """
    from toolkit.messages import describe

    target = Path(path)
    try:
        if not path:
            raise InputError("expected the name of a file, got nothing", source=option)
        if target.is_dir():
            raise InputError(f"{describe(path)} is a folder; expected a file", source=option)
        if not target.parent.is_dir():
            raise InputError(f"{describe(path)} lies in no folder", source=option)
        if target.exists() and not target.is_file():
            raise InputError(f"{describe(path)} is not a regular file", source=option)
        writable = os.access(target if target.exists() else target.parent, os.W_OK)
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise InputError(f"{describe(path)}: {reason}", source=option) from None
    if not writable:
        raise InputError(f"{describe(path)} may not be written", source=option)


def evaluated(mapping: toolkit.Mapping, problem: toolkit.Problem) -> toolkit.Evaluation:
    """Evaluate a mapping of a problem."""
    return toolkit.evaluate(
        mapping,
        problem.arch,
        problem.workload,
        conventions=problem.conventions,
        bias_read=problem.bias_read,
    )
