"""A mapping's spatial factors as constraints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import toolkit
from toolkit.arch import FactorConstraint
from toolkit.cli.problems import read_problem
from toolkit.errors import InputError, MappingError
from toolkit.mapping import fix_spatial, from_arrays, to_arrays
from toolkit.model import EXACT

from .spaces import arch as small_arch
from .spaces import fanout, memory

ARCH = small_arch(memory("DRAM"), fanout("SARows", 16, "M"), memory("Buf", 4096), name="pos")
WORKLOAD = toolkit.load_workload("gemm:M=64,K=32,N=16")


def test_a_search_keeps_what_is_fixed_and_finds_the_rest() -> None:
    free = toolkit.make_problem(ARCH, WORKLOAD)
    for seed in range(3):
        given = toolkit.search_mappings(
            free, "random", budget=toolkit.Budget(evaluations=20), seed=seed
        ).mapping
        fixed = toolkit.make_problem(fix_spatial(ARCH, WORKLOAD, given), WORKLOAD)
        best = toolkit.search_mappings(fixed, "exact")
        spatial = [level.name for level in (*ARCH.fanouts, ARCH.levels[-1])]
        for found, asked in zip(best.mapping.levels, given.levels, strict=True):
            if found.level in spatial:
                assert dict(found.factors) == dict(asked.factors)
        cost = toolkit.evaluate(given, ARCH, WORKLOAD).edp_pj_cycles
        assert best.proved
        assert toolkit.search_mappings(free, "exact").objective <= best.objective <= cost


def with_factor(name: str, dimension: str, factor: int) -> toolkit.Mapping:
    """A mapping that is valid nowhere but on spatial levels, with one factor of choice."""
    result = toolkit.search_mappings(
        toolkit.make_problem(ARCH, WORKLOAD), "random", budget=toolkit.Budget(evaluations=5)
    )
    factors, order = to_arrays(result.mapping, ARCH, WORKLOAD)
    names = [level.name for level in ARCH.levels]
    factors[:] = 1
    factors[names.index("DRAM")] = list(WORKLOAD.sizes.values())
    factors[names.index(name), list(WORKLOAD.dimensions).index(dimension)] = factor
    return from_arrays(factors, order, ARCH, WORKLOAD)


def test_memories_of_the_mapping_do_not_matter() -> None:
    fixed = fix_spatial(ARCH, WORKLOAD, with_factor("SARows", "M", 8))
    rows = next(level for level in fixed.levels if level.name == "SARows")
    assert rows.constraints == (FactorConstraint("M", "==", 8),)
    assert toolkit.search_mappings(toolkit.make_problem(fixed, WORKLOAD), "greedy").evaluations > 0


def test_spatial_levels_have_to_be_valid() -> None:
    with pytest.raises(MappingError, match="pos: SARows: unrolls 32 times over 16 instances"):
        fix_spatial(ARCH, WORKLOAD, with_factor("SARows", "M", 32))
    with pytest.raises(MappingError, match="SARows: unrolls N 2 times, but may unroll M"):
        fix_spatial(ARCH, WORKLOAD, with_factor("SARows", "N", 2))
    half = fix_spatial(ARCH, WORKLOAD, with_factor("SARows", "M", 8))
    with pytest.raises(MappingError, match="M 4 times, but is constrained to M == 8"):
        fix_spatial(half, WORKLOAD, with_factor("SARows", "M", 4))


def test_constraints_that_exceed_the_workload_do_not_count() -> None:
    arch, workload = toolkit.load_arch("gemmini"), toolkit.load_workload("gemm:M=4,K=32,N=16")
    given = toolkit.search_mappings(toolkit.make_problem(arch, workload), "greedy").mapping
    problem = toolkit.make_problem(fix_spatial(arch, workload, given), workload)
    assert toolkit.search_mappings(problem, "exact").proved


def test_the_command_line_takes_it_from_a_file(tmp_path: Path) -> None:
    arch, path, words = tmp_path / "arch.yaml", tmp_path / "mapping.yaml", ["gemm:M=64,K=32,N=16"]
    arch.write_text(toolkit.arch_to_yaml(ARCH))
    toolkit.write_mapping(path, with_factor("SARows", "M", 8))
    problem = read_problem(str(arch), words, "edp", EXACT, [], False, fix=f"spatial:{path}")
    assert problem.arch == fix_spatial(ARCH, WORKLOAD, with_factor("SARows", "M", 8))
    for wrong in ("spatial", "spatial:", f"temporal:{path}"):
        with pytest.raises(InputError, match="--fix: expected spatial:FILE"):
            read_problem(str(arch), words, "edp", EXACT, [], False, fix=wrong)


def test_what_the_file_leaves_out_of_memories_does_not_matter(tmp_path: Path) -> None:
    """As a search that may leave anything out writes it, whatever the one to come may."""
    arch, path, words = tmp_path / "arch.yaml", tmp_path / "mapping.yaml", ["gemm:M=64,K=32,N=16"]
    arch.write_text(toolkit.arch_to_yaml(ARCH))
    given = with_factor("SARows", "M", 8)
    left = [replace(x, bypasses=("input",)) if x.level == "Buf" else x for x in given.levels]
    toolkit.write_mapping(path, toolkit.Mapping(tuple(left)))
    for rule in ("fixed", "free"):
        problem = read_problem(
            str(arch), words, "edp", EXACT, [], False, bypass=rule, fix=f"spatial:{path}"
        )
        rows = next(level for level in problem.arch.levels if level.name == "SARows")
        assert rows.constraints == (FactorConstraint("M", "==", 8),)
