"""What serves: the run of a prompt, and runs of one token as the context grows, as one mix."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from toolkit.arguments import check_integer
from toolkit.codesign.evaluation import NetworkWeight
from toolkit.search.network.serving import context_counts, mapped_contexts
from toolkit.workload.network import LayerGraph
from toolkit.workload.network.decoding import Decoder

CONTEXTS = 3
"""Context lengths that are mapped on every hardware point: costs grow almost evenly with them."""


def serving_mix(
    decoder: Decoder,
    load: Callable[[Mapping[str, int]], LayerGraph],
    *,
    prompt: int,
    decode: int,
    batch: int = 1,
    weight: float = 1.0,
    contexts: int = CONTEXTS,
) -> tuple[NetworkWeight, ...]:
    """Mix the runs of an answer: their weighted sums are what `toolkit.serve` adds up.

    Parameters
    ----------
    decoder : Decoder
        See `toolkit.workload.network.decoding.find_decoder`.
    load : callable
        Reads its model with sizes of dimensions, as `toolkit.load_network` does.
    prompt, decode, batch : int
        Tokens of a prompt, tokens made from it, sequences at a time.
    weight : float
        How often such an answer is given.
    contexts : int
        Context lengths that are mapped, evenly spread over those that occur; costs between them
        are interpolated.

    Returns
    -------
    tuple of NetworkWeight
        The run of the prompt, which makes the first token, then those of one token each; they
        are named after what they run.

    Raises
    ------
    InputError
        If a number is below 1.
    WorkloadError
        As `load` does.
    """
    numbers = {"prefill": prompt, "decode": decode, "batch": batch, "contexts": contexts}
    for key, number in numbers.items():
        check_integer(number, 1, key)

    def run(past: int, new: int, what: str) -> LayerGraph:
        dims = decoder.dims(batch=batch, new=new, past=past, longest=prompt + decode)
        graph = load(dims)
        name = f"{graph.graph.get('name') or 'network'} {what}"
        return LayerGraph.from_layers(
            graph.layers,
            name=name,
            inputs=graph.inputs,
            outputs=graph.outputs,
            warnings=graph.warnings,
            precision=graph.precision,
        )

    lengths = mapped_contexts(prompt, decode, contexts)
    counts = context_counts(prompt, decode, lengths)
    return (
        NetworkWeight(run(0, prompt, f"prefill of {prompt}"), weight),
        *(
            NetworkWeight(run(length, 1, f"token after {length}"), weight * count)
            for length, count in zip(lengths, counts, strict=True)
        ),
    )
