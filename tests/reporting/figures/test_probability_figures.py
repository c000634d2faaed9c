"""What the figures of probabilities count, against scikit-learn and counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from compete.oof.honest_scores import LabelScore
from compete.reporting.figures.probability_figures import (
    curve_figure,
    has_losses,
    precision_recall,
    precision_recall_figure,
    reliability,
    reliability_figure,
)
from compete.reporting.figures.style import drawn, png


def test_bins_hold_the_mean_probability_and_the_share_of_positives() -> None:
    probabilities = np.array([0.02] * 30 + [0.55] * 20 + [1.0] * 10 + [0.31] * 9)
    labels = np.array([0] * 30 + [1] * 5 + [0] * 15 + [1] * 10 + [1] * 9, dtype=np.int8)
    found = reliability(labels, probabilities)
    assert found.probability == pytest.approx([0.02, 0.55, 1.0])  # of nine rows a share says nothing
    assert found.share == pytest.approx([0.0, 0.25, 1.0])
    assert found.rows.tolist() == [30, 20, 10]
    assert (found.low <= found.share).all() and (found.share <= found.high).all()
    # Wilson's interval of 0 of 30 and of 5 of 20.
    assert found.high[0] == pytest.approx(0.1135, abs=2e-4)
    assert (found.low[1], found.high[1]) == pytest.approx((0.1119, 0.4687), abs=2e-4)


def test_swapped_labels_are_seen() -> None:
    random = np.random.default_rng(0)
    p = random.random(4000)
    labels = (random.random(4000) < p).astype(np.int8)
    right, wrong = reliability(labels, p), reliability(1 - labels, p)
    assert np.abs(right.share - right.probability).max() < 0.1
    assert np.abs(wrong.share - wrong.probability).max() > 0.5


def test_precision_and_recall_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    p = np.round(random.random(300), 2)  # with ties
    labels = (random.random(300) < p).astype(np.int8)
    recall, precision, cuts = precision_recall(labels, p)
    their_precision, their_recall, their_cuts = precision_recall_curve(labels, p)
    assert cuts == pytest.approx(their_cuts[::-1])
    assert precision == pytest.approx(their_precision[:-1][::-1])
    assert recall == pytest.approx(their_recall[:-1][::-1])
    assert (precision_recall(np.zeros(300, dtype=np.int8), p)[0] == 0).all()


@pytest.mark.parametrize("threshold", [None, 0.0, 0.5, 1.0])
def test_flat_and_empty_columns_are_drawn(threshold: float | None) -> None:
    truth = np.zeros((50, 2), dtype=np.int8)
    truth[:20, 0] = 1
    flat = np.full((50, 2), 0.5, dtype=np.float32)
    spread = None if threshold is None else 0.01
    score = LabelScore(0.0, 0.0, 0.0, threshold, spread, 0.0, 0.0, 0.0)
    assert png(drawn(lambda: precision_recall_figure(["a", "b"], truth, flat, {"a": score, "b": score})))
    assert png(drawn(lambda: reliability_figure(["a", "b"], truth, flat)))


def test_curves_of_which_half_is_missing_are_drawn() -> None:
    curves = {
        0: [{"step": 1.0, "train_loss": 1.0}, {"epoch": 2.0, "train_loss": 0.5}],
        3: [{"epoch": float(epoch), "validation_loss": 1 / epoch} for epoch in range(1, 40)],
    }
    assert has_losses(curves)
    figure = drawn(lambda: curve_figure(curves))
    assert png(figure)
    assert [len(np.asarray(line.get_xdata())) for line in figure.axes[0].lines] == [1, 39]
    assert figure.axes[0].get_xlim()[0] > -2  # no epochs before the first
    assert not has_losses({0: [{"epoch": 1.0, "words": 7.0}], 1: []})
