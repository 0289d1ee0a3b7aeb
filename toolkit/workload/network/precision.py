"""How many bits the values of a network have: as its file says, or as the user does.

float32 and float64 say nothing: exporters write them whatever a network will be run in. Nor does a
wider float than the operands of a machine, which computes in its own. Such values take a word
wherever they lie, as those of workloads without bits do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from toolkit.arguments import check_integer
from toolkit.errors import InputError
from toolkit.workload.bits import bits_suffix
from toolkit.workload.kernel import Role, Workload
from toolkit.workload.network.layer import BITS, Layer, TensorInfo, may_be_learned

SUM_BITS = 32
"""Bits of partial sums where nothing is known of a machine: what ONNX adds integers up in."""

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
        Of partial sums; by default those of a machine's accumulators, as far as they are known,
        else 32; or those of results where these have more.
    typed : bool
        Whether values have bits at all; otherwise each takes a word, whatever the memory.

    Raises
    ------
    InputError
        If one is no integer from 1 to 64.
    """

    weight: int | None = None
    activation: int | None = None
    sum: int | None = None
    typed: bool = True

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


UNSTATED = frozenset(("float32", "float64"))
"""Types that say nothing about precision."""

PRECISION_KEYS = ("weight", "activation", "sum")
"""What bits can be given for."""

FROM_FILE = Precision()
"""All bits as the file says."""

IN_WORDS = Precision(typed=False)
"""No bits: every value takes a word."""

Bits = int | str | Mapping[str, int] | Precision
"""What people write: bits of all weights and activations, bits by what has them, or ``file`` or
``word`` for `FROM_FILE` and `IN_WORDS`."""


def precision_of(bits: Bits) -> Precision:
    """Take bits as people write them.

    Raises
    ------
    InputError
        If a word or a key is not known, or bits are not as expected.

    Examples
    --------
    >>> precision_of({"weight": 4, "activation": 8})
    Precision(weight=4, activation=8, sum=None, typed=True)
    >>> precision_of(16) == Precision(16, 16), precision_of("file") == FROM_FILE
    (True, True)
    """
    if isinstance(bits, Precision):
        return bits
    if isinstance(bits, str):
        if bits not in _WORDS:
            raise InputError(
                f"expected a number, or one of {', '.join(_WORDS)}, got {bits!r}", key="bits"
            )
        return _WORDS[bits]
    if not isinstance(bits, Mapping):
        return Precision(bits, bits)
    for key in bits:
        if key not in PRECISION_KEYS:
            raise InputError(
                f"unknown key {key!r}; expected some of {', '.join(PRECISION_KEYS)}", key="bits"
            )
    return Precision(bits.get("weight"), bits.get("activation"), bits.get("sum"))


_WORDS = {"file": FROM_FILE, "word": IN_WORDS}


def with_precision(layers: Iterable[Layer], precision: Precision = FROM_FILE) -> list[Layer]:
    """Give tensors the bits that the user says, and workloads those of the layer's tensors."""
    if not precision.typed:
        return list(layers)
    return [typed(_overridden(layer, precision), precision.sum or SUM_BITS) for layer in layers]


def value_bits(dtype: str, operand_bits: int | None = None) -> int | None:
    """Bits of the values of a type; None if each takes a word.

    Parameters
    ----------
    dtype : str
        A key of `BITS`.
    operand_bits : int, optional
        Of the operands of a machine, if it is known: floats of as many bits, or of more, are what
        it computes in.

    Examples
    --------
    >>> [value_bits(dtype, 16) for dtype in ("float32", "float16", "float8e5m2", "int8")]
    [None, None, 8, 8]
    """
    if dtype in UNSTATED:
        return None
    bits = BITS[dtype]
    is_float = dtype.startswith(("float", "bfloat"))
    return None if is_float and operand_bits is not None and bits >= operand_bits else bits


def typed(layer: Layer, sum_bits: int = SUM_BITS, operand_bits: int | None = None) -> Layer:
    """Give the workload of a layer the bits of the tensors that it reads and makes.

    The operand of the role ``weight`` is the first constant, or the second activation where there
    is none.

    Parameters
    ----------
    layer : Layer
        Its other properties stay.
    sum_bits : int
        Of partial sums, where results have bits, and fewer.
    operand_bits : int, optional
        Of the operands of a machine, see `value_bits`.

    Examples
    --------
    >>> from toolkit.workload import gemm
    >>> x, w, y = (TensorInfo(name, (8, 8), "int8") for name in "xwy")
    >>> typed(Layer("p", "MatMulInteger", "einsum", (x,), (w,), (y,), (), gemm(8, 8, 8))).workload
    <Workload gemm:M=8,K=8,N=8,bits=8,sum_bits=32: gemm M=8, K=8, N=8>
    """
    if layer.workload is None:
        return layer
    activations = layer.inputs or layer.outputs
    weight = layer.weights[0] if layer.weights else activations[-1 if len(activations) < 2 else 1]
    output = layer.outputs[0] if layer.outputs else activations[0]
    by_role: dict[Role, TensorInfo] = {
        "input": activations[0],
        "weight": weight,
        "output": output,
    }
    bits = {role: value_bits(tensor.dtype, operand_bits) for role, tensor in by_role.items()}
    return replace(layer, workload=_with_bits(layer.workload, bits, sum_bits))


def _with_bits(workload: Workload, bits: Mapping[Role, int | None], sum_bits: int) -> Workload:
    made = bits.get("output")
    # Wider sums than results are said apart.
    sums = sum_bits if made is not None and sum_bits > made else None
    found = replace(
        workload,
        tensors=tuple(
            replace(t, bits=bits.get(t.role), sum_bits=sums if t.role == "output" else None)
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
    return replace(layer, workload=_with_bits(layer.workload, {}, SUM_BITS))


def with_activation_bits(tensor: TensorInfo, precision: Precision) -> TensorInfo:
    """Give a tensor between layers, or around the network, the bits that the user says."""
    return _with(tensor, precision.activation)


def _overridden(layer: Layer, precision: Precision) -> Layer:
    """Give the tensors of a layer the bits that the user says."""
    if precision.weight is None and precision.activation is None:
        return layer
    return replace(
        layer,
        inputs=tuple(with_activation_bits(tensor, precision) for tensor in layer.inputs),
        outputs=tuple(with_activation_bits(tensor, precision) for tensor in layer.outputs),
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
