"""Models that keep a cache: which of their dimensions are tokens, and which are what is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import onnx

from toolkit.errors import WorkloadError
from toolkit.messages import describe
from toolkit.workload.network.sources import ModelSource, model_of, source_of

DimensionRole = Literal["batch", "seq", "past", "total", "longest"]
"""What a dimension of a decoder is: sequences, new tokens of each, tokens in its cache before,
those of both together, or those that its cache has room for."""

_NAMES: dict[str, DimensionRole] = {
    "batch": "batch",
    "batch_size": "batch",
    "n_batch": "batch",
    "seq": "seq",
    "seq_len": "seq",
    "seq_length": "seq",
    "seqlen": "seq",
    "sequence": "seq",
    "sequence_length": "seq",
    "past": "past",
    "past_len": "past",
    "past_length": "past",
    "past_seq": "past",
    "past_seq_len": "past",
    "past_sequence": "past",
    "past_sequence_length": "past",
    "total": "total",
    "kv_len": "total",
    "kv_length": "total",
    "total_length": "total",
    "total_seq_len": "total",
    "total_sequence": "total",
    "total_sequence_length": "total",
    "longest": "longest",
    "max_length": "longest",
    "max_seq_len": "longest",
    "max_sequence_length": "longest",
}
"""Names that exporters give, in small letters."""

_CACHE_WORDS = ("past", "cache", "present")


@dataclass(frozen=True)
class Decoder:
    """A model with a cache, and how its dimensions follow from what it serves.

    Parameters
    ----------
    model : ModelSource
        As `toolkit.load_network` takes it.
    roles : mapping of str to DimensionRole
        By a dimension's name, or ``tensor:axis`` where it has none.
    sizes : mapping of str to int
        Of other dimensions.
    caches : tuple of str
        Names of the inputs that are caches.
    """

    model: ModelSource
    roles: Mapping[str, DimensionRole]
    sizes: Mapping[str, int]
    caches: tuple[str, ...]

    def dims(self, *, batch: int, new: int, past: int, longest: int) -> dict[str, int]:
        """Sizes of all dimensions of one run."""
        by_role: dict[DimensionRole, int] = {
            "batch": batch,
            "seq": new,
            "past": past,
            "total": past + new,
            "longest": longest,
        }
        return {**self.sizes, **{name: by_role[role] for name, role in self.roles.items()}}


def find_decoder(model: ModelSource, dims: Mapping[str, int | str] | None = None) -> Decoder:
    """Tell what the dimensions of a model with a cache are.

    Caches are inputs of four axes or more that are called so (``past_key_values.0.key``): their
    first dynamic axis is the batch, the next one what is kept. Of inputs with two axes the second
    one is new tokens, or all of them in a mask. Names that exporters give come first.

    Parameters
    ----------
    model : ModelSource
        A file, a name or a model.
    dims : mapping of str to int or DimensionRole, optional
        Sizes of dimensions, or what they are, where they are not recognised.

    Raises
    ------
    WorkloadError
        If there is no cache, or a dimension that no rule knows.
    """
    source = source_of(model)
    given = dict(dims or {})
    for name, value in given.items():
        if isinstance(value, str) and value not in get_args(DimensionRole):
            raise WorkloadError(
                f"expected a size, or one of {', '.join(get_args(DimensionRole))}, got "
                f"{describe(value)}",
                source=source,
                key=f"dims[{name!r}]",
            )
    proto, _, _ = model_of(model, {})
    stored = {tensor.name for tensor in proto.graph.initializer}
    inputs = [entry for entry in proto.graph.input if entry.name not in stored]
    caches = tuple(entry.name for entry in inputs if _is_cache(entry))
    if not caches:
        raise WorkloadError(
            "has no cache that grows: no input of four axes whose name says past or cache, and "
            "that has a dynamic one",
            source=source,
        )
    roles: dict[str, DimensionRole] = {}
    for entry in sorted(inputs, key=lambda entry: entry.name not in caches):
        for name, guess in _guessed(entry, is_cache=entry.name in caches):
            if name not in given:
                roles.setdefault(name, guess)
    sizes = {name: size for name, size in given.items() if not isinstance(size, str)}
    said: dict[str, DimensionRole] = {
        name: role  # type: ignore[misc]  # It was checked above.
        for name, role in given.items()
        if isinstance(role, str)
    }
    return Decoder(model, {**roles, **said}, sizes, caches)


def _is_cache(entry: onnx.ValueInfoProto) -> bool:
    tensor = entry.type.tensor_type
    named = any(word in entry.name.lower() for word in _CACHE_WORDS)
    return named and len(tensor.shape.dim) >= 4 and len(list(_dynamic(entry))) > 0


def _dynamic(entry: onnx.ValueInfoProto) -> Iterator[tuple[int, str]]:
    """Axes without a size, and what they are called: not sums that follow from others."""
    for axis, dim in enumerate(entry.type.tensor_type.shape.dim):
        if dim.HasField("dim_value"):
            continue
        name = dim.dim_param.strip("?")
        if not name or name.isidentifier():
            yield axis, dim.dim_param if name else f"{entry.name}:{axis}"


def _guessed(entry: onnx.ValueInfoProto, *, is_cache: bool) -> Iterator[tuple[str, DimensionRole]]:
    axes = list(_dynamic(entry))
    for axis, name in axes:
        known = _NAMES.get(name.lower())
        if known is not None:
            yield name, known
        elif axis == 0:
            yield name, "batch"
        elif is_cache:
            yield name, "past"
        elif axis == 1:
            yield name, "total" if "mask" in entry.name.lower() else "seq"
