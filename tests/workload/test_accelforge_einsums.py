"""AccelForge's einsums."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from mutations import mutated

from toolkit.errors import WorkloadError
from toolkit.peer_files import Document
from toolkit.workload import batched_gemm, conv2d, depthwise_conv2d, gemm, load_workload
from toolkit.workload.network import load_network
from toolkit.workload.peers.accelforge import is_einsums
from toolkit.workload.peers.accelforge_network import accelforge_network
from toolkit.yaml_files import parse_yaml

CHAIN = """
workload:
  rank_sizes: {M: 6, N0: 5, N1: 4}
  iteration_space_shape: {n2: 0 <= n2 < 3}
  bits_per_value: {All: 8}
  einsums:
  - name: First
    tensor_accesses:
    - {name: T0, projection: [m, n0]}
    - {name: W0, projection: [n0, n1]}
    - {name: T1, projection: {M: m, N1: n1}, output: True}
  - T2[m, n2] = W1[n1, n2] * T1[m, n1]
"""
CONVOLUTION = """
workload:
  rank_sizes: {N: {{BATCH}}}
  einsums:
  - einsum: "T0[p, q, n, m] = I0[n, c, H: p * 2 + r, W: 2*q + 3*s] * W0[r, s, c, m]"
    iteration_space_shape:
    - 0 <= p < 7
    - 0 <= q < 8
    - 0 <= c < 3
    - 0 <= m < 16
    - 0 <= r < 5
    - 0 <= s < 2
    renames: {output: T0, input: I0, weight: W0}
"""


def write(folder: Path, text: str) -> str:
    (folder / "net.yaml").write_text(text)
    return str(folder / "net.yaml")


def one(folder: Path, einsum: str, **sizes: int) -> object:
    bounds = ", ".join(f"{name}: 0 <= {name} < {size}" for name, size in sizes.items())
    text = f"workload: {{iteration_space_shape: {{{bounds}}}, einsums: ['{einsum}']}}"
    return load_workload(write(folder, text.replace("workload: {", "workload:\n  {")))


def test_a_chain_is_a_graph(tmp_path: Path) -> None:
    graph = load_network(write(tmp_path, CHAIN))
    assert [layer.workload for layer in graph.layers] == [
        gemm(m=4, k=5, n=6, name="First"),
        gemm(m=3, k=4, n=6, name="T2"),
    ]
    assert list(graph.edges) == [("First", "T2")]
    assert [info.name for info in graph.inputs] == ["T0"]
    assert [info.name for info in graph.layers[1].weights] == ["W1"]
    assert [(info.name, info.shape) for info in graph.outputs] == [("T2", (6, 3))]


def test_one_einsum_is_a_workload(tmp_path: Path) -> None:
    path = write(tmp_path, CHAIN)
    assert load_workload(f"{path}:T2") == gemm(m=3, k=4, n=6, name="net/T2")
    with pytest.raises(WorkloadError, match="holds 2 layers where one workload is expected"):
        load_workload(path)


def test_a_template_takes_dimensions(tmp_path: Path) -> None:
    path = write(tmp_path, CONVOLUTION)
    expected = conv2d(16, 3, 7, 8, 5, 2, n=4, stride=2, dilation=(1, 3), name="T0")
    assert load_network(path, {"BATCH": 4}).layers[0].workload == expected
    with pytest.raises(WorkloadError, match="'BATCH' has no value"):
        load_network(path)
    with pytest.raises(WorkloadError, match="dims: leaves no BATCHES open"):
        load_network(path, {"BATCH": 4, "BATCHES": 4})


@pytest.mark.parametrize(
    ("einsum", "sizes", "expected"),
    [
        ("O[b,i,j]=I[b,i,k]*W[b,k,j]", {"b": 2, "i": 3, "j": 4, "k": 5}, batched_gemm(2, 4, 5, 3)),
        ("O[j]=I[k]*W[k,j]", {"j": 4, "k": 5}, gemm(4, 5, 1)),
        ("O[x,y,m]=I[x,y,c]*W[c,m]", {"x": 2, "y": 3, "m": 4, "c": 5}, conv2d(4, 5, 2, 3, 1, 1)),
        (
            "O[c,x,y]=I[c, x+r, y+s]*W[c,r,s]",
            {"c": 8, "x": 4, "y": 5, "r": 3, "s": 2},
            depthwise_conv2d(8, 4, 5, 3, 2),
        ),
    ],
)
def test_kernels_are_known_by_their_structure(
    tmp_path: Path, einsum: str, sizes: dict[str, int], expected: object
) -> None:
    found = one(tmp_path, einsum, **sizes)
    assert (found.sizes, found.tensors) == (expected.sizes, expected.tensors)  # type: ignore[attr-defined]


def test_any_other_keeps_its_names(tmp_path: Path) -> None:
    found = one(tmp_path, "O[a,b]=I[a,k,l]*W[k,l,b]", a=2, b=3, k=4, l=5)
    assert dict(found.sizes) == {"a": 2, "k": 4, "l": 5, "b": 3}  # type: ignore[attr-defined]
    assert found.macs == 120  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0 <= n2 < 3", "1 <= n2 < 3", "iteration_space_shape.n2: expected bounds such as"),
        ("N0: 5, ", "", r"einsums\[0\]: no size of 'n0'; expected rank_sizes, or 0 <= n0 < SIZE"),
        (", output: True", "", "expected one tensor with output: true, found 0"),
        ("* T1[m, n1]", "+ T1[m, n1]", r"einsums\[1\]: expected such as T1\[m, n1\]"),
        ("* T1[m, n1]", "", "multiplies nothing; a workload is a sum of products"),
        ("projection: [m, n0]", "projection: [m, n0 - 1]", "expected a sum of rank variables"),
        ("T2[m, n2] =", "T1[m, n2] =", "two einsums make one tensor"),
        ("- name: First", "- is_copy_operation: True\n    name: First", "unknown key"),
        ("{name: T0", "{name: T2", "reads T2, which a later einsum makes"),
    ],
)
def test_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in CHAIN
    with pytest.raises(WorkloadError, match=message):
        load_network(write(tmp_path, CHAIN.replace(old, new, 1)))


@given(mutated(parse_yaml(CHAIN.encode(), source="chain")))
def test_broken_einsums_are_read_or_refused(data: object) -> None:
    if not is_einsums(data):
        return
    try:
        accelforge_network(Document(data, "chain"))
    except WorkloadError as error:
        assert str(error).startswith("chain: ")
