"""Every architecture and adaptation trains and predicts, at miniature size, through the real loading code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.families import FitContext
from compete.base_models.miniatures.writing import write_miniature
from compete.base_models.pretrained import device
from compete.base_models.pretrained.frozen_layers import HiddenStates
from support.small_classifier import LABELS, fit, posts, settings

pytestmark = pytest.mark.slow

ENCODERS, DECODERS = ("roberta", "distilbert"), ("gemma2", "llama", "qwen2")
CASES = [(name, adaptation) for name in ENCODERS for adaptation in ("full", "frozen", "lora")]
CASES += [(name, adaptation) for name in DECODERS for adaptation in ("full", "lora", "qlora")]
UNSEEN = ["such a sunny day", "rotten", "", "sunny " * 60, "a day, rotten and sunny 😀 #mood"]


@pytest.mark.parametrize(("architecture", "adaptation"), CASES)
def test_a_text_gives_the_same_probabilities_alone_and_in_a_padded_batch(architecture: str, adaptation: str) -> None:
    model, context = fit(f"miniature:{architecture}", adaptation=adaptation)
    together = model.predict_proba(UNSEEN)
    assert together.shape == (len(UNSEEN), 2)
    assert together.dtype == np.float32
    assert np.all((together > 0) & (together < 1))
    assert together[:, 0].std() > 0  # texts are told apart
    alone = np.concatenate([model.predict_proba([text]) for text in UNSEEN])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert context.curves[0].keys() == {"epoch", "train_loss", "validation_loss", "learning_rate"}


@pytest.mark.parametrize("architecture", ["distilbert", "llama"])
def test_padding_on_the_left_changes_nothing(architecture: str) -> None:
    pooling = {"distilbert": "mean"}.get(architecture, "first")  # an encoder's first token would be a pad
    model, _ = fit(f"miniature:{architecture}", pooling=pooling)
    for name, weight in model.model.named_parameters():
        if "position_embeddings" in name:  # an encoder counts absolute positions, pads included
            weight.data.zero_()
    right = model.predict_proba(UNSEEN)
    model.tokenizer.padding_side = "left"
    left = model.predict_proba(UNSEEN)
    np.testing.assert_allclose(right, left, atol=1e-3)


def test_it_learns_which_word_carries_which_label() -> None:
    model, _ = fit("miniature:llama", epochs=12, learning_rate=3e-3, scheduler="constant")
    sunny, rotten = model.predict_proba(["sunny day", "rotten day"])
    assert sunny[0] > 0.8 > 0.2 > rotten[0]
    assert rotten[1] > 0.5 > sunny[1]


def test_the_seed_decides() -> None:
    first, again, other = (fit("miniature:roberta", seed=seed)[0].predict_proba(UNSEEN) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_best_epoch_is_kept_and_patience_stops_early() -> None:
    """At this rate the validation loss falls, and some epochs later is worse again."""
    wild: dict[str, Any] = {"learning_rate": 0.01, "scheduler": "constant", "warmup": 0.0}
    model, context = fit("miniature:distilbert", epochs=40, patience=2, **wild)
    losses = [row["validation_loss"] for row in context.curves]
    best = int(np.argmin(losses)) + 1
    assert len(losses) == best + 2 < 40
    stopped, _ = fit("miniature:distilbert", epochs=best, **wild)
    np.testing.assert_allclose(model.predict_proba(UNSEEN), stopped.predict_proba(UNSEEN), atol=1e-5)


def test_accumulated_micro_batches_are_one_batch() -> None:
    """The loss is a mean over rows, so two halves must count half each."""
    texts, labels = posts()
    seen = []
    for micro in (16, 8):
        context = FitContext(labels=LABELS, seed=3)
        chosen = settings("miniature:gemma2", micro_batch_size=micro, weight_decay=0.0, warmup=0.0)
        seen.append(SequenceClassifier(chosen).fit(texts, labels, context).predict_proba(UNSEEN))
    np.testing.assert_allclose(seen[0], seen[1], atol=2e-3)


@pytest.mark.parametrize("scheduler", ["linear", "cosine", "constant", "plateau"])
@pytest.mark.parametrize("loss", ["bce", "focal", "asymmetric"])
def test_schedulers_and_losses_run(scheduler: str, loss: str) -> None:
    _, context = fit("miniature:distilbert", scheduler=scheduler, loss=loss, epochs=2)
    assert np.isfinite([row["validation_loss"] for row in context.curves]).all()


def test_frozen_layers_stay_as_they_are(tmp_path: Path) -> None:
    texts, _ = posts()
    write_miniature("roberta", texts, tmp_path, seed=1)
    model, _ = fit(str(tmp_path), frozen_layers=1)
    before, after = AutoModel.from_pretrained(tmp_path), model.model.roberta
    name = "attention.self.query.weight"
    lower, upper = (dict(after.encoder.layer[number].named_parameters())[name] for number in (0, 1))
    was_lower, was_upper = (dict(before.encoder.layer[number].named_parameters())[name] for number in (0, 1))
    assert lower.equal(was_lower)
    assert not upper.equal(was_upper)
    assert after.embeddings.word_embeddings.weight.equal(before.embeddings.word_embeddings.weight)


@pytest.mark.parametrize("adaptation", ["full", "lora", "frozen"])
def test_what_is_read_again_goes_to_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adaptation: str
) -> None:
    fitted, context = fit("miniature:distilbert", adaptation=adaptation)
    fitted.save(tmp_path, whole=True)
    monkeypatch.setattr(device, "device", lambda: torch.device("meta"))
    again: Any = SequenceClassifier(fitted.settings).load(tmp_path, context)
    assert {weight.device.type for weight in again.model.parameters()} == {"meta"}


def test_what_frozen_layers_compute_is_computed_on_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ComputedError(Exception):
        pass

    def compute(store: Any, *_: Any) -> Any:
        raise ComputedError({weight.device.type for weight in store.model.parameters()})

    monkeypatch.setattr(device, "device", lambda: torch.device("meta"))
    monkeypatch.setattr(HiddenStates, "_compute", compute)
    monkeypatch.setattr("compete.base_models.pretrained.frozen_layers._digest", lambda *_: "digest")
    context = FitContext(labels=LABELS, seed=3, cache=tmp_path)
    with pytest.raises(ComputedError, match=r"^\{'meta'\}$"):
        SequenceClassifier(settings("miniature:distilbert", frozen_layers=1)).fit(*posts(), context)
