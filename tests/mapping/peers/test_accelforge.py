"""Mappings of AccelForge's: nodes of one loop nest."""

from __future__ import annotations

import pytest

import toolkit
from toolkit.errors import MappingError
from toolkit.mapping.peers.accelforge import mapping_from_accelforge, mapping_to_accelforge

from ..spaces import fanout, memory
from .levels import loops

ARCH = toolkit.Architecture(
    "small",
    (
        memory("Main"),
        memory("Buffer", may_bypass=("weight",)),
        fanout("PE_rows", 4, ("M", "K")),
        fanout("PE_columns", 2, ("N",)),
        memory("Register", bypasses=("input", "output")),
        toolkit.Compute("MAC", 1.0),
    ),
)
LAYER = toolkit.gemm(8, 10, 6, name="a layer")
TEXT = """\
mapping:
  nodes:
  - !Storage {component: Main, tensors: [weight, input, output]}
  - !Storage {component: Buffer, tensors: [weight]}
  - !Temporal {rank_variable: n, tile_shape: 2}
  - !Nested
    nodes:
    - !Storage {component: Buffer, tensors: [input, output]}
    - !Temporal {rank_variable: k, tile_shape: 3}
    - !Spatial {rank_variable: m, tile_shape: 2, component: PE, name: rows}
    - !Spatial {rank_variable: n, tile_shape: 1, component: PE, name: columns}
    - !Storage {component: Register, tensors: [weight]}
    - !Temporal {rank_variable: k, tile_shape: 1}
    - !Temporal {rank_variable: m, tile_shape: 1}
    - !Compute {einsum: a_layer, component: MAC}
"""
EXPECTED = [
    ("Main", [("N", 3)]),
    ("Buffer", [("K", 4)]),
    ("PE_rows", [("M", 4)]),
    ("PE_columns", [("N", 2)]),
    ("Register", [("K", 3), ("M", 2)]),
    ("MAC", []),
]


def read(text: str) -> toolkit.Mapping:
    return mapping_from_accelforge(text, ARCH, LAYER, source="map")


def test_nodes_are_loops_of_the_memory_around_them() -> None:
    assert loops(read(TEXT)) == EXPECTED
    assert [level.bypasses for level in read(TEXT).levels if level.order] == [None] * 3


def test_a_mapping_leaves_out_what_it_may() -> None:
    kept = "  - !Storage {component: Buffer, tensors: [weight]}\n"
    assert read(TEXT.replace(kept, "")).levels[1].bypasses == ("weight",)


def test_tiles_are_stored_outside_of_the_loops_that_they_stay_through() -> None:
    """AccelForge fetches them again in each iteration around: the weights in that over N."""
    lines = mapping_to_accelforge(read(TEXT), ARCH, LAYER).splitlines()
    nodes = lines[lines.index("mapping:") :]
    stored = [i for i, line in enumerate(nodes) if line == "    component: Buffer"]
    loop = nodes.index('    rank_variable: "n"')
    assert [nodes[i + 1] for i in stored] == [
        "    tensors: [weight]",
        "    tensors: [input, output]",
    ]
    assert stored[0] < loop < stored[1]


def test_the_workload_is_written_along(tmp_path) -> None:
    for layer in (
        LAYER,
        toolkit.conv2d(4, 3, 5, 6, 3, 2, n=2, stride=(2, 1), dilation=(1, 3), name="conv/1"),
        toolkit.batched_gemm(2, 3, 4, 5),
    ):
        arch = toolkit.load_arch("eyeriss-conv" if "P" in layer.sizes else "eyeriss")
        home = (toolkit.LevelMapping(arch.levels[0].name, tuple(layer.sizes.items())),)
        others = (toolkit.LevelMapping(level.name, ()) for level in arch.levels[1:])
        mapping = toolkit.Mapping((*home, *others))
        path = tmp_path / "both.yaml"
        path.write_text(mapping_to_accelforge(mapping, arch, layer))
        found = toolkit.load_workload(path)
        assert (found.sizes, found.kernel) == (layer.sizes, layer.kernel)
        assert [t.indices for t in found.tensors] == [t.indices for t in layer.tensors]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rank_variable: k, tile_shape: 3", "rank_variable: q, tile_shape: 3", "dimension 'q'"),
        ("k, tile_shape: 3", "k, tile_shape: 11", "line 9: .*the tiles around it have 10"),
        ("m, tile_shape: 1", "m, tile_shape: 2", "no loop over M has tiles of 1"),
        ("[input, output]", "[output]", "line 8: .*does not keep input in Buffer"),
        ("[weight]}\n    - !Temporal", "[output]}\n    - !Temporal", "Register, which bypasses"),
        ("Buffer, tensors: [weight]", "Buffer, tensors: [input]", "line 4: .*an uneven mapping"),
        ("component: Register", "component: HBM", "its name says off the chip"),
        ("!Nested", "!Sequential", "line 6: !Sequential is not part of one loop nest"),
        ("    - !Compute", "    - !Toll", "!Toll is not part of one loop nest"),
        ("component: Main", "component: Buffer", "an uneven mapping"),
        ("Buffer, tensors: [input, output]", "Main, tensors: []", "outside of it in small"),
        ("tensors: [input, output]", "tensors: input", "expected a list of tensors"),
        ("tile_shape: 3}", "tile_shape: 3, x: 1}", "!Temporal: unknown key 'x'"),
        ("tile_shape: 3}", "tile_shape: 3, initial_tile_shape: 2}", "has no meaning here"),
        ("m, tile_shape: 2, component: PE, name: rows", "m, tile_shape: 1", "cannot be placed"),
        ("nodes:\n  - !Storage", "node:\n  - !Storage", "expected nodes under mapping"),
    ],
)
def test_what_is_no_such_nest_is_refused(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(MappingError, match=rf"map: (?s:.*){message}"):
        read(TEXT.replace(old, new, 1))
