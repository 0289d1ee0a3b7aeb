"""Rotary embeddings and norms of queries and keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators.call import Call, Operator, plain_attributes
from toolkit.workload.network.operators.parts import Parts, Slice, Source, with_shape

_OPERATIONS = 3  # Two products and a sum.


def rotated(
    parts: Parts, source: Source, word: str, tables: Sequence[Source | None], rotating: int = 0
) -> Source:
    """Apply a rotary embedding, of whose tables the rows of these positions are read.

    Parameters
    ----------
    source : Source
        Query or key in heads.
    tables : sequence of Source
        Cosines and sines.
    rotating : int
        How many elements of a head are rotated; all if that is 0.
    """
    if isinstance(source, Slice):
        return source
    *outer, positions, size = source.shape
    rows = [table_rows(table, positions) for table in tables if table is not None]
    return parts.add(
        f"/{word}_rotary",
        "RotaryEmbedding",
        "elementwise",
        [source, *rows],
        [parts.tensor(f"{word}_rotary", source.shape)],
        elements=math.prod(outer) * positions * (rotating or size),
        operations=_OPERATIONS,
    )


def table_rows(table: Source, positions: int) -> Source:
    """The rows of a table of positions that are read."""
    shape = table.shape
    if len(shape) > 1:
        shape = (*shape[:-2], min(shape[-2], positions), shape[-1])
    found = with_shape(table, shape)
    return replace(found, learned=False) if isinstance(found, Slice) else found


def rotary_embedding(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """The operator on its own; of tables longer than the sequence, rows are read."""
    data = call.shape(0)
    if len(data) not in (3, 4):
        raise call.error(f"operand 0 has shape {list(data)}; expected three or four axes")
    positions = data[-2]
    width = data[-1] if len(data) == 4 else data[-1] // max(call.integer("num_heads", 1), 1)
    rotating = call.integer("rotary_embedding_dim", 0)
    share = rotating / width if 0 < rotating < width else 1
    parts = Parts(call)
    # Positions stand behind the tables, or before them.
    tables = (2, 3) if call.operator.startswith("com.microsoft.") else (1, 2)
    sources: list[Source] = [call.input(0)]
    for index in range(1, len(call.inputs)):
        if call.has(index):
            value = call.input(index)
            sources.append(table_rows(value, positions) if index in tables else value)
    parts.add(
        "",
        call.operator,
        "elementwise",
        sources,
        call.outputs,
        elements=round(call.outputs[0].elements * share),
        operations=rule.operations_of(call),
    )
    return tuple(
        replace(layer, attributes=plain_attributes(call.attributes)) for layer in parts.layers
    )


def normalized(parts: Parts, source: Source, word: str, weight: Source) -> Source:
    """Normalize every head of a query or key."""
    return parts.add(
        f"/{word}_norm",
        "RMSNormalization",
        "reduction",
        [source, weight],
        [parts.tensor(f"{word}_norm", source.shape)],
        operations=4,
        attributes=(("axis", -1),),
    )
