"""Free generation: labels are written as names, and read from what was written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch.nn import functional

from compete.base_models.families import FitContext
from compete.base_models.generator.family import LabelGenerator
from compete.base_models.generator.free_generation import FreeAnswers, FreeGenerator
from compete.base_models.generator.prompts import Prompt
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.pretrained.checkpoints import open_generator, open_tokenizer, source_of

pytestmark = pytest.mark.slow

Posts = tuple[list[str], NDArray[np.int8]]

LABELS = ("joy", "anger", "trust")
IGNORED = -100


def settings(**more: Any) -> LabelGeneratorSettings:
    small = {
        "checkpoint": "miniature:qwen2_instruct",
        "decoding": "generate",
        "adaptation": "full",
        "prompt": "{text}\n",
        "max_new_tokens": 12,
        "epochs": 1,
        "batch_size": 16,
        "learning_rate": 3e-3,
        "scheduler": "constant",
        "max_length": 96,
        "precision": "float32",
    }
    return LabelGeneratorSettings(**{**small, **more})


def three(posts: Posts) -> Posts:
    """With a third label that nothing tells and no row has."""
    texts, labels = posts
    return texts, np.column_stack([labels, np.zeros(len(texts), dtype=np.int8)])


@pytest.fixture(scope="module")
def answers(posts: Posts) -> FreeAnswers:
    tokenizer = open_tokenizer(source_of(settings(), posts[0], seed=1), padding_side="left")
    return FreeAnswers(Prompt(tokenizer, settings(), LABELS))


@pytest.fixture(scope="module")
def fitted(posts: Posts) -> FreeGenerator:
    context = FitContext(labels=LABELS, seed=3)
    model = LabelGenerator(settings(epochs=10)).fit(*three(posts), context)
    assert isinstance(model, FreeGenerator)
    assert np.isfinite([row["validation_loss"] for row in context.curves]).all()
    return model


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("joy", {"joy"}),
        ("anger, joy", {"joy", "anger"}),
        (" Joy,ANGER.", {"joy", "anger"}),
        ("joy; trust\nanger", {"joy", "anger", "trust"}),
        ("joy and trust", {"joy", "trust"}),
        ("joyy, angry", {"joy", "anger"}),
        ("joy, joy, joy, joy", {"joy"}),
        ("anger, tru", {"anger", "trust"}),  # cut short
        ("anger, t", {"anger"}),
        ("anger,", {"anger"}),
        ("none", set()),
        ("None.", set()),
        ("", set()),
        ("  \n, ;", set()),
        ("the weather is fine today", set()),
        ("0101 <|x|> 😀 }{", set()),
    ],
)
def test_a_written_answer_is_read_as_the_nearest_names(answers: FreeAnswers, written: str, named: set[str]) -> None:
    found = answers.read(written)
    assert found.dtype == np.float32
    assert {label for label, value in zip(LABELS, found, strict=True) if value == 1} == named
    assert set(found.tolist()) <= {0.0, 1.0}


def test_every_answer_that_is_learnt_is_read_back_as_its_labels(answers: FreeAnswers) -> None:
    labels = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)], dtype=np.int8)
    rows = answers.rows(["sunny day"] * len(labels), labels, torch.ones(3))
    for row, expected in zip(rows, labels, strict=True):
        learnt = [token for token in row["targets"] if token != IGNORED]
        assert learnt[-1] == answers.prompt.tokenizer.convert_tokens_to_ids("<|im_end|>")
        np.testing.assert_array_equal(answers.read(str(answers.prompt.tokenizer.decode(learnt[:-1]))), expected)


def test_rows_learn_the_answer_and_nothing_of_the_prompt(answers: FreeAnswers) -> None:
    labels = np.array([[1, 1, 0], [0, 0, 0]], dtype=np.int8)
    rows = answers.rows(["sunny rotten", "day"], labels, torch.ones(3))
    for row, text, answer in zip(rows, ("sunny rotten", "day"), ("joy, anger", "none"), strict=True):
        (prompt,) = answers.prompt.encode([text], spare=1)
        assert row["input_ids"][: len(prompt)] == prompt
        assert row["targets"] == [IGNORED] * len(prompt) + row["input_ids"][len(prompt) :]
        assert row["length"] == len(row["input_ids"]) == len(row["targets"]) == len(row["weights"])
        assert answers.prompt.tokenizer.decode(row["targets"][len(prompt) :]) == f"{answer}<|im_end|>"


def test_a_labels_name_weighs_what_its_positives_weigh(answers: FreeAnswers) -> None:
    weights = torch.tensor([2.0, 5.0, 7.0])
    (row, nothing) = answers.rows(["day"] * 2, np.array([[1, 0, 1], [0, 0, 0]], dtype=np.int8), weights)
    first, second = len(answers.prompt.tokens("joy")), len(answers.prompt.tokens(", trust"))
    prompt = row["targets"].count(IGNORED)
    assert row["weights"] == [0.0] * prompt + [2.0] * first + [7.0] * second + [1.0]
    assert set(nothing["weights"][prompt:]) == {1.0}


def test_a_long_text_is_cut_and_its_answer_stays_whole(answers: FreeAnswers) -> None:
    labels = np.array([[1, 1, 1]], dtype=np.int8)
    (row,) = answers.rows(["sunny " * 300], labels, torch.ones(3))
    assert row["length"] == settings().max_length
    learnt = [token for token in row["targets"] if token != IGNORED]
    assert answers.prompt.tokenizer.decode(learnt) == "joy, anger, trust<|im_end|>"


def test_the_loss_is_the_weighted_cross_entropy_of_the_answers(posts: Posts, answers: FreeAnswers) -> None:
    source = source_of(settings(), posts[0], seed=1)
    pad = int(answers.prompt.tokenizer.pad_token_id)
    model = open_generator(source, pad, four_bits=False).eval()
    labels = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0]], dtype=np.int8)
    weights = torch.tensor([2.0, 5.0, 7.0])
    rows = answers.rows(["sunny", "a much longer day than the others", ""], labels, weights)
    total, weight_sum = 0.0, 0.0
    with torch.inference_mode():
        for row in rows:  # one by one, without padding
            logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0]
            for place in range(1, row["length"]):
                if row["targets"][place] != IGNORED:
                    target = torch.tensor(row["targets"][place])
                    total += row["weights"][place] * float(functional.cross_entropy(logits[place - 1], target))
                    weight_sum += row["weights"][place]
        assert float(answers.loss(model, answers.collate(rows))) == pytest.approx(total / weight_sum, abs=1e-5)


def test_it_learns_which_word_carries_which_label(fitted: FreeGenerator) -> None:
    answers = fitted.predict_proba(["sunny day", "rotten day", "day filler3"])
    assert answers.dtype == np.float32
    np.testing.assert_array_equal(answers, [[1, 0, 0], [0, 1, 0], [0, 0, 0]])


def test_a_text_gets_the_same_labels_alone_and_in_a_padded_batch(fitted: FreeGenerator) -> None:
    unseen = ["sunny day", "", "rotten " * 200, "rotten sunny day filler2 😀", "sunny " * 30, "<|im_end|> rotten"]
    together = fitted.predict_proba(unseen)
    assert set(together.ravel().tolist()) == {0.0, 1.0}
    np.testing.assert_array_equal(together, np.concatenate([fitted.predict_proba([text]) for text in unseen]))


def test_no_more_is_written_than_max_new_tokens(fitted: FreeGenerator) -> None:
    """One token spells one name, and two labels are two names."""
    prompt = fitted.answers.prompt
    short = Prompt(prompt.tokenizer, prompt.settings.model_copy(update={"max_new_tokens": 1}), LABELS)
    assert len(prompt.tokens("joy")) == 1 < len(prompt.tokens("joy, anger"))
    cut = FreeGenerator(fitted.source, fitted.model, FreeAnswers(short))
    np.testing.assert_array_equal(fitted.predict_proba(["sunny rotten day"]), [[1, 1, 0]])
    np.testing.assert_array_equal(cut.predict_proba(["sunny rotten day"]), [[1, 0, 0]])


def test_a_loss_over_labels_does_not_go_with_written_answers() -> None:
    with pytest.raises(ValidationError, match="is trained on tokens: leave `loss` out"):
        settings(loss="focal")
