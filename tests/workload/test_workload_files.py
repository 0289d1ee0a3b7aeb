from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import WorkloadError
from toolkit.workload import (
    KINDS,
    Role,
    Tensor,
    Term,
    Workload,
    build_kernel,
    conv2d,
    gemm,
    load_workload,
    parse_index,
    parse_tensor,
    read_workload,
    with_bits,
    workload_names,
    workload_to_yaml,
)
from toolkit.workload.bits import ROLE_BITS

SIZES = st.integers(1, 2**31)
BITS = st.integers(1, 64)
NAMES = st.text("abz/ :#é,1", min_size=1).filter(lambda text: text == text.strip())
INPUTS: list[Role] = ["input", "weight"]
DIMENSIONS = ("M", "N", "NO", "y", "on", "X_1")


def write(folder: Path, text: str) -> Path:
    path = folder / "layer.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@st.composite
def ready_made(draw: st.DrawFn) -> Workload:
    kernel = draw(st.sampled_from(sorted(KINDS)))
    kind = KINDS[kernel]
    values = {dimension: draw(SIZES) for dimension in kind.dimensions}
    if kind.strides:
        optional = ("N", *kind.strides, *kind.dilations)
        values.update(draw(st.dictionaries(st.sampled_from(optional), SIZES)))
    values.update(draw(st.dictionaries(st.sampled_from(tuple(ROLE_BITS)), BITS)))
    if "output_bits" in values and draw(st.booleans()):
        values["sum_bits"] = values["output_bits"] + draw(BITS)
    return build_kernel(kernel, values, name=draw(NAMES))


@st.composite
def general(draw: st.DrawFn) -> Workload:
    sizes = {d: draw(SIZES) for d in draw(st.permutations(DIMENSIONS))}
    tensors = []
    for i in range(draw(st.integers(1, 4))):
        order = draw(st.permutations(DIMENSIONS))
        cuts = sorted(draw(st.sets(st.integers(1, len(order)))))
        indices = tuple(
            tuple(Term(d, draw(SIZES)) for d in order[a:b])
            for a, b in zip([0, *cuts], cuts, strict=False)
        )
        role: Role = "output" if i == 0 else draw(st.sampled_from(INPUTS))
        bits = draw(st.none() | BITS)
        sums = bits + draw(BITS) if bits and i == 0 and draw(st.booleans()) else None
        tensors.append(Tensor(f"T{i}", role, indices, bits, sums))
    return Workload(draw(NAMES), draw(NAMES), sizes, tuple(tensors))


@given(workload=ready_made() | general())
def test_round_trip(workload: Workload, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write(tmp_path_factory.mktemp("w"), workload_to_yaml(workload))
    again = read_workload(path)
    assert again == workload
    assert again.dimensions == workload.dimensions


@pytest.mark.parametrize("name", workload_names())
def test_named_workloads_are_written_in_the_short_form(name: str, tmp_path: Path) -> None:
    workload = load_workload(name)
    text = workload_to_yaml(workload)
    assert "tensors" not in text
    assert load_workload(write(tmp_path, text)) == workload


def test_a_kernel_of_the_same_label_but_other_tensors_is_written_out() -> None:
    tensors = (parse_tensor("O[M]", "output"),)
    text = workload_to_yaml(Workload("x", "gemm", {"M": 4, "K": 2, "N": 3}, tensors))
    assert "- output: O[M]" in text


def test_ready_made_kernels(tmp_path: Path) -> None:
    text = (
        "kernel: conv\nsizes: {M: 8, C: 4, P: 10, Q: 9, R: 3, S: 2}\nstride: [2, 1]\ndilation: 3\n"
    )
    workload = read_workload(write(tmp_path, text))
    assert workload == conv2d(8, 4, 10, 9, 3, 2, stride=(2, 1), dilation=3, name="layer")


def test_general_kernels(tmp_path: Path) -> None:
    text = """
name: c
kernel: correlation
dimensions: {M: 4, P: 10, R: 3}
tensors:
  - input: In[2*P + R]
  - weight: "W[M, R]"
  - output: Out[M, P]
"""
    workload = read_workload(write(tmp_path, text))
    assert workload.kernel == "correlation"
    assert workload.reduction_dimensions == ("R",)
    assert workload.tensors[0] == Tensor("In", "input", ((Term("P", 2), Term("R")),))


def test_bits(tmp_path: Path) -> None:
    text = "kernel: gemm\nsizes: {M: 4, K: 2, N: 3}\nbits: 8\nweight_bits: 4\nsum_bits: 24\n"
    workload = read_workload(write(tmp_path, text))
    assert workload == with_bits(gemm(4, 2, 3, name="layer"), 8, weight_bits=4, sum_bits=24)
    text = """
dimensions: {M: 4, K: 2}
bits: 16
output_bits: 32
tensors:
  - input: A[K]
  - {input: "B[K]", bits: 3}
  - {output: "O[M]", sum_bits: 40}
"""
    tensors = read_workload(write(tmp_path, text)).tensors
    assert [(t.bits, t.sum_bits) for t in tensors] == [(16, None), (3, None), (32, 40)]


def test_paths_are_accepted_as_text_and_as_paths(tmp_path: Path) -> None:
    path = write(tmp_path, workload_to_yaml(gemm(4, 2, 3)))
    bare = path.rename(tmp_path / "bare")
    assert load_workload(bare) == load_workload(str(bare)) == gemm(4, 2, 3)
    with pytest.raises(WorkloadError, match=r"missing\.yml: no such file"):
        load_workload("missing.yml")


GEMM = "kernel: gemm\nsizes: {M: 1, K: 1, N: 1}\n"
CONV = "kernel: conv\nsizes: {M: 1, C: 1, P: 1, Q: 1, R: 1, S: 1}\n"
GENERAL = "dimensions: {M: 4, K: 2}\ntensors:\n  - output: O[M]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping, got nothing"),
        ("[]", "expected a mapping, got a list"),
        ("sizes: {M: 1}", "kernel: this key is required"),
        ("kernel: gemm", "sizes: this key is required"),
        ("kernel: gem\nsizes: {}", "kernel: unknown kernel 'gem'.*did you mean 'gemm'"),
        ("kernel: gemm\nsizes: {M: 1}", "missing K, N"),
        ("kernel: gemm\nsizes: [1, 2, 3]", "sizes: expected a mapping, got a list"),
        ("kernel: gemm\nsizes: {M: 1, K: 1, N: 1, Z: 1}", "unknown key 'Z'"),
        ("kernel: gemm\nsizes: {M: 0, K: 1, N: 1}", r"sizes\.M: expected at least 1, got 0"),
        ("kernel: gemm\nsizes: {M: 1.0, K: 1, N: 1}", r"sizes\.M: expected an integer, got 1.0"),
        ("kernel: gemm\nsizes: {M: 4294967296, K: 1, N: 1}", r"sizes\.M: expected at most"),
        ("kernel: gemm\nsizes: {M: true, K: 1, N: 1}", r"sizes\.M: expected an integer, got true"),
        (GEMM + "bits: 0", "bits: expected at least 1, got 0"),
        (GEMM + "bits: 8.0", "bits: expected an integer, got 8.0"),
        (GEMM + "input_bits: 4097", "input_bits: expected at most 4096, got 4097"),
        (GEMM + "sum_bits: 8", "sum_bits: got sum_bits 8; expected bits of the output beside"),
        (GEMM + "bits: 8\nsum_bits: 4", "sum_bits 4; partial sums need at least the 8 bits of"),
        ("kernel: gemm\nsizes: {M: 1, bits: 8}", r"sizes\.bits: is not a size; give bits next to"),
        (
            GENERAL + "  - {input: 'I[K]', sum_bits: 8}",
            r"tensors\.I\.sum_bits: got sum_bits 8",
        ),
        (GENERAL + "  - {input: 'I[K]', bits: -8}", r"tensors\[1\]\.bits: expected at least 1"),
        (GEMM + "strides: 2", r"strides: unknown key \(did you mean 'stride'\?\)"),
        (GEMM + "stride: 2", "unknown key 'stride'"),
        (GEMM + "stride: [2]", "stride: gemm takes none, got 1"),
        (GEMM + "name: ''", "name: expected 1 to 500 printable"),
        (CONV + "stride: 0", "stride: expected an integer from 1"),
        (CONV + "stride: [1, true]", "stride: .* got true"),
        (CONV + "stride: wide", "stride: .* got 'wide'"),
        (CONV + "dilation: [1, 2, 3]", r"dilation: conv takes 2 numbers \(Rdilation, Sdilation\)"),
        ("kernel: conv\nsizes: {stride: 2}", r"sizes\.stride: is not a size"),
        (GEMM + GENERAL, "sizes: unknown key"),
        ("dimensions: {M: 4}", "tensors: this key is required"),
        ("dimensions: {}\ntensors: [{output: 'O[]'}]", "dimensions: expected at least 1"),
        ("dimensions: {a b: 1}\ntensors: []", "dimensions: 'a b' cannot name a dimension"),
        ("dimensions: {M: 4}\ntensors: []", "tensors: exactly one tensor"),
        (GENERAL + "  - output: P[M]", "tensors: exactly one tensor"),
        (GENERAL + "  - input: O[M]", "tensors: tensor names repeat"),
        (GENERAL + "  - input: I[Z]", r"layer\.yaml: tensors\.I: unknown dimension 'Z'"),
        (GENERAL + "  - input: I[M, M]", r"tensors\.I: dimension 'M' indexes the tensor twice"),
        (GENERAL + "  - input: I", r"tensors\[1\]: expected NAME\[INDEX, ...\]"),
        (GENERAL + "  - input: I[2 M]", r"tensors\[1\]: expected sums such as"),
        (GENERAL + "  - input: I[M,]", r"tensors\[1\]: expected sums"),
        (GENERAL + "  - input: I[0*M]", r"tensors\[1\]: expected sums"),
        (GENERAL + "  - input: [M]", r"tensors\[1\]\.input: expected text, got a list"),
        (GENERAL + "  - {}", r"tensors\[1\]: expected one of input, weight, output"),
        (GENERAL + "  - bias: B[M]", r"tensors\[1\]\.bias: unknown key"),
    ],
)
def test_bad_files(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match=message) as caught:
        read_workload(write(tmp_path, text))
    assert "layer.yaml: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "+", "P +", "-P", "2P", "2*", "2**P", "2*3*P", "P*2", "1.5*P", "P;R", "9999999999*P"],
)
def test_bad_indices(text: str) -> None:
    with pytest.raises(WorkloadError, match="expected sums such as"):
        parse_index(text)


def test_a_scalar_tensor_has_no_index() -> None:
    assert parse_tensor("Loss[]", "output") == Tensor("Loss", "output", ())


@pytest.mark.parametrize(
    "workload",
    [
        gemm(4, 2, 3, name=""),
        gemm(4, 2, 3, name="\ud800"),
        gemm(2**31 + 1, 2, 3),
        Workload("x", "k", {"a b": 1}, (Tensor("O", "output", ()),)),
        Workload("x", "k", {"M": 1}, (Tensor("O 1", "output", ()),)),
    ],
    ids=["no name", "surrogate", "too large", "dimension", "tensor"],
)
def test_what_a_file_may_not_hold_is_not_written(workload: Workload) -> None:
    with pytest.raises(WorkloadError):
        workload_to_yaml(workload)
