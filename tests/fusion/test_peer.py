"""Two fused products on a machine of AccelForge's examples: as good as the optima that it prints.

Version 1.0.467, `map_workload_to_arch` for the energy-delay product: 4,096 rows; 1,024, 4,096 and
1,024 columns.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fusion.products import project, rows

import toolkit
from toolkit.fusion import MappedModel, find_partition, fold
from toolkit.search.network import LayerSearch
from toolkit.workload.network import LayerGraph

ARCH = Path(__file__).parent.parent / "data" / "accelforge_tpu_v4i.yaml"
MIB = 1024 * 1024
PEER_PJ = {
    128: {
        "MainMemory": 0.94355062784e9,
        "GlobalBuffer": 1.2321187595991686e9,
        "LocalBuffer": 1.747816859278828e9,
        "MAC": 2.886218022912e9,
    },
    8: {
        "MainMemory": 1.8871012143790722e9,
        "GlobalBuffer": 1.1381663498468697e9,
        "LocalBuffer": 1.7969741020351648e9,
        "MAC": 2.886218022912e9,
    },
}
"""By MiB of the global buffer: what AccelForge prints, in floats of single precision."""
PEER_CYCLES = 4.993219044990838e-4 * 1050e6


def products(mebibytes: int) -> MappedModel:
    first = project("first", rows("x", 4096, 1024), 4096)
    second = project("second", first.outputs[0], 1024)
    graph = LayerGraph.from_layers(
        [first, second], inputs=first.inputs, outputs=second.outputs, name="products"
    )
    search = LayerSearch(conventions=toolkit.CONVENTIONS["steady"])
    arch = toolkit.load_arch(ARCH)
    levels = list(arch.levels)
    levels[1] = replace(arch.memories[1], capacity_words=mebibytes * MIB)
    return MappedModel(
        fold(graph),
        replace(arch, levels=tuple(levels)),
        search=search,
        proof_seconds=0.0,
        cache=False,
    )


@pytest.mark.parametrize("mebibytes", [128, 8])
def test_the_peer_finds_nothing_better(mebibytes: int) -> None:
    """Whose optimum lets the outer activations pass by the global buffer."""
    model, peer_pj = products(mebibytes), PEER_PJ[mebibytes]
    found = find_partition(model, reasons=False)
    (option,) = found.groups
    energy, cycles = found.costs
    assert energy <= (1 + 1e-7) * sum(peer_pj.values())
    assert cycles <= (1 + 1e-7) * PEER_CYCLES
    levels = model.cost(option.plan).levels
    assert {name: levels[name] for name in peer_pj} == pytest.approx(peer_pj, rel=1e-6)
    assert option.plan.passing == {"x", "second.out"}
    assert option.plan.peak_words <= mebibytes * MIB
    assert all(a <= b for a, b in zip(model.bound, found.costs, strict=True))
    if mebibytes == 128:
        assert option.plan.resident == {"first", "second"}
        assert option.plan.dram_words == model.graph.floor_words
