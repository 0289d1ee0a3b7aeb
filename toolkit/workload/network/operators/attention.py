"""Attention as one operator: two products per head and the softmax between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.workload.kernel import Workload
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators.call import Call, Operator, make_layer
from toolkit.workload.network.values import Value
from toolkit.workload.ready_made import batched_gemm, gemm

Source = Value | TensorInfo | None
"""An operand of the node, or the output of one of its own parts."""

# Five as of Softmax itself, one for the scale and one for the mask.
_SOFTMAX_OPERATIONS = 7


@dataclass(frozen=True)
class Heads:
    """Sizes of one attention.

    Parameters
    ----------
    batch, heads, kv_heads : int
        Sequences, heads of the query, and heads of key and value, which the former share.
    queries, keys : int
        Positions of the query, and of key and value, past ones included.
    size, value_size : int
        Elements of one head of query and key, and of the value.
    """

    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    size: int
    value_size: int


def attention(call: Call, rule: Operator) -> tuple[Layer, ...]:
    """The standard operator, on three or four axes, with or without a cache."""
    query, key, value = call.shape(0), call.shape(1), call.shape(2)
    past = call.shape(4, 4)[2] if call.has(4) else 0
    if len(query) == 4:
        batch, heads, queries, size = query
        kv_heads, keys, value_size = key[1], key[2], value[3]
    else:
        batch, queries, _ = call.shape(0, 3)
        heads, kv_heads = call.integer("q_num_heads", 0), call.integer("kv_num_heads", 0)
        if heads < 1 or kv_heads < 1:
            raise call.error("q_num_heads and kv_num_heads must be given for three axes")
        keys, size, value_size = key[1], query[2] // heads, value[2] // kv_heads
    sizes = Heads(batch, heads, kv_heads, queries, past + keys, size, value_size)
    sources = [*call.inputs, None, None, None]
    return attention_layers(call, rule, sizes, sources[:3], mask=sources[3], cache=sources[4:6])


def attention_layers(
    call: Call,
    rule: Operator,
    sizes: Heads,
    operands: Sequence[Source],
    *,
    mask: Source = None,
    cache: Sequence[Source] = (),
) -> tuple[Layer, ...]:
    """Cache where there is one, scores, softmax (with scale and mask) and context."""
    if sizes.heads % sizes.kv_heads:
        raise call.error(f"{sizes.kv_heads} heads of the key do not divide {sizes.heads}")
    query, key, value = operands
    dtype = call.outputs[0].dtype
    layers = []
    if any(source is not None for source in cache):
        key_shape = (sizes.batch, sizes.kv_heads, sizes.keys, sizes.size)
        value_shape = (*key_shape[:3], sizes.value_size)
        present = (*call.outputs[1:3], None, None)
        caches = [
            made or TensorInfo(f"{call.name}/{word}", shape, dtype)
            for made, word, shape in zip(
                present, ("keys", "values"), (key_shape, value_shape), strict=False
            )
        ]
        moved = sum(tensor.elements for tensor in caches)
        sources = [key, value, *cache]
        layers.append(
            part(call, rule, "/cache", sources, caches, cost_class="movement", elements=moved)
        )
        key, value = caches
    shape = (sizes.batch, sizes.heads, sizes.queries, sizes.keys)
    scores = TensorInfo(f"{call.name}/scores", shape, dtype)
    weights = TensorInfo(f"{call.name}/softmax", shape, dtype)
    context = call.outputs[:1] if layers else call.outputs
    return (
        *layers,
        part(call, rule, "/scores", [query, key], [scores], workload=_product(sizes, scores=True)),
        part(
            call,
            rule,
            "/softmax",
            [scores, mask],
            [weights],
            cost_class="reduction",
            elements=scores.elements,
            operations=_SOFTMAX_OPERATIONS,
        ),
        part(call, rule, "", [weights, value], context, workload=_product(sizes, scores=False)),
    )


def part(
    call: Call,
    rule: Operator,
    suffix: str,
    sources: Sequence[Source],
    outputs: Sequence[TensorInfo],
    *,
    cost_class: str = "einsum",
    workload: Workload | None = None,
    elements: int = 0,
    operations: int = 0,
) -> Layer:
    """One layer among several of a node."""
    return make_layer(
        call,
        rule,
        suffix=suffix,
        cost_class=cost_class,  # type: ignore[arg-type]
        operands=[source for source in sources if isinstance(source, Value)],
        extra_inputs=[source for source in sources if isinstance(source, TensorInfo)],
        outputs=outputs,
        workload=workload,
        elements=elements or sum(tensor.elements for tensor in outputs),
        operations_per_element=operations,
    )


def _product(sizes: Heads, *, scores: bool) -> Workload:
    # Heads of the query that share a key are further rows of one product.
    groups = sizes.batch * sizes.kv_heads
    n = sizes.queries * sizes.heads // sizes.kv_heads
    m, k = (sizes.keys, sizes.size) if scores else (sizes.value_size, sizes.keys)
    return batched_gemm(groups, m, k, n) if groups > 1 else gemm(m, k, n)
