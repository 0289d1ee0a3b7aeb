"""Tables and tests of significance, on outcomes made by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon
from study.runs import BUDGET, comparison, problem

from toolkit.errors import InputError
from toolkit.search import Budget, FrontPoint
from toolkit.study.compare.comparison import compare, failed
from toolkit.study.compare.readable import describe_columns, readable_summary
from toolkit.study.compare.statistics import holm, problem_medians, rank_table, significance
from toolkit.study.compare.tables import (
    front_table,
    hypervolume,
    references,
    run_table,
    summary_table,
    trace_table,
)
from toolkit.study.storage.files import write_tables
from toolkit.study.storage.runs import Comparison

TWO = comparison({"a": [[(300.0, 103.0), (100.0,)]], "b": [[(105.0, 104.0), ()]]})


def single(values: dict[str, list[float]]) -> Comparison:
    """One seed; a value per problem, inf for a run that failed."""
    return comparison(
        {name: [[(v,) if v < math.inf else ()] for v in row] for name, row in values.items()}
    )


def test_gaps_are_to_the_best_of_all_runs() -> None:
    assert run_table(TWO)["gap"].round(6).fillna(-1).tolist() == [0.03, -1, 0.04, math.inf]


def test_no_gap_is_zero_unless_the_reference_is_proved() -> None:
    values = {"a": [[(100.0,)]], "b": [[(110.0,)]]}
    cells = {
        None: ("best of this field", "best here"),
        80.0: ("bound", "0 to 25"),
        100.0: ("proved", "0"),
    }
    for bound, (kind, cell) in cells.items():
        made = comparison(values, **({} if bound is None else {"a": bound}))
        summary = summary_table(made)
        assert summary["reference_kind"].tolist() == [kind, kind]
        assert summary["gap_median"].fillna(-1).tolist() == [0 if kind == "proved" else -1, 0.1]
        shown = readable_summary(summary, made.problems[0].objective)["median %\nabove best"]
        assert shown.tolist() == [cell, "10"]


def test_evaluations_that_are_no_mappings_are_marked() -> None:
    made = comparison({name: [[(100.0,)]] for name in ("exact", "gradient", "mine")})
    shown = readable_summary(summary_table(made), made.problems[0].objective)["strategy"]
    assert shown.tolist() == ["exact *", "gradient *", "mine"]


def test_how_soon_runs_come_near_the_best() -> None:
    runs = run_table(TWO)
    assert runs["evaluations_to_5_percent"].fillna(-1).tolist() == [20, 10, 10, -1]
    assert runs["seconds_to_5_percent"].fillna(-1).tolist() == [2, 1, 1, -1]
    assert runs["evaluations_to_1_percent"].fillna(-1).tolist() == [-1, 10, -1, -1]


def test_summary_over_seeds() -> None:
    a, b = summary_table(TWO).to_dict("records")
    assert (a["best"], a["median"], a["worst"], a["failed"]) == (100.0, 101.5, 103.0, 0)
    assert (b["best"], b["median"], b["worst"], b["failed"]) == (104.0, math.inf, math.inf, 1)
    assert math.isnan(a["gap_best"])
    assert a["gap_median"] == pytest.approx(0.015)
    assert (a["reached_1_percent"], a["reached_5_percent"], b["reached_5_percent"]) == (1, 2, 1)
    # The run that failed spent 100 evaluations and 9 seconds to no avail.
    assert (a["evaluations_to_5_percent"], b["evaluations_to_5_percent"]) == (15, 110)
    assert (b["seconds_to_5_percent"], b["seconds_to_1_percent"]) == (10, math.inf)


def test_runs_that_failed_spent_their_budget_to_no_avail() -> None:
    values = {"a": [[(100.0,), (), ()]]}
    made = comparison(values)
    unknown = tuple(
        failed(o.run, "nothing", 4.0) if o.error else o for o in made.outcomes
    )  # As `compare` makes them.
    (row,) = summary_table(replace(made, outcomes=unknown)).to_dict("records")
    assert row["evaluations_to_1_percent"] == 10 + 2 * 120
    assert row["seconds_to_1_percent"] == 1 + 2 * 4
    unlimited = replace(made, outcomes=unknown, budget=Budget(seconds=5.0))
    (row,) = summary_table(unlimited).to_dict("records")
    assert math.isnan(row["evaluations_to_1_percent"])
    assert row["seconds_to_1_percent"] == 9


def test_the_reference_is_proved_only_if_a_bound_meets_it() -> None:
    values = {"a": [[(100.0,)]], "b": [[(100.0,)]]}
    for bound, proved in ((100.0, True), (99.0, False)):
        (found,) = references(comparison(values, b=bound)).values()
        assert (found.value, found.proved, found.bound) == (100.0, proved, bound)


def test_traces_are_tabulated() -> None:
    table = trace_table(TWO)
    assert table["objective_value"].tolist() == [300.0, 103.0, 100.0, 105.0, 104.0]
    assert table["evaluations"].tolist() == [10, 20, 10, 10, 20]


# Fronts


def test_hypervolume_of_a_staircase() -> None:
    points = np.array([[1.0, 3.0], [2.0, 1.0], [2.5, 2.0], [9.0, 0.5], [1.0, 3.0]])
    assert hypervolume(points, (4.0, 4.0)) == 3 * 1 + 2 * 2


@given(
    st.lists(st.tuples(*2 * [st.integers(0, 8)]), max_size=8).map(
        lambda points: np.array(points, dtype=float).reshape(-1, 2)
    )
)
def test_hypervolume_counts_dominated_cells(points: np.ndarray) -> None:
    cells = [(x, y) for x in range(6) for y in range(6)]
    dominated = sum(any(p[0] <= x and p[1] <= y for p in points) for x, y in cells)
    assert hypervolume(points, (6.0, 6.0)) == dominated


def test_hypervolumes_share_one_reference_point() -> None:
    both = compare([problem(objective="energy,latency")], ["random"], BUDGET, 2)
    mapping = both.outcomes[0].mapping
    assert mapping is not None
    fronts = [
        [FrontPoint(1.0, 2.0, mapping), FrontPoint(2.0, 1.0, mapping)],
        [FrontPoint(2.0, 2.0, mapping)],
    ]
    outcomes = [replace(o, front=tuple(f)) for o, f in zip(both.outcomes, fronts, strict=True)]
    made = replace(both, outcomes=tuple(outcomes))
    # The box reaches from (1, 1) to 1.1 * (2, 2).
    volumes = run_table(made)["hypervolume"] * 1.2**2
    assert volumes.tolist() == pytest.approx([0.44, 0.04])
    assert front_table(made)["energy_total_pj"].tolist() == [1.0, 2.0, 2.0]


# Ranks and tests


def test_equal_values_share_ranks() -> None:
    ranks = rank_table(single({"a": [2.0, 5.0], "b": [2.0 * (1 + 1e-12), 9.0], "c": [1.0, 7.0]}))
    assert ranks["strategy"].tolist() == ["c", "a", "b"]
    assert ranks["mean_rank"].tolist() == [1.5, 1.75, 2.75]
    assert ranks["first"].tolist() == [1, 1, 0]


def test_a_failed_median_ranks_last() -> None:
    ranks = rank_table(single({"a": [math.inf, math.inf], "b": [3.0, math.inf]}))
    assert ranks[["strategy", "mean_rank", "failed_runs"]].to_numpy().tolist() == [
        ["b", 1.25, 1],
        ["a", 1.75, 2],
    ]
    assert (ranks["gap"] == math.inf).all()


def test_medians_keep_the_order_asked() -> None:
    assert list(problem_medians(TWO).columns) == ["a", "b"]
    assert problem_medians(TWO).iloc[0].tolist() == [101.5, math.inf]


def test_one_strategy_better_on_ten_problems_is_significant() -> None:
    better = [float(i + 1) for i in range(10)]
    test = significance(
        single(
            {
                "a": better,
                "b": [2 * v for v in better],
                "c": [2 * v + i for i, v in enumerate(better)],
            }
        )
    )
    assert test.iman_davenport_p < 0.01
    # Demšar's example: Friedman's 9.28 of four classifiers on 14 data sets becomes 3.69.
    assert pytest.approx(3.69, abs=0.005) == (13 * 9.28) / (14 * 3 - 9.28)
    pairs = test.pairs.set_index(["strategy", "other"])
    assert pairs.loc[("a", "b"), "p"] == pytest.approx(2 / 2**10)
    assert pairs.loc[("a", "b"), "significant"]
    assert pairs.loc[("a", "b"), ["better", "equal", "worse"]].tolist() == [10, 0, 0]
    assert pairs.loc[("a", "b"), "ratio"] == pytest.approx(0.5)
    assert pairs.loc[("b", "c"), "equal"] == 1


def test_wilcoxon_is_of_log_ratios() -> None:
    ours, theirs = [1.0, 8.0, 3.0, 7.0, 2.0], [2.0, 9.0, 2.0, 20.0, 7.0]
    test = significance(single({"a": ours, "b": theirs}))
    expected = wilcoxon(np.log(ours), np.log(theirs)).pvalue
    assert test.pairs["p"].tolist() == [pytest.approx(expected)]
    assert math.isnan(test.iman_davenport_p)


@pytest.mark.parametrize(
    ("problems", "words"),
    [(1, "no test"), (5, "no pair can come out significant"), (7, "are few"), (10, "the sample")],
)
def test_few_problems_are_called_few(problems: int, words: str) -> None:
    rows = {name: [float(i + 1)] * problems for i, name in enumerate("abc")}
    test = significance(single(rows))
    assert words in test.note
    assert test.pairs["significant"].any() == (problems >= 7)


def test_no_difference_at_all() -> None:
    test = significance(single({name: [1.0, 2.0, math.inf] for name in "abc"}))
    assert (test.friedman_statistic, test.iman_davenport_p) == (0.0, 1.0)
    assert test.pairs["p_holm"].tolist() == [1.0, 1.0, 1.0]
    assert test.pairs["equal"].tolist() == [3, 3, 3]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_agrees_with_its_definition(p: list[float]) -> None:
    rising = sorted(range(len(p)), key=lambda i: p[i])
    highest, expected = 0.0, [0.0] * len(p)
    for place, i in enumerate(rising):
        highest = max(highest, (len(p) - place) * p[i])
        expected[i] = min(1.0, highest)
    assert holm(p).tolist() == expected


def test_values_of_a_function_may_be_negative() -> None:
    test = significance(single({"a": [-2.0, -3.0], "b": [-1.0, 4.0]}))
    assert test.pairs[["better", "worse"]].to_numpy().tolist() == [[2, 0]]
    assert run_table(single({"a": [-2.0], "b": [-1.0]}))["gap"].fillna(-1).tolist() == [-1, 0.5]


# What is known


def test_a_strategy_says_what_it_proves_of_all_its_runs() -> None:
    values = {"a": [[(120.0,), (100.0,)]], "b": [[(100.0,), (100.0,)]], "c": [[(130.0,), ()]]}
    made = comparison(values, a=80.0, b=100.0)
    stopped = [replace(o, stopped=o.run.strategy == "c" and not o.error) for o in made.outcomes]
    made = replace(made, outcomes=tuple(stopped))
    runs, summary = run_table(made), summary_table(made)
    assert runs["status"].tolist() == [
        "within 50 % of the best possible",
        "within 25 % of the best possible",
        "proved optimal",
        "proved optimal",
        "stopped",
        "",
    ]
    assert runs["within_fraction"].round(9).tolist()[:4] == [0.5, 0.25, 0.0, 0.0]
    assert runs["within_fraction"].isna().tolist()[4:] == [True, True]
    assert summary["status"].tolist() == [
        "within 50 % of the best possible",
        "proved optimal",
        "stopped",
    ]
    cells = readable_summary(summary, made.problems[0].objective)
    assert cells["best\npossible"].tolist() == ["within 50 %", "proved optimal", "stopped"]


def test_evaluations_of_a_proof_are_explained_where_they_are_shown() -> None:
    values = {"exact": [[(100.0,)]], "greedy": [[(100.0,)]]}
    assert (
        "Evaluations of exact: mappings costed in full" in describe_columns(comparison(values))[-1]
    )
    del values["exact"]
    assert not any("costed" in note for note in describe_columns(comparison(values)))


# Files


def test_tables_are_written_as_csv_and_parquet(tmp_path: Path) -> None:
    table = summary_table(TWO)
    files = write_tables({"summary": table}, tmp_path / "new" / "folder")
    assert sorted(path.name for path in files) == ["summary.csv", "summary.parquet"]
    assert sorted(tmp_path.glob("new/folder/*")) == sorted(files)
    pd.testing.assert_frame_equal(pd.read_parquet(files[1]), table)
    read = pd.read_csv(files[0])
    read["status"] = read["status"].astype(object).fillna("")
    pd.testing.assert_frame_equal(read, table, check_dtype=False)


def test_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: cannot be created"):
        write_tables({"summary": summary_table(TWO)}, tmp_path / "file")
