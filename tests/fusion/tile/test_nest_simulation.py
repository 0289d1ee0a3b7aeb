"""Nests run on real numbers: the right results, and the words and buffers that plans speak of."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from math import prod

import numpy as np
import pytest
from examples import some
from fusion.nest_operations import random_data, reference
from fusion.nest_points import random_group, random_plan
from fusion.nest_program import Program, program
from fusion.nest_simulation import Run, run
from fusion.nest_stays import Stay, stays
from fusion.products import attention, images, joined, mixture, mlp, sharing

from toolkit.fusion import Assumptions, FoldedGraph, GroupPlan, best_plan
from toolkit.fusion.groups import GroupView


def check(graph: FoldedGraph, plan: GroupPlan) -> Run:
    """Run a plan, and compare what it does with what it says."""
    ready = program(GroupView(graph, frozenset(graph.names)), plan)
    data = random_data(graph)
    done, expected = run(ready, plan, data), reference(graph, data)
    for name, values in done.outputs.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-9, atol=1e-9)
    assert done.peak <= plan.peak_words
    compare_words(ready, plan, done)
    compare_parts(plan, done)
    return done


def compare_words(ready: Program, plan: GroupPlan, done: Run) -> None:
    """The same words; fewer only where the model says that it counts more."""
    for entry, moved in zip(stays(ready, plan.kept), done.moved, strict=True):
        kept = entry.kept
        assert moved <= kept.moved_words, kept
        if not counted_more(ready, plan, entry):
            assert moved == kept.moved_words, kept


def counted_more(ready: Program, plan: GroupPlan, entry: Stay) -> bool:
    """Steps that make nothing, windows that end at the edge, positions that are not read."""
    kept = entry.kept
    if kept.kind == "weights":
        steps = prod(loop.steps for loop in plan.loops if kept.name in loop.layers)
        place = [layer.name for layer in ready.view.layers].index(kept.name)
        return sum(turn.place == place for turn in ready.turns) < steps
    if kept.kind == "input":
        read = np.any([visit.touched for visit in entry.visits], axis=0)
        return bool(plan.halo) or not read.all()
    return False


def compare_parts(plan: GroupPlan, done: Run) -> None:
    """As many parts of each size; where halos are made again, no more than that."""
    for name, made in plan.made.items():
        if plan.halo:
            assert sum(done.runs[name].values()) <= sum(made.values())
        else:
            assert done.runs[name] == Counter(made)


@pytest.mark.parametrize("seed", some(range(80), 24))
def test_any_point_of_any_nest_computes_the_network(seed: int) -> None:
    draw = random.Random(seed)
    graph = random_group(seed)
    for _ in range(3):
        check(graph, random_plan(graph, draw))


@pytest.mark.parametrize("seed", some(range(24), 12))
def test_layers_that_read_one_tensor_compute_what_they_do_apart(seed: int) -> None:
    """Loops that follow an input to several readers, columns cut side by side included."""
    graph, draw = sharing(seed), random.Random(seed)
    for _ in range(2):
        check(graph, random_plan(graph, draw))


@pytest.mark.parametrize("seed", range(10))
def test_tensors_side_by_side_need_no_copy(seed: int) -> None:
    graph, draw = joined(seed), random.Random(seed)
    for _ in range(3):
        check(graph, random_plan(graph, draw))


@pytest.mark.parametrize("seed", range(12))
def test_experts_compute_what_they_do_apart(seed: int) -> None:
    """Of inputs of their own, and of rows that nobody knows."""
    draw = random.Random(seed)
    tokens, count, each, inner = (draw.randint(a, b) for a, b in ((2, 6), (2, 3), (1, 4), (2, 6)))
    graph = mixture(tokens, count, each, inner)
    for _ in range(3):
        check(graph, random_plan(graph, draw))


CASES = {
    "attention": attention(),
    "shared heads": attention(4, 4, 6, 2, shared=2, mask=True),
    "mlp": mlp(6, 4, 8),
    "layer norm": mlp(5, 4, 6, "LayerNormalization"),
    "gated": mlp(5, 4, 6, "RMSNormalization", gated=True),
    "experts": mixture(),
    **{f"images {seed}": images(seed) for seed in (3, 4, 6, 7)},
}


@pytest.mark.parametrize("name", CASES)
def test_the_best_plans_do_what_they_say(name: str) -> None:
    graph, found = CASES[name], 0
    for capacity in (200, 100, 70, 50, 36, 24):
        plan = best_plan(GroupView(graph, frozenset(graph.names)), Assumptions(capacity))
        if plan is not None:
            check(graph, plan)
            assert plan.peak_words <= capacity
            found += 1
    assert found


def test_streamed_attention_never_holds_a_row_of_scores() -> None:
    """Two heads of six queries and eight keys in 40 words: keys and values pass in blocks."""
    graph = attention(2, 6, 8, 2)
    plan = best_plan(GroupView(graph, frozenset(graph.names)), Assumptions(25))
    assert plan is not None
    assert any(kept.kind == "state" for kept in plan.kept)
    assert check(graph, plan).peak < 2 * 6 * 8


def test_a_plan_that_keeps_too_little_is_found_out() -> None:
    """Hidden columns that are forgotten before they are read, and words that are not counted."""
    graph = mlp(6, 4, 8)
    plan = best_plan(GroupView(graph, frozenset(graph.names)), Assumptions(60))
    assert plan is not None and plan.loops
    fewer = tuple(replace(kept, moved_words=kept.moved_words - 1) for kept in plan.kept)
    with pytest.raises(AssertionError, match="Kept"):
        check(graph, replace(plan, kept=fewer))
    with pytest.raises(AssertionError):
        check(graph, replace(plan, peak_words=plan.peak_words // 2))
    deep = random_plan(attention(2, 4, 5, 3), random.Random(5))
    (scores,) = (kept for kept in deep.kept if kept.name == "scores.out")
    assert scores.depth is not None and scores.depth < len(deep.loops)
    late = tuple(
        replace(kept, depth=len(deep.loops)) if kept is scores else kept for kept in deep.kept
    )
    with pytest.raises(AssertionError, match="not there"):
        check(attention(2, 4, 5, 3), replace(deep, kept=late))
