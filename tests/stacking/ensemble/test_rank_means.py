"""Means of ranks, as they are and told in probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import rankdata

from compete.competition.metrics import METRICS, Labels
from compete.logits import logits, sigmoid
from compete.stacking.ensemble.meta_learners import Mean
from compete.stacking.ensemble.rank_means import RankedProbabilities, RankMean
from compete.stacking.ensemble.thresholds import decide, fit_thresholds

ROWS = 400
F1 = METRICS["f1_macro"]


def rows(seed: int = 0) -> tuple[NDArray[np.float64], Labels]:
    """Two models as good as one another, and the truth."""
    random = np.random.default_rng(seed)
    labels = (random.random((ROWS, 3)) < (0.5, 0.3, 0.1)).astype(np.int8)
    z = np.log((0.5, 0.3, 0.1)) + 2 * (labels - 0.5) + random.normal(size=(2, ROWS, 3))
    return sigmoid(z), labels


def bent(models: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first model far too sure of itself, every order as before."""
    return np.stack([sigmoid(5 * logits(models[0])), models[1]])


def test_ranks_of_the_rows_of_the_fit_are_their_ranks() -> None:
    models, labels = rows()
    models[0] = np.round(models[0], 1)  # equal numbers share the middle rank
    expected = np.mean([(rankdata(model, axis=0) - 0.5) / ROWS for model in models], axis=0)
    assert RankMean().fit(models, labels).predict_proba(models) == pytest.approx(expected)


def test_ranks_do_not_mind_a_models_scale() -> None:
    models, labels = rows()
    plain = RankMean().fit(models, labels).predict_proba(models)
    assert RankMean().fit(bent(models), labels).predict_proba(bent(models)) == pytest.approx(plain)


def test_by_hand_every_row_gets_the_probability_of_its_rank() -> None:
    models = np.array([[[0.1], [0.2], [0.3], [0.9]], [[0.5], [0.2], [0.6], [0.8]]])
    # Ranks 1 2 3 4 and 2 1 3 4: the first two share theirs, and of the means 0.2, 0.3, 0.45, 0.85 the first two.
    fitted = RankedProbabilities().fit(models, np.zeros((4, 1), dtype=np.int8))
    assert fitted.predict_proba(models)[:, 0] == pytest.approx([0.25, 0.25, 0.45, 0.85])


def test_in_the_order_of_the_mean_ranks_and_with_the_values_of_the_mean() -> None:
    models, labels = rows()
    found = RankedProbabilities().fit(models, labels).predict_proba(models)
    ranks = RankMean().fit(models, labels).predict_proba(models)
    for label in range(3):
        assert rankdata(found[:, label]) == pytest.approx(rankdata(ranks[:, label]))
    assert found.mean(axis=0) == pytest.approx(models.mean(axis=(0, 1)))
    means = Mean().fit(models, labels).predict_proba(models)
    assert np.abs(np.sort(found, axis=0) - np.sort(means, axis=0)).max() < 0.1


def test_decisions_of_labels_are_those_of_the_mean_ranks() -> None:
    models, labels = rows()
    told = RankedProbabilities().fit(models, labels).predict_proba(models)
    ranks = RankMean().fit(models, labels).predict_proba(models)
    by_told, by_ranks = (decide(p, fit_thresholds(F1, labels, p)) for p in (told, ranks))
    assert np.array_equal(by_told, by_ranks)


def test_test_rows_are_told_by_the_rows_of_the_fit_one_by_one() -> None:
    """And not by one another: whatever else is in the test set, a row is given the same."""
    models, labels = rows()
    new, _ = rows(1)
    fitted = RankedProbabilities().fit(models, labels)
    together = fitted.predict_proba(new)
    assert np.concatenate([fitted.predict_proba(new[:, [row]]) for row in range(20)]) == pytest.approx(together[:20])
    assert fitted.predict_proba(np.full_like(new, 1.0)) == pytest.approx(
        np.tile(models.mean(axis=0).max(axis=0), (ROWS, 1)), abs=0.02
    )


def test_a_model_too_sure_of_itself_does_not_drown_the_other() -> None:
    gains = []
    for seed in range(10):
        models, labels = rows(seed)
        scores = []
        for learner in (RankedProbabilities(), Mean()):
            p = learner.fit(bent(models), labels).predict_proba(bent(models))
            scores.append(F1.compute(labels, decide(p, fit_thresholds(F1, labels, p))))
        gains.append(scores[0] - scores[1])
    assert np.mean(gains) > 2 * np.std(gains) / np.sqrt(len(gains)) > 0


def test_what_all_models_say_of_every_row_stays() -> None:
    models, labels = rows()
    models[:, :, 2] = 0.01
    found = RankedProbabilities().fit(models, labels).predict_proba(models)
    assert found[:, 2] == pytest.approx(np.full(ROWS, 0.01))


def test_of_many_rows_some_tell_the_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    models, labels = rows()
    whole = RankedProbabilities().fit(models, labels).predict_proba(models)
    monkeypatch.setattr("compete.stacking.ensemble.rank_means._MOST", 200)
    assert RankedProbabilities().fit(models, labels).predict_proba(models) == pytest.approx(whole, abs=0.03)
