"""Mixtures of experts as one operator: the experts that run, with the tokens that each gets."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit.workload.kernel import Workload
from toolkit.workload.network.layer import BITS, Layer, TensorInfo
from toolkit.workload.network.operators.call import Call, Operator
from toolkit.workload.network.operators.parts import Parts, Slice, Source
from toolkit.workload.network.values import Value
from toolkit.workload.ready_made import batched_gemm, gemm

Shape = tuple[int, ...]

_ACTIVATIONS = {
    "relu": ("Relu", 1),
    "relu2": ("Relu", 2),
    "gelu": ("Gelu", 5),
    "silu": ("Swish", 5),
    "swiglu": ("SwiGLU", 6),
    "geglu": ("Gelu", 6),
    "identity": ("Identity", 0),
}
"""Operators, and operations per hidden element, those of a gate in the same product included."""


@dataclass(frozen=True, slots=True)
class Share:
    """Experts that get the same number of tokens.

    Parameters
    ----------
    experts, tokens : int
        How many, and tokens of each.
    """

    experts: int
    tokens: int

    def product(self, rows: int, columns: int) -> Workload:
        """Each expert's tokens times a matrix of its own."""
        if self.experts > 1:
            return batched_gemm(self.experts, rows, columns, self.tokens)
        return gemm(rows, columns, self.tokens)


def expert_shares(assignments: int, experts: int) -> tuple[Share, ...]:
    """Spread tokens over experts as evenly as can be, so that most of the experts run.

    Routers are trained to that. Weights that are read are then at their most: of fewer tokens
    than experts, each goes to another one.

    Parameters
    ----------
    assignments : int
        Tokens times experts per token.
    experts : int
        That there are.

    Examples
    --------
    >>> expert_shares(10, 8)
    (Share(experts=2, tokens=2), Share(experts=6, tokens=1))
    >>> expert_shares(2, 8)
    (Share(experts=2, tokens=1),)
    """
    running = min(assignments, experts)
    tokens, more = divmod(assignments, running)
    shares = (Share(more, tokens + 1), Share(running - more, tokens))
    return tuple(share for share in shares if share.experts)


@dataclass(frozen=True)
class _Matrices:
    """Where an operator has the matrices of one layer of its experts.

    Parameters
    ----------
    word : str
        How parts are called.
    weight, bias : int
        The operands.
    scales : tuple of int
        Scales and zero points.
    bits : str
        The attribute that says how many bits a weight has, before ``expert_weight_bits``.
    """

    word: str
    weight: int
    bias: int
    scales: tuple[int, ...] = ()
    bits: str = ""

    @property
    def operands(self) -> tuple[int, ...]:
        """All of them."""
        return (self.weight, self.bias, *self.scales)

    def dtype(self, call: Call) -> str:
        """Data type of a weight, several of which may be packed into a byte."""
        kind = call.text("quant_type", "int")
        if not self.bits:
            return ""
        if kind != "int":
            return "float8e4m3fn" if kind == "fp8" else "float4e2m1"
        name = f"uint{self._bits(call)}"
        if name not in BITS:
            raise call.error(f"weights of {self._bits(call)} bits are not read")
        return name

    def _bits(self, call: Call) -> int:
        kind = call.text("quant_type", "int")
        if not self.bits:
            return 0
        if kind != "int":
            return 8 if kind == "fp8" else 4
        return call.integer(self.bits, 0) or call.integer("expert_weight_bits", 4)

    def elements(self, call: Call) -> int:
        """Weights of one expert."""
        value = call.input(self.weight)
        stored = value.info.elements // value.shape[0]
        bits = self._bits(call)
        return stored * 8 // bits if bits and value.info.dtype in ("uint8", "int8") else stored

    def sources(self, call: Call, experts: int, rows: int, columns: int) -> list[Source]:
        """Weights, bias and scales of some of the experts."""
        weight = call.input(self.weight)
        shape = (experts, rows, columns)
        every = (weight.shape[0], rows, columns)
        found = [_some(weight, shape, whole=every, dtype=self.dtype(call))]
        for index in (self.bias, *self.scales):
            if call.has(index):
                value = call.input(index)
                size = (min(experts, value.shape[0]), *value.shape[1:])
                learned = index == self.bias
                found.append(_some(value, size, whole=value.shape, learned=learned))
        return found


def _some(
    value: Value, shape: Shape, *, whole: Shape, learned: bool = True, dtype: str = ""
) -> Source:
    """What is read of an operand that holds something for every expert."""
    if value.constant:
        return Slice(value, shape, learned=learned, dtype=dtype, whole=whole)
    return TensorInfo(value.info.name, shape, dtype or value.info.dtype)


@dataclass(frozen=True)
class _Mixture:
    """Where an operator has the matrices of its experts: in, out, and beside the first."""

    first: _Matrices
    second: _Matrices
    gate: _Matrices

    def layers(self, call: Call, rule: Operator) -> tuple[Layer, ...]:
        """Router, the products of the experts that run, and the sum of what they make."""
        for index in (0, *self.first.operands, *self.second.operands, *self.gate.operands):
            if call.has(index) and not call.shape(index):
                raise call.error(f"operand {index} is a single number; expected one per expert")
        *leading, hidden = call.shape(0)
        tokens, experts = math.prod(leading), call.shape(1, 2)[1]
        chosen = call.given.experts or call.integer("k", 1)
        if not 1 <= chosen <= experts:
            raise call.error(f"{chosen} experts per token of {experts}; expected 1 to {experts}")
        inner = self.second.elements(call) // hidden
        rows = self.first.elements(call) // hidden
        if inner < 1 or rows < inner:
            raise call.error(f"its weights do not fit tokens of {hidden} elements")
        parts = Parts(call)
        routes = parts.add(
            "/router",
            "TopK",
            "reduction",
            [call.input(1)],
            [parts.tensor("routes", (tokens, chosen))],
            elements=tokens * experts,
            # Softmax, then a sort.
            operations=5 + max((experts - 1).bit_length(), 1),
        )
        made = [
            self._experts(parts, call, share, (rows, inner, hidden), suffix)
            for share, suffix in zip(
                expert_shares(tokens * chosen, experts), ("", "/rest"), strict=False
            )
        ]
        # A product with the weight of the route, and a sum.
        parts.add(
            "",
            "ReduceSum",
            "reduction",
            [*made, routes],
            call.outputs,
            elements=tokens * chosen * hidden,
            operations=2,
        )
        return tuple(parts.layers)

    def _experts(
        self, parts: Parts, call: Call, share: Share, sizes: Shape, suffix: str
    ) -> TensorInfo:
        """The products of experts that get equally many tokens."""
        rows, inner, hidden = sizes
        count, run = share.experts, share.experts * share.tokens
        tokens = call.input(0)

        def product(matrices: _Matrices, source: Source, outs: int, ins: int) -> TensorInfo:
            word = f"{matrices.word}{suffix}"
            return parts.add(
                f"/{word}",
                "MatMul",
                "einsum",
                [source, *matrices.sources(call, count, outs, ins)],
                [parts.tensor(word, (count, share.tokens, outs))],
                workload=share.product(outs, ins),
            )

        wide = [product(self.first, tokens, rows, hidden)]
        if call.has(self.gate.weight):
            wide.append(product(self.gate, tokens, inner, hidden))
        kind = call.text("activation_type", "relu")
        if kind not in _ACTIVATIONS:
            raise call.error(f"activation_type {kind!r}; expected {', '.join(_ACTIVATIONS)}")
        operator, operations = _ACTIVATIONS[kind]
        parts.add(
            f"/activation{suffix}",
            operator,
            "elementwise",
            wide,
            [parts.tensor(f"activation{suffix}", (count, share.tokens, inner))],
            elements=run * inner,
            operations=operations + (len(wide) > 1 and kind != "swiglu"),
        )
        return product(self.second, parts.layers[-1].outputs[0], hidden, inner)


def _same(call: Call) -> list[Shape]:
    return [call.shape(0)]


_MOE = _Mixture(_Matrices("fc1", 2, 3), _Matrices("fc2", 4, 5), _Matrices("fc3", 6, 7))
_QMOE = _Mixture(
    _Matrices("fc1", 2, 4, (3, 11, 15), "fc1_expert_weight_bits"),
    _Matrices("fc2", 5, 7, (6, 12, 16), "fc2_expert_weight_bits"),
    _Matrices("fc3", 8, 10, (9, 13), "fc3_expert_weight_bits"),
)

_COUNTED = "two or three products per expert that runs, each with its share of the tokens"

EXPERTS: dict[str, Operator] = {
    "MoE": Operator("einsum", _COUNTED, _MOE.layers, shapes=_same),
    "QMoE": Operator("einsum", _COUNTED, _QMOE.layers, shapes=_same),
}
"""Rules by operator, without the domain."""
