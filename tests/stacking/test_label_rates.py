"""Label rates of new rows, estimated from probabilities alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.metrics import Labels
from compete.stacking.calibration import Calibration, fit_calibration
from compete.stacking.label_rates import LabelShift, estimate_rates, rate_errors, shifted
from compete.stacking.logits import logits, sigmoid

BEFORE = np.array([0.5, 0.3, 0.1])


def drawn(rates: NDArray[np.float64], n_rows: int = 20_000, seed: int = 0) -> tuple[Labels, NDArray[np.float64]]:
    """Labels at these rates, and the probabilities that are right for rows with the rates BEFORE.

    Texts with a label look alike at any rate: their evidence is drawn from N(+1.5, 1), that of the others from
    N(-1.5, 1), whose log-likelihood ratio is 3 x.
    """
    random = np.random.default_rng(seed)
    labels = (random.random((n_rows, len(rates))) < rates).astype(np.int8)
    x = random.normal(size=labels.shape) + 3 * (labels - 0.5)
    return labels, sigmoid(3 * x + np.log(BEFORE / (1 - BEFORE)))


@pytest.mark.parametrize("after", [(0.5, 0.3, 0.1), (0.3, 0.5, 0.2), (0.7, 0.1, 0.03), (0.95, 0.6, 0.3)])
def test_planted_rates_are_found(after: tuple[float, ...]) -> None:
    labels, probabilities = drawn(np.array(after))
    found = estimate_rates(probabilities, BEFORE)
    assert found == pytest.approx(labels.mean(axis=0), abs=0.02)
    if after == tuple(BEFORE):
        assert found == pytest.approx(BEFORE, abs=0.02)
    else:  # the plain mean of the probabilities believes in the old rates
        assert np.abs(probabilities.mean(axis=0) - after).max() > 0.02


def test_a_label_that_has_gone_is_found_gone() -> None:
    _, probabilities = drawn(np.array([0.5, 0.3, 0.0]))
    assert estimate_rates(probabilities, BEFORE)[2] < 0.005


def test_rates_that_are_given_stay_as_they_are() -> None:
    before = BEFORE.copy()
    estimate_rates(drawn(np.array([0.2, 0.2, 0.2]), 500)[1], before)
    assert before.tolist() == BEFORE.tolist()


def test_shifted_probabilities_are_right_at_the_new_rates() -> None:
    after = np.array([0.3, 0.5, 0.3])
    labels, probabilities = drawn(after)
    right = shifted(probabilities, BEFORE, after)
    assert right.mean(axis=0) == pytest.approx(labels.mean(axis=0), abs=0.01)
    for low in (0.1, 0.3, 0.5, 0.7):
        chosen = (right >= low) & (right < low + 0.2)
        assert labels[chosen].mean() == pytest.approx(right[chosen].mean(), abs=0.05)


def test_shifting_there_and_back_changes_nothing() -> None:
    _, probabilities = drawn(BEFORE, 500)
    after = np.array([0.2, 0.6, 0.3])
    back = shifted(shifted(probabilities, BEFORE, after), after, BEFORE)
    assert back == pytest.approx(probabilities, abs=1e-5)  # logits are clipped, and float32
    assert shifted(probabilities, BEFORE, BEFORE) == pytest.approx(probabilities, abs=1e-5)


def test_other_rates_move_calibrated_logits_by_their_log_odds() -> None:
    _, probabilities = drawn(BEFORE, 500)
    after = np.array([0.2, 0.6, 0.3])
    constant = np.log(after / (1 - after)) - np.log(BEFORE / (1 - BEFORE))
    clipped = logits(probabilities)
    assert shifted(probabilities, BEFORE, after) == pytest.approx(sigmoid(clipped + constant), abs=1e-9)


def test_certain_probabilities_and_rates_of_0_and_1_stay_finite() -> None:
    ends = np.array([[0.0, 1.0, 0.5]])
    moved = shifted(ends, BEFORE, np.array([0.9, 0.01, 0.5]))
    assert moved[0, :2] == pytest.approx(ends[0, :2], abs=1e-3)
    assert moved.min() > 0 and moved.max() < 1
    assert np.isfinite(shifted(np.full((1, 3), 0.5), np.array([0.0, 1.0, 0.5]), np.array([0.5, 0.5, 1.0]))).all()


def miscalibrated(rates: NDArray[np.float64], seed: int = 0) -> tuple[Labels, NDArray[np.float64]]:
    labels, right = drawn(rates, seed=seed)
    return labels, sigmoid((logits(right) - np.array([0.0, 1.0, 0.0])) / np.array([1.5, 0.5, 1.0]))


def test_equal_rates_leave_probabilities_alone() -> None:
    labels, probabilities = miscalibrated(BEFORE)
    calibration = fit_calibration(labels, probabilities)
    probabilities[:3] = 0.0, 1.0, 1e-9  # beyond the clip of logits
    assert LabelShift(calibration, BEFORE, BEFORE).apply(probabilities).tolist() == probabilities.tolist()
    one_changed = np.array([BEFORE[0], 0.6, BEFORE[2]])
    moved = LabelShift(calibration, BEFORE, one_changed).apply(probabilities)
    assert moved[:, [0, 2]].tolist() == probabilities[:, [0, 2]].tolist()
    assert (moved[3:, 1] > probabilities[3:, 1]).mean() > 0.9


def test_a_model_is_moved_by_a_constant_over_its_slope() -> None:
    _, probabilities = drawn(BEFORE, 500)
    slopes, after = np.array([2.0, 0.5, 1.0]), np.array([0.2, 0.6, 0.3])
    constant = np.log(after / (1 - after)) - np.log(BEFORE / (1 - BEFORE))
    found = LabelShift(Calibration(slopes, np.array([0.3, -1.0, 0.0])), BEFORE, after).apply(probabilities)
    assert found == pytest.approx(sigmoid(logits(probabilities) + constant / slopes), abs=1e-9)


@pytest.mark.parametrize("slope", [0.0, -1.0])
def test_a_column_that_tells_nothing_of_its_label_stays_exactly_as_it_is(slope: float) -> None:
    _, probabilities = drawn(BEFORE, 500)
    calibration = Calibration(np.array([slope, 1.0, slope]), np.array([0.3, 0.0, 0.3]))
    found = LabelShift(calibration, BEFORE, np.array([0.2, 0.6, 0.3])).apply(probabilities)
    assert found[:, [0, 2]].tolist() == probabilities[:, [0, 2]].tolist()
    assert (found[:, 1] > probabilities[:, 1]).all()


@pytest.mark.parametrize("after", [(0.5, 0.3, 0.1), (0.3, 0.5, 0.2), (0.8, 0.1, 0.4)])
@pytest.mark.parametrize("n_rows", [300, 1500])
def test_errors_of_rates_are_what_estimates_scatter_by(n_rows: int, after: tuple[float, ...]) -> None:
    samples = [drawn(np.array(after), n_rows, seed)[1] for seed in range(200)]
    rates = np.array([estimate_rates(sample, BEFORE) for sample in samples])
    errors = np.array([rate_errors(*each) for each in zip(samples, [BEFORE] * 200, rates, strict=True)])
    assert errors.mean(axis=0) == pytest.approx(rates.std(axis=0), rel=0.25)
    within = np.abs(rates - after) < 2 * errors
    assert within.mean() == pytest.approx(0.95, abs=0.03)


def test_a_useless_classifier_knows_the_rates_by_no_means() -> None:
    _, good = drawn(BEFORE, 1000)
    random = np.random.default_rng(1)
    poor = sigmoid(np.log(BEFORE / (1 - BEFORE)) + random.normal(scale=0.05, size=good.shape))
    useless = np.broadcast_to(BEFORE, good.shape)
    errors = [rate_errors(model, BEFORE, BEFORE) for model in (good, poor, useless)]
    assert (errors[0] < 0.03).all()
    assert (errors[1] > 0.1).all()
    assert (errors[2] == 1).all()


def test_errors_of_rates_fall_with_the_root_of_the_rows_and_are_finite_at_the_ends() -> None:
    _, probabilities = drawn(BEFORE, 500)
    once, four_times = (rate_errors(np.tile(probabilities, (n, 1)), BEFORE, BEFORE) for n in (1, 4))
    assert once == pytest.approx(2 * four_times)
    ends = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.5]])
    for rates in (np.zeros(3), np.ones(3), BEFORE):
        assert np.isfinite(rate_errors(ends, BEFORE, rates)).all()
        assert np.isfinite(rate_errors(ends, np.array([0.0, 1.0, 0.5]), rates)).all()


def test_corrected_probabilities_keep_the_scale_of_the_model() -> None:
    """A probability of the model means after the correction what it meant before: a threshold still holds."""
    after = np.array([0.2, 0.6, 0.3])
    labels, probabilities = miscalibrated(BEFORE)
    new_labels, new = miscalibrated(after, seed=1)
    corrected = LabelShift(fit_calibration(labels, probabilities), BEFORE, after).apply(new)
    assert corrected.shape == new.shape

    def share(labels: Labels, probabilities: NDArray[np.float64], label: int) -> float:
        """Of the positives among the rows that the model puts in the middle."""
        return float(labels[np.abs(probabilities[:, label] - 0.5) < 0.2, label].mean())

    for label in range(3):
        meant = share(labels, probabilities, label)
        assert share(new_labels, corrected, label) == pytest.approx(meant, abs=0.06)
        assert abs(share(new_labels, new, label) - meant) > 0.1  # the control: uncorrected it means something else
        order = np.argsort(new[:, label])
        assert (np.diff(corrected[order, label]) >= 0).all()


def test_what_the_rates_say_reaches_the_decisions() -> None:
    """Cut at the same threshold, corrected probabilities predict a label that became rare more rarely."""
    labels, probabilities = miscalibrated(BEFORE)
    _, new = miscalibrated(np.array([0.1, 0.3, 0.1]), seed=1)
    calibration = fit_calibration(labels, probabilities)
    rates = estimate_rates(calibration.apply(new), labels.mean(axis=0))
    corrected = LabelShift(calibration, labels.mean(axis=0), rates).apply(new)
    before, after = (new > 0.5).mean(axis=0), (corrected > 0.5).mean(axis=0)
    assert after[0] < before[0] - 0.02
    assert after[1:] == pytest.approx(before[1:], abs=0.01)
