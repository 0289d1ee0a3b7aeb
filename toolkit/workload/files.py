"""Workloads as YAML files: a ready-made kernel by name, or any kernel written out.

A ready-made kernel gives its sizes::

    kernel: conv
    sizes: {M: 64, C: 3, P: 112, Q: 112, R: 7, S: 7}
    stride: 2                 # or [2, 1] for P and Q; dilation likewise
    bits: 8                   # of all values; or input_bits, weight_bits, output_bits
    sum_bits: 32              # of partial sums

Any other kernel gives its dimensions and its tensors, each with its role::

    kernel: correlation       # any label
    dimensions: {M: 4, P: 10, R: 3}
    tensors:
      - input: In[2*P + R]
      - {weight: "W[M, R]", bits: 4}
      - output: Out[M, P]

Problems of Timeloop and layers of ZigZag are read as well, see `toolkit.workload.peers`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from toolkit.arguments import check_kind
from toolkit.errors import WorkloadError
from toolkit.messages import describe, format_key, relocated, shown_path
from toolkit.python_files import TrustedPython, plain_data
from toolkit.records import Label, Record, validate
from toolkit.workload.bits import BITS_KEYS, bits_of, tensor_with_bits
from toolkit.workload.kernel import MAX_BITS, Index, Role, Tensor, Term, Workload
from toolkit.workload.kinds import KINDS, MAX_SIZE, build_kernel, find_kind
from toolkit.yaml_files import Inline, dump_yaml, parse_yaml

IDENTIFIER = r"[A-Za-z][A-Za-z0-9_]*"
"""How a dimension or a tensor may be called in a file."""

_Size = Annotated[int, Field(ge=1, le=MAX_SIZE)]
_Bits = Annotated[int, Field(ge=1, le=MAX_BITS)]


def _check_coefficients(value: object) -> object:
    numbers = value if isinstance(value, list) else [value]
    for number in numbers:
        if type(number) is not int or not 1 <= number <= MAX_SIZE:
            raise ValueError(
                f"expected an integer from 1 to {MAX_SIZE}, or one for each axis in a list, "
                f"got {describe(number)}"
            )
    return value


_Coefficients = Annotated[int | list[int], BeforeValidator(_check_coefficients)]


def parse_tensor(text: str, role: Role) -> Tensor:
    """Read a tensor such as ``In[C, 2*P + R]``.

    Raises
    ------
    WorkloadError
        If the text is not a name and a bracketed list of sums of dimensions, each with an
        optional coefficient from 1 to 2**31 in front.

    Examples
    --------
    >>> parse_tensor("In[C, 2*P + R]", "input").dimensions
    ('C', 'P', 'R')
    """
    match = re.fullmatch(rf"\s*({IDENTIFIER})\s*\[(.*)\]\s*", text)
    if not match:
        raise WorkloadError(
            f"expected NAME[INDEX, ...], such as In[C, P + R], got {describe(text)}"
        )
    name, inside = match.groups()
    axes = inside.split(",") if inside.strip() else []
    return Tensor(name, role, tuple(parse_index(axis) for axis in axes))


def parse_index(text: str) -> Index:
    """Read an index such as ``2*P + 3*R``.

    Raises
    ------
    WorkloadError
        If a summand is not a dimension with an optional coefficient from 1 to 2**31 in front.

    Examples
    --------
    >>> parse_index("2*P + R")
    (Term(dimension='P', coefficient=2), Term(dimension='R', coefficient=1))
    """
    terms = []
    for part in text.split("+"):
        match = re.fullmatch(rf"\s*(?:([0-9]{{1,10}})\s*\*)?\s*({IDENTIFIER})\s*", part)
        coefficient = int(match[1] or 1) if match else 0
        if not match or not 1 <= coefficient <= MAX_SIZE:
            raise WorkloadError(
                f"expected sums such as 2*P + R with coefficients from 1 to {MAX_SIZE}, "
                f"got {describe(text.strip())}"
            )
        terms.append(Term(match[2], coefficient))
    return tuple(terms)


def format_tensor(tensor: Tensor) -> str:
    """Write a tensor the way `parse_tensor` reads it.

    Examples
    --------
    >>> format_tensor(parse_tensor("In[C,2*P+R]", "input"))
    'In[C, 2*P + R]'
    """
    axes = (
        " + ".join(
            t.dimension if t.coefficient == 1 else f"{t.coefficient}*{t.dimension}" for t in index
        )
        for index in tensor.indices
    )
    return f"{tensor.name}[{', '.join(axes)}]"


class _Bitwise(Record):
    """What says how many bits the values of a kernel have."""

    bits: _Bits | None = None
    input_bits: _Bits | None = None
    weight_bits: _Bits | None = None
    output_bits: _Bits | None = None
    sum_bits: _Bits | None = None

    def given(self) -> dict[str, int]:
        values = {key: getattr(self, key) for key in BITS_KEYS}
        return {key: value for key, value in values.items() if value is not None}


class _NamedKernel(_Bitwise):
    name: Label | None = None
    kernel: str
    sizes: dict[str, _Size]
    stride: _Coefficients | None = None
    dilation: _Coefficients | None = None

    def workload(self, name: str, source: str) -> Workload:
        kind = find_kind(self.kernel, source=source, key="kernel")
        stray = [key for key in self.sizes if key in (*kind.keys, *BITS_KEYS) and len(key) > 1]
        if stray:
            what = "bits" if stray[0] in BITS_KEYS else "stride and dilation"
            raise WorkloadError(
                f"is not a size; give {what} next to sizes",
                source=source,
                key=format_key(("sizes", stray[0])),
            )
        values = {**self.sizes, **self.given()}
        for word, keys, given in (
            ("stride", kind.strides, self.stride),
            ("dilation", kind.dilations, self.dilation),
        ):
            if isinstance(given, int):
                values[word] = given
            elif given is not None and len(given) != len(keys):
                axes = f"{len(keys)} numbers ({', '.join(keys)})" if keys else "none"
                raise WorkloadError(
                    f"{self.kernel} takes {axes}, got {len(given)}", source=source, key=word
                )
            elif given is not None:
                values.update(zip(keys, given, strict=True))
        return build_kernel(self.kernel, values, source=source, name=name)


class _TensorEntry(Record):
    input: str | None = None
    weight: str | None = None
    output: str | None = None
    bits: _Bits | None = None
    sum_bits: _Bits | None = None

    def tensor(self, bits: Mapping[str, int]) -> Tensor:
        """Build the tensor; what it says of its own bits comes before `bits` of the file."""
        given: dict[Role, str | None] = {
            "input": self.input,
            "weight": self.weight,
            "output": self.output,
        }
        texts = [(role, text) for role, text in given.items() if text is not None]
        if len(texts) != 1:
            raise WorkloadError("expected one of input, weight, output with a tensor")
        role, text = texts[0]
        tensor = tensor_with_bits(parse_tensor(text, role), bits)
        return replace(
            tensor, bits=self.bits or tensor.bits, sum_bits=self.sum_bits or tensor.sum_bits
        )


class _GeneralKernel(_Bitwise):
    name: Label | None = None
    kernel: Label = "custom"
    dimensions: dict[str, _Size] = Field(min_length=1)
    tensors: list[_TensorEntry]

    @field_validator("dimensions")
    @classmethod
    def _check_names(cls, value: dict[str, int]) -> dict[str, int]:
        for dimension in value:
            if not re.fullmatch(IDENTIFIER, dimension):
                raise ValueError(
                    f"{describe(dimension)} cannot name a dimension; "
                    "expected a letter, then letters, digits or _"
                )
        return value

    def workload(self, name: str, source: str) -> Workload:
        tensors = []
        for i, entry in enumerate(self.tensors):
            try:
                tensors.append(entry.tensor(self.given()))
            except WorkloadError as cause:
                raise relocated(cause, source, f"tensors[{i}]") from None
        try:
            return Workload(name, self.kernel, self.dimensions, tuple(tensors))
        except WorkloadError as cause:
            raise relocated(cause, source) from None


FILE_FORMS: dict[str, type[_Bitwise]] = {
    "a ready-made kernel": _NamedKernel,
    "one that is written out": _GeneralKernel,
}
"""The records of both forms of a file, by what it describes."""


def read_workload(path: str | os.PathLike[str], layer: str | None = None) -> Workload:
    """Read a workload from a YAML file; without a `name`, the file's name is the workload's.

    Parameters
    ----------
    path : path-like
        A file of our own, one with a problem of Timeloop, one with layers of ZigZag, or a topology
        of SCALE-Sim (CSV).
    layer : str, optional
        The layer to take from a file with several.

    Raises
    ------
    WorkloadError
        Naming file, key, value and expectation, if the file cannot be read or used.
    """
    # Named workloads and specifications come without these readers.
    if Path(path).suffix.lower() == ".csv":
        from toolkit.workload.peers.scalesim import topology_workload

        return topology_workload(os.fspath(path), layer)
    from toolkit.peer_files import read_document
    from toolkit.workload.peers import peer_workload

    document = read_document(os.fspath(path), WorkloadError)
    data, source = document.data, document.source
    stem = Path(path).stem
    found = peer_workload(data, source, stem, layer)
    if found is not None:
        return found
    if layer is not None:
        raise WorkloadError(
            f"holds one workload, no layer {describe(layer)}; leave the name out", source=source
        )
    return _workload(data, source, stem)


def python_workload(spec: TrustedPython) -> Workload:
    """Read a workload from a Python file: a `Workload`, or the plain data of a file of ours.

    Raises
    ------
    WorkloadError
        If the file fails, or the value is something else.
    """
    value, source = spec.value(WorkloadError), shown_path(spec.path)
    if spec.settings:
        raise WorkloadError(
            f"expected {spec.path}:{spec.name} alone, got {describe(spec.settings)} behind it",
            source=source,
        )
    if isinstance(value, Workload):
        return value
    if not isinstance(value, Mapping):
        raise WorkloadError(
            f"expected a Workload, or a mapping with the keys of a YAML file, got "
            f"{describe(type(value).__name__)}",
            source=source,
            key=spec.name,
        )
    return _workload(plain_data(value, source, WorkloadError), source, spec.name)


def _workload(data: object, source: str, default_name: str) -> Workload:
    if isinstance(data, Mapping) and not data.keys() & {"dimensions", "tensors"}:
        named = validate(_NamedKernel, data, source=source, error=WorkloadError)
        return named.workload(named.name or default_name, source)
    general = validate(_GeneralKernel, data, source=source, error=WorkloadError)
    return general.workload(general.name or default_name, source)


def workload_to_yaml(workload: Workload) -> str:
    """Write a workload as YAML that `read_workload` reads back as the same workload.

    Raises
    ------
    WorkloadError
        If a name or a size cannot be expressed in a file.

    Examples
    --------
    >>> from toolkit.workload.ready_made import gemm
    >>> print(workload_to_yaml(gemm(4, 2, 3, name="tiny")), end="")
    name: tiny
    kernel: gemm
    sizes: {M: 4, K: 2, N: 3}
    """
    check_kind(workload, Workload, "workload")
    bits = bits_of(workload)
    data = _named_form(workload) or {
        "name": workload.name,
        "kernel": workload.kernel,
        "dimensions": Inline(workload.sizes),
        **(bits or {}),
        "tensors": [_tensor_entry(tensor, bits is None) for tensor in workload.tensors],
    }
    text = dump_yaml(data)
    written = parse_yaml(text.encode(), source=workload.name, error=WorkloadError)
    if _workload(written, workload.name, workload.name) != workload:
        raise WorkloadError("a name in it cannot be written to a file", source=workload.name)
    return text


def _tensor_entry(tensor: Tensor, own_bits: bool) -> dict[str, str | int]:
    entry: dict[str, str | int] = {tensor.role: format_tensor(tensor)}
    if own_bits:
        both = {"bits": tensor.bits, "sum_bits": tensor.sum_bits}
        entry.update((key, value) for key, value in both.items() if value is not None)
    return entry


def _named_form(workload: Workload) -> dict[str, object] | None:
    """Return the short form if that is exactly what the workload is."""
    if workload.kernel not in KINDS:
        return None
    kind = KINDS[workload.kernel]
    coefficients = {
        term.dimension: term.coefficient
        for tensor in workload.tensors
        for index in tensor.indices
        if len(index) > 1
        for term in index
    }
    data: dict[str, object] = {
        "name": workload.name,
        "kernel": workload.kernel,
        "sizes": Inline(workload.sizes),
    }
    for word, keys in (("stride", kind.strides), ("dilation", kind.dilations)):
        values = [coefficients.get(key[0], 1) for key in keys]
        if any(value != 1 for value in values):
            data[word] = values[0] if len(set(values)) == 1 else values
    data.update(bits_of(workload) or {})
    try:
        rebuilt = _workload(data, workload.name, workload.name)
    except WorkloadError:
        return None
    same = rebuilt == workload and rebuilt.dimensions == workload.dimensions
    return data if same else None
