"""How far from the proved partition do gradients end, and how sure are they?

Prints what `gradient` and `joint` find against `exact` over the same groups: DRAM words on a
buffer of 256 Ki words, then the EDP of mapped layers; how many times less the best partition costs
than none, the gap to it, the share of edges whose final probability is beyond 90 % or below 10 %,
and the seconds of both searches.
"""

from __future__ import annotations

import tempfile

import toolkit
from toolkit.fusion import (
    Assumptions,
    FoldedGraph,
    FusionResult,
    MappedModel,
    TrafficModel,
    find_partition,
    fold,
)
from toolkit.study.script import Arguments, run_script

NETWORKS = {"resnet18": 12, "resnet50": 12, "mobilenet-v2": 12, "bert-base": 8}
MAPPED = {"alexnet": 8, "resnet18": 4}
"""Networks, and the most layers of a group."""

WORDS = 256 * 1024


def network(name: str) -> FoldedGraph:
    return fold(toolkit.load_network(name, fold_batch_norm=True))


def row(name: str, found: FusionResult, exact: FusionResult) -> str:
    gap = found.value / exact.value - 1
    sure = sum(not 0.1 < c.probability < 0.9 for c in found.chances) / len(found.chances)
    return (
        f"{name:<16}{found.strategy:<10}{exact.unfused_value / exact.value:>10.3f}{gap:>10.2%}"
        f"{sure:>8.0%}{found.seconds:>10.1f}{exact.seconds:>10.1f}"
    )


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--arch", default="eyeriss-conv", help="on which layers are mapped")
    arch = toolkit.load_arch(parser.parse_args().arch)
    heads = ("saved", "gap", "sure", "seconds", "exact")
    print(f"{'network':<16}{'strategy':<10}{heads[0]:>10}{heads[1]:>10}{heads[2]:>8}", end="")
    print(f"{heads[3]:>10}{heads[4]:>10}")
    for name, most in NETWORKS.items():
        given = Assumptions(WORDS, loops=1, halos=("retain",))
        exact, found = (
            find_partition(
                TrafficModel(network(name), given), strategy, most_layers=most, reasons=False
            )
            for strategy in ("exact", "gradient")
        )
        print(row(name, found, exact), flush=True)
    with tempfile.TemporaryDirectory() as cache:
        for name, most in MAPPED.items():
            model = MappedModel(network(name), arch, loops=1, cache=cache)
            exact, *others = (
                find_partition(model, strategy, most_layers=most, reasons=False)
                for strategy in ("exact", "gradient", "joint")
            )
            for found in others:
                print(row(f"{name}, EDP", found, exact), flush=True)


if __name__ == "__main__":
    run_script(main)
