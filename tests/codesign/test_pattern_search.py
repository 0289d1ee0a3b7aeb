"""Pattern search: steps from the written rule, with mappings chosen together."""

from __future__ import annotations

import optuna
import pytest
from codesign.exact.drawn_spaces import points_of
from codesign.jobs import small_job
from optuna.trial import TrialState

from toolkit.codesign.exact import points
from toolkit.codesign.job import Job
from toolkit.codesign.pattern_search import PatternSampler
from toolkit.codesign.scoring import Scorer
from toolkit.errors import InputError
from toolkit.study.hardware.plan import Plan, evaluations_of, score_of
from toolkit.study.hardware.workers import Worker, make_study

WIDE = {"side": [2, 4, 8], "scratchpad_words": [256, 1024, 4096]}
SAMPLES = 3


@pytest.fixture(autouse=True)
def few_mappings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let points that are about as good as the best cost no more mappings than others."""
    monkeypatch.setattr(points, "SEARCHED_CLOSELY", points.SEARCHED)


def wide_job(**settings: object) -> Job:
    return small_job(ranges=WIDE, area_budget_um2=2e5, factors="perfect", **settings)


@pytest.fixture
def worker() -> Worker:
    memory = optuna.storages.InMemoryStorage()
    make_study(memory, wide_job(), Plan("pattern-search", 0, SAMPLES), "mine")
    worker = Worker(memory, "mine", cache=False)
    worker.run()
    return worker


def test_it_finds_nothing_worse_than_all_points_mapped_on_their_own(worker: Worker) -> None:
    trials = worker.study.get_trials(states=(TrialState.COMPLETE,))
    scores = [score_of(trial) for trial in trials]
    assert len({tuple(score.parameters.values()) for score in scores}) == SAMPLES
    assert all(score.feasible for score in scores)
    scorer = Scorer(wide_job(), cache=False)
    every = [scorer.score(point) for point in points_of(wide_job().space)]
    least = min(score.edp_pj_cycles for score in every if score.feasible)
    assert min(score.edp_pj_cycles for score in scores) <= least
    assert evaluations_of(trials) > 0


def test_points_are_worth_what_was_said_when_they_were_chosen() -> None:
    scorer = Scorer(wide_job(), cache=False)
    sampler = PatternSampler(scorer, 0)
    for _ in range(2):
        tried = sampler.propose()
        score = scorer.score(tried.parameters, mappings=sampler._mappings(tried))
        assert score.edp_pj_cycles == pytest.approx(tried.value)


def test_padded_sizes_are_refused() -> None:
    scorer = Scorer(wide_job(pad=("all",)), cache=False)
    with pytest.raises(InputError, match="pad: pattern-search maps the sizes that layers have"):
        PatternSampler(scorer, 0)
