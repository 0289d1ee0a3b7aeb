from __future__ import annotations

import gzip
import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import WorkloadError
from toolkit.workload import (
    KINDS,
    Term,
    Workload,
    build_kernel,
    conv2d,
    gemm,
    load_workload,
    named_workload,
    parse_spec,
    with_bits,
    workload_groups,
    workload_names,
)

DATA = Path(__file__).parent.parent / "data" / "factorflow_library.json.gz"
REFERENCE = json.loads(gzip.decompress(DATA.read_bytes()))
NAMES = [
    f"{group}/{member}" for group, members in REFERENCE["workloads"].items() for member in members
]


def test_the_library_is_the_references() -> None:
    assert list(workload_names()) == NAMES
    assert [n for group in workload_groups().values() for n in group] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_sizes_indices_and_coefficients_are_the_references(name: str) -> None:
    group, member = name.split("/")
    entry = REFERENCE["workloads"][group][member]
    kernel, sizes = REFERENCE["kernels"][entry["kernel"]], entry["sizes"]
    workload = named_workload(name)
    assert workload.name == name
    assert workload.kernel == entry["kernel"]
    assert list(workload.sizes.items()) == [(d, sizes[d]) for d in kernel["dims"]]
    for tensor, key in zip(workload.tensors, ("in", "w", "out"), strict=True):
        coefficients = kernel[f"{key}_strides"]
        assert tensor.indices == tuple(
            tuple(Term(d, sizes.get(coefficients.get(d), 1)) for d in index)
            for index in kernel[key]
        )


def test_a_group_alone_lists_its_members() -> None:
    with pytest.raises(WorkloadError, match="bert-large: names a group; .* bert-large/KQV, "):
        named_workload("bert-large")


def test_an_unknown_member_lists_the_members() -> None:
    with pytest.raises(WorkloadError, match="no workload 'L2'; members of resnet18: resnet18/L0"):
        named_workload("resnet18/L2")


def test_near_names_are_suggested() -> None:
    with pytest.raises(WorkloadError, match="did you mean bert-large/KQV"):
        named_workload("bert-lrge/kqv")


@pytest.mark.parametrize("name", ["", "/", "zzz", "../bert-base/KQV", "\0", "x" * 10_000])
def test_unknown_names(name: str) -> None:
    with pytest.raises(WorkloadError, match="unknown workload .*groups: bert-base") as caught:
        named_workload(name)
    assert len(str(caught.value)) < 300
    with pytest.raises(WorkloadError, match="also accepted: sizes such as"):
        load_workload(name)


SIZES = st.integers(1, 2**31)


@st.composite
def ready_made(draw: st.DrawFn) -> Workload:
    kernel = draw(st.sampled_from(sorted(KINDS)))
    kind = KINDS[kernel]
    values = {dimension: draw(SIZES) for dimension in kind.dimensions}
    if kind.strides:
        optional = ("N", *kind.strides, *kind.dilations)
        values.update(draw(st.dictionaries(st.sampled_from(optional), SIZES)))
    return build_kernel(kernel, values)


@given(ready_made())
def test_default_names_are_specifications(workload: Workload) -> None:
    again = parse_spec(workload.name)
    assert again == workload
    assert again.dimensions == workload.dimensions


@given(st.text(max_size=20) | st.text("conv:gem=1,MKN0", max_size=30))
def test_any_text_is_a_workload_or_a_workload_error(text: str) -> None:
    try:
        assert isinstance(parse_spec(text), Workload)
    except WorkloadError as error:
        assert error.source


def test_keys_come_in_any_order_with_spaces() -> None:
    assert parse_spec(" gemm : N = 3, M=4 ,K=2 ") == gemm(4, 2, 3)


def test_strides_and_dilations() -> None:
    spec = "conv:M=64,C=3,P=112,Q=112,R=7,S=7"
    assert parse_spec(f"{spec},stride=2") == conv2d(64, 3, 112, 112, 7, 7, stride=2)
    assert parse_spec(f"{spec},Pstride=2,Qstride=2") == parse_spec(f"{spec},stride=2")
    assert parse_spec(f"{spec},Sdilation=3,N=5") == conv2d(
        64, 3, 112, 112, 7, 7, n=5, dilation=(1, 3)
    )
    assert parse_spec(f"{spec},stride=1") == parse_spec(spec)


def test_names() -> None:
    assert parse_spec("gemm:M=4,K=2,N=3", name="mine").name == "mine"
    assert load_workload("gemm:M=4,K=2,N=3") == gemm(4, 2, 3)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("gemm:M=4,K=2,N=3,bits=8", "gemm:M=4,K=2,N=3,bits=8"),
        ("gemm:bits=8,sum_bits=32,M=4,K=2,N=3", "gemm:M=4,K=2,N=3,bits=8,sum_bits=32"),
        ("gemm:M=4,K=2,N=3,bits=8,output_bits=8", "gemm:M=4,K=2,N=3,bits=8"),
        ("gemm:M=4,K=2,N=3,bits=8,output_bits=16", "gemm:M=4,K=2,N=3,bits=8,output_bits=16"),
        ("gemm:M=4,K=2,N=3,weight_bits=4", "gemm:M=4,K=2,N=3,weight_bits=4"),
        (
            "conv1d:M=1,C=1,P=2,R=3,stride=2,bits=8,weight_bits=4",
            "conv1d:M=1,P=2,C=1,R=3,Pstride=2,input_bits=8,weight_bits=4,output_bits=8",
        ),
    ],
)
def test_bits_are_part_of_a_specification(text: str, name: str) -> None:
    workload = load_workload(text)
    assert workload.name == name
    assert load_workload(name) == workload
    assert workload != load_workload(text.replace("bits=8", "bits=7").replace("bits=4", "bits=3"))
    assert pickle.loads(pickle.dumps(workload)) == workload
    assert len({workload, load_workload(name), with_bits(workload, 9)}) == 2


def test_named_workloads_take_bits() -> None:
    workload = load_workload("bert-base/KQV:bits=8,sum_bits=32")
    assert workload.name == "bert-base/KQV:bits=8,sum_bits=32"
    plain = load_workload("bert-base/KQV")
    assert workload.sizes == plain.sizes
    assert workload == with_bits(replace(plain, name=workload.name), 8, sum_bits=32)
    with pytest.raises(WorkloadError, match="M: given twice"):
        load_workload("bert-base/KQV:M=8")
    with pytest.raises(WorkloadError, match="no workload 'KQ'; members of bert-base"):
        load_workload("bert-base/KQ:bits=8")


def test_bits_of_roles_and_sums() -> None:
    workload = load_workload("gemm:M=4,K=2,N=3,bits=8,weight_bits=4,sum_bits=24")
    found = {t.role: (t.bits, t.sum_bits) for t in workload.tensors}
    assert found == {"input": (8, None), "weight": (4, None), "output": (8, 24)}
    named = with_bits(gemm(4, 2, 3, name="mine"), 8)
    assert (named.name, named.output.bits) == ("mine", 8)
    assert with_bits(with_bits(gemm(4, 2, 3), 8), 16) == with_bits(gemm(4, 2, 3), 16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gemm:M=1,K=1,N=1,bits=0", "bits: expected an integer from 1 to 4096, got 0"),
        ("gemm:M=1,K=1,N=1,bits=4097", "bits: expected an integer from 1 to 4096, got 4097"),
        ("gemm:M=1,K=1,N=1,bits=-8", "bits: expected a plain integer .*, got '-8'"),
        ("gemm:M=1,K=1,N=1,bits=8.0", "bits: expected a plain integer .*, got '8.0'"),
        ("gemm:M=1,K=1,N=1,sum_bits=8", "sum_bits: got sum_bits 8; expected bits of the output"),
        ("gemm:M=1,K=1,N=1,bits=8,sum_bits=7", "got sum_bits 7; .* at least the 8 bits of the ou"),
        ("gemm:M=1,K=1,N=1,bit=8", r"unknown key 'bit' \(did you mean 'bits'\?\)"),
        ("gem:M=1,K=1,N=1", "unknown kernel 'gem'.*did you mean 'gemm'.*batched-gemm"),
        (":M=1", "unknown kernel ''"),
        ("gemm", "expected sizes after gemm:, such as gemm:M=1,K=1,N=1"),
        ("gemm:", "expected sizes"),
        ("gemm:M", "expected KEY=SIZE, got 'M'"),
        ("gemm:=4", "expected KEY=SIZE"),
        ("gemm:M=1,K=1,N=1,", "expected KEY=SIZE, got ''"),
        ("gemm:M=1,K=1", "missing N; gemm needs M, K, N"),
        ("conv:M=1,C=1,P=1,Q=1", "missing R, S"),
        ("gemm:M=1,K=1,N=1,M=2", "M: given twice"),
        ("gemm:m=1,K=1,N=1", r"unknown key 'm' \(did you mean 'M'\?\); gemm takes M, K, N"),
        ("gemm:M=1,K=1,N=1,stride=2", "unknown key 'stride'"),
        ("conv1d:M=1,C=1,P=1,R=1,Qstride=2", "unknown key 'Qstride'"),
        ("conv1d:M=1,C=1,P=1,R=1,stride=2,Pstride=2", "stride: given .* again as Pstride"),
        ("gemm:M=0,K=1,N=1", "M: expected an integer from 1"),
        ("gemm:M=2147483649,K=1,N=1", "M: expected an integer from 1 to 2147483648"),
        ("gemm:M=-4,K=1,N=1", "M: expected a plain integer .*, got '-4'"),
        ("gemm:M=+4,K=1,N=1", "got '\\+4'"),
        ("gemm:M=04,K=1,N=1", "got '04'"),
        ("gemm:M=4.0,K=1,N=1", "got '4.0'"),
        ("gemm:M=1e3,K=1,N=1", "got '1e3'"),
        ("gemm:M=nan,K=1,N=1", "got 'nan'"),
        ("gemm:M=1_000,K=1,N=1", "got '1_000'"),
        ("gemm:M=٤,K=1,N=1", "expected a plain integer"),
        ("gemm:M=,K=1,N=1", "got ''"),
        ("gemm:M=4=4,K=1,N=1", "got '4=4'"),
        ("gemm:M=" + "9" * 900, "expected a plain integer"),
        ("gemm:" + "M=1," * 1000, "longer than 1000 characters"),
    ],
)
def test_bad_specifications(text: str, message: str) -> None:
    with pytest.raises(WorkloadError, match=message) as caught:
        parse_spec(text)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_the_largest_size_is_accepted() -> None:
    assert parse_spec("gemm:M=2147483648,K=1,N=1").macs == 2**31
