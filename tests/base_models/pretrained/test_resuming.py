"""A training that is interrupted goes on where it was, and ends with the bytes of one that was not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.families import FitContext
from compete.base_models.generator.family import LabelGenerator
from compete.base_models.pretrained.batching import Batch, Row
from compete.base_models.pretrained.fine_tuning import Task, fine_tune
from compete.base_models.pretrained.resuming import read_state
from compete.base_models.pretrained.settings import TransformerSettings
from support.small_classifier import LABELS, posts

pytestmark = pytest.mark.slow

FITTED, INNER = np.arange(60), np.arange(60, 72)
Numbers = NDArray[np.float32]


class KilledError(BaseException):
    """As a kill: nothing catches it."""


class Training:
    """A small net with dropout, whose losses are counted, and which may be interrupted at one of them."""

    def __init__(self, state: Path | None = None, every: int = 0, **more: Any) -> None:
        self.state, self.every = state, every
        small = {"epochs": 3, "batch_size": 8, "eval_batch_size": 5, "learning_rate": 0.05, "precision": "float32"}
        self.settings = TransformerSettings(checkpoint="none", **{**small, **more})
        values = np.random.default_rng(2).normal(size=(72, 3)).astype(np.float32)
        self.rows: list[Row] = [{"input_ids": list(range(1 + n % 5)), "length": 1 + n % 5} for n in range(72)]
        for row, x in zip(self.rows, values, strict=True):
            row |= {"x": x, "y": np.float32(x.sum() > 0)}
        self.losses = 0

    def fit(
        self, until: int | None = None, watch: Callable[[int], None] = lambda losses: None
    ) -> tuple[Numbers, list[dict[str, float]]]:
        """Weights and curves; interrupted at the loss `until`. watch: is told the number of every loss."""
        self.losses = 0

        def loss(model: Any, batch: Batch) -> Tensor:
            self.losses += 1
            watch(self.losses)
            if self.losses == until:
                raise KilledError
            return functional.binary_cross_entropy_with_logits(model(batch["x"])[:, 0], batch["y"])

        def build() -> nn.Module:
            return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1))

        context = FitContext(labels=("joy",), seed=3, state=self.state, state_every=self.every)
        model = fine_tune(Task(build, self.rows, collate, loss), self.settings, FITTED, INNER, context)
        weights = [weight.detach().numpy().ravel() for weight in model.parameters()]
        return np.concatenate(weights), context.curves


def collate(rows: Sequence[Row]) -> Batch:
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in ("x", "y")}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a state; none before the first is written."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*"))}


def interrupted(training: Training, until: int) -> None:
    with pytest.raises(KilledError):
        training.fit(until)


SETTINGS: dict[str, dict[str, Any]] = {
    "linear": {},
    "accumulated": {"micro_batch_size": 2},
    "plateau": {"scheduler": "plateau"},
    "patience": {"patience": 1, "learning_rate": 0.5},
    "cosine": {"scheduler": "cosine", "warmup": 0.3},
    "averaged": {"ema": 0.8},
    "perturbed": {"adversarial": "awp", "adversarial_from_epoch": 2, "ema": 0.9, "micro_batch_size": 4},
}


@pytest.mark.parametrize("every", [0, 1, 3])
@pytest.mark.parametrize("name", SETTINGS)
def test_it_ends_with_the_same_bytes_wherever_it_was_interrupted(tmp_path: Path, name: str, every: int) -> None:
    """What lies there at a moment is what a kill would leave; each state is gone on from once."""
    whole = Training(tmp_path / "state", every, **SETTINGS[name])
    left: dict[int, dict[str, bytes]] = {}

    def look(losses: int) -> None:
        if losses % 5 == 2:
            left[losses] = contents(tmp_path / "state")

    weights, curves = whole.fit(watch=look)
    count = whole.losses
    assert count > 20
    states = {tuple(files.items()): until for until, files in left.items() if files}
    assert states
    # The first, the last and some between: each of them is a training to the end.
    tried = [*states.items()][:: 1 + len(states) // 4] + [*states.items()][-1:]
    for files, until in dict(tried).items():
        folder = tmp_path / str(until)
        folder.mkdir()
        for file, content in files:
            (folder / file).write_bytes(content)
        training = Training(folder, every, **SETTINGS[name])
        again, curves_again = training.fit()
        np.testing.assert_array_equal(again, weights)
        assert curves_again == curves
        assert training.losses < count

    until = max(states.values())
    training = Training(tmp_path / "killed", every, **SETTINGS[name])
    interrupted(training, until)
    killed = contents(tmp_path / "killed")
    assert killed.keys() == left[until].keys()
    for file in ("state.json", "state.safetensors"):  # the third has times in it
        assert killed[file] == left[until][file]
    np.testing.assert_array_equal(training.fit()[0], weights)


def test_to_write_states_changes_nothing(tmp_path: Path) -> None:
    plain, curves = Training().fit()
    written, curves_again = Training(tmp_path / "state", 2).fit()
    np.testing.assert_array_equal(plain, written)
    assert curves == curves_again


def test_it_may_be_interrupted_again_and_again(tmp_path: Path) -> None:
    weights, curves = Training().fit()
    training, counts = Training(tmp_path / "state", 2), []
    for _ in range(50):
        try:
            again, curves_again = training.fit(until=6)
            break
        except KilledError:
            counts.append(training.losses)
    assert len(counts) > 3
    np.testing.assert_array_equal(again, weights)
    assert curves_again == curves


def test_less_is_done_again_than_without(tmp_path: Path) -> None:
    whole = Training()
    whole.fit()
    training = Training(tmp_path / "state", 1)
    interrupted(training, whole.losses - 2)
    training.fit()
    assert training.losses <= 10


@pytest.mark.parametrize("file", ["state.safetensors", "state.json"])
def test_a_state_that_cannot_be_read_is_begun_anew(tmp_path: Path, file: str) -> None:
    weights, _ = Training().fit()
    training = Training(tmp_path / "state", 1)
    interrupted(training, 12)
    content = (tmp_path / "state" / file).read_bytes()
    (tmp_path / "state" / file).write_bytes(content[: len(content) // 2])
    assert read_state(tmp_path / "state") is None
    np.testing.assert_array_equal(training.fit()[0], weights)


def test_a_state_is_no_pickle(tmp_path: Path) -> None:
    interrupted(Training(tmp_path / "state", 1), 12)
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == [
        "state.json",
        "state.safetensors",
        "trainer_state.json",
    ]


FAMILIES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "lora": (SequenceClassifier, {"checkpoint": "miniature:llama", "adaptation": "lora"}),
    "whole": (SequenceClassifier, {"checkpoint": "miniature:distilbert"}),
    "frozen layers": (SequenceClassifier, {"checkpoint": "miniature:roberta", "frozen_layers": 1}),
    "methods": (
        SequenceClassifier,
        {
            "checkpoint": "miniature:distilbert",
            "adaptation": "lora",
            "layer_decay": 0.8,
            "head_learning_rate": 3e-3,
            "ema": 0.9,
            "adversarial": "fgm",
            "r_drop": 0.5,
            "head_dropouts": 3,
            "label_smoothing": 0.1,
            "noisy_rows": 0.2,
        },
    ),
    "slots": (LabelGenerator, {"checkpoint": "miniature:qwen2_instruct", "adaptation": "lora"}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_families_go_on_inside_a_fold(tmp_path: Path, name: str) -> None:
    family, more = FAMILIES[name]
    small = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "max_length": 80, "precision": "float32", **more}
    texts, labels = posts()

    def kill(fraction: float, doing: str = "") -> None:
        raise KilledError

    def fit(**options: Any) -> Numbers:
        context = FitContext(labels=LABELS, seed=3, cache=tmp_path / "cache", **options)
        fitted = family(family.Settings.model_validate(small)).fit(texts, labels, context)
        probabilities: Numbers = fitted.predict_proba(texts)
        return probabilities

    expected = fit()
    with pytest.raises(KilledError):
        fit(state=tmp_path / "state", state_every=3, progress=kill)  # at the tenth step
    assert read_state(tmp_path / "state") is not None
    np.testing.assert_array_equal(fit(state=tmp_path / "state", state_every=3), expected)
