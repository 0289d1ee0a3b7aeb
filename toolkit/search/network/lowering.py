"""Lowering: writing a workload in the dimensions that an architecture speaks of.

An architecture unrolls and constrains dimensions by their names: those of a convolution, or those
of a matrix product. A workload of the one family runs on an architecture of the other because
every dimension plays one of four parts, told by the tensors that it indexes: B indexes both
operands and the output, M the weight and the output, N the input and the output, K both operands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from toolkit.arch.architecture import Architecture
from toolkit.errors import DoesNotFitError
from toolkit.mapping.bounds import whole_tensor_values
from toolkit.workload.bits import with_bits
from toolkit.workload.kernel import Role, Tensor, Term, Workload
from toolkit.workload.ready_made import batched_gemm, gemm

GEMM_DIMENSIONS = frozenset("BMKN")
CONV_DIMENSIONS = frozenset("NGMOPQCTRS")

_SUMMED = frozenset("KCTRS")
"""What a plain convolution or matrix product sums over."""

_UNSUMMED_NAMES = {"C": "G", "T": "W", "R": "U", "S": "V", "K": "H"}
"""Names that no architecture unrolls, for dimensions that are summed elsewhere but not here."""


@dataclass(frozen=True)
class Lowered:
    """A workload as an architecture can run it.

    Parameters
    ----------
    workload : Workload
        In dimensions of the architecture.
    how : str
        ``direct``, ``im2col``, ``matrix product``, ``1x1 convolution``, ...
    notes : tuple of str
        What that assumes, in words.
    copies : bool
        Whether an operand is laid out in more words than it has.
    """

    workload: Workload
    how: str = "direct"
    notes: tuple[str, ...] = ()
    copies: bool = False


def lowerings(arch: Architecture, workload: Workload) -> tuple[Lowered, ...]:
    """List the ways in which a workload can run on an architecture; the best one should be taken.

    A convolution runs directly where the architecture speaks of convolutions, and as one matrix
    product (im2col) where it speaks of those alone. A matrix product runs as a convolution with
    one tap, its N along either axis; a convolution of one axis may lie along either, too.

    Raises
    ------
    DoesNotFitError
        If there is none.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> from toolkit.workload import load_workload
    >>> conv = load_workload("conv:M=8,C=4,P=6,Q=6,R=3,S=3")
    >>> (lowered,) = lowerings(load_arch("eyeriss"), conv)
    >>> lowered.how, dict(lowered.workload.sizes)
    ('im2col', {'M': 8, 'K': 36, 'N': 36})
    """
    named, needed = set(arch.dimensions), set(workload.dimensions)
    if named <= needed or needed <= named:
        return _direct(arch, workload)
    if named <= CONV_DIMENSIONS and needed <= CONV_DIMENSIONS and "K" not in needed:
        return _direct(arch, _extended(workload, named))
    if named <= GEMM_DIMENSIONS:
        return (_as_product(arch, workload),)
    if named <= CONV_DIMENSIONS:
        return _as_convolution(arch, workload)
    raise DoesNotFitError(
        f"{workload.name} ({workload.kernel}, {', '.join(workload.dimensions)}) cannot be lowered "
        f"to the dimensions that the architecture names: {', '.join(arch.dimensions)}",
        source=arch.name,
    )


def _direct(arch: Architecture, workload: Workload) -> tuple[Lowered, ...]:
    """As it is, or with one axis of a single one laid along the other.

    Where a fanout only adds up, it is left to sums: those over channels in one way, those of the
    im2col over taps and channels in the other.
    """
    lowered = _unsummed(arch, Lowered(workload))
    if lowered.notes and set(arch.dimensions) <= CONV_DIMENSIONS:
        return lowered, *_as_convolution(arch, workload)
    sizes = lowered.workload.sizes
    if "P" not in sizes or sizes.get("Q", 1) != 1 or sizes.get("S", 1) != 1 or sizes["P"] == 1:
        return (lowered,)
    if "Q" not in arch.dimensions and "S" not in arch.dimensions:
        return (lowered,)
    swapped = _renamed(lowered.workload, {"P": "Q", "Q": "P", "R": "S", "S": "R"})
    turned = replace(lowered, workload=swapped, how=f"{lowered.how}, along Q")
    return lowered, turned


def _unsummed(arch: Architecture, lowered: Lowered) -> Lowered:
    """Keep dimensions of the output off fanouts that can only add up what their instances make."""
    workload = lowered.workload
    own = set(workload.output.dimensions) & _SUMMED
    for fanout in arch.fanouts:
        kept = own & set(fanout.dimensions)
        if kept and fanout.reduction and set(fanout.dimensions) <= _SUMMED:
            names = {d: _UNSUMMED_NAMES[d] for d in sorted(kept)}
            note = (
                f"{', '.join(names)} runs in time, as {', '.join(names.values())}: "
                f"{fanout.name} adds up what its instances make"
            )
            free = _renamed(workload, names)
            grown = _extended(free, set(arch.dimensions))
            return Lowered(grown, f"{lowered.how}, one {'/'.join(names)} at a time", (note,))
    return lowered


def _extended(workload: Workload, named: set[str]) -> Workload:
    """Add dimensions that an architecture names; they iterate once."""
    missing = dict.fromkeys(sorted(named - set(workload.dimensions)), 1)
    return replace(workload, sizes={**workload.sizes, **missing}) if missing else workload


def _renamed(workload: Workload, names: Mapping[str, str]) -> Workload:
    return replace(
        workload,
        sizes={names.get(d, d): size for d, size in workload.sizes.items()},
        tensors=tuple(
            replace(
                tensor,
                indices=tuple(
                    tuple(Term(names.get(t.dimension, t.dimension), t.coefficient) for t in index)
                    for index in tensor.indices
                ),
            )
            for tensor in workload.tensors
        ),
    )


def _as_product(arch: Architecture, workload: Workload) -> Lowered:
    """One matrix product, or one per group: im2col, or col2im where outputs overlap."""
    operands = _operands(arch, workload)
    parts = _parts(workload, *operands)
    b, m, k, n = (parts[part] for part in "BMKN")
    product = _with_bits_of(operands, batched_gemm(b, m, k, n) if b > 1 else gemm(m, k, n))
    how, notes = _laid_out(workload, parts)
    return Lowered(product, how or "matrix product", notes, bool(notes))


def _with_bits_of(operands: tuple[Tensor, Tensor, Tensor], workload: Workload) -> Workload:
    """Give a workload the bits of the operands that it was made from."""
    first, second, output = operands
    return with_bits(
        workload,
        input_bits=first.bits,
        weight_bits=second.bits,
        output_bits=output.bits,
        sum_bits=output.sum_bits,
    )


def _laid_out(workload: Workload, parts: Mapping[str, int]) -> tuple[str, tuple[str, ...]]:
    """What laying windows out as a matrix is called, nothing if there are none, and its notes."""
    notes, windows = [], []
    for tensor in workload.tensors:
        letters = {"input": "BKN", "weight": "BMK", "output": "BMN"}[tensor.role]
        words = math.prod(parts[part] for part in letters)
        notes.append(_expansion(words, workload, tensor))
        windows += [tensor.role for index in tensor.indices if len(index) > 1]
    how = ("col2im" if "output" in windows else "im2col") if windows else ""
    return how, tuple(note for note in notes if note)


def _expansion(words: int, workload: Workload, tensor: Tensor) -> str:
    distinct = whole_tensor_values(workload, tensor)
    if words <= distinct:
        return ""
    charged = "writes of the copies are charged, adding them up is not"
    if tensor.role != "output":
        charged = "reads of the copies are charged, making them is not"
    return (
        f"the {tensor.role} is laid out {words / distinct:.3g} times "
        f"({words:,} words for {distinct:,}): {charged}"
    )


def _as_convolution(arch: Architecture, workload: Workload) -> tuple[Lowered, ...]:
    """A convolution with one tap, its positions along either axis; groups in time."""
    operands = _operands(arch, workload)
    parts = _parts(workload, *operands)
    sizes = {"G": parts["B"], "M": parts["M"], "C": parts["K"]}
    if parts["B"] == 1:
        del sizes["G"]
    laid_out, notes = _laid_out(workload, parts)
    kind = f"{laid_out} to a 1x1 convolution" if laid_out else "1x1 convolution"
    either = parts["N"] > 1 and not {"P", "Q"}.isdisjoint(arch.dimensions)
    found = []
    for axis in ("P", "Q") if either else ("P",):
        grown = {**sizes, axis: parts["N"]}
        groups = "G" if "G" in sizes else ""
        roles: dict[Role, str] = {"input": "C" + axis, "weight": "MC", "output": "M" + axis}
        tensors = tuple(
            Tensor(role, role, tuple((Term(d),) for d in groups + letters))
            for role, letters in roles.items()
        )
        name = "conv:" + ",".join(f"{d}={size}" for d, size in grown.items())
        convolution = _with_bits_of(operands, Workload(name, "conv", grown, tensors))
        how = f"{kind}, N along {axis}" if either else kind
        extended = _extended(convolution, set(arch.dimensions))
        found.append(Lowered(extended, how, notes, bool(notes)))
    return tuple(found)


def _operands(arch: Architecture, workload: Workload) -> tuple[Tensor, Tensor, Tensor]:
    """The input, the weight and the output."""
    others = [tensor for tensor in workload.tensors if tensor.role != "output"]
    if len(others) != 2:
        raise DoesNotFitError(
            f"{workload.name} ({workload.kernel}) cannot be lowered: expected an input and a "
            f"weight, got {len(others)} operands",
            source=arch.name,
        )
    others.sort(key=lambda tensor: tensor.role == "weight")
    return others[0], others[1], workload.output


def _parts(workload: Workload, data: Tensor, weight: Tensor, output: Tensor) -> dict[str, int]:
    """Sizes of the four parts, each the product of its dimensions."""
    indexed: Sequence[set[str]] = [set(t.dimensions) for t in (data, weight, output)]
    sizes = dict.fromkeys("BMKN", 1)
    for dimension, size in workload.sizes.items():
        in_data, in_weight, in_output = (dimension in names for names in indexed)
        if not in_output:
            part = "K"
        elif in_data and in_weight:
            part = "B"
        else:
            part = "M" if in_weight else "N"
        sizes[part] *= size
    return sizes
