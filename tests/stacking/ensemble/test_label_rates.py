"""Label rates of new rows, estimated from probabilities alone; how sure they are; correcting for them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.metrics import Labels
from compete.logits import logits, sigmoid
from compete.stacking.ensemble.calibration import Calibration, fit_calibration
from compete.stacking.ensemble.label_rates import LabelRates, LabelShift, estimate_rates, rates_from, shifted_rates

Floats = NDArray[np.float64]
BEFORE = np.array([0.5, 0.3, 0.1])
K = 5


def drawn(rates: Floats, n_rows: int = 20_000, seed: int = 0) -> tuple[Labels, Floats]:
    """Labels at these rates, and the probabilities that are right for rows with the rates BEFORE.

    Texts with a label look alike at any rate: their evidence is drawn from N(+1.5, 1), that of the others from
    N(-1.5, 1), whose log-likelihood ratio is 3 x.
    """
    random = np.random.default_rng(seed)
    labels = (random.random((n_rows, len(rates))) < rates).astype(np.int8)
    x = random.normal(size=labels.shape) + 3 * (labels - 0.5)
    return labels, sigmoid(3 * x + np.log(BEFORE / (1 - BEFORE)))


def observed(labels: Labels, random: np.random.Generator, slope: float, models: int) -> Floats:
    """What `models` noisy models say on average: evidence of a row that all share, and errors of their own."""
    shared = random.normal(size=labels.shape) + 2 * (labels - 0.5)
    noise = random.normal(scale=1.5, size=(models, *labels.shape))
    return np.asarray(sigmoid(slope * (shared + noise) + np.log(BEFORE / (1 - BEFORE))).mean(axis=0))


def labels_at(rates: Floats, n_rows: int, random: np.random.Generator) -> Labels:
    """The second label occurs with the first more often than without."""
    labels = (random.random((n_rows, 3)) < rates).astype(np.int8)
    copied = random.random(n_rows) < 0.3
    labels[copied, 1] = labels[copied, 0]
    return labels


def shifted_to(labels: Labels, label: int, factor: float, random: np.random.Generator) -> NDArray[np.intp]:
    """Rows among which `label` occurs `factor` times as often."""
    with_it, without = np.flatnonzero(labels[:, label] == 1), np.flatnonzero(labels[:, label] == 0)
    wanted = factor * len(with_it) / len(labels)
    if factor < 1:
        return np.concatenate([with_it[: int(len(without) * wanted / (1 - wanted))], without])
    return np.concatenate([with_it, without[: int(len(with_it) * (1 - wanted) / wanted)]])


def rehearsal(seed: int, slope: float, factor: float | None) -> tuple[LabelRates, Floats]:
    """Estimated and true rates where a test row has the mean of K models, at slopes that calibrate no model."""
    random = np.random.default_rng(seed)
    known, new = labels_at(BEFORE, 3000, random), labels_at(BEFORE, 3000, random)
    if factor is not None:
        new = new[shifted_to(new, seed % 3, factor, random)]
    found = estimate_rates(known, observed(known, random, slope, 1), observed(new, random, slope, K))
    return found, new.mean(axis=0)


@pytest.mark.parametrize("slope", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("factor", [None, 0.5, 1.8])
def test_intervals_hold_the_true_rates(slope: float, factor: float | None) -> None:
    """At any calibration, natural and with one label's rate shifted, though a test row is the mean of K models."""
    held, told = [], []
    for seed in range(40):
        found, true = rehearsal(seed, slope, factor)
        told += found.told.tolist()
        held += ((found.low <= true) & (true <= found.high))[found.told].tolist()
    assert np.mean(told) > 0.8
    assert np.mean(held) > 0.92


def test_a_shift_is_found() -> None:
    found, true = rehearsal(0, 1.0, 0.5)
    assert true[0] < 0.36
    assert found.high[0] < 0.45  # train has 0.5
    assert found.rates[found.told] == pytest.approx(true[found.told], abs=0.05)


def test_more_rows_make_narrower_intervals_down_to_what_no_number_of_rows_tells() -> None:
    random = np.random.default_rng(0)
    widths = []
    for n_rows in (300, 3000, 30_000, 150_000):
        known = labels_at(BEFORE, n_rows, random)
        found = estimate_rates(known, observed(known, random, 1.0, 1), observed(known, random, 1.0, K))
        widths.append(found.high[0] - found.low[0])
    assert widths[0] > 2 * widths[1] > 2 * widths[2]
    assert widths[3] > widths[2] / 2


def test_columns_that_tell_nothing_tell_nothing() -> None:
    """A useless column, a constant one, and labels that are in every training row or in none."""
    random = np.random.default_rng(1)
    labels = np.zeros((2000, 5), dtype=np.int8)
    labels[:, :3] = labels_at(BEFORE, 2000, random)
    labels[:, 3] = 1
    oof = np.column_stack([observed(labels[:, :3], random, 1.0, 1), random.random((2000, 2))])
    oof[:, 0], oof[:, 1] = random.random(2000), 0.3
    found = estimate_rates(labels, oof, oof)
    assert found.told.tolist() == [False, False, True, False, False]
    assert found.record()[3] is None
    nothing = estimate_rates(labels[:, 3:], oof[:, 3:], oof[:, 3:])
    assert not nothing.told.any()


def test_one_test_row_tells_nothing_and_raises_nothing() -> None:
    random = np.random.default_rng(2)
    known = labels_at(BEFORE, 500, random)
    oof = observed(known, random, 1.0, 1)
    assert not estimate_rates(known, oof, oof[:1]).told.any()
    assert not estimate_rates(known, oof, oof[:0]).told.any()


def test_columns_that_are_one_another_s_sum_are_no_trouble() -> None:
    random = np.random.default_rng(3)
    known = labels_at(BEFORE, 2000, random)
    oof = observed(known, random, 1.0, 1)
    oof[:, 2] = (oof[:, 0] + oof[:, 1]) / 2
    found = estimate_rates(known, oof, oof)
    assert found.rates[:2] == pytest.approx(known.mean(axis=0)[:2], abs=0.02)


def test_a_record_gives_the_rates_back() -> None:
    rates = LabelRates(np.array([0.2, np.nan]), np.array([0.1, np.nan]), np.array([0.3, np.nan]))
    assert rates.record() == [{"rate": 0.2, "low": 0.1, "high": 0.3}, None]
    assert rates_from(rates.record()).record() == rates.record()


def test_only_rates_that_are_surely_other_are_corrected_for() -> None:
    rates = LabelRates(np.array([0.2, 0.2, np.nan]), np.array([0.15, 0.1, np.nan]), np.array([0.25, 0.4, np.nan]))
    assert shifted_rates(np.array([0.3, 0.3, 1.0]), rates).tolist() == [0.2, 0.3, 1.0]


def miscalibrated(rates: Floats, seed: int = 0) -> tuple[Labels, Floats]:
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


def test_a_label_of_every_row_stays_as_probable_as_it_is() -> None:
    labels, probabilities = miscalibrated(BEFORE)
    labels[:, 0] = 1
    probabilities[:, 0] = 0.99
    found = estimate_rates(labels, probabilities, probabilities)
    before = labels.mean(axis=0)
    shift = LabelShift(fit_calibration(labels, probabilities), before, shifted_rates(before, found))
    assert shift.apply(probabilities)[:, 0] == pytest.approx(0.99)


def test_what_the_rates_say_reaches_the_decisions() -> None:
    """Cut at the same threshold, corrected probabilities predict a label that became rare more rarely."""
    labels, probabilities = miscalibrated(BEFORE)
    _, new = miscalibrated(np.array([0.1, 0.3, 0.1]), seed=1)
    trained = labels.mean(axis=0)
    rates = shifted_rates(trained, estimate_rates(labels, probabilities, new))
    corrected = LabelShift(fit_calibration(labels, probabilities), trained, rates).apply(new)
    before, after = (new > 0.5).mean(axis=0), (corrected > 0.5).mean(axis=0)
    assert after[0] < before[0] - 0.02
    assert after[1:] == pytest.approx(before[1:], abs=0.01)
