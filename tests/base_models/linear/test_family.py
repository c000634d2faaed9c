"""The linear family: a word that carries a label is found, by TF-IDF and by NB-SVM."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from compete.base_models.families import FitContext
from compete.base_models.linear.family import FittedLinear, Linear, Rows
from compete.base_models.linear.settings import LinearSettings
from compete.base_models.pseudo_labels import SoftRows
from support.cue_posts import cue_posts

LABELS = ("joy", "anger")
CONTEXT = FitContext(labels=LABELS, seed=3)
UNSEEN = ["such a sunny day", "what a rotten day", "sunny and rotten", "a day"]


def posts(count: int = 200) -> tuple[list[str], NDArray[np.int8]]:
    return cue_posts(count, anger_rate=0.1)


def fit(texts: list[str], labels: NDArray[np.int8], **settings: Any) -> FittedLinear:
    return Linear(LinearSettings(**settings)).fit(texts, labels, CONTEXT)


@pytest.mark.parametrize("weighting", ["tfidf", "nbsvm"])
def test_learns_which_word_carries_which_label(weighting: str) -> None:
    sunny, rotten, both, neither = fit(*posts(), weighting=weighting).predict_proba(UNSEEN)
    assert min(sunny[0], both[0]) > max(rotten[0], neither[0])
    assert min(rotten[1], both[1]) > max(sunny[1], neither[1])
    assert sunny[0] - rotten[0] > 0.2


@pytest.mark.parametrize("weighting", ["tfidf", "nbsvm"])
def test_same_rows_give_the_same_bytes(weighting: str) -> None:
    first, second = (fit(*posts(), weighting=weighting).predict_proba(UNSEEN) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.dtype == np.float32


def test_a_text_is_predicted_alone_as_among_others() -> None:
    model = fit(*posts())
    together = model.predict_proba([*UNSEEN, *UNSEEN])
    alone = np.concatenate([model.predict_proba([text]) for text in UNSEEN])
    np.testing.assert_array_equal(together, np.concatenate([alone, alone]))


def test_empty_and_unknown_texts_get_the_probability_of_no_evidence() -> None:
    model = fit(*posts())
    empty, unknown = model.predict_proba(["", "ωψ"])
    np.testing.assert_array_equal(empty, unknown)
    assert np.all((empty > 0) & (empty < 1))
    assert model.predict_proba([]).shape == (0, 2)


def test_vocabulary_comes_from_the_training_texts_only() -> None:
    model = fit(*posts(), char_ngrams=())
    known = set(model.vectorisers[0].vocabulary_)
    model.predict_proba(["zebra zebra", "zebra"])
    assert "sunny" in known and "zebra" not in known
    assert set(model.vectorisers[0].vocabulary_) == known


@pytest.mark.parametrize("weighting", ["tfidf", "nbsvm"])
@pytest.mark.parametrize("value", [0, 1])
def test_label_with_one_class_gets_its_smoothed_rate(weighting: str, value: int) -> None:
    texts, labels = posts()
    labels[:, 1] = value
    found = fit(texts, labels, weighting=weighting).predict_proba(UNSEEN)
    np.testing.assert_allclose(found[:, 1], (200 * value + 1) / 202, rtol=1e-5)
    assert found[0, 0] > found[1, 0]  # the other label is still learnt


def test_heavier_class_weights_raise_the_rare_label() -> None:
    texts, labels = posts()
    means = [
        fit(texts, labels, class_weights=weights).predict_proba(texts)[:, 1].mean()
        for weights in ("none", "sqrt", "balanced")
    ]
    assert means[0] < means[1] < means[2]


def test_nbsvm_ratio_is_the_log_count_ratio_of_the_paper() -> None:
    # "good" in both positives and no negative, "bad" in the one negative, "day" everywhere; alpha 1:
    # p = (3, 1, 3) / 7 and q = (1, 2, 2) / 5 for good, bad, day.
    weighted = csr_matrix([[0.4, 0, 0.2], [0.3, 0, 0.1], [0, 0.7, 0.5]])
    ratios = Linear(LinearSettings(weighting="nbsvm"))._ratios(weighted, np.array([[True], [True], [False]]))
    assert ratios is not None
    np.testing.assert_allclose(np.exp(ratios[0]), [(3 / 7) / (1 / 5), (1 / 7) / (2 / 5), (3 / 7) / (2 / 5)])


def test_nbsvm_gives_other_probabilities_than_tfidf() -> None:
    tfidf, nbsvm = (fit(*posts(), weighting=weighting).predict_proba(UNSEEN) for weighting in ("tfidf", "nbsvm"))
    assert np.abs(tfidf - nbsvm).max() > 0.01


def test_progress_ends_at_one() -> None:
    seen: list[float] = []
    context = FitContext(labels=LABELS, seed=3, progress=lambda fraction, doing="": seen.append(fraction))
    Linear(LinearSettings()).fit(*posts(), context)
    assert seen == [0.5, 1.0]


def test_reading_settings_imports_no_heavy_library() -> None:
    heavy = "{'torch', 'sklearn', 'scipy', 'pandas'}"
    code = f"import sys, compete.base_models.linear.family; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def soft(texts: list[str], targets: list[list[float]], weight: float) -> SoftRows:
    weights = np.full(len(texts), weight, dtype=np.float32)
    return SoftRows(texts, np.array(targets, dtype=np.float32), weights)


def test_a_row_that_teachers_speak_for_is_a_row_of_each_as_much_as_they_believe_it() -> None:
    texts, labels = posts()
    family = Linear(LinearSettings(class_weights="none"))
    plain = family.fit(texts, labels, CONTEXT).predict_proba(UNSEEN)
    against = replace(CONTEXT, soft=soft(["sunny"] * 300, [[0.0, 0.5]] * 300, 1.0))
    turned = family.fit(texts, labels, against).predict_proba(UNSEEN)
    assert turned[0, 0] < plain[0, 0] - 0.03  # told that sunny is no joy
    assert turned[0, 1] > plain[0, 1]  # and halfway anger
    said = soft(["sunny"], [[0.75, 0.0]], 2.0)
    rows = Rows.of(csr_matrix(np.eye(3)), labels[:3, 0], None, said, csr_matrix([[7.0, 0, 0]]), 0, "labels")
    assert rows.features.toarray()[3:].tolist() == [[7, 0, 0], [7, 0, 0]]
    assert rows.targets[3:].tolist() == [1, 0]
    assert rows.weights is not None
    assert rows.weights.tolist() == [1, 1, 1, 1.5, 0.5]


def test_numbers_of_teachers_are_learnt_as_their_weight_says() -> None:
    texts, _ = posts()
    numbers = np.array([[3.0 if "sunny" in text else 1.0] for text in texts], dtype=np.float32)
    context = FitContext(("score",), 3, "regression")

    def told(weight: float) -> float:
        taught = replace(context, soft=soft(["sunny day"] * 50, [[9.0]] * 50, weight))
        return float(Linear(LinearSettings()).fit(texts, numbers, taught).predict_proba(UNSEEN)[0, 0])

    plain = float(Linear(LinearSettings()).fit(texts, numbers, context).predict_proba(UNSEEN)[0, 0])
    assert plain == pytest.approx(told(1e-6), abs=1e-2)
    assert plain + 0.5 < told(0.1) < told(5.0)
