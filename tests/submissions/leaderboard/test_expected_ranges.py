from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.data import Competition, load_competition
from compete.competition.metrics import METRICS
from compete.competition.planned import Planned
from compete.competition.task import Task
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.work import choose_recipes, find_work, train
from compete.stacking.ensemble.decision_rules import fit_rule
from compete.stacking.inventory import Inventory
from compete.submissions.leaderboard.expected_ranges import expected_ranges, out_of_fold_predictions, public_rows

F1 = METRICS["f1_macro"]


@pytest.fixture(scope="module")
def rows() -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Labels of 2000 rows, and decisions of which one in five is wrong."""
    random = np.random.default_rng(3)
    labels = (random.random((2000, 3)) < 0.4).astype(np.int8)
    wrong = random.random(labels.shape) < 0.2
    return labels, np.where(wrong, 1 - labels, labels).astype(np.int8)


def width(bounds: tuple[float, float]) -> float:
    return bounds[1] - bounds[0]


def test_fewer_rows_make_a_wider_range(rows: tuple[NDArray[np.int8], NDArray[np.int8]]) -> None:
    labels, decisions = rows
    honest = F1.compute(labels, decisions)
    found = expected_ranges(F1, labels, decisions, honest, n_public=50, n_private=5000)
    assert width(found.public) > 3 * width(found.private)
    turned = expected_ranges(F1, labels, decisions, honest, n_public=5000, n_private=50)
    assert (turned.public, turned.private) == (found.private, found.public)


@pytest.mark.parametrize("honest", [0.1, 0.75])
def test_the_ranges_lie_around_the_honest_score(rows: tuple[NDArray[np.int8], NDArray[np.int8]], honest: float) -> None:
    """And not around the score of the decisions: of several plans of folds, these are of one."""
    found = expected_ranges(F1, *rows, honest, n_public=300, n_private=700)
    for low, high in (found.public, found.private):
        assert low < honest < high
        # A little above it: test rows get the mean of several models.
        assert (low + high) / 2 == pytest.approx(honest + 0.0075, abs=0.1 * (high - low))


def test_the_range_holds_the_scores_of_rows_that_are_drawn_alike(
    rows: tuple[NDArray[np.int8], NDArray[np.int8]],
) -> None:
    labels, decisions = rows
    low, high = expected_ranges(F1, labels, decisions, F1.compute(labels, decisions), 200, 1).public
    random = np.random.default_rng(4)
    draws = [random.integers(0, len(labels), 200) for _ in range(400)]
    inside = np.mean([low <= F1.compute(labels[draw], decisions[draw]) <= high for draw in draws])
    assert 0.92 <= inside <= 0.99


def test_the_declared_share_of_the_test_set_is_public(competition: Competition) -> None:
    assert public_rows(competition) == 45
    toml = competition.workspace.declaration
    for fraction, expected in ((0.3, 27), (0.001, 1)):
        text = toml.read_text(encoding="utf-8").split("public_fraction")[0]
        toml.write_text(f"{text}public_fraction = {fraction}\n", encoding="utf-8")
        assert public_rows(load_competition(competition.workspace)) == expected


@pytest.fixture
def trained(competition: Competition) -> Competition:
    train(find_work(competition, choose_recipes(competition, ["words"])), InlineExecutor())
    return competition


def test_every_fold_is_decided_by_thresholds_of_the_other_folds(trained: Competition) -> None:
    planned = with_plan(trained)
    source = Inventory(planned).find("words")
    oof = store.read_model(source.folder, trained.shape).oof
    decisions = out_of_fold_predictions(planned, source)
    for fold in range(planned.plan.k):
        others, held_out = planned.plan.other_rows(fold), planned.plan.rows(fold)
        rule = fit_rule(source.rule, F1, trained.train_targets[others], oof[others], planned.plan.folds[others])
        assert np.array_equal(decisions[held_out], rule.decide(oof[held_out]))


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_the_labels_of_a_fold_do_not_touch_its_own_decisions(trained: Competition, fold: int) -> None:
    planned = with_plan(trained)
    source = Inventory(planned).find("words")
    labels = trained.train_targets.copy()
    labels[planned.plan.rows(fold)] = 1 - labels[planned.plan.rows(fold)]
    before, after = (
        out_of_fold_predictions(Planned(each, planned.plan), source)
        for each in (trained, replace(trained, train_targets=labels))
    )
    changed = (before != after).any(axis=1)
    assert not changed[planned.plan.rows(fold)].any()
    assert changed[planned.plan.other_rows(fold)].any()  # the control: thresholds do depend on labels


def test_a_metric_of_probabilities_keeps_them(trained: Competition) -> None:
    toml = trained.workspace.declaration
    toml.write_text('metric = "log_loss"\n' + toml.read_text(encoding="utf-8"), encoding="utf-8")
    competition = load_competition(trained.workspace)
    planned = with_plan(competition)
    source = Inventory(planned).find("words")
    oof = store.read_model(source.folder, competition.shape).oof
    assert np.array_equal(out_of_fold_predictions(planned, source), oof)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e5])
def test_a_range_of_an_error_has_the_size_of_the_error(scale: float) -> None:
    random = np.random.default_rng(0)
    truth = (scale * random.normal(size=(500, 1))).astype(np.float32)
    predicted = truth + scale * 0.5 * random.normal(size=(500, 1)).astype(np.float32)
    rmse = METRICS["rmse"].of(Task("regression", ("price",)))
    honest = rmse.compute(truth, predicted)
    low, high = expected_ranges(rmse, truth, predicted, honest, 200, 200).public
    assert 0.8 * honest < low < honest < high < 1.2 * honest


def test_no_range_leaves_the_scores_that_there_are() -> None:
    labels = np.eye(2, dtype=np.int8)[np.arange(300) % 2]
    accuracy = METRICS["accuracy"].of(Task("multiclass", ("a", "b")))
    wrong = labels.copy()
    wrong[:2] = 1 - wrong[:2]
    low, high = expected_ranges(accuracy, labels, wrong, accuracy.compute(labels, wrong), 100, 100).public
    assert 0.9 < low < high <= 1
