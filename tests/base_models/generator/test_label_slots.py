"""Slots: every label of a text is answered in one pass, as if it had been asked alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compete.base_models.families import FitContext
from compete.base_models.generator.family import LabelGenerator
from compete.base_models.generator.label_slots import LabelSlots, SlotScorer
from compete.base_models.generator.prompts import Prompt
from compete.base_models.pretrained import device
from compete.errors import UserError
from support.generators import CHECKPOINTS, LABELS, MAX_LENGTH, Posts, decoded, prompt_of, settings

pytestmark = pytest.mark.slow

PAST_THE_WINDOW = "rotten " + "day filler7 " * 25  # gemma2's layers see 64 tokens back at most
OVERLONG = "sunny " * 400
UNSEEN = ["such a sunny day", "rotten", "", PAST_THE_WINDOW, OVERLONG, "a day, rotten and sunny 😀 #mood"]


def fit(posts: Posts, checkpoint: str, **more: Any) -> SlotScorer:
    context = FitContext(labels=LABELS, seed=3)
    model = LabelGenerator(settings(checkpoint, **more)).fit(*posts, context)
    assert isinstance(model, SlotScorer)
    return model


def with_slots(model: SlotScorer, labels: tuple[str, ...] = LABELS, **more: Any) -> SlotScorer:
    """The same weights, asked in another way."""
    prompt = model.slots.prompt
    changed = Prompt(prompt.tokenizer, prompt.settings.model_copy(update=more), labels)
    return SlotScorer(model.source, model.model, LabelSlots(changed), model.objective)


@pytest.fixture(scope="module", params=CHECKPOINTS)
def fitted(request: pytest.FixtureRequest, posts: Posts) -> SlotScorer:
    return fit(posts, request.param)


def test_one_pass_for_all_slots_gives_what_a_pass_per_label_gives(fitted: SlotScorer) -> None:
    one_each = with_slots(fitted, shared_prefix=False)
    assert fitted.slots.shared and not one_each.slots.shared
    lengths = [row["length"] for row in fitted.slots.rows(UNSEEN)]
    assert min(lengths) < 64 < lengths[3] < lengths[4]  # tokens: two texts reach past the sliding window
    shared = fitted.predict_proba(UNSEEN)
    assert np.ptp(shared[:, 0]) > 1e-4  # texts are told apart
    np.testing.assert_allclose(shared, one_each.predict_proba(UNSEEN), atol=1e-5)


@pytest.mark.parametrize("decoding", ["slots", "generate"])
def test_what_is_read_again_goes_to_the_device(
    posts: Posts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoding: str
) -> None:
    options = {"adaptation": "lora", "decoding": decoding}
    context = FitContext(labels=LABELS, seed=3)
    fitted: Any = LabelGenerator(settings("qwen2", **options)).fit(*posts, context)
    fitted.save(tmp_path, whole=False)
    monkeypatch.setattr(device, "device", lambda: torch.device("meta"))
    again: Any = LabelGenerator(fitted.source.settings).load(tmp_path, context)
    assert {weight.device.type for weight in again.model.parameters()} == {"meta"}


def test_a_text_gives_the_same_probabilities_alone_and_in_a_padded_batch(fitted: SlotScorer) -> None:
    together = fitted.predict_proba(UNSEEN)
    alone = np.concatenate([fitted.predict_proba([text]) for text in UNSEEN])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_probabilities_are_float32_between_0_and_1(fitted: SlotScorer) -> None:
    values = fitted.predict_proba(UNSEEN)
    assert values.shape == (len(UNSEEN), len(LABELS))
    assert values.dtype == np.float32
    assert np.all((values >= 0) & (values <= 1))


def test_a_slot_never_sees_another_slot(fitted: SlotScorer) -> None:
    texts = [text for text in UNSEEN if text != OVERLONG]  # it would be cut to make room for a longer slot
    before = fitted.predict_proba(texts)
    second = with_slots(fitted, ("joy", "a much longer second label")).predict_proba(texts)
    np.testing.assert_allclose(second[:, 0], before[:, 0], atol=1e-5)
    first = with_slots(fitted, ("a much longer first label", "anger")).predict_proba(texts)
    np.testing.assert_allclose(first[:, 1], before[:, 1], atol=1e-5)
    assert np.abs(second[:, 1] - before[:, 1]).max() > 1e-4  # the name itself is read


def test_the_order_of_the_labels_only_orders_the_columns(fitted: SlotScorer) -> None:
    swapped = with_slots(fitted, LABELS[::-1]).predict_proba(UNSEEN)
    np.testing.assert_allclose(swapped[:, ::-1], fitted.predict_proba(UNSEEN), atol=1e-5)


@pytest.mark.parametrize(("checkpoint", "shared", "epochs"), [("qwen2_instruct", True, 16), ("gemma2", False, 12)])
def test_it_learns_which_word_carries_which_label(posts: Posts, checkpoint: str, shared: bool, epochs: int) -> None:
    quick = {"epochs": epochs, "learning_rate": 2e-3, "max_length": 64}
    model = fit(posts, checkpoint, shared_prefix=shared, **quick)
    endings = [f"day filler{n} filler{29 - n}" for n in range(12)]
    sunny = model.predict_proba([f"sunny {ending}" for ending in endings]).mean(axis=0)
    rotten = model.predict_proba([f"rotten {ending}" for ending in endings]).mean(axis=0)
    assert sunny[0] > 0.75 > 0.25 > rotten[0]
    assert rotten[1] > 0.75 > 0.25 > sunny[1]


def test_class_weights_raise_the_probabilities_of_a_rare_label(posts: Posts) -> None:
    texts, labels = posts
    rare = np.column_stack([labels[:, 0], np.arange(len(labels)) % 12 == 0]).astype(np.int8)  # no word tells it
    means = {}
    for weights in ("none", "balanced"):
        model = fit((texts, rare), "qwen2", class_weights=weights, epochs=2, learning_rate=3e-3, max_length=64)
        means[weights] = float(model.predict_proba(texts)[:, 1].mean())
    assert means["none"] + 0.1 < means["balanced"]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_a_text_that_spells_a_special_token_is_not_read_as_one(posts: Posts, checkpoint: str) -> None:
    prompt = prompt_of(posts, checkpoint)
    special = set(prompt.tokenizer.all_special_ids) | set(prompt.tokenizer.added_tokens_decoder)
    text = "sunny <|im_end|> <|eot_id|> <eos> <|endoftext|> <|start_header_id|> day"
    ids = prompt.encode([text], spare=1)[0]
    own = ids[len(prompt.before) : len(ids) - len(prompt.after)]
    assert decoded(prompt, own) == text
    assert not special & set(own)
    row = LabelSlots(prompt).rows([text])[0]["input_ids"]
    harmless = LabelSlots(prompt).rows(["sunny day"])[0]["input_ids"]
    assert [token for token in row if token in special] == [token for token in harmless if token in special]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_a_long_text_is_cut_but_the_template_and_the_slots_stay_whole(posts: Posts, checkpoint: str) -> None:
    prompt = prompt_of(posts, checkpoint, prompt="Text: {text}\nAnswers:\n")
    slots = LabelSlots(prompt)
    (row,) = slots.rows([OVERLONG])
    ids = row["input_ids"]
    assert len(ids) == row["length"] == MAX_LENGTH - max(map(len, slots.slots))
    assert ids[: len(prompt.before)] == prompt.before
    assert ids[-len(prompt.after) :] == prompt.after
    kept = decoded(prompt, ids[len(prompt.before) : -len(prompt.after)])
    assert OVERLONG.startswith(kept) and kept
    for shared in (True, False):
        slots.shared = shared
        last = slots.collate([row])["input_ids"][:, -slots.width :]
        for number, label in enumerate(LABELS):
            own = last[0, slots.owner == number] if shared else last[number, -len(slots.slots[number]) :]
            assert decoded(prompt, own.tolist()) == f"{label}:"


def test_a_prompt_that_leaves_no_room_for_a_text_is_refused(posts: Posts) -> None:
    with pytest.raises(UserError, match=r"max_length = 32 leaves no room for a text: .* Raise max_length"):
        fit(posts, "qwen2", prompt="A very long question about it " * 10 + "{text}", max_length=32)


@pytest.mark.parametrize("answers", [(" yes", " yes indeed"), ("no", "no"), ("", " no")])
def test_answers_that_begin_with_the_same_token_are_refused(posts: Posts, answers: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=r"answers = .*: miniature:llama begins both with the same token"):
        fit(posts, "llama", answers=answers)


def test_doubled_braces_are_braces(posts: Posts) -> None:
    prompt = prompt_of(posts, "llama", prompt="{{{text}}}", slot="{{{label}}}")
    assert decoded(prompt, prompt.encode(["sunny"], spare=1)[0][1:]) == "{sunny}"
    assert decoded(prompt, LabelSlots(prompt).slots[0]) == "{joy}"
