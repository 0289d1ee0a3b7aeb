"""Ready-made kernels: matrix products and convolutions as workloads.

Sizes are iteration counts. A convolution's `stride` and `dilation` are one number for all axes
or one number per axis; its `n` adds a batch dimension ``N``, outermost. Without a `name`, the
workload is called by its specification, such as ``gemm:M=4,K=2,N=3``.
"""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.arguments import plain_integer
from toolkit.errors import WorkloadError
from toolkit.workload.kernel import Index, Role, Tensor, Term, Workload

PerAxis = int | tuple[int, int]
"""A stride or dilation: one number for both axes, or one for each."""


def gemm(m: int, k: int, n: int, *, name: str | None = None) -> Workload:
    """Matrix product ``Out[m,n] += W[m,k] * In[k,n]``.

    Parameters
    ----------
    m, k, n : int
        Sizes of the dimensions M, K and N.
    name : str, optional
        How results refer to it.

    Examples
    --------
    >>> gemm(4, 2, 3).reduction_dimensions
    ('K',)
    """
    return _workload(
        "gemm",
        {"M": m, "K": k, "N": n},
        {"input": "K N", "weight": "M K", "output": "M N"},
        name=name,
    )


def batched_gemm(b: int, m: int, k: int, n: int, *, name: str | None = None) -> Workload:
    """`b` matrix products, as in attention: ``Out[b,m,n] += W[b,m,k] * In[b,k,n]``.

    Parameters
    ----------
    b, m, k, n : int
        Sizes of the dimensions B, M, K and N.
    name : str, optional
        How results refer to it.

    Examples
    --------
    >>> batched_gemm(12, 4, 2, 3).macs
    288
    """
    return _workload(
        "batched-gemm",
        {"B": b, "M": m, "K": k, "N": n},
        {"input": "B K N", "weight": "B M K", "output": "B M N"},
        name=name,
    )


def conv1d(
    m: int,
    c: int,
    p: int,
    r: int,
    *,
    n: int | None = None,
    stride: int = 1,
    dilation: int = 1,
    name: str | None = None,
) -> Workload:
    """Convolution over one axis, ``Out[m,p] += W[m,c,r] * In[c, stride*p + dilation*r]``.

    Parameters
    ----------
    m, c : int
        Output and input channels.
    p, r : int
        Output positions and filter taps.
    n : int, optional
        Batch size.
    stride, dilation : int
        Coefficients of P and R.
    name : str, optional
        How results refer to it.

    Examples
    --------
    >>> conv1d(8, 4, 10, 3, stride=2).tensors[0].indices[1]
    (Term(dimension='P', coefficient=2), Term(dimension='R', coefficient=1))
    """
    return _workload(
        "conv1d",
        _batched({"M": m, "P": p, "C": c, "R": r}, n),
        {"input": "N C P+R", "weight": "M C R", "output": "N M P"},
        {"Pstride": stride, "Rdilation": dilation},
        name=name,
    )


def conv2d(
    m: int,
    c: int,
    p: int,
    q: int,
    r: int,
    s: int,
    *,
    n: int | None = None,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    name: str | None = None,
) -> Workload:
    """Convolution, ``Out[m,p,q] += W[m,c,r,s] * In[c, stride*p + dilation*r, stride*q + …]``.

    Parameters
    ----------
    m, c : int
        Output and input channels.
    p, q : int
        Output rows and columns.
    r, s : int
        Filter rows and columns.
    n : int, optional
        Batch size.
    stride, dilation : int or pair of int
        Coefficients of (P, Q) and of (R, S).
    name : str, optional
        How results refer to it.

    Examples
    --------
    >>> layer = conv2d(64, 3, 112, 112, 7, 7, stride=2)
    >>> layer.dimensions
    ('M', 'P', 'Q', 'C', 'R', 'S')
    >>> layer.name
    'conv:M=64,P=112,Q=112,C=3,R=7,S=7,stride=2'
    """
    return _workload(
        "conv",
        _batched({"M": m, "P": p, "Q": q, "C": c, "R": r, "S": s}, n),
        {"input": "N C P+R Q+S", "weight": "M C R S", "output": "N M P Q"},
        _coefficients(stride, dilation),
        name=name,
    )


def depthwise_conv2d(
    c: int,
    p: int,
    q: int,
    r: int,
    s: int,
    *,
    n: int | None = None,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    name: str | None = None,
) -> Workload:
    """Convolution with one filter per channel, ``Out[c,p,q] += W[c,r,s] * In[c, …]``.

    Parameters
    ----------
    c : int
        Channels.
    p, q, r, s, n, stride, dilation, name
        As for `conv2d`.

    Examples
    --------
    >>> depthwise_conv2d(32, 56, 56, 3, 3).reduction_dimensions
    ('R', 'S')
    """
    return _workload(
        "depthwise-conv",
        _batched({"C": c, "P": p, "Q": q, "R": r, "S": s}, n),
        {"input": "N C P+R Q+S", "weight": "C R S", "output": "N C P Q"},
        _coefficients(stride, dilation),
        name=name,
    )


def grouped_conv2d(
    g: int,
    m: int,
    c: int,
    p: int,
    q: int,
    r: int,
    s: int,
    *,
    n: int | None = None,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    name: str | None = None,
) -> Workload:
    """`g` independent convolutions, ``Out[g,m,p,q] += W[g,m,c,r,s] * In[g,c, …]``.

    Parameters
    ----------
    g : int
        Groups.
    m, c : int
        Output and input channels of one group.
    p, q, r, s, n, stride, dilation, name
        As for `conv2d`.

    Examples
    --------
    >>> grouped_conv2d(32, 4, 4, 56, 56, 3, 3).dimensions
    ('G', 'M', 'P', 'Q', 'C', 'R', 'S')
    """
    return _workload(
        "grouped-conv",
        _batched({"G": g, "M": m, "P": p, "Q": q, "C": c, "R": r, "S": s}, n),
        {"input": "N G C P+R Q+S", "weight": "G M C R S", "output": "N G M P Q"},
        _coefficients(stride, dilation),
        name=name,
    )


def transposed_conv2d(
    m: int,
    c: int,
    p: int,
    q: int,
    r: int,
    s: int,
    *,
    n: int | None = None,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    name: str | None = None,
) -> Workload:
    """Transposed convolution, ``Out[m, stride*p + dilation*r, …] += W[m,c,r,s] * In[c,p,q]``.

    Parameters
    ----------
    p, q : int
        Input rows and columns.
    m, c, r, s, n, stride, dilation, name
        As for `conv2d`.

    Examples
    --------
    >>> transposed_conv2d(8, 4, 7, 7, 3, 3, stride=2).output.dimensions
    ('M', 'P', 'R', 'Q', 'S')
    """
    return _workload(
        "transposed-conv",
        _batched({"M": m, "P": p, "Q": q, "C": c, "R": r, "S": s}, n),
        {"input": "N C P Q", "weight": "M C R S", "output": "N M P+R Q+S"},
        _coefficients(stride, dilation),
        name=name,
    )


def _batched(sizes: dict[str, int], n: int | None) -> dict[str, int]:
    return sizes if n is None else {"N": n, **sizes}


def _coefficients(stride: PerAxis, dilation: PerAxis) -> dict[str, int]:
    p, q = _pair(stride, "stride")
    r, s = _pair(dilation, "dilation")
    return {"Pstride": p, "Qstride": q, "Rdilation": r, "Sdilation": s}


def _pair(value: PerAxis, key: str) -> tuple[int, int]:
    both = plain_integer(value)
    if isinstance(both, int):
        return both, both
    if isinstance(value, tuple | list) and len(value) == 2:
        return plain_integer(value[0]), plain_integer(value[1])
    raise WorkloadError(f"expected an integer or a pair of integers, got {value!r}", key=key)


def _workload(
    kernel: str,
    sizes: dict[str, int],
    tensors: Mapping[Role, str],
    coefficients: Mapping[str, int] | None = None,
    *,
    name: str | None,
) -> Workload:
    """Assemble a workload; a tensor is written as its indices, ``C P+R`` for ``[c, p + r]``."""
    coefficients = coefficients or {}
    by_dimension = {key[0]: value for key, value in coefficients.items()}

    def index(text: str) -> Index:
        # Only the sliding window has coefficients, never the same dimensions on their own.
        parts = text.split("+")
        if len(parts) == 1:
            return (Term(text),)
        return tuple(Term(part, by_dimension.get(part, 1)) for part in parts)

    return Workload(
        name if name is not None else _specification(kernel, sizes, coefficients),
        kernel,
        sizes,
        tuple(
            Tensor(role, role, tuple(index(axis) for axis in axes.split() if axis[0] in sizes))
            for role, axes in tensors.items()
        ),
    )


def _specification(kernel: str, sizes: Mapping[str, int], coefficients: Mapping[str, int]) -> str:
    """Write the specification that `parse_spec` reads back, without coefficients of 1."""
    parts = dict(sizes)
    for word in ("stride", "dilation"):
        given = {key: value for key, value in coefficients.items() if key[1:] == word}
        if len(given) > 1 and len(set(given.values())) == 1:
            given = {word: next(iter(given.values()))}
        parts.update({key: value for key, value in given.items() if value != 1})
    return f"{kernel}:" + ",".join(f"{key}={value}" for key, value in parts.items())
