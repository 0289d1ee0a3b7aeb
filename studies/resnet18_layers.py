"""Which layers of ResNet-18 cost the energy, and on which accelerator?

Maps the whole network on several architectures, convolutions directly or as matrix products, and
prints the costliest layers of each and where the energy goes. Needs an ONNX file
(`studies/networks/export.py` writes it).

    python studies/resnet18_layers.py tests/data/networks/resnet18.onnx results
"""

from __future__ import annotations

from argparse import Namespace

import pandas as pd

import toolkit
from toolkit.study.pictures.network import write_pictures
from toolkit.study.script import Arguments, run_script
from toolkit.study.storage.files import make_folder, write_tables

ARCHS = ("eyeriss-conv", "eyeriss", "gemmini-conv", "simba-conv")
COLUMNS = ["layer", "lowering", "energy_total_pj", "latency_cycles", "peak_fraction"]


def main() -> None:
    """Map, compare, write."""
    parser = Arguments(__doc__)
    parser.add_argument("model")
    parser.add_argument("folder", help="for tables and pictures, one folder per architecture")
    parser.add_argument("--archs", default=",".join(ARCHS))
    parser.add_argument("--evaluations", type=int, help="of each workload; no limit by default")
    parser.add_argument("--jobs", type=int, help="processes; all cores by default")
    parser.add_argument("--cache", help="folder for results; the user's cache by default")
    run(parser.parse_args())


def run(options: Namespace) -> None:
    """Map on every architecture, write tables and pictures, print what costs most."""
    graph = toolkit.load_network(options.model, fold_batch_norm=True)
    budget = toolkit.Budget(evaluations=options.evaluations)
    totals = []
    for name in options.archs.split(","):
        result = toolkit.map_network(
            graph,
            toolkit.load_arch(name),
            budget=budget,
            jobs=options.jobs,
            cache=options.cache or True,
        )
        table = result.table()
        folder = make_folder(f"{options.folder}/{name}")
        write_tables({"layers": table, "levels": result.level_table()}, folder)
        write_pictures(folder, result)
        print(f"\n{name}: the five costliest of {len(table)} layers")
        print(table.nlargest(5, "energy_total_pj")[COLUMNS].to_string(index=False))
        by_class = table.groupby("class")[["energy_total_pj", "latency_cycles"]].sum()
        print((by_class / by_class.sum()).map("{:.2%}".format).to_string())
        totals.append({"arch": name, **result.totals()})
    summary = pd.DataFrame(totals)
    write_tables({"totals": summary}, options.folder)
    columns = ["arch", "energy_total_pj", "latency_cycles", "edp_pj_cycles", "peak_fraction"]
    print(f"\nWhole network\n{summary[columns].to_string(index=False)}")


if __name__ == "__main__":
    run_script(main)
