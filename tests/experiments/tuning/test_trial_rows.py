"""Which rows a trial is fitted and scored on, and that no label of the fold it is for is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compete.base_models.families import FitContext
from compete.base_models.recipes import load_recipe
from compete.competition.data import Competition
from compete.competition.planned import Planned
from compete.competition.shape import Targets
from compete.competition.workspace import Workspace
from compete.experiments.tuning.pruning import WatchedCurves
from compete.experiments.tuning.trial import try_settings
from compete.experiments.tuning.trial_rows import score_of_rows, trial_rows
from compete.oof.fold_plan import with_plan
from support.lived_in import write_linear_models


@pytest.fixture
def planned(competition: Competition) -> Planned:
    return with_plan(competition)


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_the_fold_is_in_neither_part_and_the_parts_are_other_folds(planned: Planned, fold: int) -> None:
    rows, folds = trial_rows(planned, fold), planned.plan.folds
    assert set(folds[rows.scored]) == {(fold + 1) % 3}
    assert set(folds[rows.fitted]) == {0, 1, 2} - {fold, (fold + 1) % 3}
    assert len(rows.fitted) + len(rows.scored) == (folds != fold).sum()


def test_fewer_rows_are_a_stratified_part_and_the_scored_ones_stay(planned: Planned) -> None:
    whole, part = trial_rows(planned, 0), trial_rows(planned, 0, 0.5)
    assert np.array_equal(part.scored, whole.scored)
    assert set(part.fitted) < set(whole.fitted)
    assert abs(len(part.fitted) - len(whole.fitted) / 2) <= 4
    rates = [planned.competition.train_targets[rows].mean(axis=0) for rows in (part.fitted, whole.fitted)]
    assert np.abs(rates[0] - rates[1]).max() < 0.06


def test_rows_of_a_group_stay_together_in_a_part(planned: Planned) -> None:
    groups = np.arange(len(planned.competition.train_ids)) // 3
    competition = replace(planned.competition)
    competition.__dict__["groups"] = groups
    grouped = Planned(competition, replace(planned.plan, folds=(groups % 3).astype(np.int16)))
    part = trial_rows(grouped, 0, 0.4).fitted
    others = np.setdiff1d(trial_rows(grouped, 0).fitted, part)
    assert len(part) and not set(groups[part]) & set(groups[others])


@pytest.mark.parametrize("model", ["words", "linear"])
def test_labels_of_the_fold_change_no_score_to_the_bit(workspace: Workspace, planned: Planned, model: str) -> None:
    """And those of the rows that are read do."""
    write_linear_models(workspace)
    recipe = load_recipe(workspace, model).ready()

    def score(targets: Targets) -> float | None:
        competition = replace(planned.competition, train_targets=targets)
        context = FitContext(competition.labels, seed=3, curves=WatchedCurves({}))
        return try_settings(Planned(competition, planned.plan), recipe, 1, 1.0, context).score

    true = planned.competition.train_targets
    turned, elsewhere = true.copy(), true.copy()
    turned[planned.plan.rows(1)] ^= 1
    elsewhere[planned.plan.rows(2)[::3]] ^= 1
    assert score(turned) == score(true)
    assert score(elsewhere) != score(true)


def test_no_row_is_decided_by_its_own_label(planned: Planned) -> None:
    """Noise as predictions: thresholds fitted on the rows that they decide would find a score in it."""
    rows = trial_rows(planned, 0).scored
    random = np.random.default_rng(0)
    noise = [random.random((len(rows), 3)).astype(np.float32) for _ in range(20)]
    found = np.mean([score_of_rows(planned, rows, each) for each in noise])
    truth = planned.competition.train_targets[rows]
    # What is predicted for all rows is the best that noise can do.
    always = planned.competition.metric.compute(truth, np.ones_like(truth))
    assert found < always + 0.01


def test_a_metric_of_probabilities_decides_nothing(planned: Planned) -> None:
    from compete.competition.metrics import find_metric

    competition = replace(planned.competition)
    competition.__dict__["metric"] = find_metric("log_loss").of(competition.task)
    of_probabilities = Planned(competition, planned.plan)
    rows = trial_rows(of_probabilities, 0).scored
    half = np.full((len(rows), 3), 0.5, dtype=np.float32)
    assert score_of_rows(of_probabilities, rows, half) == pytest.approx(np.log(2))
