"""Hidden states that are computed once stand in for frozen layers, and nothing differs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.families import FitContext
from compete.base_models.miniatures.writing import write_miniature
from compete.base_models.pretrained import frozen_layers
from compete.base_models.pretrained.adaptation import layers_of

pytestmark = pytest.mark.slow

Posts = tuple[list[str], NDArray[np.int8]]

LABELS = ("joy", "anger")
ARCHITECTURES = ("roberta", "distilbert", "gemma2", "llama", "qwen2")
UNSEEN = ["such a sunny day", "rotten", "", "sunny " * 60, "a day, rotten and sunny 😀 #mood"]


def settings(checkpoint: str, **more: Any) -> SequenceClassifierSettings:
    small = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "max_length": 32, "precision": "float32"}
    return SequenceClassifierSettings(checkpoint=checkpoint, **{**small, **more})


def fit(posts: Posts, checkpoint: str, cache: Path | None = None, seed: int = 3, **more: Any) -> Any:
    context = FitContext(labels=LABELS, seed=seed, cache=cache)
    return SequenceClassifier(settings(checkpoint, **more)).fit(*posts, context)


def stored(cache: Path) -> dict[str, bytes]:
    """Everything that is kept, by its path below `cache`."""
    files = (path for path in cache.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(cache)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def checkpoint(posts: Posts, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One checkpoint for several seeds, as a real one is."""
    folder = tmp_path_factory.mktemp("roberta")
    write_miniature("roberta", posts[0], folder, seed=1)
    return str(folder)


@pytest.mark.parametrize("adaptation", ["full", "lora"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_kept_gives_what_computing_it_again_gives(
    posts: Posts, tmp_path: Path, architecture: str, adaptation: str
) -> None:
    name = f"miniature:{architecture}"
    more: dict[str, Any] = {"adaptation": adaptation, "learning_rate": 0.01, "epochs": 5}
    expected = fit(posts, name, frozen_layers=1, **more).predict_proba(UNSEEN)
    spread = float(np.ptp(expected[:, 0]))
    assert spread > 3e-4  # texts are told apart
    shared = fit(posts, name, cache=tmp_path, frozen_layers=1, **more)
    # Rounding grows with every step that learns; another model would differ by as much as texts do.
    np.testing.assert_allclose(shared.predict_proba(UNSEEN), expected, atol=max(1e-5, spread / 1000))


@pytest.mark.parametrize("architecture", ["distilbert", "llama"])
def test_freezing_all_layers_leaves_the_head_to_train(posts: Posts, architecture: str, tmp_path: Path) -> None:
    name = f"miniature:{architecture}"
    frozen = fit(posts, name, learning_rate=0.01, frozen_layers=2)
    shared = fit(posts, name, cache=tmp_path, learning_rate=0.01, frozen_layers=2)
    np.testing.assert_allclose(shared.predict_proba(UNSEEN), frozen.predict_proba(UNSEEN), atol=1e-5)
    assert not any(weight.requires_grad for weight in layers_of(frozen.model).parameters())


def test_a_text_gives_the_same_probabilities_alone_and_in_a_padded_batch(posts: Posts, tmp_path: Path) -> None:
    model = fit(posts, "miniature:llama", cache=tmp_path, frozen_layers=1)
    alone = np.concatenate([model.predict_proba([text]) for text in UNSEEN])
    np.testing.assert_allclose(model.predict_proba(UNSEEN), alone, atol=1e-5)


def test_a_second_fit_computes_nothing_of_the_frozen_layers_again(
    posts: Posts, checkpoint: str, tmp_path: Path
) -> None:
    fit(posts, checkpoint, cache=tmp_path, frozen_layers=1)
    before = stored(tmp_path)
    assert sorted(Path(name).name for name in before) == ["hidden.f32", "index.json"]
    again = fit(posts, checkpoint, cache=tmp_path, frozen_layers=1, seed=4)
    again.predict_proba(posts[0])
    adapters = fit(posts, checkpoint, cache=tmp_path, frozen_layers=1, adaptation="lora")
    assert stored(tmp_path) == before
    fresh = fit(posts, checkpoint, cache=tmp_path / "fresh", frozen_layers=1, seed=4)
    np.testing.assert_array_equal(again.predict_proba(UNSEEN), fresh.predict_proba(UNSEEN))
    adapters.predict_proba(UNSEEN)
    shutil.rmtree(tmp_path / "fresh")
    added = stored(tmp_path)
    assert added.keys() == before.keys()
    assert all(len(added[name]) > len(content) for name, content in before.items())


def test_hidden_states_are_kept_by_the_weights_they_came_from(posts: Posts, checkpoint: str, tmp_path: Path) -> None:
    fit(posts, checkpoint, cache=tmp_path, frozen_layers=1)
    fit(posts, checkpoint, cache=tmp_path, frozen_layers=2)
    fit(posts, "miniature:roberta", cache=tmp_path, frozen_layers=1)  # other weights, of the same shape
    assert len(stored(tmp_path)) == 3 * 2


@pytest.fixture(scope="module")
def begun(posts: Posts, checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of a fit on some of the rows."""
    texts, labels = posts
    cache = tmp_path_factory.mktemp("cache")
    fit((texts[:72], labels[:72]), checkpoint, cache=cache, frozen_layers=1)
    return cache


@pytest.fixture(scope="module")
def without_cache(posts: Posts, checkpoint: str) -> NDArray[np.float32]:
    values: NDArray[np.float32] = fit(posts, checkpoint, frozen_layers=1).predict_proba(UNSEEN)
    return values


@pytest.mark.parametrize("garbage", [b"\x00" * 128 * 3, b"\xff" * 200, b"\xff" * 7])
def test_what_a_killed_process_left_half_written_does_no_harm(
    posts: Posts, checkpoint: str, begun: Path, without_cache: NDArray[np.float32], tmp_path: Path, garbage: bytes
) -> None:
    cache = shutil.copytree(begun, tmp_path / "cache")
    (values,) = cache.rglob("hidden.f32")
    with values.open("ab") as file:
        file.write(garbage)
    model = fit(posts, checkpoint, cache=cache, frozen_layers=1)
    np.testing.assert_allclose(model.predict_proba(UNSEEN), without_cache, atol=1e-5)


@pytest.mark.parametrize("adaptation", ["full", "lora"])
def test_a_saved_model_has_its_lower_layers_again(posts: Posts, tmp_path: Path, adaptation: str) -> None:
    name = "miniature:qwen2"
    model = fit(posts, name, cache=tmp_path / "cache", frozen_layers=1, adaptation=adaptation)
    before = model.predict_proba(UNSEEN)
    kinds = {type(layer).__name__ for layer in layers_of(model.model)}
    assert kinds != {"Qwen2DecoderLayer"}  # while it is trained, something else stands in for the lowest
    (tmp_path / "kept").mkdir()
    assert model.save(tmp_path / "kept", whole=True)
    assert [type(layer).__name__ for layer in layers_of(model.model)] == ["Qwen2DecoderLayer"] * 2
    np.testing.assert_allclose(model.predict_proba(UNSEEN), before, atol=1e-5)
    family = SequenceClassifier(settings(name, frozen_layers=1, adaptation=adaptation))
    loaded = family.load(tmp_path / "kept", FitContext(labels=LABELS, seed=3))
    np.testing.assert_allclose(loaded.predict_proba(UNSEEN), before, atol=1e-5)


def test_what_is_kept_already_needs_no_room(
    posts: Posts, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(posts, checkpoint, cache=tmp_path, frozen_layers=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**12, 10**12, 0))
    context = FitContext(labels=LABELS, seed=4, cache=tmp_path)
    model: Any = SequenceClassifier(settings(checkpoint, frozen_layers=1)).fit(*posts, context)
    assert context.warnings == []
    assert type(layers_of(model.model)[0]).__name__ != "RobertaLayer"


def test_frozen_layers_follow_the_model_to_its_device(posts: Posts, checkpoint: str, tmp_path: Path) -> None:
    model = fit(posts, checkpoint, cache=tmp_path, frozen_layers=1).model
    model.to("meta")  # as training moves it to a GPU, without the layers that are out of their places
    frozen_layers.restored(model)
    assert {weight.device.type for weight in model.parameters()} == {"meta"}


@pytest.mark.parametrize("full_for", ["training", "prediction"])
def test_without_room_on_the_disk_all_is_computed_again(
    posts: Posts, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_for: str
) -> None:
    expected = fit(posts, checkpoint, frozen_layers=1).predict_proba(UNSEEN)
    free = {"training": 10**9, "prediction": 10**12}[full_for]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**12, 0, free))
    context = FitContext(labels=LABELS, seed=3, cache=tmp_path)
    model = SequenceClassifier(settings(checkpoint, frozen_layers=1)).fit(*posts, context)
    assert any("no room on the disk" in warning for warning in context.warnings) == (full_for == "training")
    free = 10**9
    before = stored(tmp_path)
    np.testing.assert_allclose(model.predict_proba(UNSEEN), expected, atol=1e-5)
    assert stored(tmp_path) == before
