"""What raw outputs learn and predict in every task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compete.base_models.families import FitContext
from compete.base_models.objectives import Objective
from compete.base_models.validation_split import strata_of

GRADES = (-3.0, -1.0, 0.0, 4.0)
ORDINAL = FitContext(("mood", "calm"), 1, "ordinal", GRADES)
TRUE = np.array([[-3, 4], [0, -1], [-1, 0]], dtype=np.float32)


def test_a_grade_is_as_many_steps_as_there_are_grades_below_it() -> None:
    objective = Objective.of(None, TRUE, ORDINAL)
    assert objective.width == 6
    assert objective.learnt(TRUE).tolist() == [[0, 0, 0, 1, 1, 1], [1, 1, 0, 1, 0, 0], [1, 0, 0, 1, 1, 0]]


@pytest.mark.parametrize("loss", ["cumulative", "cross_entropy"])
def test_what_is_learnt_for_certain_is_the_grade_itself(loss: Any) -> None:
    objective = Objective.of(loss, TRUE, ORDINAL)
    certain = 60 * (2 * objective.learnt(TRUE) - 1)
    np.testing.assert_allclose(objective.predictions(certain), TRUE, atol=1e-6)


def test_the_expected_grade_is_the_sum_over_the_grades() -> None:
    by_grade = Objective.of("cross_entropy", TRUE[:, :1], FitContext(("mood",), 1, "ordinal", GRADES))
    p = np.array([0.1, 0.2, 0.4, 0.3])
    np.testing.assert_allclose(by_grade.predictions(np.log(p)[None]), [[p @ GRADES]])
    by_step = Objective.of("cumulative", TRUE[:, :1], FitContext(("mood",), 1, "ordinal", GRADES))
    at_least = np.array([0.9, 0.7, 0.3])
    np.testing.assert_allclose(by_step.predictions(np.log(at_least / (1 - at_least))[None]), [[p @ GRADES]])


@pytest.mark.parametrize("loss", ["mse", "cumulative", "cross_entropy"])
def test_grades_never_leave_their_scale(loss: Any) -> None:
    objective = Objective.of(loss, TRUE, ORDINAL)
    raw = np.random.default_rng(3).normal(scale=50, size=(200, objective.width))
    found = objective.predictions(raw)
    assert found.min() >= GRADES[0] and found.max() <= GRADES[-1]


def test_numbers_are_standardised_inside_and_kept(tmp_path: Path) -> None:
    context = FitContext(("height", "same"), 1, "regression")
    targets = np.array([[990, 5], [1000, 5], [1010, 5]], dtype=np.float32)
    objective = Objective.of(None, targets, context)
    learnt = objective.learnt(targets)
    np.testing.assert_allclose(learnt[:, 0], [-(1.5**0.5), 0, 1.5**0.5], rtol=1e-5)
    np.testing.assert_array_equal(learnt[:, 1], 0)
    objective.save(tmp_path)
    again = Objective.read(None, tmp_path, context)
    np.testing.assert_allclose(again.predictions(learnt), targets, rtol=1e-6)


def test_the_rows_of_an_epochs_validation_are_stratified_by_every_grade_and_by_tenths() -> None:
    assert strata_of(TRUE, ORDINAL).tolist() == [[1, 0, 0, 0, 0, 1], [0, 0, 1, 1, 0, 0], [0, 1, 0, 0, 1, 0]]
    numbers = np.arange(100, dtype=np.float32)[:, None]
    strata = strata_of(numbers, FitContext(("height",), 1, "regression"))
    assert strata.shape == (100, 10) and set(strata.sum(axis=0)) == {10}


@pytest.mark.parametrize("loss", ["cumulative", "cross_entropy"])
def test_the_loss_of_steps_and_of_grades_falls_towards_the_truth(loss: Any) -> None:
    objective = Objective.of(loss, TRUE, ORDINAL)
    measure = objective.loss(TRUE, "none")
    learnt = torch.from_numpy(objective.learnt(TRUE))
    good, neutral, bad = (float(measure(scale * (2 * learnt - 1), learnt)) for scale in (2.0, 0.0, -2.0))
    assert good < neutral < bad


def test_what_lies_between_two_grades_is_learnt_as_so_much_of_the_way() -> None:
    """Teachers say expected grades."""
    said = np.array([[3.0, -2.5]], dtype=np.float32)  # three quarters of the way from 0 to 4, a quarter from -3 to -1
    steps = Objective.of("cumulative", TRUE, ORDINAL).learnt(said)
    np.testing.assert_allclose(steps, [[1, 1, 0.75, 0.25, 0, 0]])
    of_each = Objective.of("cross_entropy", TRUE, ORDINAL)
    np.testing.assert_allclose(of_each.learnt(said), [[0, 0, 0.25, 0.75, 0.75, 0.25, 0, 0]])
    alone = of_each.loss(TRUE, "none")(torch.zeros(1, of_each.width), torch.from_numpy(of_each.learnt(said)))
    assert torch.isfinite(alone)


def test_true_grades_are_learnt_as_they_were_on_scales_that_floats_cannot_write() -> None:
    grades = tuple(np.arange(-5, 6) / 10)
    context = FitContext(("mood",), 1, "ordinal", grades)
    targets = np.array(grades, dtype=np.float32)[:, None]
    steps = Objective.of("cumulative", targets, context).learnt(targets)
    assert np.array_equal(steps, np.tril(np.ones((11, 11)))[:, 1:])
    assert np.array_equal(Objective.of("cross_entropy", targets, context).learnt(targets), np.eye(11))
