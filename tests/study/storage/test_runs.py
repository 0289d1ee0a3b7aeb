"""Names and records of what is searched: two questions never share one."""

from __future__ import annotations

import itertools

import toolkit
from toolkit.search import make_problem
from toolkit.study.storage.recording import problem_record
from toolkit.study.storage.runs import Run, problem_name
from toolkit.workload import gemm

ARCH, WORKLOAD = toolkit.load_arch("eyeriss"), gemm(37, 4, 4)
PROBLEMS = [
    make_problem(ARCH, WORKLOAD, factors="perfect"),
    make_problem(ARCH, WORKLOAD, factors="ragged"),
    make_problem(ARCH, WORKLOAD, pad="M"),
]


def test_ragged_and_padded_problems_have_names_of_their_own() -> None:
    base = "gemm:M=37,K=4,N=4 on eyeriss, edp, exact"
    size = PROBLEMS[2].workload.sizes["M"]
    assert size > 37
    assert [problem_name(problem) for problem in PROBLEMS] == [
        base,
        f"{base}, ragged",
        f"{base}, M padded from 37 to {size}",
    ]


def test_their_records_differ_too() -> None:
    runs = [Run(problem, "greedy", 0, toolkit.Budget(10)) for problem in PROBLEMS]
    records = [problem_record(run) for run in runs]
    assert all(a != b for a, b in itertools.combinations(records, 2))
    # Older storages say nothing of factors, which were perfect then.
    assert "factors" not in records[0] and "factors" not in records[0]["conventions"]
    assert records[1]["factors"] == "ragged"
