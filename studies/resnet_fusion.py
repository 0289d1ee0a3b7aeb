"""How much does layer fusion save on ResNet-18, and what limits it?

Fuses ResNet-18 on Eyeriss with a global buffer of 256 Ki and of 1 Mi words: the best partition,
proved among groups of up to LAYERS layers, against every layer on its own. Prints the groups,
what each costs, why it ends where it does, and writes the graph with its groups as a picture.

    python studies/resnet_fusion.py [MODEL.onnx] [LAYERS] [FOLDER]
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import toolkit
from toolkit.fusion import FusionResult, MappedModel, find_partition, fold
from toolkit.fusion.partition import total_costs
from toolkit.study.pictures.fusion import write_fusion_pictures
from toolkit.study.pictures.timelines import write_timelines
from toolkit.study.script import Arguments, positive, run_script
from toolkit.study.storage.files import make_folder

MODEL = Path(__file__).parent.parent / "tests" / "data" / "networks" / "resnet18.onnx"


def with_buffer(words: int) -> toolkit.Architecture:
    """Eyeriss with another global buffer."""
    arch = toolkit.load_arch("eyeriss-conv")
    levels = tuple(
        replace(level, capacity_words=words) if level.name == "GlobalBuffer" else level
        for level in arch.levels
    )
    return replace(arch, levels=levels)


def report(model: MappedModel, result: FusionResult) -> None:
    energy, latency = result.costs
    plain_energy, plain_latency = total_costs(result.unfused)
    words, plain_words = result.dram_words, result.unfused_dram_words
    print(f"\n{model.given.capacity_words:,} words of {model.memory.name}")
    print(f"{'':10}{'DRAM words':>14}{'energy mJ':>12}{'Mcycles':>10}{'EDP J·cycle':>14}")
    for name, w, e, c in (
        ("unfused", plain_words, plain_energy, plain_latency),
        ("fused", words, energy, latency),
    ):
        print(f"{name:10}{w:14,}{e * 1e-9:12.3f}{c * 1e-6:10.3f}{e * c * 1e-12:14.5g}")
    print(f"EDP {result.value / result.unfused_value - 1:+.1%}; energy by level in mJ:")
    for title, options in (("unfused", result.unfused), ("fused", result.groups)):
        costs = [model.cost(option.plan).levels for option in options]
        names = dict.fromkeys(name for levels in costs for name in levels)
        sums = {name: sum(levels.get(name, 0.0) for levels in costs) for name in names}
        print(f"  {title:8}", "  ".join(f"{n} {pj * 1e-9:.3f}" for n, pj in sums.items()))
    print(result.table().to_string(index=False))
    print(result.boundary_table()[["source", "target", "reason", "detail"]].to_string(index=False))


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("model", nargs="?", default=MODEL)
    parser.add_argument("layers", nargs="?", type=positive, default=12, help="of a group, at most")
    parser.add_argument("folder", nargs="?", type=Path, default="resnet_fusion")
    given = parser.parse_args()
    graph = fold(toolkit.load_network(given.model, {}, fold_batch_norm=True))
    for words in (256 * 1024, 1024 * 1024):
        model = MappedModel(graph, with_buffer(words))
        result = find_partition(model, "exact", most_layers=given.layers)
        report(model, result)
        place = make_folder(given.folder / f"{words // 1024}k")
        print("pictures:", *write_fusion_pictures(place, result), *write_timelines(place, result))


if __name__ == "__main__":
    run_script(main)
