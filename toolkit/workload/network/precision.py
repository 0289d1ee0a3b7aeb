"""How many bits the values of a network have: as its file says, or as the user does.

Types of tensors say it, but float32 and float64, which exporters write whatever a network will be
run in: these say nothing, and their values take the words of the memories that they lie in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from toolkit.arguments import check_integer
from toolkit.errors import InputError
from toolkit.workload.bits import bits_suffix
from toolkit.workload.kernel import Role, Workload
from toolkit.workload.network.layer import BITS, Layer, TensorInfo, may_be_learned

UNSTATED = frozenset(("float32", "float64"))
"""Types that say nothing about precision."""

SUM_BITS = 32
"""Bits of partial sums of typed operands: what integer and half-precision units add up in."""

_MOST_BITS = 64


@dataclass(frozen=True)
class Precision:
    """Bits that the user gives instead of those of the file.

    Parameters
    ----------
    weight, activation : int, optional
        Of weights, and of what layers hand on; each as the file says by default. Indices, truth
        values, biases, scales and zero points keep theirs.
    sum : int, optional
        Of partial sums; 32 by default, or those of results where these have more.

    Raises
    ------
    InputError
        If one is no integer from 1 to 64.
    """

    weight: int | None = None
    activation: int | None = None
    sum: int | None = None

    def __post_init__(self) -> None:
        for key in PRECISION_KEYS:
            given = getattr(self, key)
            if given is not None:
                checked = check_integer(given, 1, f"bits[{key!r}]")
                if checked > _MOST_BITS:
                    raise InputError(
                        f"expected 1 to {_MOST_BITS} bits, got {checked}", key=f"bits[{key!r}]"
                    )
                object.__setattr__(self, key, checked)


PRECISION_KEYS = ("weight", "activation", "sum")
"""What bits can be given for."""

FROM_FILE = Precision()
"""All bits as the file says."""


def precision_of(bits: int | Mapping[str, int] | Precision | None) -> Precision:
    """Take bits as people write them: of all weights and activations, or by what has them.

    Raises
    ------
    InputError
        If a key is not one of `PRECISION_KEYS`, or bits are not as expected.

    Examples
    --------
    >>> precision_of({"weight": 4, "activation": 8})
    Precision(weight=4, activation=8, sum=None)
    >>> precision_of(16)
    Precision(weight=16, activation=16, sum=None)
    """
    if bits is None:
        return FROM_FILE
    if isinstance(bits, Precision):
        return bits
    if not isinstance(bits, Mapping):
        return Precision(bits, bits)
    for key in bits:
        if key not in PRECISION_KEYS:
            raise InputError(
                f"unknown key {key!r}; expected some of {', '.join(PRECISION_KEYS)}", key="bits"
            )
    return Precision(**dict(bits))


def value_bits(tensor: TensorInfo) -> int | None:
    """Bits of the values of a tensor; None if its type says nothing.

    Examples
    --------
    >>> value_bits(TensorInfo("x", (1, 8), "float16"))
    16
    """
    return None if tensor.dtype in UNSTATED else BITS[tensor.dtype]


def with_precision(layers: Iterable[Layer], precision: Precision = FROM_FILE) -> list[Layer]:
    """Give tensors the bits that the user says, and workloads those of the layer's tensors."""
    return [typed(_overridden(layer, precision), precision.sum or SUM_BITS) for layer in layers]


def typed(layer: Layer, sum_bits: int = SUM_BITS) -> Layer:
    """Give the workload of a layer the bits of the tensors that it reads and makes.

    The operand of the role ``weight`` is the first constant, or the second activation where there
    is none.

    Examples
    --------
    >>> from toolkit.workload import gemm
    >>> x, w, y = (TensorInfo(name, (8, 8), "int8") for name in "xwy")
    >>> typed(Layer("p", "MatMulInteger", "einsum", (x,), (w,), (y,), (), gemm(8, 8, 8))).workload
    ... # doctest: +ELLIPSIS
    Workload(name='gemm:M=8,K=8,N=8,bits=8,sum_bits=32', ...
    """
    if layer.workload is None:
        return layer
    activations = layer.inputs or layer.outputs
    weight = layer.weights[0] if layer.weights else activations[-1 if len(activations) < 2 else 1]
    output = layer.outputs[0] if layer.outputs else activations[0]
    tensors: dict[Role, TensorInfo] = {
        "input": activations[0],
        "weight": weight,
        "output": output,
    }
    return replace(layer, workload=_with_bits(layer.workload, tensors, sum_bits))


def _with_bits(workload: Workload, tensors: Mapping[Role, TensorInfo], sum_bits: int) -> Workload:
    bits = {role: value_bits(tensor) for role, tensor in tensors.items()}
    made = bits["output"]
    # Wider sums than results are said apart.
    sums = sum_bits if made is not None and sum_bits > made else None
    found = replace(
        workload,
        tensors=tuple(
            replace(t, bits=bits[t.role], sum_bits=sums if t.role == "output" else None)
            for t in workload.tensors
        ),
    )
    if not workload.name.startswith(f"{workload.kernel}:"):
        return found
    plain = workload.name.removesuffix(bits_suffix(workload))
    return replace(found, name=plain + bits_suffix(found))


def without_bits(layer: Layer) -> Layer:
    """Let every value of a layer's workload be a word."""
    if layer.workload is None:
        return layer
    plain = dict.fromkeys(("input", "weight", "output"), TensorInfo("", (), "float32"))
    tensors: dict[Role, TensorInfo] = {**plain}  # type: ignore[dict-item]
    return replace(layer, workload=_with_bits(layer.workload, tensors, SUM_BITS))


def _overridden(layer: Layer, precision: Precision) -> Layer:
    """Give the tensors of a layer the bits that the user says."""
    if precision.weight is None and precision.activation is None:
        return layer
    return replace(
        layer,
        inputs=tuple(_with(tensor, precision.activation) for tensor in layer.inputs),
        outputs=tuple(_with(tensor, precision.activation) for tensor in layer.outputs),
        # The others are biases, scales and zero points.
        weights=_first_with(layer.weights, precision.weight),
        parameters=_first_with(layer.parameters, precision.weight),
    )


def _first_with(tensors: tuple[TensorInfo, ...], bits: int | None) -> tuple[TensorInfo, ...]:
    return (*(_with(tensor, bits) for tensor in tensors[:1]), *tensors[1:])


def _with(tensor: TensorInfo, bits: int | None) -> TensorInfo:
    if bits is None or not may_be_learned(tensor.dtype):
        return tensor
    kind = "uint" if tensor.dtype.startswith("uint") else "int"
    return replace(tensor, dtype=f"{kind}{bits}")
