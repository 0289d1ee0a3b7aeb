"""Serving: what the first token of an answer costs, and every further one as the context grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arguments import check_integer
from toolkit.display import object_html, short_energy, table_html
from toolkit.search.network.result import LayerResult, NetworkResult
from toolkit.workload.network.decoding import Decoder
from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.layer import BITS, Layer

if TYPE_CHECKING:
    import pandas as pd

CONTEXTS = 5
"""Context lengths that are mapped; costs between them are interpolated."""

WEIGHTS, ATTENTION, OTHER = "weights", "attention", "other"
"""Layers that multiply by weights; products of activations and what is between them; the rest."""

PARTS = (WEIGHTS, ATTENTION, OTHER)


@dataclass(frozen=True)
class Step:
    """One run of a network: of the whole prompt, or of one new token of each sequence.

    Parameters
    ----------
    context : int
        Tokens in the cache before it.
    new : int
        New tokens of each sequence.
    energy_pj, cycles : mapping of str to float
        By part, a key of `PARTS`.
    weight_words, cache_words, other_words : int
        What the outermost memories move: weights with their scales, keys and values, the rest.
    dram_bytes : float or None
        Bytes of all of them; None if the architecture does not say how long words are.
    result : NetworkResult
        Layer by layer.
    """

    context: int
    new: int
    energy_pj: Mapping[str, float]
    cycles: Mapping[str, float]
    weight_words: int
    cache_words: int
    other_words: int
    dram_bytes: float | None
    result: NetworkResult

    def __repr__(self) -> str:
        costs = f"{self.latency_cycles:,.0f} cycles, {short_energy(self.total_pj)}"
        return f"<Step {self.new:,} new after {self.context:,} tokens: {costs}>"

    @property
    def total_pj(self) -> float:
        """Energy of the run."""
        return self.result.energy_pj

    @property
    def latency_cycles(self) -> float:
        """Cycles of the run."""
        return self.result.latency_cycles

    @property
    def dram_words(self) -> int:
        """Words that the outermost memories move."""
        return self.weight_words + self.cache_words + self.other_words

    def row(self) -> dict[str, Any]:
        """One row of a table, or one object of JSON."""
        return {
            "context": self.context,
            "new_tokens": self.new,
            "latency_cycles": self.latency_cycles,
            "energy_total_pj": self.total_pj,
            **{f"{part}_cycles": self.cycles[part] for part in PARTS},
            **{f"{part}_energy_pj": self.energy_pj[part] for part in PARTS},
            "dram_weight_words": self.weight_words,
            "dram_cache_words": self.cache_words,
            "dram_other_words": self.other_words,
            "dram_bytes": self.dram_bytes,
        }


@dataclass(frozen=True)
class ServingResult:
    """What a network with a cache costs as it answers.

    Parameters
    ----------
    name : str
        Of the network.
    arch : Architecture
        What it runs on.
    prompt, decode, batch : int
        Tokens of a prompt, tokens that are made from it, sequences at a time.
    prefill : Step
        The run of the prompt, which makes the first token.
    steps : tuple of Step
        Runs of one token at some contexts, from the shortest to the longest.
    kv_bytes_per_token : float
        Keys and values that one token of one sequence leaves in all caches.
    weight_bytes : int
        Parameters as the model stores them.
    """

    name: str
    arch: Architecture
    prompt: int
    decode: int
    batch: int
    prefill: Step
    steps: tuple[Step, ...]
    kv_bytes_per_token: float
    weight_bytes: int

    def __repr__(self) -> str:
        costs = f"{self.cycles_per_token:,.0f} cycles, {short_energy(self.pj_per_token)}"
        return f"<ServingResult {self._title}: {costs} per token>"

    def _repr_html_(self) -> str:
        """For notebooks: the first token and the next ones, and a row per length of context."""
        first, rate = self.prefill, self.tokens_per_second
        facts = [
            (
                "first token",
                f"{first.latency_cycles:,.0f} cycles, {short_energy(first.total_pj)}",
            ),
            (
                "next tokens",
                f"{self.cycles_per_token:,.0f} cycles, {short_energy(self.pj_per_token)} each",
            ),
            *([] if rate is None else [("tokens", f"{rate:,.4g} per second")]),
        ]
        heads = ("tokens in the cache", "new tokens", "cycles", "energy", "DRAM words")
        rows = [
            (
                f"{step.context:,}",
                f"{step.new:,}",
                f"{step.latency_cycles:,.0f}",
                short_energy(step.total_pj),
                f"{step.dram_words:,}",
            )
            for step in (first, *self.steps)
        ]
        return object_html(self._title, facts, table_html(heads, rows, [False] * len(heads)))

    @property
    def _title(self) -> str:
        asked = f"{self.prompt:,} tokens of prompt, {self.decode:,} made"
        return f"{self.name} on {self.arch.name}: {asked}"

    @property
    def decode_cycles(self) -> float:
        """Cycles of all tokens after the first one, of all sequences at once."""
        return self._summed([step.latency_cycles for step in self.steps])

    @property
    def decode_pj(self) -> float:
        """Energy of all tokens after the first one, of all sequences."""
        return self._summed([step.total_pj for step in self.steps])

    def _summed(self, values: list[float]) -> float:
        """Sum over all contexts, values between those mapped interpolated."""
        known = [step.context for step in self.steps]
        counts = context_counts(self.prompt, self.decode, known)
        return math.fsum(count * value for count, value in zip(counts, values, strict=True))

    @property
    def cycles_per_token(self) -> float:
        """Cycles from one token of a sequence to the next, on average."""
        return self.decode_cycles / self.decode

    @property
    def pj_per_token(self) -> float:
        """Energy of one token of one sequence after the first one, on average."""
        return self.decode_pj / (self.decode * self.batch)

    @property
    def tokens_per_joule(self) -> float:
        """Tokens after the first one for one joule."""
        return 1e12 / self.pj_per_token

    def seconds(self, cycles: float) -> float | None:
        """Seconds of so many cycles; None if the architecture has no clock."""
        return None if self.arch.clock_mhz is None else cycles / (1e6 * self.arch.clock_mhz)

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens of all sequences after the first ones; None if the architecture has no clock."""
        seconds = self.seconds(self.decode_cycles)
        return None if seconds is None else self.decode * self.batch / seconds

    @property
    def kv_bytes(self) -> float:
        """Keys and values of all sequences at the end."""
        return self.kv_bytes_per_token * self.batch * (self.prompt + self.decode)

    def totals(self) -> dict[str, Any]:
        """Figures of the whole answer."""
        return {
            "network": self.name,
            "arch": self.arch.name,
            "prompt_tokens": self.prompt,
            "decode_tokens": self.decode,
            "batch": self.batch,
            "first_token_cycles": self.prefill.latency_cycles,
            "first_token_seconds": self.seconds(self.prefill.latency_cycles),
            "prefill_energy_pj": self.prefill.total_pj,
            "token_cycles": self.cycles_per_token,
            "token_seconds": self.seconds(self.cycles_per_token),
            "token_energy_pj": self.pj_per_token,
            "tokens_per_second": self.tokens_per_second,
            "tokens_per_joule": self.tokens_per_joule,
            "kv_bytes_per_token": self.kv_bytes_per_token,
            "kv_bytes": self.kv_bytes,
            "weight_bytes": self.weight_bytes,
        }

    def table(self) -> pd.DataFrame:
        """One row for the prompt, then one per context that was mapped."""
        import pandas as pd

        return pd.DataFrame([step.row() for step in (self.prefill, *self.steps)])

    def to_dict(self) -> dict[str, Any]:
        """Write totals and steps as JSON-able data."""
        return {**self.totals(), "steps": [s.row() for s in (self.prefill, *self.steps)]}


def mapped_contexts(prompt: int, decode: int, contexts: int) -> list[int]:
    """Lengths of the context that are mapped, evenly spread over those that occur.

    Examples
    --------
    >>> mapped_contexts(512, 129, 3)
    [512, 576, 640]
    """
    last = prompt + decode - 1
    return sorted({round(x) for x in np.linspace(prompt, last, contexts)})


def context_counts(prompt: int, decode: int, known: Sequence[int]) -> list[float]:
    """How many runs each context stands for, where costs between them are interpolated.

    Parameters
    ----------
    known : sequence of int
        Ascending, as `mapped_contexts` spreads them; together they stand for `decode` runs.

    Examples
    --------
    >>> context_counts(4, 5, [4, 6, 8])
    [1.5, 2.0, 1.5]
    """
    contexts = prompt + np.arange(decode)
    units = np.eye(len(known))
    return [float(np.interp(contexts, known, unit).sum()) for unit in units]


def serve(
    decoder: Decoder,
    load: Callable[[Mapping[str, int]], LayerGraph],
    run: Callable[[LayerGraph], NetworkResult],
    *,
    prompt: int,
    decode: int,
    batch: int = 1,
    contexts: int = CONTEXTS,
) -> ServingResult:
    """Map the run of a prompt, and runs of one token at some lengths of the context.

    Parameters
    ----------
    decoder : Decoder
        See `toolkit.workload.network.decoding.find_decoder`.
    load : callable
        Reads its model with sizes of dimensions, as `toolkit.load_network` does.
    run : callable
        Maps a graph, as `toolkit.map_network` does; with a cache, what contexts share is
        searched once.
    prompt, decode, batch : int
        Tokens of a prompt, tokens made from it, sequences at a time.
    contexts : int
        Lengths that are mapped, evenly spread over those that occur.

    Raises
    ------
    InputError
        If a number is below 1.
    WorkloadError, DoesNotFitError
        As `load` and `run` do.
    """
    numbers = {"prefill": prompt, "decode": decode, "batch": batch, "contexts": contexts}
    for key, number in numbers.items():
        check_integer(number, 1, key)
    longest = prompt + decode

    def step(past: int, new: int) -> Step:
        dims = decoder.dims(batch=batch, new=new, past=past, longest=longest)
        return _step(run(load(dims)), past, new)

    lengths = mapped_contexts(prompt, decode, contexts)
    prefill = step(0, prompt)
    steps = tuple(step(length, 1) for length in lengths)
    graph = steps[-1].result.graph
    kept = sum(
        tensor.elements * BITS[tensor.dtype] / 8
        for tensor in graph.inputs
        if tensor.name in decoder.caches
    )
    return ServingResult(
        graph.graph.get("name", ""),
        steps[-1].result.arch,
        prompt,
        decode,
        batch,
        prefill,
        steps,
        kept / (batch * _kept_tokens(decoder, lengths[-1], longest)),
        graph.parameter_bytes,
    )


def _kept_tokens(decoder: Decoder, past: int, longest: int) -> int:
    """Tokens that a cache has room for as the model is written."""
    return longest if "past" not in decoder.roles.values() else past


def _step(result: NetworkResult, past: int, new: int) -> Step:
    parts = _parts(result.graph)
    energy, cycles = dict.fromkeys(PARTS, 0.0), dict.fromkeys(PARTS, 0.0)
    weights = cache = 0
    for layer in result.layers:
        part = parts[layer.name]
        energy[part] += layer.energy_pj
        cycles[part] += layer.latency_cycles
        words = _constant_words(layer)
        if part == WEIGHTS and layer.vector is not None:
            # Scales, zero points and biases.
            words += layer.repetitions * layer.vector.dram_reads
        weights += 0 if part == ATTENTION else words
        cache += words if part == ATTENTION else _appended_words(layer)
    other = result.dram_reads + result.dram_writes - weights - cache
    return Step(past, new, energy, cycles, weights, cache, other, result.dram_bytes, result)


def _constant_words(layer: LayerResult) -> int:
    """Words of the operand of the role weight: of a product of two activations keys or values."""
    traffic = layer.cost.dram if layer.cost is not None else ()
    return layer.repetitions * sum(t.words for t in traffic if t.role == "weight")


def _appended_words(layer: LayerResult) -> int:
    return layer.dram_words if layer.layer.in_place else 0


def _parts(graph: LayerGraph) -> dict[str, str]:
    """The part of every layer."""
    layers: dict[str, Layer] = {layer.name: layer for layer in graph.layers}
    parts = {
        name: OTHER if layer.workload is None else WEIGHTS if layer.weights else ATTENTION
        for name, layer in layers.items()
    }
    products = {name for name, part in parts.items() if part == ATTENTION}
    for name in list(layers):
        # Such as the softmax between two products.
        around = {*graph.predecessors(name)}, {*graph.successors(name)}
        if parts[name] == OTHER and all(found & products for found in around):
            parts[name] = ATTENTION
            products.add(name)
    return parts
