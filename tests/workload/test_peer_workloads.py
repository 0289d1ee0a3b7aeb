from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutated

from toolkit.errors import WorkloadError
from toolkit.workload import (
    Workload,
    batched_gemm,
    conv1d,
    conv2d,
    depthwise_conv2d,
    gemm,
    grouped_conv2d,
    load_workload,
    workload_to_yaml,
)
from toolkit.workload.network import LayerGraph, load_network
from toolkit.workload.peers import peer_workload
from toolkit.workload.peers.zigzag import read_layers
from toolkit.workload.peers.zigzag_network import zigzag_network
from toolkit.yaml_files import dump_yaml, parse_yaml

SIZES = st.integers(2, 64)

NETWORK = """
- id: 0
  name: first
  operator_type: Conv
  equation: O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]
  dimension_relations: [ix=2*ox+1*fx, iy=2*oy+1*fy]
  loop_dims: [B, K, C, OY, OX, FY, FX]
  loop_sizes: [1, 8, 3, 14, 14, 3, 3]
  operand_precision: {W: 4, I: 8, O: 16, O_final: 8}
  operand_source: {I: 0, W: 0}
  pr_loop_dims: [IX, IY]
  pr_loop_sizes: [28, 28]
  padding: [[1, 0], [1, 0]]
- id: 1
  operator_type: Pooling
  equation: O[b][g][oy][ox]+=W[fx][fy]*I[b][g][iy][ix]
  dimension_relations: [ix=2*ox+1*fx, iy=2*oy+1*fy]
  loop_dims: [B, G, OY, OX, FX, FY]
  loop_sizes: [1, 8, 7, 7, 2, 2]
  operand_precision: {W: 0, I: 8, O: 16, O_final: 8}
  operand_source: {I: 0, W: 1}
- id: 2
  operator_type: Add
  equation: O[b][g][oy][ox]=W[b][g][oy][ox]+I[b][g][oy][ox]
  loop_dims: [B, G, OY, OX]
  loop_sizes: [1, 8, 7, 7]
  operand_precision: {W: 8, I: 8, O: 16, O_final: 8}
  operand_source: {I: 1, W: 1}
- id: 7
  name: fc
  operator_type: Gemm
  equation: O[b][k]+=I[b][c]*W[c][k]
  loop_dims: [B, C, K]
  loop_sizes: [1, 392, 10]
  operand_precision: {W: 8, I: 8, O: 24, O_final: 24}
  operand_source: {I: 2, W: 7}
"""
PROBLEM = """
problem:
  shape:
    name: layer
    dimensions: [C, K, R, S, N, P, Q]
    coefficients:
    - {name: Wstride, default: 1}
    - {name: Hdilation, default: 1}
    data-spaces:
    - {name: Weights, projection: [[[C]], [[K]], [[R]], [[S]]]}
    - name: Inputs
      projection: [[[N]], [[C]], [[R], [P, Wstride]], [[S, Hdilation], [Q]]]
    - {name: Outputs, projection: [[[N]], [[K]], [[Q]], [[P]]], read-write: true}
  instance: {C: 3, K: 8, R: 3, S: 2, N: 1, P: 14, Q: 13, Wstride: 2}
"""


def write(folder: Path, text: str, name: str = "net.yaml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def layer(equation: str, sizes: dict[str, int], relations: list[str]) -> Workload:
    entry = {
        "id": 3,
        "operator_type": "Conv",
        "equation": equation,
        "dimension_relations": relations,
        "loop_dims": list(sizes),
        "loop_sizes": list(sizes.values()),
        "operand_precision": {"I": 8, "W": 8, "O": 16, "O_final": 8},
    }
    read = peer_workload(parse_yaml(dump_yaml([entry]).encode(), source="f"), "f", "w", None)
    assert read is not None
    return read


def problem(text: str) -> Workload:
    read = peer_workload(parse_yaml(text.encode(), source="f"), "f", "w", None)
    assert read is not None
    return read


@given(st.tuples(*[SIZES] * 6), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_a_convolution_of_zigzag_is_ours(
    sizes: tuple[int, ...], batch: int, stride: int, dilation: int
) -> None:
    m, c, p, q, r, s = sizes
    read = layer(
        "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]",
        {"B": batch, "K": m, "C": c, "OY": p, "OX": q, "FY": r, "FX": s},
        [f"ix=1*ox+{dilation}*fx", f"iy={stride}*oy+1*fy"],
    )
    n = batch if batch > 1 else None
    expected = conv2d(*sizes, n=n, stride=(stride, 1), dilation=(1, dilation), name="w")
    assert read == expected


@pytest.mark.parametrize(
    ("equation", "sizes", "relations", "expected"),
    [
        ("O[b][k]+=I[b][c]*W[c][k]", {"B": 5, "C": 6, "K": 7}, [], gemm(7, 6, 5, name="w")),
        (
            "O[b][d][k]+=I[b][d][c]*W[b][c][k]",
            {"B": 4, "D": 5, "C": 6, "K": 7},
            [],
            batched_gemm(4, 7, 6, 5, name="w"),
        ),
        (
            "O[b][g][oy][ox]+=W[g][fy][fx]*I[b][g][iy][ix]",
            {"B": 1, "G": 8, "OY": 4, "OX": 5, "FY": 3, "FX": 2},
            ["ix=ox+fx", "iy=oy+fy"],
            depthwise_conv2d(8, 4, 5, 3, 2, name="w"),
        ),
        (
            "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]",
            {"B": 1, "G": 2, "K": 8, "C": 3, "OY": 4, "OX": 5, "FY": 3, "FX": 2},
            ["ix=1*ox+1*fx", "iy=1*oy+1*fy"],
            grouped_conv2d(2, 8, 3, 4, 5, 3, 2, name="w"),
        ),
        (
            "O[b][k][ox]+=W[k][c][fx]*I[b][c][ix]",
            {"B": 1, "K": 8, "C": 3, "OX": 5, "FX": 2},
            ["ix=3*ox+1*fx"],
            conv1d(8, 3, 5, 2, stride=3, name="w"),
        ),
    ],
)
def test_layers_of_zigzag_become_ready_made_kernels(
    equation: str, sizes: dict[str, int], relations: list[str], expected: Workload
) -> None:
    assert layer(equation, sizes, relations) == expected


def test_another_layer_of_zigzag_keeps_its_names(tmp_path: Path) -> None:
    read = layer("O[t][k]+=I[t][c]*W[t][c][k]", {"T": 3, "K": 4, "C": 5}, [])
    assert dict(read.sizes) == {"T": 3, "K": 4, "C": 5}
    assert [(t.name, t.role) for t in read.tensors] == [
        ("O", "output"),
        ("I", "input"),
        ("W", "weight"),
    ]
    assert load_workload(write(tmp_path, workload_to_yaml(read))) == read


def test_one_layer_of_several_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, NETWORK)
    expected = conv2d(8, 3, 14, 14, 3, 3, stride=2, name="net/first")
    assert load_workload(f"{path}:first") == expected
    assert load_workload(f"{path}:fc") == gemm(10, 392, 1, name="net/fc")
    with pytest.raises(WorkloadError, match="4 layers.*net.yaml:first.*first, Layer1, Layer2, fc"):
        load_workload(path)
    with pytest.raises(WorkloadError, match=r"no layer 'frist' \(did you mean 'first'\?\)"):
        load_workload(f"{path}:frist")
    with pytest.raises(WorkloadError, match="Layer1: Pooling is no sum of products"):
        load_workload(f"{path}:Layer1")


def test_a_file_with_one_workload_has_no_layers(tmp_path: Path) -> None:
    for text in (PROBLEM, workload_to_yaml(gemm(1, 2, 3))):
        with pytest.raises(WorkloadError, match="no layer 'x'; leave the name out"):
            load_workload(write(tmp_path, text) + ":x")


def test_layers_of_zigzag_make_a_graph(tmp_path: Path) -> None:
    graph = load_network(write(tmp_path, NETWORK))
    assert isinstance(graph, LayerGraph)
    assert [(e.name, e.cost_class) for e in graph.layers] == [
        ("first", "einsum"),
        ("Layer1", "window"),
        ("Layer2", "elementwise"),
        ("fc", "einsum"),
    ]
    assert graph.macs == 8 * 3 * 14 * 14 * 9 + 392 * 10
    assert [use.workload.name for use in graph.workloads()] == [
        "conv:M=8,P=14,Q=14,C=3,R=3,S=3,stride=2",
        "gemm:M=10,K=392,N=1",
    ]
    assert graph.parameters == 8 * 3 * 9 + 3920
    assert graph.parameter_bytes == 8 * 3 * 9 // 2 + 3920
    assert [(t.name, t.shape, t.dtype) for t in graph.inputs] == [
        ("first.I", (1, 3, 28, 28), "int8")
    ]
    assert [(t.shape, t.dtype) for t in graph.outputs] == [((1, 10), "int32")]
    assert graph.edges["first", "Layer1"]["bytes"] == 8 * 14 * 14
    # Four values of a window, two operands of an addition of which one is accumulated.
    assert [e.operations for e in graph.layers if e.on_vector_unit] == [8 * 49 * 4, 8 * 49]
    assert graph.warnings == (
        "24-bit values are stored in the next larger integer type of 2, 4, 8, 16, 32 or 64",
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("+=W[k]", "+=V[k]", "first: equation: expected the operands O, I and W"),
        ("*I[b][c][iy]", "*I[b][c][iz]", "first: equation: unknown dimension 'iz'"),
        ("ix=2*ox+1*fx, iy", "ix=2*ox, iy", "first: dimension_relations: expected such as"),
        ("[1, 8, 3, 14, 14, 3, 3]", "[1, 8, 3]", "expected 7 sizes"),
        ("[1, 8, 3, 14, 14, 3, 3]", "[1, 8, 0, 14, 14, 3, 3]", r"loop_sizes\[2\]: expected at"),
        ("[B, K, C, OY, OX, FY, FX]", "[B, B, C, OY, OX, FY, FX]", "names a dimension twice"),
        ("[B, K, C,", "[b, K, C,", "expected a name in capitals"),
        ("I: 2, W: 7", "I: 9, W: 7", "fc: operand_source.I: no layer has the number 9"),
        ("I: 0, W: 0", "I: 7, W: 0", "read from each other in a circle: first, Layer1"),
        ("id: 7", "id: 0", "two layers are called 0"),
        ("name: fc", "name: first", "two layers are called 'first'"),
        ("padding:", "pading:", r"\[0\].pading: unknown key \(did you mean 'padding'\?\)"),
    ],
)
def test_malformed_layers_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in NETWORK
    with pytest.raises(WorkloadError, match=message):
        load_network(write(tmp_path, NETWORK.replace(old, new, 1)))


def test_yaml_without_layers_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match="holds no network"):
        load_network(write(tmp_path, PROBLEM))
    with pytest.raises(
        WorkloadError, match="dims: leaves no batch open; layers in YAML have no dy"
    ):
        load_network(write(tmp_path, NETWORK), {"batch": 1})


def test_a_problem_of_timeloop_is_a_workload(tmp_path: Path) -> None:
    expected = conv2d(8, 3, 14, 13, 3, 2, stride=(2, 1), name="net")
    assert load_workload(write(tmp_path, PROBLEM)) == expected


def test_sizes_may_stand_in_the_problem_itself() -> None:
    text = """
problem: {shape: cnn-layer, R: 3, S: 2, P: 5, Q: 4, C: 6, K: 7, N: 2, Wstride: 2, Hdilation: 3}
"""
    # Timeloop's W goes with P and R, its H with Q and S.
    assert problem(text) == conv2d(7, 6, 5, 4, 3, 2, n=2, stride=(2, 1), dilation=(1, 3), name="w")


def test_nameless_data_spaces_keep_their_names() -> None:
    read = problem("""
problem:
  version: 0.4
  shape:
    name: product
    dimensions: [M, N, K]
    data_spaces:
    - {name: A, projection: [M, K]}
    - {name: B, projection: [K, N]}
    - {name: Z, projection: [M, N], read_write: true}
  instance: {M: 2, N: 3, K: 4}
""")
    assert [(t.name, t.role) for t in read.tensors] == [
        ("A", "weight"),
        ("B", "input"),
        ("Z", "output"),
    ]
    assert (read.kernel, dict(read.sizes)) == ("product", {"M": 2, "N": 3, "K": 4})


@given(st.tuples(*[SIZES] * 6), st.integers(1, 3), st.permutations("KCPQRS"))
def test_the_order_of_dimensions_does_not_matter(
    sizes: tuple[int, ...], stride: int, order: list[str]
) -> None:
    m, c, p, q, r, s = sizes
    values = {"K": m, "C": c, "P": p, "Q": q, "R": r, "S": s, "N": 1}
    shape = PROBLEM.replace("[C, K, R, S, N, P, Q]", f"[{', '.join(order)}, N]")
    instance = ", ".join(f"{d}: {size}" for d, size in values.items())
    text = f"{shape[: shape.index('  instance')]}  instance: {{{instance}, Wstride: {stride}}}\n"
    assert problem(text) == conv2d(*sizes, stride=(stride, 1), name="w")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("C: 3, K", "C: 0, K", "problem.instance.C: expected an integer from 1 to"),
        ("C: 3, K", "C: 2*16, K", "instance.C: expected an integer .* got '2\\*16'"),
        ("C: 3, K", "K", "problem.instance.C: this key is required and missing"),
        ("Wstride: 2}", "Wstrid: 2}", r"Wstrid: unknown key \(did you mean 'Wstride'\?\)"),
        ("Wstride: 2}", "densities: {Inputs: 0.5}}", "densities: sparse tensors are not"),
        ("[P, Wstride]", "[P, Hstride]", "unknown coefficient 'Hstride'; expected one of Wst"),
        ("[[[N]], [[C]], [[R]", "[[[N]], [[D]], [[R]", "unknown dimension 'D'"),
        ("[[[N]], [[C]], [[R]", "[[[N]], [[P]], [[R]", "dimension 'P' indexes the tensor twice"),
        ("read-write: true", "read-write: false", "expected exactly one data space"),
        ("read-write: true", "read-write: yes", "expected true or false, got 'yes'"),
        ("shape:", "shpe:", "problem.shpe: unknown key"),
        ("Weights, proj", "2, proj", "name: expected text, got 2"),
    ],
)
def test_malformed_problems_are_refused(old: str, new: str, message: str) -> None:
    assert old in PROBLEM
    with pytest.raises(WorkloadError, match=message):
        problem(PROBLEM.replace(old, new, 1))


PARSED = [parse_yaml(text.encode(), source="net") for text in (NETWORK, PROBLEM)]


@given(st.sampled_from(PARSED).flatmap(mutated))
def test_broken_workloads_are_read_or_refused(data: object) -> None:
    try:
        peer_workload(data, "net", "net", None)
    except WorkloadError as error:
        assert str(error).startswith("net: ")
    try:
        zigzag_network(read_layers(data, "net"), "net").table()
    except WorkloadError as error:
        assert str(error).startswith("net: ")


def test_a_shape_elsewhere_is_refused() -> None:
    with pytest.raises(WorkloadError, match="'mine' is a file of Timeloop's that is not here"):
        problem("problem: {shape: mine, C: 3}")


BASE = """
base: &base
  instance: {C: 1, K: 1, R: 1, S: 1, N: 1, P: 1, Q: 1, Wstride: 1, Hdilation: 1}
  shape:
    name: layer
    dimensions: [C, K, R, S, N, P, Q]
    coefficients: [{name: Wstride, default: 1}, {name: Hdilation, default: 1}]
    data_spaces:
    - {name: Weights, projection: [[[C]], [[K]], [[R]], [[S]]]}
    - {name: Inputs, projection: [[[N]], [[C]], [[R], [P, Wstride]], [[S, Hdilation], [Q]]]}
    - {name: Outputs, projection: [[[N]], [[K]], [[Q]], [[P]]], read_write: true}
"""


def test_a_problem_merges_with_the_base_that_it_includes(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    write(tmp_path, BASE, "base.yaml")
    text = """{{include_text('../base.yaml')}}
problem:
  <<<: *base
  instance: {C: 3, K: 8, R: 3, P: 14, Q: 13, WStride: 2}
"""
    expected = conv2d(8, 3, 14, 13, 3, 1, stride=(2, 1), name="layer")
    assert load_workload(write(tmp_path / "net", text, "layer.yaml")) == expected


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Wstride: 2}", "Wstride: 0}", "Wstride: with 0 all 14 iterations of P read the same"),
        ("Wstride: 2}", "Wstride: 2, wstride: 3}", "wstride: Wstride gives another value"),
        ("Wstride: 2}", "Ustride: 2}", r"Ustride: unknown key \(did you mean 'Wstride'"),
    ],
)
def test_coefficients_that_cannot_be_meant_are_refused(old: str, new: str, message: str) -> None:
    assert old in PROBLEM
    with pytest.raises(WorkloadError, match=message):
        problem(PROBLEM.replace(old, new))


def test_a_coefficient_of_a_single_iteration_does_not_matter() -> None:
    single = PROBLEM.replace("S: 2", "S: 1")
    assert problem(single.replace("Wstride: 2", "Wstride: 2, Hdilation: 0")) == problem(single)


@pytest.mark.parametrize("projection", ["[[]]", "[]"])
def test_a_tensor_of_one_value_has_no_axes(projection: str) -> None:
    read = problem(
        "problem: {instance: {S: 128}, shape: {name: dot, dimensions: [S], data-spaces: ["
        "{name: A, projection: [[[S]]]}, {name: B, projection: [[[S]]]}, "
        f"{{name: Z, projection: {projection}, read-write: true}}]}}}}"
    )
    assert [tensor.indices for tensor in read.tensors if tensor.role == "output"] == [()]
    assert read.macs == 128


def test_shapes_that_timeloop_keeps_in_files_are_known() -> None:
    sizes = "C: 32, N: 1, P: 14, Q: 13, R: 3, S: 2, Hstride: 2"
    read = problem(f"problem: {{shape: dw-cnn-layer, instance: {{{sizes}}}}}")
    assert read == depthwise_conv2d(32, 14, 13, 3, 2, stride=(1, 2), name="w")
    read = problem("problem: {shape: gemm_ABZ, instance: {M: 4, N: 5, K: 6}}")
    assert read.macs == 120 and read.kernel == "gemm_ABZ"
