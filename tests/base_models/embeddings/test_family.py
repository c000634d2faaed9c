"""The family as jobs use it: what reaches the fit, what is kept, the prompt, and what users get wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from compete.base_models.checkpoint_files import checkpoint_of
from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.embeddings import encoder, training
from compete.base_models.embeddings.family import Embeddings
from compete.base_models.embeddings.kept_numbers import numbers_of
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.families import FitContext
from compete.base_models.miniatures.writing import write_miniature
from compete.base_models.pretrained.attention import is_bidirectional
from compete.base_models.pretrained.checkpoints import open_body, source_of
from compete.base_models.pretrained.settings import PROMPTS
from compete.base_models.recipes import load_recipe
from compete.competition.workspace import Workspace
from compete.errors import UserError
from support.in_process import Run, in_process
from support.small_classifier import LABELS, posts, settings

pytestmark = pytest.mark.slow

PROMPT = "task: classification | query: "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("gemma")
    write_miniature("gemma3_embedding", posts()[0], made, seed=1)
    return made


def family(checkpoint: str, **more: Any) -> Embeddings:
    small: dict[str, Any] = {"max_length": 32, "precision": "float32", "C": (0.1, 1.0), "layers": (1, 2)}
    return Embeddings(EmbeddingsSettings(checkpoint=checkpoint, **{**small, **more}))


def context(cache: Path | None = None) -> FitContext:
    return FitContext(labels=LABELS, seed=3, cache=cache)


def test_the_prompt_is_the_checkpoints_own_unless_the_recipe_says_another(folder: Path, tmp_path: Path) -> None:
    texts, labels = posts(40)

    def found(**more: Any) -> tuple[Any, str]:
        told = context()
        fitted = family(str(folder), **more).fit(texts, labels, told)
        return fitted.predict_proba(texts), told.facts["prompt"]

    own, prompt = found()
    assert prompt == PROMPT
    np.testing.assert_array_equal(own, found(prompt=PROMPT)[0])
    none, prompt = found(prompt="")
    assert prompt == ""
    assert np.abs(own - none).max() > 1e-3
    by_hand = family(str(folder), prompt="").fit([PROMPT + text for text in texts], labels, context())
    np.testing.assert_array_equal(own, by_hand.predict_proba([PROMPT + text for text in texts]))


def test_a_kept_model_keeps_its_prompt(folder: Path, tmp_path: Path) -> None:
    checkpoint, kept = tmp_path / "checkpoint", tmp_path / "kept"
    shutil.copytree(folder, checkpoint)
    kept.mkdir()
    texts, labels = posts(40)
    model: Any = family(str(checkpoint)).fit(texts, labels, context())
    assert model.save(kept, whole=False)
    (checkpoint / PROMPTS).unlink()
    again = family(str(checkpoint)).load(kept, context())
    assert model.predict_proba(texts).tobytes() == again.predict_proba(texts).tobytes()
    assert not any("model" in path.name for path in kept.iterdir())  # the checkpoint itself is not copied


def test_another_prompt_in_the_checkpoints_files_is_another_checkpoint(
    folder: Path, tmp_path: Path, workspace: Workspace
) -> None:
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(folder, checkpoint)

    def identity(more: str) -> Any:
        text = f'family = "embeddings"\n[settings]\ncheckpoint = "{checkpoint}"\n{more}'
        (workspace.recipes / "frozen.toml").write_text(text, encoding="utf-8")
        return checkpoint_of(workspace, load_recipe(workspace, "frozen"))

    own, said = identity(""), identity('prompt = "x: "\n')
    (checkpoint / PROMPTS).write_text(json.dumps({"prompts": {"Classification": "other: "}}), encoding="utf-8")
    assert identity("") != own
    assert identity('prompt = "x: "\n') == said


def test_only_the_texts_of_the_fit_are_read_and_a_rows_numbers_see_no_label(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    plain = numbers_of

    def noted(reader: Any, texts: Sequence[str], told: FitContext) -> Any:
        read.extend(texts)
        return plain(reader, texts, told)

    monkeypatch.setattr(training, "numbers_of", noted)
    texts, labels = posts(60)
    model: Any = family(str(folder)).fit(texts[:40], labels[:40], context(tmp_path))
    assert read == texts[:40]
    others = model.predict_proba(texts[40:])
    assert set(read) == set(texts)
    # A cache that holds the numbers of the held-out texts changes nothing of the fit.
    again: Any = family(str(folder)).fit(texts[:40], labels[:40], context(tmp_path))
    np.testing.assert_array_equal(again.predict_proba(texts[40:]), others)
    turned: Any = family(str(folder)).fit(texts[:40], 1 - labels[:40], context(tmp_path))
    np.testing.assert_allclose(turned.predict_proba(texts[40:]), 1 - others, atol=1e-2)


@pytest.mark.parametrize("checkpoint", ["roberta", "distilbert", "llama", "stella"])
def test_encoders_and_decoders_of_every_kind_are_read(checkpoint: str, tmp_path: Path) -> None:
    texts, labels = posts(40)
    attention = "bidirectional" if checkpoint == "stella" else "checkpoint"
    for pooling in ("mean", "first", "last"):
        frozen = family(f"miniature:{checkpoint}", pooling=pooling, attention=attention)
        model: Any = frozen.fit(texts, labels, context())
        found = model.predict_proba(["", "sunny day", "rotten"])
        assert np.isfinite(found).all()
    kept = tmp_path / "kept"
    kept.mkdir()
    model.save(kept, whole=False)
    again = frozen.load(kept, context()).predict_proba(["", "sunny day", "rotten"])
    assert found.tobytes() == again.tobytes()


def test_a_classifier_reads_texts_behind_its_prompt_and_its_default_is_no_part_of_its_identity(
    folder: Path, workspace: Workspace
) -> None:
    texts, labels = posts(32)
    frozen = {"adaptation": "frozen", "prompt": "say it: "}
    behind = SequenceClassifier(settings(str(folder), **frozen)).fit(texts, labels, context())
    by_hand = SequenceClassifier(settings(str(folder), **{**frozen, "prompt": ""}))
    plain = by_hand.fit([f"say it: {text}" for text in texts], labels, context())
    np.testing.assert_array_equal(
        behind.predict_proba(texts), plain.predict_proba([f"say it: {text}" for text in texts])
    )

    def identity(more: str) -> Any:
        text = f'family = "sequence_classifier"\n[settings]\ncheckpoint = "miniature:roberta"\n{more}'
        (workspace.recipes / "read.toml").write_text(text, encoding="utf-8")
        return load_recipe(workspace, "read").identity()

    assert "settings.prompt" not in identity("")
    assert identity('prompt = ""') == identity("")
    assert identity('prompt = "say it: "')["settings.prompt"] == "say it: "


def test_a_configuration_that_sees_both_ways_may_be_pooled_by_its_mean(folder: Path) -> None:
    assert is_bidirectional(open_body(source_of(settings(str(folder)), [], 1), 0))
    causal = source_of(settings("miniature:gemma2"), posts()[0], 1)
    assert not is_bidirectional(open_body(causal, 0))
    texts, labels = posts(32)
    pooled = {"pooling": "mean", "adaptation": "frozen"}
    assert SequenceClassifier(settings(str(folder), **pooled)).fit(texts, labels, context())
    with pytest.raises(UserError, match="is a decoder"):
        SequenceClassifier(settings("miniature:gemma2", **pooled)).fit(texts, labels, context())


@pytest.fixture
def compete(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(workspace.root, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("layers = [0, 1]", "settings.layers"),
        ("layers = [1, 1]", "settings.layers"),
        ("layers = []", "settings.layers"),
        ("C = [0.1, 0.0]", "settings.C"),
        ("C = [-1.0]", "settings.C"),
        ('head = "forest"', "settings.head"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(workspace: Workspace, compete: Run, more: str, said: str) -> None:
    text = f'family = "embeddings"\n[settings]\ncheckpoint = "miniature:roberta"\n{more}\n'
    (workspace.recipes / "frozen.toml").write_text(text, encoding="utf-8")
    run = compete("train-base", "frozen", "--workers", "0")
    assert run.code == 2
    assert said in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("checkpoint", "more", "said"),
    [
        ("whole", "layers = [1, 3]", "has 2 layers, and 3 is none of them"),
        ("whole", f'prompt = "{"very long " * 30}"\nmax_length = 16', "settings.prompt"),
        ("bare", "", "has no config.json"),
        ("garbled", "", "write `prompt` into the recipe"),
    ],
)
def test_what_only_the_checkpoint_tells_is_one_message(
    folder: Path, tmp_path: Path, workspace: Workspace, compete: Run, checkpoint: str, more: str, said: str
) -> None:
    place = tmp_path / checkpoint
    shutil.copytree(folder, place)
    if checkpoint == "bare":
        (place / "config.json").unlink()
    if checkpoint == "garbled":
        (place / PROMPTS).write_text("{", encoding="utf-8")
    text = f'family = "embeddings"\n[settings]\ncheckpoint = "{place}"\n{more}\n'
    (workspace.recipes / "frozen.toml").write_text(text, encoding="utf-8")
    run = compete("train-base", "frozen", "--fold", "0", "--workers", "0")
    assert run.code != 0
    assert said in " ".join((run.stdout + run.stderr).split())
    assert "Traceback" not in run.stdout + run.stderr


def test_a_fold_is_trained_checked_and_used_through_the_command_line(
    folder: Path, workspace: Workspace, compete: Run
) -> None:
    text = f'family = "embeddings"\n[settings]\ncheckpoint = "{folder}"\nlayers = [1, 2]\nC = [0.1, 1.0]\n'
    (workspace.recipes / "frozen.toml").write_text(text, encoding="utf-8")
    run = compete("train-base", "frozen", "--workers", "0")
    assert run.code == 0, run.stderr
    assert not workspace.hidden_states.exists()
    part = json.loads((workspace.base_model("frozen").part(0).path / "part.json").read_text(encoding="utf-8"))
    assert part["made_by"]["prompt"] == PROMPT


def test_weights_that_are_kept_in_bfloat16_change_no_bit_and_in_float16_they_stay_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_body(source_of(settings(str(folder)), [], 1), 0)
    encoder.halve(model, "float16")
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    read = EmbeddingsSettings(checkpoint=str(folder), precision="bfloat16")

    def numbers() -> Any:
        opened = encoder.Encoder.open(source_of(read, [], 1))
        return opened.numbers(opened.rows(["a sunny day"] * 3))

    halved = numbers()
    monkeypatch.setattr(encoder, "halve", lambda *_: None)
    np.testing.assert_array_equal(numbers(), halved)


def test_a_hub_that_cannot_be_asked_for_the_prompt_is_no_checkpoint_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = source_of(EmbeddingsSettings(checkpoint="nobody/encoder"), [], 1)

    def hub(error: type[Exception]) -> None:
        def raised(*_: Any, **__: Any) -> str:
            raise error("not there")

        monkeypatch.setattr("huggingface_hub.hf_hub_download", raised)

    hub(LocalEntryNotFoundError)
    with pytest.raises(UserError, match="write `prompt` into the recipe"):
        encoder.own_prompt(source)
    hub(MissingFileError)
    assert encoder.own_prompt(source) == ""


class MissingFileError(EntryNotFoundError):
    """As the hub answers; its own class wants the answer itself."""

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)
