"""The ready-made kernels by name: what each one takes, and which one computes the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from toolkit.arguments import plain_integer
from toolkit.errors import WorkloadError
from toolkit.messages import describe, suggest
from toolkit.workload import ready_made
from toolkit.workload.bits import BITS_KEYS, given_bits, with_bits
from toolkit.workload.kernel import MAX_BITS, Tensor, Workload

MAX_SIZE = 2**31
"""Largest size, stride or dilation that a specification or a file may give: beyond any tensor, and
the product of two still fits in an int64."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a ready-made kernel is asked for.

    Parameters
    ----------
    build : callable
        Its constructor in `toolkit.workload.ready_made`.
    dimensions : tuple of str
        Sizes that must be given.
    strides, dilations : tuple of str
        Coefficients by axis, each named after its dimension, such as ``Pstride``.
    """

    build: Callable[..., Workload]
    dimensions: tuple[str, ...]
    strides: tuple[str, ...] = ()
    dilations: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that may be given."""
        if not self.strides:
            return self.dimensions
        both = dict.fromkeys((*self.strides, "stride", *self.dilations, "dilation"))
        return (*self.dimensions, "N", *both)


_PLANE = (("Pstride", "Qstride"), ("Rdilation", "Sdilation"))

KINDS: Mapping[str, Kind] = {
    "gemm": Kind(ready_made.gemm, ("M", "K", "N")),
    "batched-gemm": Kind(ready_made.batched_gemm, ("B", "M", "K", "N")),
    "conv": Kind(ready_made.conv2d, ("M", "C", "P", "Q", "R", "S"), *_PLANE),
    "conv1d": Kind(ready_made.conv1d, ("M", "C", "P", "R"), ("Pstride",), ("Rdilation",)),
    "depthwise-conv": Kind(ready_made.depthwise_conv2d, ("C", "P", "Q", "R", "S"), *_PLANE),
    "grouped-conv": Kind(ready_made.grouped_conv2d, ("G", "M", "C", "P", "Q", "R", "S"), *_PLANE),
    "transposed-conv": Kind(ready_made.transposed_conv2d, ("M", "C", "P", "Q", "R", "S"), *_PLANE),
}


def find_kind(name: str, *, source: str | None = None, key: str | None = None) -> Kind:
    """Look up a ready-made kernel.

    Raises
    ------
    WorkloadError
        If there is none of that name; the message lists those there are.
    """
    if name not in KINDS:
        raise WorkloadError(
            f"unknown kernel {describe(name)}{suggest(name, KINDS)}; "
            f"ready-made kernels: {', '.join(KINDS)}",
            source=source,
            key=key,
        )
    return KINDS[name]


def build_kernel(
    kernel: str, values: Mapping[str, int], *, source: str | None = None, name: str | None = None
) -> Workload:
    """Build a ready-made kernel from sizes, strides and dilations by key.

    Parameters
    ----------
    kernel : str
        A key of `KINDS`.
    values : mapping of str to int
        Every dimension of the kernel; for convolutions also ``N``, ``stride``, ``dilation`` or,
        by axis, ``Pstride``, ``Qstride``, ``Rdilation``, ``Sdilation``; and the bits of values
        (`BITS_KEYS`).
    source : str, optional
        Where the values came from, for messages.
    name : str, optional
        Name of the workload; its specification if left out.

    Raises
    ------
    WorkloadError
        If a key is unknown, missing or contradicts another, or a value is not within
        1 to 2**31.

    Examples
    --------
    >>> build_kernel("conv1d", {"M": 8, "C": 4, "P": 10, "R": 3, "stride": 2}).name
    'conv1d:M=8,P=10,C=4,R=3,Pstride=2'
    """
    kind = find_kind(kernel, source=source)
    values = {key: plain_integer(value) for key, value in values.items()}
    _check_values(kernel, kind, values, source)
    arguments: dict[str, object] = {d.lower(): values[d] for d in kind.dimensions}
    if kind.strides:
        arguments["n"] = values.get("N")
        arguments["stride"] = _per_axis("stride", kind.strides, values, source)
        arguments["dilation"] = _per_axis("dilation", kind.dilations, values, source)
    workload = kind.build(**arguments, name=name)
    try:
        found = with_bits(workload, **given_bits(values))
        return found if name is None else replace(found, name=name)
    except WorkloadError as cause:
        raise WorkloadError(cause.message, source=source, key="sum_bits") from None


def _check_values(kernel: str, kind: Kind, values: Mapping[str, int], source: str | None) -> None:
    for key, value in values.items():
        known = (*kind.keys, *BITS_KEYS)
        if key not in known:
            raise WorkloadError(
                f"unknown key {describe(key)}{suggest(key, known)}; "
                f"{kernel} takes {', '.join(known)}",
                source=source,
            )
        most = MAX_BITS if key in BITS_KEYS else MAX_SIZE
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise WorkloadError(
                f"expected an integer from 1 to {most}, got {describe(value)}",
                source=source,
                key=key,
            )
    missing = [d for d in kind.dimensions if d not in values]
    if missing:
        raise WorkloadError(
            f"missing {', '.join(missing)}; {kernel} needs {', '.join(kind.dimensions)}",
            source=source,
        )


def _per_axis(
    word: str, keys: tuple[str, ...], values: Mapping[str, int], source: str | None
) -> int | tuple[int, ...]:
    given = [key for key in keys if key in values]
    if word not in values:
        by_axis = tuple(values.get(key, 1) for key in keys)
        return by_axis if len(by_axis) > 1 else by_axis[0]
    if given:
        raise WorkloadError(
            f"given for all axes and again as {', '.join(given)}; give one or the other",
            source=source,
            key=word,
        )
    return values[word]


def recognized_kernel(
    sizes: Mapping[str, int],
    tensors: tuple[Tensor, ...],
    names: Mapping[str, Mapping[str, str]],
    name: str | None,
) -> Workload | None:
    """Find the ready-made kernel that computes the same.

    Parameters
    ----------
    sizes : mapping of str to int
        Iterations by a peer's name of the dimension.
    tensors : tuple of Tensor
        With the peer's dimensions, in which a batch of 1 may be missing.
    names : mapping
        By kernel, the peer's names of dimensions and ours.
    name : str, optional
        Name of the workload; its specification if left out.

    Returns
    -------
    Workload or None
        None if there is none.

    Examples
    --------
    >>> from toolkit.workload.files import parse_tensor
    >>> texts = {"output": "O[B, K]", "input": "I[B, C]", "weight": "W[C, K]"}
    >>> tensors = tuple(parse_tensor(text, role) for role, text in texts.items())
    >>> names = {"gemm": {"B": "N", "K": "M", "C": "K"}}
    >>> recognized_kernel({"B": 3, "K": 4, "C": 2}, tensors, names, None).name
    'gemm:M=4,K=2,N=3'
    """
    for kernel, form in names.items():
        found = _as_kernel(kernel, form, sizes, tensors, name)
        if found is not None:
            return found
    return None


def _as_kernel(
    kernel: str,
    form: Mapping[str, str],
    sizes: Mapping[str, int],
    tensors: tuple[Tensor, ...],
    name: str | None,
) -> Workload | None:
    kind = KINDS[kernel]
    ours: dict[str, str] = {}
    # A dimension of size 1 goes if the kernel has no other use for it.
    for dimension, size in sorted(sizes.items(), key=lambda item: item[1] == 1):
        named = form.get(dimension, "")
        if named in kind.keys and named not in ours.values():
            ours[dimension] = named
        elif size > 1:
            return None
    values = {ours[dimension]: size for dimension, size in sizes.items() if dimension in ours}
    if not set(kind.dimensions) <= values.keys():
        return None
    if "N" not in kind.dimensions and values.get("N") == 1:
        del values["N"]
    known = {theirs: named for theirs, named in ours.items() if named in values}
    steps = {
        f"{known[term.dimension]}{word}": term.coefficient
        for tensor in tensors
        for index in tensor.indices
        if len(index) > 1
        for term in index
        if term.dimension in known
        for word in ("stride", "dilation")
    }
    values.update((key, step) for key, step in steps.items() if key in kind.keys)
    candidate = build_kernel(kernel, values, name=name)
    same = {dimension: dimension for dimension in candidate.sizes}
    return candidate if _shape(tensors, known) == _shape(candidate.tensors, same) else None


_Axis = list[tuple[str, int]]


def _shape(tensors: tuple[Tensor, ...], names: Mapping[str, str]) -> list[tuple[str, list[_Axis]]]:
    """Tensors without their names and without the order of their axes, to be compared."""
    shapes: list[tuple[str, list[_Axis]]] = []
    for tensor in tensors:
        axes = (
            sorted((names[t.dimension], t.coefficient) for t in index if t.dimension in names)
            for index in tensor.indices
        )
        shapes.append((tensor.role, sorted(axis for axis in axes if axis)))
    return sorted(shapes)
