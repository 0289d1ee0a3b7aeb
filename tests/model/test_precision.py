"""No count is ever silently wrong: Python's integers against the model's."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toolkit.errors import PrecisionError
from toolkit.model import Evaluation

from .nests import conv, gemm, memory, run

LIMIT = 2**53

DIMENSIONS = {"In": "kn", "W": "mk", "Out": "mn"}

Factors = dict[str, int]

factors = st.integers(1, 16).flatmap(lambda bits: st.integers(1, min(2**bits, 46340)))
"""Up to the square root of 2^31."""

tiles = st.fixed_dictionaries({d: factors for d in "mkn"})


def evaluated(order: tuple[str, ...], outer: Factors, inner: Factors) -> Evaluation:
    """Run a GEMM from a DRAM with loops `outer` in `order` and a buffer with loops `inner`."""
    sizes = {d: outer[d] * inner[d] for d in "mkn"}
    loops = {d: outer[d] for d in order}
    return run(gemm(**sizes), (memory("dram"), loops), (memory("buffer"), inner))


def expected(order: tuple[str, ...], outer: Factors, inner: Factors) -> dict[str, int]:
    """Count with Python's integers: a tile moves when a loop outside or of its own turns."""
    macs = math.prod(outer.values()) * math.prod(inner.values())
    counts = {"macs": macs, "dram words": 0, "buffer words": 0}
    for name, dimensions in DIMENSIONS.items():
        tile = math.prod(inner[d] for d in dimensions)
        loops = [d for d in order if outer[d] > 1]
        while loops and loops[-1] not in dimensions:
            loops.pop()
        moved = tile * math.prod(outer[d] for d in loops)
        once = tile * math.prod(outer[d] for d in dimensions)
        counts["dram words"] += once
        counts["buffer words"] += tile
        if name == "Out":
            counts["dram Out reads"] = counts["buffer Out fills"] = moved - once
            counts["dram Out updates"] = counts["buffer Out drains"] = moved
            counts["buffer Out reads"] = macs - once
            counts["buffer Out updates"] = macs
        else:
            counts[f"dram {name} reads"] = counts[f"buffer {name} fills"] = moved
            counts[f"buffer {name} reads"] = macs
    return {key: count for key, count in counts.items() if count}


def counted(result: Evaluation) -> dict[str, int]:
    """Everything that is counted and not zero."""
    counts = {"macs": result.macs}
    counts |= {f"{memory.level} words": memory.words for memory in result.memories}
    for entry, kind in itertools.product(result.accesses, ("reads", "updates", "fills", "drains")):
        counts[f"{entry.level} {entry.tensor} {kind}"] = getattr(entry, kind)
    return {key: count for key, count in counts.items() if count}


@given(st.permutations("mkn").map(tuple), tiles, tiles)
@example(("m", "n", "k"), {"m": 229409, "k": 1, "n": 1}, {"m": 1, "k": 1667677261, "n": 1})
def test_counts_are_exact_or_refused(
    order: tuple[str, ...], outer: Factors, inner: Factors
) -> None:
    counts = expected(order, outer, inner)
    if max(counts.values()) > LIMIT:
        with pytest.raises(PrecisionError, match="more than the 2\\^53 that are exact"):
            evaluated(order, outer, inner)
    else:
        assert counted(evaluated(order, outer, inner)) == counts


def test_exactly_the_limit() -> None:
    """2^53 MACs are counted, and so are as many reads."""
    inner = {"m": 2**18, "k": 2**17, "n": 2**18}
    result = evaluated(("m", "k", "n"), dict.fromkeys("mkn", 1), inner)
    assert result.macs == result.accesses[3].reads == LIMIT


def test_the_number_is_in_the_message() -> None:
    """Past 64 bits, where integers of machines wrap around."""
    sizes = {"m": 2**31, "k": 2**31, "n": 2**31}
    with pytest.raises(PrecisionError, match=f"case: the multiply-accumulates number {2**93}"):
        evaluated(("m", "k", "n"), sizes, dict.fromkeys("mkn", 1))


def test_a_count_beyond_the_macs_is_refused_too() -> None:
    """2^53 MACs whose tensors together have 2^53 words and a few more."""
    inner = {"m": 2**27, "k": 2**26, "n": 1}
    with pytest.raises(PrecisionError, match="footprint at dram number 9007199"):
        evaluated(("m", "k", "n"), dict.fromkeys("mkn", 1), inner)


def test_an_index_that_spans_too_much_is_refused() -> None:
    """Two strides near 2^26 that are coprime collide near 2^52 and reach to about 2^53."""
    p, r = 2**26, 2**26 + 2
    work = conv(p, r, f"{2**26 + 1}p+{2**26}r")
    span = 1 + (2**26 + 1) * (p - 1) + 2**26 * (r - 1)
    assert work.macs < LIMIT < span
    with pytest.raises(PrecisionError, match=f"axis of In number {span}"):
        run(work, (memory("dram"), {"p": p}), (memory("buffer"), {"r": r}))
