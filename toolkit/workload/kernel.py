"""Workloads: named dimensions, and tensors indexed by affine sums of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from toolkit.arguments import plain_integer, store_plain_numbers
from toolkit.display import object_html, shortened, table_html
from toolkit.errors import WorkloadError

MAX_BITS = 4096
"""Most bits of a value: beyond any number format, vectors included."""

Role = Literal["input", "weight", "output"]

ROLES: tuple[Role, ...] = get_args(Role)
"""All roles."""


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of an index: ``coefficient * dimension``.

    The coefficient is a stride or a dilation; 1 where the kernel names none.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.Term("P", 2).coefficient
    2
    """

    dimension: str
    coefficient: int = 1

    def __post_init__(self) -> None:
        store_plain_numbers(self)


Index = tuple[Term, ...]
"""An affine sum of dimensions that addresses one axis of a tensor."""


def subscript(index: Index) -> str:
    """Write an index.

    Examples
    --------
    >>> subscript((Term("P", 2), Term("R")))
    '2*p + r'
    """
    return " + ".join(
        term.dimension.lower()
        if term.coefficient == 1
        else f"{term.coefficient}*{term.dimension.lower()}"
        for term in index
    )


@dataclass(frozen=True, slots=True)
class Tensor:
    """An operand of a workload.

    Parameters
    ----------
    name : str
        Unique within the workload.
    role : {"input", "weight", "output"}
        What the operand is; a bypass may name either the tensor or its role.
    indices : tuple of Index
        One affine sum per axis. A dimension appears in at most one of them.
    bits : int or None
        Of one value, of an output once it is complete; None if a value is a word wherever it is.
    sum_bits : int or None
        Of an output that is still being summed up; None if as many as it has in the end.

    Examples
    --------
    >>> import toolkit
    >>> [tensor.role for tensor in toolkit.gemm(8, 4, 2).tensors]
    ['input', 'weight', 'output']
    """

    name: str
    role: Role
    indices: tuple[Index, ...]
    bits: int | None = None
    sum_bits: int | None = None

    def __post_init__(self) -> None:
        store_plain_numbers(self)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Dimensions that index this tensor; all others are orthogonal to it."""
        return tuple(term.dimension for index in self.indices for term in index)


@dataclass(frozen=True, eq=False)
class Workload:
    """One tensor operation with its sizes, such as ``Out[m,n] += W[m,k] * In[k,n]``.

    Parameters
    ----------
    name : str
        How results refer to it.
    kernel : str
        The kind of operation (``gemm``, ``conv``, ...), for people and for error messages.
    sizes : mapping of str to int
        Iterations of every dimension, in the kernel's own order; each at least 1.
    tensors : tuple of Tensor
        Any number of operands, exactly one of them with the role ``output``.

    Raises
    ------
    WorkloadError
        If a size is not a positive integer, a tensor names an unknown dimension or repeats one,
        a coefficient or bits are not a positive integer, partial sums have fewer bits than
        results, or there is not exactly one output.

    Examples
    --------
    >>> import toolkit
    >>> layer = toolkit.gemm(8, 4, 2)
    >>> layer.dimensions, layer.macs
    (('M', 'K', 'N'), 64)
    """

    name: str
    kernel: str
    sizes: Mapping[str, int]
    tensors: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        sizes = {dimension: plain_integer(size) for dimension, size in self.sizes.items()}
        object.__setattr__(self, "sizes", MappingProxyType(sizes))
        _check_sizes(self)
        _check_tensors(self)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{d}={size}" for d, size in self.sizes.items())
        return f"<Workload {shortened(f'{self.name}: {self.kernel} {sizes}', 110)}>"

    def _repr_html_(self) -> str:
        """For notebooks: sizes, and a row per tensor."""
        sizes = ", ".join(f"{d} = {size:,}" for d, size in self.sizes.items())
        facts = [("kernel", self.kernel), ("sizes", sizes), ("MACs", f"{self.macs:,}")]
        rows = [
            (
                tensor.name,
                tensor.role,
                ", ".join(subscript(index) for index in tensor.indices),
                "a word" if tensor.bits is None else f"{tensor.bits}",
            )
            for tensor in self.tensors
        ]
        heads = ("tensor", "role", "indices", "bits")
        return object_html(self.name, facts, table_html(heads, rows, (True, True, True, False)))

    def __eq__(self, other: object) -> bool:
        # The order of dimensions is part of a workload, which mappings as sets would ignore.
        return isinstance(other, Workload) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        return (self.name, self.kernel, tuple(self.sizes.items()), self.tensors)

    def __reduce__(self) -> tuple[object, ...]:
        return (Workload, (self.name, self.kernel, dict(self.sizes), self.tensors))

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the dimensions, in the kernel's own order."""
        return tuple(self.sizes)

    @property
    def output(self) -> Tensor:
        """The one tensor that is written."""
        return next(tensor for tensor in self.tensors if tensor.role == "output")

    @property
    def reduction_dimensions(self) -> tuple[str, ...]:
        """Dimensions that do not index the output."""
        indexing = set(self.output.dimensions)
        return tuple(d for d in self.sizes if d not in indexing)

    @property
    def macs(self) -> int:
        """Multiply-accumulates: the product of all sizes (exact, of any magnitude)."""
        return math.prod(self.sizes.values())


def _check_sizes(workload: Workload) -> None:
    if not workload.sizes:
        raise WorkloadError("a workload needs at least one dimension", source=workload.name)
    for dimension, size in workload.sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise WorkloadError(
                f"size {size!r} is not a positive integer",
                source=workload.name,
                key=f"sizes.{dimension}",
            )


def _check_tensors(workload: Workload) -> None:
    outputs = [tensor.name for tensor in workload.tensors if tensor.role == "output"]
    if len(outputs) != 1:
        raise WorkloadError(
            f"exactly one tensor must have the role 'output', found {len(outputs)}: {outputs}",
            source=workload.name,
            key="tensors",
        )
    names = [tensor.name for tensor in workload.tensors]
    if len(set(names)) != len(names):
        raise WorkloadError(f"tensor names repeat: {names}", source=workload.name, key="tensors")
    for tensor in workload.tensors:
        _check_tensor(workload, tensor)
        _check_bits(workload, tensor)


def _check_bits(workload: Workload, tensor: Tensor) -> None:
    for key, bits in (("bits", tensor.bits), ("sum_bits", tensor.sum_bits)):
        whole = isinstance(bits, int) and not isinstance(bits, bool) and 1 <= bits <= MAX_BITS
        if bits is not None and not whole:
            raise WorkloadError(
                f"expected an integer from 1 to {MAX_BITS}, got {bits!r}",
                source=workload.name,
                key=f"tensors.{tensor.name}.{key}",
            )
    sums = tensor.sum_bits
    if sums is None or (tensor.role == "output" and (tensor.bits or sums + 1) <= sums):
        return
    expected = "expected sum_bits of the output alone"
    if tensor.role == "output":
        expected = "expected bits of the output beside sum_bits"
    if tensor.role == "output" and tensor.bits is not None:
        expected = f"partial sums need at least the {tensor.bits} bits of the output"
    raise WorkloadError(
        f"got sum_bits {sums}; {expected}",
        source=workload.name,
        key=f"tensors.{tensor.name}.sum_bits",
    )


def _check_tensor(workload: Workload, tensor: Tensor) -> None:
    key = f"tensors.{tensor.name}"
    seen: set[str] = set()
    for index in tensor.indices:
        if not index:
            raise WorkloadError("an index needs a dimension", source=workload.name, key=key)
        for term in index:
            if term.dimension not in workload.sizes:
                raise WorkloadError(
                    f"unknown dimension {term.dimension!r}; "
                    f"the workload has {', '.join(workload.sizes)}",
                    source=workload.name,
                    key=key,
                )
            if term.dimension in seen:
                raise WorkloadError(
                    f"dimension {term.dimension!r} indexes the tensor twice; "
                    "each may appear in one index only",
                    source=workload.name,
                    key=key,
                )
            if isinstance(term.coefficient, bool) or not (
                isinstance(term.coefficient, int) and term.coefficient >= 1
            ):
                raise WorkloadError(
                    f"coefficient {term.coefficient!r} of {term.dimension!r} "
                    "is not a positive integer",
                    source=workload.name,
                    key=key,
                )
            seen.add(term.dimension)
