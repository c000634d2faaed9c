"""The feed-forward family: learns words, the same every time, and never from the rows it judges epochs on."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from compete.base_models.families import FitContext
from compete.base_models.ffnn.family import FeedForward, FittedFeedForward, Vocabulary
from compete.base_models.ffnn.settings import FeedForwardSettings
from compete.base_models.pseudo_labels import SoftRows
from support.cue_posts import cue_posts

LABELS = ("joy", "anger")
UNSEEN = ["such a sunny day", "what a rotten day", "sunny and rotten", "a day"]
SMALL: dict[str, Any] = {"embedding_size": 8, "hidden": (16, 8), "batch_size": 16, "dropout": 0.1}


def posts(count: int = 200) -> tuple[list[str], NDArray[np.int8]]:
    return cue_posts(count, anger_rate=0.15)


def fit(texts: list[str], labels: NDArray[np.int8], seed: int = 3, **settings: Any) -> FittedFeedForward:
    context = FitContext(labels=LABELS, seed=seed)
    return FeedForward(FeedForwardSettings(**{**SMALL, **settings})).fit(texts, labels, context)


def test_learns_which_word_carries_which_label() -> None:
    sunny, rotten, both, neither = fit(*posts()).predict_proba(UNSEEN)
    assert min(sunny[0], both[0]) > 0.5 > max(rotten[0], neither[0])
    assert min(rotten[1], both[1]) > 0.5 > max(sunny[1], neither[1])


def test_seed_decides_every_byte_whatever_ran_before() -> None:
    first = fit(*posts(), epochs=2).predict_proba(UNSEEN)
    torch.rand(7)  # a caller's own draws must not reach the net
    second = fit(*posts(), epochs=2).predict_proba(UNSEEN)
    other_seed = fit(*posts(), epochs=2, seed=4).predict_proba(UNSEEN)
    assert first.tobytes() == second.tobytes() != other_seed.tobytes()
    assert first.dtype == np.float32


def test_training_leaves_the_callers_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    fit(*posts(), epochs=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_text_is_predicted_alone_as_among_others() -> None:
    model = fit(*posts(), epochs=2, eval_batch_size=5)
    together = model.predict_proba([*UNSEEN, *UNSEEN])
    alone = np.concatenate([model.predict_proba([text]) for text in UNSEEN])
    np.testing.assert_array_equal(together, np.concatenate([alone, alone]))


def test_empty_and_unknown_texts_get_the_probability_of_no_evidence() -> None:
    model = fit(*posts(), epochs=2)
    empty, unknown = model.predict_proba(["", "zebra ωψ"])
    np.testing.assert_array_equal(empty, unknown)
    assert np.all((empty > 0) & (empty < 1))
    assert model.predict_proba([]).shape == (0, 2)


def test_empty_texts_among_the_training_rows_are_no_obstacle() -> None:
    texts, labels = posts(40)
    found = fit([*texts, "", ""], np.vstack([labels, [[0, 1], [0, 0]]]), epochs=1).predict_proba(UNSEEN)
    assert np.isfinite(found).all()


def test_vocabulary_comes_from_the_training_texts_only() -> None:
    model = fit(*posts(), epochs=1)
    known = dict(model.vocabulary.ids)
    model.predict_proba(["zebra zebra", "zebra"])
    assert "sunny" in known and "zebra" not in known
    assert model.vocabulary.ids == known


def test_vocabulary_counts_texts_and_numbers_from_one() -> None:
    vocabulary = Vocabulary.learn(["rare rare rare day", "sunny day", "sunny"], min_df=2)
    assert vocabulary.ids == {"day": 1, "sunny": 2}
    assert [row.tolist() for row in vocabulary.encode(["sunny sunny rare", ""])] == [[2, 2], []]


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_label_without_positives_stays_low_and_finite(class_weights: str) -> None:
    texts, labels = posts()
    labels[:, 1] = 0
    found = fit(texts, labels, class_weights=class_weights).predict_proba(UNSEEN)
    assert np.isfinite(found).all()
    assert found[:, 1].max() < 0.2
    assert found[0, 0] > 0.5  # the other label is still learnt


def test_smoothed_labels_keep_it_from_being_certain() -> None:
    texts, labels = posts()
    plain, smooth = (
        np.abs(fit(texts, labels, label_smoothing=share).predict_proba(texts) - 0.5).mean() for share in (0.0, 0.4)
    )
    assert smooth < plain - 0.03


def test_heavier_class_weights_raise_the_rare_label() -> None:
    texts, labels = posts()
    means = [
        fit(texts, labels, class_weights=weights, epochs=3).predict_proba(texts)[:, 1].mean()
        for weights in ("none", "sqrt", "balanced")
    ]
    assert means[0] < means[1] < means[2]


def test_keeps_the_weights_of_the_best_epoch() -> None:
    # Without regularisation and with a rate that grows wild, later epochs are worse than the best.
    texts, labels = posts(60)
    settings = {**SMALL, "learning_rate": 0.3, "dropout": 0.0, "token_dropout": 0.0, "validation_share": 0.3}
    context = FitContext(labels=LABELS, seed=3)
    model = FeedForward(FeedForwardSettings(**settings, epochs=25)).fit(texts, labels, context)
    losses = [row["validation_loss"] for row in context.curves]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    stopped = FeedForward(FeedForwardSettings(**settings, epochs=best + 1)).fit(texts, labels, context)
    np.testing.assert_array_equal(model.predict_proba(texts), stopped.predict_proba(texts))


def test_curves_and_progress_have_a_row_per_epoch() -> None:
    seen, told = list[float](), list[str]()

    def report(fraction: float, doing: str = "") -> None:
        seen.append(fraction)
        told.append(doing)

    context = FitContext(labels=LABELS, seed=3, progress=report)
    FeedForward(FeedForwardSettings(**SMALL, epochs=2, members=2)).fit(*posts(), context)
    assert seen == [0.25, 0.5, 0.75, 1.0]
    assert told == [f"loss {row['train_loss']:.3f}" for row in context.curves]
    assert [(row["member"], row["epoch"]) for row in context.curves] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert {"train_loss", "validation_loss", "learning_rate"} <= context.curves[0].keys()
    assert context.curves[0]["train_loss"] != context.curves[2]["train_loss"]  # members differ


def test_plateau_lowers_the_rate() -> None:
    context = FitContext(labels=LABELS, seed=3)
    settings = FeedForwardSettings(**SMALL, epochs=20, learning_rate=0.1)
    FeedForward(settings).fit(*posts(60), context)
    assert context.curves[-1]["learning_rate"] < context.curves[0]["learning_rate"] == 0.1


def test_reading_settings_imports_no_heavy_library() -> None:
    code = (
        "import sys, compete.base_models.ffnn.family; print({'torch', 'sklearn', 'scipy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_rows_that_teachers_speak_for_are_learnt_too() -> None:
    texts, labels = posts()
    said = SoftRows(["sunny"] * 200, np.array([[0.02, 0.9]] * 200, dtype=np.float32), np.ones(200, dtype=np.float32))
    family = FeedForward(FeedForwardSettings())
    plain = family.fit(texts, labels, FitContext(LABELS, 3)).predict_proba(["sunny"])[0]
    taught = family.fit(texts, labels, FitContext(LABELS, 3, soft=said)).predict_proba(["sunny"])[0]
    assert taught[0] < plain[0] - 0.2
    assert taught[1] > plain[1] + 0.2
