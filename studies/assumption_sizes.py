"""How much does each assumption of the model matter?

Maps layers on four machines, costs every mapping again with one assumption after the other turned,
and prints by how many per cent energy and latency change. Then what the freedoms of searches are
worth, and how much leaks where a technology gives the energies.

    python studies/assumption_sizes.py
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Any

import toolkit
from toolkit.arch.files import load_arch_file
from toolkit.arch.technology import Technology, priced
from toolkit.model.conventions import switch_values, switched

CONVOLUTIONS = ("resnet18/L1", "resnet18/L7", "resnet18/L1+")
LAYERS = dict.fromkeys(("eyeriss-conv", "simba-conv", "gemmini-ws"), CONVOLUTIONS)
LAYERS |= {"tensor-core-sm": ("gemm:M=4096,K=4096,N=128", "bert-large/KTQ")}
SEARCHED = {
    "gemm:M=384,K=384,N=197": ({"factors": "perfect"}, {"bypass": "free"}),
    "gemm:M=197,K=64,N=197": ({"factors": "perfect"},),
}
"""A projection and a head of DeiT-S, whose 197 tokens are a prime number."""

LEAKING = {"gemmini-ws": 45, "tensor-core-sm": 7}
"""Nodes in nm."""

EFFORT, BURST_BITS = 20_000, 64 * 8
MACS_PER_HOP = 2
"""What a word costs from one element to the next on Eyeriss (Chen et al., JSSC 2017)."""


def at(kind: type, arch: Any, **figures: Any) -> Any:
    """Give all levels of a kind other figures."""
    levels = (replace(x, **figures) if isinstance(x, kind) else x for x in arch.levels)
    return replace(arch, levels=tuple(levels))


def turned(arch: Any, work: Any) -> Iterator[tuple[str, Any, Any, dict[str, Any]]]:
    """What is turned; then a machine, a workload and further arguments of `toolkit.evaluate`."""
    memory, fanout, dram = toolkit.Memory, toolkit.Fanout, arch.levels[0]

    def outside(**figures: Any) -> Any:
        return replace(arch, levels=(replace(dram, **figures), *arch.levels[1:]))

    slow = {"read_bandwidth": 0.7 * dram.read_bandwidth}
    slow["write_bandwidth"] = 0.7 * dram.write_bandwidth
    hop = MACS_PER_HOP * arch.levels[-1].mac_energy_pj
    yield "nothing is hidden", at(memory, arch, overlap="never"), work, {}
    yield "hidden where it fits twice", at(memory, arch, overlap="double-buffered"), work, {}
    yield "a port for each way", at(memory, arch, shared_port=False), work, {}
    yield "DRAM gives 70 %", outside(**slow), work, {}
    yield "operands hop", at(fanout, arch, pe_to_pe=True), work, {}
    yield "wires", at(fanout, arch, wires=toolkit.Wires(hop, hop, hop)), work, {}
    yield "bursts of 64 bytes", outside(burst_words=BURST_BITS // dram.word_bits), work, {}
    yield "sums of 32 bits", arch, toolkit.with_bits(work, dram.word_bits, sum_bits=32), {}
    yield "a bias is read", arch, work, {"bias_read": True}
    for switch, values in switch_values().items():
        for value in values if switch != "factors" else ():
            conventions = switched(toolkit.EXACT, {switch: value})
            if conventions != toolkit.EXACT:
                name = conventions.name.removeprefix("exact+")
                yield name, arch, work, {"conventions": conventions}
    for conventions in (toolkit.FACTORFLOW, toolkit.TIMELOOP):
        yield f"all of {conventions.name}", arch, work, {"conventions": conventions}


def changes() -> dict[str, list[tuple[str, float, float]]]:
    """By what is turned: pair, per cent of energy and of latency."""
    rows: dict[str, list[tuple[str, float, float]]] = {}
    for name, layers in LAYERS.items():
        for layer in layers:
            best = toolkit.map(name, layer, evaluations=EFFORT, factors="perfect")
            for what, arch, work, how in turned(best.problem.arch, best.problem.workload):
                found = toolkit.evaluate(best.mapping, arch, work, **how)
                energy = 100 * (found.energy_pj / best.energy_pj - 1)
                latency = 100 * (found.latency_cycles / best.latency_cycles - 1)
                rows.setdefault(what, []).append((f"{name} {layer}", energy, latency))
    return rows


def table() -> Iterator[str]:
    rows = changes()
    yield f"{len(rows['wires'])} mappings, %{'energy':>25}{'latency':>19}{'most on':>18}"
    yield f"{'':30}" + 2 * f"{'median':>10}{'most':>9}"
    still = []
    for what, found in rows.items():
        most = max(found, key=lambda row: max(abs(row[1]), abs(row[2])))
        if max(abs(most[1]), abs(most[2])) < 0.005:
            still.append(what)
            continue
        cells = ""
        for column in (1, 2):
            costs = [row[column] + 0.0 for row in found]
            cells += f"{median(costs):+10.2f}{max(costs, key=abs):+9.2f}"
        yield f"{what:30}{cells}  {most[0]}"
    yield from ("nothing:", *(f"  {what}" for what in still))


def freedoms() -> Iterator[str]:
    """The least EDP that `greedy` finds if it may do more, or less, than by default."""
    for layer, ways in SEARCHED.items():
        least = toolkit.map("eyeriss", layer, evaluations=EFFORT).edp_pj_cycles
        for how in ways:
            edp = toolkit.map("eyeriss", layer, evaluations=EFFORT, **how).edp_pj_cycles
            words = ", ".join(f"{key} {value}" for key, value in how.items())
            yield f"EDP of {layer} on eyeriss, {words}: {100 * (edp / least - 1):+.2f} %"


def leakage() -> Iterator[str]:
    for name, node in LEAKING.items():
        file = load_arch_file(name)
        technology = Technology(node, operators="horowitz")
        arch = priced(file.architecture(), file.components(), technology)
        for layer in LAYERS[name][:2]:
            best = toolkit.map(arch, layer, evaluations=EFFORT)
            found = toolkit.evaluate(best.mapping, best.problem.arch, best.problem.workload)
            share = sum(level.leakage_pj for level in found.energies) / found.energy_pj
            yield f"leaks of {layer} on {name} at {node} nm: {share:.2%} of the energy"


def report() -> str:
    """Write all of it."""
    return "\n".join([*table(), "", *freedoms(), "", *leakage()])


if __name__ == "__main__":
    print(report())
