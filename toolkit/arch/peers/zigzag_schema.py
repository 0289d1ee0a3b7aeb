"""What an accelerator file of ZigZag's may hold."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from toolkit.messages import describe
from toolkit.peer_files import matching
from toolkit.records import Label, Record

Operand = Literal["I1", "I2", "O"]
"""Inputs, weights and outputs, as the memories call them."""


def _without_underscores(value: object) -> object:
    """Read 16_777_216, which is a number in the YAML that ZigZag and Stream read."""
    if isinstance(value, str) and re.fullmatch(r"[0-9][0-9_]{0,40}", value, re.ASCII):
        return int(value.replace("_", ""))
    return value


_Cost = Annotated[float, BeforeValidator(_without_underscores), Field(ge=0, le=1e15)]
_Bits = Annotated[int, BeforeValidator(_without_underscores), Field(ge=1, le=2**60)]
_Count = Annotated[int, Field(ge=0, le=1024)]
_Dimension = Annotated[str, matching(r"D[0-9]+", "an array dimension such as D1")]


_Use = Annotated[
    str,
    matching(
        r"(I1|I2|O)\s*,\s*(fh|tl|fl|th)",
        "an operand and a direction (fh, tl, fl, th), such as 'I1, tl'",
    ),
]


_Type = Annotated[str, matching(r"(?:bf|fp|u?int|float)(?:4|8|16|32|64)", "a type such as bf16")]


class Port(Record):
    """A port of a memory."""

    name: Label
    type: Literal["read", "write", "read_write"]
    bandwidth_min: _Bits
    bandwidth_max: _Bits
    allocation: list[_Use]


def _generation(ports: object) -> str:
    newer = isinstance(ports, list) and any(isinstance(p, dict) and "name" in p for p in ports)
    return "(newer)" if newer else "(older)"


Ports = Annotated[
    Annotated[list[Port], Tag("(newer)")]
    | Annotated[list[dict[Literal["fh", "tl", "fl", "th"], str]], Tag("(older)")],
    Discriminator(_generation),
]


class Memory(Record):
    """A memory of either generation: its bandwidth stands at the ports, or in ``r_bw``."""

    size: _Bits
    r_cost: _Cost | None = None
    w_cost: _Cost | None = None
    area: float | None = None
    latency: int | None = None
    mem_type: str | None = None
    auto_cost_extraction: bool = False
    operands: Annotated[list[Operand], Field(min_length=1)]
    ports: Ports
    served_dimensions: list[_Dimension]
    force_double_buffering: bool = False
    r_bw: _Bits | None = None
    w_bw: _Bits | None = None
    r_port: _Count | None = None
    w_port: _Count | None = None
    rw_port: _Count | None = None
    min_r_granularity: _Bits | None = None
    min_w_granularity: _Bits | None = None
    double_buffering_support: bool | None = None

    @model_validator(mode="after")
    def _check(self) -> Memory:
        if len(set(self.operands)) != len(self.operands):
            raise ValueError("operands: names an operand twice; expected each once")
        if self.auto_cost_extraction or self.r_cost is None or self.w_cost is None:
            raise ValueError(
                "r_cost: costs that ZigZag takes from CACTI are not computed here; give r_cost "
                "and w_cost in pJ per access, and auto_cost_extraction: false"
            )
        return self


class Array(Record):
    """The array of multipliers."""

    dimensions: Annotated[list[_Dimension], Field(min_length=1)]
    sizes: list[Annotated[int, Field(ge=1, le=2**31)]]
    unit_energy: _Cost | None = None
    unit_area: float | None = None
    input_precision: list[int] = []
    systolic_dimensions: list[_Dimension] = []
    is_imc: bool = False
    imc_type: str | None = None
    adc_resolution: float | None = None
    bit_serial_precision: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Array:
        if self.is_imc or self.imc_type:
            raise ValueError(
                "is_imc: computing inside of memories is not modelled; expected an array of "
                "multipliers with unit_energy"
            )
        if self.unit_energy is None:
            raise ValueError("unit_energy: this key is required and missing")
        if len(self.sizes) != len(self.dimensions) or len(set(self.dimensions)) != len(self.sizes):
            raise ValueError(
                f"sizes: expected one for each of {', '.join(self.dimensions)}, each named once, "
                f"got {len(self.sizes)}"
            )
        return self


class Accelerator(Record):
    """A whole file."""

    name: Label
    memories: Annotated[dict[str, Memory], Field(min_length=1)]
    operational_array: Array
    dataflows: dict[_Dimension, list[str]] = {}
    type: str | None = None
    operator_types: list[Label] = []
    operand_precision: dict[Literal["input", "weight", "accumulator"], _Type] = {}

    @property
    def precisions(self) -> dict[str, int]:
        """Bits of the operands that Stream's core says it computes with."""
        bits = {
            key: int(re.sub("[^0-9]", "", word)) for key, word in self.operand_precision.items()
        }
        inputs = (
            {"input_bits": bits["input"], "weight_bits": bits["input"]} if "input" in bits else {}
        )
        weights = {"weight_bits": bits["weight"]} if "weight" in bits else {}
        outputs = {"output_bits": bits["accumulator"]} if "accumulator" in bits else {}
        return {**inputs, **weights, **outputs}

    @model_validator(mode="after")
    def _check(self) -> Accelerator:
        known = self.operational_array.dimensions
        for name, memory in self.memories.items():
            for dimension in memory.served_dimensions:
                if dimension not in known:
                    raise ValueError(
                        f"memories.{name}.served_dimensions: unknown dimension "
                        f"{describe(dimension)}; expected some of {', '.join(known)}"
                    )
        for dimension in (*self.operational_array.systolic_dimensions, *self.dataflows):
            if dimension not in known:
                raise ValueError(
                    f"operational_array: unknown dimension {describe(dimension)}; "
                    f"expected some of {', '.join(known)}"
                )
        return self
