"""Writes a decoder like Llama's of any size (7 billion parameters by default), without weights.

    python studies/networks/llama.py FILE --layers 32 --hidden 4096 --kv-heads 8 --precision int4

Sizes of its dynamic dimensions are given when it is read:

    toolkit.load_network(FILE, dims={"batch": 1, "seq": 1, "past": 2047})
"""

from __future__ import annotations

from writing import arguments, positive, write

from toolkit.workload.network.built_in.decoders import DecoderSizes, llama

if __name__ == "__main__":
    parser = arguments(__doc__, "fp16")
    for name, size in (
        ("layers", 32),
        ("hidden", 4096),
        ("heads", 32),
        ("feed-forward", 11008),
        ("vocabulary", 32000),
        ("longest", 4096),
    ):
        parser.add_argument(f"--{name}", type=positive, default=size)
    parser.add_argument("--kv-heads", type=positive, help="as many as heads by default")
    parser.add_argument("--window", type=positive, help="positions that a query sees")
    parser.add_argument("--experts", type=positive, help="feed-forward networks per layer")
    parser.add_argument("--experts-per-token", type=positive, default=2)
    given = parser.parse_args()
    write(
        parser,
        given,
        lambda precision: llama(
            precision,
            DecoderSizes(
                given.layers,
                given.hidden,
                given.heads,
                given.kv_heads or given.heads,
                given.feed_forward,
                given.vocabulary,
                given.longest,
                window=given.window or -1,
                experts=given.experts or 0,
                experts_per_token=given.experts_per_token if given.experts else 0,
            ),
        ),
    )
