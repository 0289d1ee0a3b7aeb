"""One GEMM, one mapping, four tools: who counts what, and which habit makes the difference?

Counts gemm 3072x1024x4096 on Gemmini under three sets of conventions, next to what ZigZag itself
reported (zigzag_gemmini/recorded.json), and attributes the differences from exact counts.

    python studies/reconcile_gemm.py
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import toolkit

FILES = Path(__file__).parent / "zigzag_gemmini"
ARCH, GEMM = toolkit.load_arch("gemmini"), toolkit.gemm(3072, 1024, 4096)
MAPPING = toolkit.read_mapping(FILES / "toolkit_mapping.yaml", ARCH, GEMM)
# `timeloop-4` differs from `timeloop` in zero_fills alone where nothing leaks, `steady` from
# `exact` in the latency (section 8).
SETS = {name: x for name, x in toolkit.CONVENTIONS.items() if name not in ("steady", "timeloop-4")}
KINDS = {"reads": "rd_out_to_low", "updates": "wr_in_by_low"}
KINDS |= {"fills": "wr_in_by_high", "drains": "rd_out_to_high"}
ENERGY, LATENCY = "energy, pJ", "latency, cycles"
Costs = dict[str, float]


def ours(conventions: toolkit.Conventions) -> Costs:
    """Words in total by memory, tensor and kind of access; total energy; latency."""
    found = toolkit.evaluate(MAPPING, ARCH, GEMM, conventions=conventions)
    words = {f"{a.level:12}{a.tensor:7} {k}": getattr(a, k) for a in found.accesses for k in KINDS}
    return words | {ENERGY: found.energy_pj, LATENCY: found.latency_cycles}


def zigzags(counter: str) -> Costs:
    """The same by ZigZag: the elements it moves, or the words it pays for, in whole accesses."""
    run = json.loads((FILES / "recorded.json").read_text())["base"]
    costs: Costs = {}
    for tensor, operand in (("input", "I"), ("weight", "W"), ("output", "O")):
        holders = [memory for memory in ARCH.memories[::-1] if tensor not in memory.bypasses]
        for memory, moved in zip(holders, run[counter][operand], strict=True):
            words = memory.read_bandwidth if counter == "memory_word_access" else 1
            costs |= {f"{memory.name:12}{tensor:7} {k}": moved[KINDS[k]] * words for k in KINDS}
    return costs | {ENERGY: run["energy_total"], LATENCY: run["latency_total2"]}


def changes(before: Costs, after: Costs) -> list[str]:
    """What differs, and for words what the difference costs: as much to write as to read."""
    pj = {memory.name: memory.read_energy_pj for memory in ARCH.memories}
    lines = []
    for key in (key for key in before if abs(after[key] - before[key]) > 1e-9 * before[key]):
        more = after[key] - before[key]
        cost = f"{more * pj[key.split()[0]]:+20,.0f} pJ" if key.split()[0] in pj else ""
        lines.append(f"    {key:28}{more:+20,.0f}{cost}")
    return lines


def report() -> str:
    """Write the table of all counts, then how they differ from the exact ones."""
    columns = {name: ours(conventions) for name, conventions in SETS.items()}
    columns["zigzag moves"] = zigzags("data_elem_move_count")
    columns["zigzag pays for"] = zigzags("memory_word_access")
    lines = [" " * 28 + "".join(f"{name:>16}" for name in columns)]
    for key in (k for k in columns["exact"] if any(costs[k] for costs in columns.values())):
        lines.append(f"{key:28}" + "".join(f"{costs[key]:16,.0f}" for costs in columns.values()))
    for name, target in list(SETS.items())[1:]:
        lines += ["", f"exact to {name} (switches that are not listed change nothing)"]
        step = toolkit.EXACT
        for switch in (field.name for field in fields(target)[1:]):
            turned = replace(step, **{switch: getattr(target, switch)})
            if found := changes(ours(step), ours(turned)):
                lines += [f"  {switch} = {getattr(target, switch)}", *found]
            step = turned
    found = changes(columns["exact"], columns["zigzag pays for"])
    return "\n".join([*lines, "", "exact to what zigzag pays for", *found])


if __name__ == "__main__":
    print(report())
