"""Alarms of numbers: the same on every scale, and silent about folds that tell nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.stacking.ensemble.alarms import find_alarms
from compete.stacking.ensemble.number_alarms import find_number_alarms

Floats = NDArray[np.float64]


def honest(n_rows: int = 400) -> tuple[Floats, Floats, Floats, NDArray[np.int16]]:
    """Three models' numbers of two targets, out of fold and of the test set; the truth, the folds."""
    random = np.random.default_rng(0)
    truth, of_test = random.normal(size=(n_rows, 2)), random.normal(size=(n_rows, 2))
    oof = np.stack([truth + random.normal(size=truth.shape) for _ in range(3)])
    test = np.stack([of_test + random.normal(size=truth.shape) for _ in range(3)])
    return oof, test, truth, (np.arange(n_rows) % 4).astype(np.int16)


def alarms(oof: Floats, test: Floats, truth: Floats, folds: NDArray[np.int16], unit: float = 1.0) -> list[str]:
    models, of_test, true = ((unit * each).astype(np.float32) for each in (oof, test, truth))
    found = find_number_alarms(["a", "b", "c"], models, of_test, true, folds, ["x", "y"])
    return [str(alarm) for alarm in found]


@pytest.mark.parametrize("unit", [1e-7, 1.0, 1e7])
def test_the_unit_of_the_targets_raises_and_hides_no_alarm(unit: float) -> None:
    oof, test, truth, folds = honest()
    assert alarms(oof, test, truth, folds, unit) == []
    still = oof.copy()
    still[1, :, 0] = 1 + 1e-8 * np.arange(len(truth)) / len(truth)  # the same but for rounding
    assert "b: the same out-of-fold prediction in every row for x" in alarms(still, test, truth, folds, unit)
    turned = oof.copy()
    turned[2] *= -1
    assert any("turned around" in alarm for alarm in alarms(turned, test, truth, folds, unit))
    seen = oof.copy()
    seen[0] = truth + 1e-3
    assert any("did it see the rows" in alarm for alarm in alarms(seen, test, truth, folds, unit))


def test_a_fold_in_which_a_target_never_varies_accuses_nobody() -> None:
    """Three folds of which one has a single value of y: its correlation there, of nothing, is 0 for every model."""
    oof, test, truth, folds = honest()
    folds = np.where(folds == 3, 0, folds).astype(np.int16)
    truth[folds > 0, 1] = 0.5
    assert not any("in fold" in alarm for alarm in alarms(oof[:2], test[:2], truth, folds))


def test_a_class_that_some_folds_lack_accuses_nobody() -> None:
    """All rows of the rarest class are in the first two folds, as folds of the user's own may have them."""
    random = np.random.default_rng(0)
    place = random.choice(3, size=600, p=[0.5, 0.4, 0.1])
    folds = (np.arange(600) % 4).astype(np.int16)
    folds[place == 2] %= 2
    labels = np.eye(3, dtype=np.int8)[place]
    raw = np.exp(3 * labels + random.normal(size=(2, 600, 3)))
    probabilities = raw / raw.sum(axis=2, keepdims=True)
    found = find_alarms(["a", "b"], probabilities, probabilities, labels, folds, ["p", "q", "r"], nouns="classes")
    assert [str(alarm) for alarm in found] == []
