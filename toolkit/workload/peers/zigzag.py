"""ZigZag's workload YAML (3.x): layers as workloads; FORMATS.md says what carries over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from toolkit.errors import WorkloadError
from toolkit.messages import describe, relocated, suggest
from toolkit.peer_files import matching
from toolkit.records import Label, Record, validate
from toolkit.workload.kernel import Index, Role, Tensor, Term, Workload
from toolkit.workload.kinds import MAX_SIZE, recognized_kernel

_PLANE = {"B": "N", "K": "M", "C": "C", "OX": "Q", "OY": "P", "FX": "S", "FY": "R"}

ZIGZAG_NAMES: Mapping[str, Mapping[str, str]] = {
    "gemm": {"B": "N", "K": "M", "C": "K", "D": "N"},
    "batched-gemm": {"B": "B", "K": "M", "C": "K", "D": "N"},
    "conv": {**_PLANE, "G": "G"},
    "grouped-conv": {**_PLANE, "G": "G"},
    "depthwise-conv": {**_PLANE, "C": "", "G": "C"},
    "conv1d": {"B": "N", "K": "M", "C": "C", "OX": "P", "FX": "R", "OY": "", "FY": "", "G": ""},
}
"""By kernel, ZigZag's names of dimensions and ours; empty where ours has none."""

_Size = Annotated[int, Field(ge=1, le=MAX_SIZE)]
_Bits = Annotated[int, Field(ge=0, le=64)]
_Word = Annotated[str, matching(r"[A-Z][A-Z0-9_]{0,99}", "a name in capitals, such as K or OX")]

_OPERAND = r"(\w+)((?:\[\w*\])*)"
_EQUATION = re.compile(rf"\s*{_OPERAND}\s*\+?\s*=\s*{_OPERAND}\s*([*+])\s*{_OPERAND}\s*", re.ASCII)
_RELATION = re.compile(
    r"\s*(\w+)\s*=\s*(?:(\d{1,10})\s*\*\s*)?(\w+)\s*\+\s*(?:(\d{1,10})\s*\*\s*)?(\w+)\s*",
    re.ASCII,
)
_ROLES: Mapping[str, Role] = {"O": "output", "W": "weight", "I": "input"}

POOLING = ("Pooling", "Pool", "MaxPool", "AveragePool", "GlobalAveragePool")
"""Operators that reduce windows without weights."""

ELEMENTWISE = ("Add", "Max")
"""Operators on two activations of one shape."""


class LayerEntry(Record):
    """A layer as ZigZag's file gives it; keys that only concern ZigZag's results are free."""

    id: int
    operator_type: Label
    equation: str
    loop_dims: Annotated[list[_Word], Field(min_length=1)]
    loop_sizes: list[_Size]
    operand_precision: dict[str, _Bits]
    name: Label | None = None
    dimension_relations: list[str] = []
    operand_source: dict[Literal["I", "W", "O"], int] = {}
    pr_loop_dims: list[_Word] = []
    pr_loop_sizes: list[_Size] = []
    padding: list[list[int]] = []

    @model_validator(mode="after")
    def _check(self) -> LayerEntry:
        if len(self.loop_dims) != len(self.loop_sizes):
            raise ValueError(
                f"loop_sizes: expected {len(self.loop_dims)} sizes, one for each of loop_dims, "
                f"got {len(self.loop_sizes)}"
            )
        if len(set(self.loop_dims)) != len(self.loop_dims):
            raise ValueError("loop_dims: names a dimension twice; expected each once")
        if self.pr_loop_sizes and len(self.pr_loop_sizes) != len(self.pr_loop_dims):
            raise ValueError("pr_loop_sizes: expected one size for each of pr_loop_dims")
        return self

    @property
    def label(self) -> str:
        """Name of the layer; ZigZag calls those without one by their number."""
        return self.name or f"Layer{self.id}"

    @property
    def sizes(self) -> dict[str, int]:
        """Iterations by dimension."""
        return dict(zip(self.loop_dims, self.loop_sizes, strict=True))


@dataclass(frozen=True, slots=True)
class Equation:
    """What a layer computes.

    Parameters
    ----------
    tensors : tuple of Tensor
        Operands with ZigZag's dimensions, the output first.
    multiplies : bool
        Whether the operands are multiplied; they are added otherwise.
    """

    tensors: tuple[Tensor, ...]
    multiplies: bool


def is_layers(data: object) -> bool:
    """Whether a file holds a workload of ZigZag's."""
    return (
        isinstance(data, list)
        and bool(data)
        and isinstance(data[0], dict)
        and bool(data[0].keys() & {"equation", "loop_dims", "loop_sizes", "operator_type"})
    )


def read_layers(data: object, source: str) -> tuple[LayerEntry, ...]:
    """Check all layers of a file.

    Raises
    ------
    WorkloadError
        Naming file, layer, key, value and expectation, or the two layers of one name or number.
    """
    layers: list[LayerEntry] = []
    for i, entry in enumerate(data if isinstance(data, list) else ()):
        try:
            layers.append(validate(LayerEntry, entry, source=source, error=WorkloadError))
        except WorkloadError as cause:
            raise relocated(
                cause, source, f"[{i}].{cause.key}" if cause.key else f"[{i}]"
            ) from None
    for key in ("id", "label"):
        values = [getattr(layer, key) for layer in layers]
        repeated = [value for value in values if values.count(value) > 1]
        if repeated:
            raise WorkloadError(
                f"two layers are called {describe(repeated[0])}; expected each once",
                source=source,
                key="id" if key == "id" else "name",
            )
    return tuple(layers)


def layer_workload(layer: LayerEntry, source: str, name: str | None) -> Workload:
    """Build the workload of one layer.

    Parameters
    ----------
    layer : LayerEntry
        A layer that multiplies and accumulates.
    source : str
        The file, for messages.
    name : str, optional
        Name of the workload; what it computes, if left out.

    Raises
    ------
    WorkloadError
        If the equation cannot be read, or is no sum of products.
    """
    equation = read_equation(layer, source)
    if not is_product(layer, equation):
        raise WorkloadError(
            f"{layer.operator_type} is no sum of products of two tensors, which is what a "
            "workload is; expected Conv or Gemm (load_network takes the file as a whole)",
            source=source,
            key=layer.label,
        )
    found = recognized_kernel(layer.sizes, equation.tensors, ZIGZAG_NAMES, name)
    if found is not None:
        return found
    spelt = ",".join(f"{d}={size}" for d, size in layer.sizes.items())
    try:
        return Workload(
            name or f"{layer.operator_type}:{spelt}",
            layer.operator_type,
            layer.sizes,
            equation.tensors,
        )
    except WorkloadError as cause:
        raise relocated(cause, source, f"{layer.label}: equation") from None


def is_product(layer: LayerEntry, equation: Equation) -> bool:
    """Whether a layer is a sum of products rather than a window or an addition."""
    return equation.multiplies and layer.operator_type not in (*POOLING, *ELEMENTWISE)


def read_equation(layer: LayerEntry, source: str) -> Equation:
    """Read the equation with its dimension relations.

    Raises
    ------
    WorkloadError
        If it has another form than ``O[b][k]+=I[b][c]*W[c][k]`` or names unknown dimensions.
    """
    match = _EQUATION.fullmatch(layer.equation)
    if not match:
        raise _refused(
            layer, source, f"expected such as O[b][k]+=I[b][c]*W[c][k], got {layer.equation!r}"
        )
    relations = dict(_relation(layer, source, text) for text in layer.dimension_relations)
    written = [(match[i], match[i + 1]) for i in (1, 3, 6)]
    if sorted(word for word, _ in written) != ["I", "O", "W"] or match[1] != "O":
        words = " ".join(word for word, _ in written)
        raise _refused(layer, source, f"expected the operands O, I and W, O first, got {words}")
    tensors = []
    for word, axes in written:
        names = re.findall(r"\[(\w*)\]", axes)
        indices = tuple(_axis(layer, source, name, relations) for name in names if name)
        tensors.append(Tensor(word, _ROLES[word], indices))
    return Equation(tuple(tensors), match[5] == "*")


def _relation(layer: LayerEntry, source: str, text: str) -> tuple[str, Index]:
    match = _RELATION.fullmatch(text)
    if not match:
        raise _refused(layer, source, f"expected such as ix=2*ox+1*fx, got {text!r}", True)
    terms = ((match[3], match[2]), (match[5], match[4]))
    index = tuple(Term(_known(layer, source, d), int(c or 1)) for d, c in terms)
    return match[1].upper(), index


def _axis(layer: LayerEntry, source: str, name: str, relations: Mapping[str, Index]) -> Index:
    upper = name.upper()
    return relations[upper] if upper in relations else (Term(_known(layer, source, name)),)


def _known(layer: LayerEntry, source: str, name: str) -> str:
    if name.upper() not in layer.loop_dims:
        raise _refused(
            layer,
            source,
            f"unknown dimension {name!r}{suggest(name, layer.loop_dims)}; expected one of "
            f"{', '.join(layer.loop_dims)}, or one that dimension_relations explains",
        )
    return name.upper()


def _refused(
    layer: LayerEntry, source: str, message: str, relation: bool = False
) -> WorkloadError:
    key = "dimension_relations" if relation else "equation"
    return WorkloadError(message, source=source, key=f"{layer.label}: {key}")
