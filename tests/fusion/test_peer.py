"""Two fused products on a machine of AccelForge's examples: as good as the optimum that it prints.

Version 1.0.467, `map_workload_to_arch` for the energy-delay product: 4,096 rows; 1,024, 4,096 and
1,024 columns.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fusion.products import project, rows

import toolkit
from toolkit.fusion import MappedModel, find_partition, fold
from toolkit.search.network import LayerSearch
from toolkit.workload.network import LayerGraph

ARCH = Path(__file__).parent.parent / "data" / "accelforge_tpu_v4i.yaml"
LEVELS_PJ = {
    "MainMemory": 0.94355062784e9,
    "GlobalBuffer": 1.2321187595991686e9,
    "LocalBuffer": 1.747816859278828e9,
    "MAC": 2.886218022912e9,
}
CYCLES = 4.993219044990838e-4 * 1050e6
"""What AccelForge prints, in floats of single precision."""


@pytest.fixture(scope="module")
def products() -> MappedModel:
    first = project("first", rows("x", 4096, 1024), 4096)
    second = project("second", first.outputs[0], 1024)
    graph = LayerGraph.from_layers(
        [first, second], inputs=first.inputs, outputs=second.outputs, name="products"
    )
    search = LayerSearch(conventions=toolkit.CONVENTIONS["steady"])
    arch = toolkit.load_arch(ARCH)
    return MappedModel(fold(graph), arch, search=search, proof_seconds=0.0, cache=False)


def test_the_peer_finds_nothing_better(products: MappedModel) -> None:
    found = find_partition(products, reasons=False)
    (option,) = found.groups
    energy, cycles = found.costs
    assert energy <= (1 + 1e-7) * sum(LEVELS_PJ.values())
    assert cycles <= (1 + 1e-7) * CYCLES
    levels = products.cost(option.plan).levels
    assert {name: levels[name] for name in LEVELS_PJ} == pytest.approx(LEVELS_PJ, rel=1e-7)


def test_that_takes_weights_that_stay_and_activations_that_pass_by(products: MappedModel) -> None:
    found = find_partition(products, reasons=False)
    (plan,) = found.plans
    assert plan.resident == {"first", "second"}
    assert plan.passing == {"x", "second.out"}
    assert plan.peak_words == 4096 * 4096 + 2 * 1024 * 4096
    assert plan.dram_words == products.graph.floor_words
    assert all(a <= b for a, b in zip(products.bound, found.costs, strict=True))
