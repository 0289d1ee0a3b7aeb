from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from toolkit.errors import WorkloadError
from toolkit.workload import Term, load_workload, named_workload, workload_groups, workload_names

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
