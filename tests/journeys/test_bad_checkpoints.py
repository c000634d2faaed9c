"""A checkpoint that cannot be used: the recipe, what is wrong and what to do, and the other models are trained."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from huggingface_hub.errors import GatedRepoError

from compete.base_models.families import FitContext
from compete.base_models.miniatures.writing import write_miniature
from compete.base_models.pretrained.checkpoints import _remedy
from compete.base_models.recipes import load_recipe
from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.oof.fold_plan import with_plan
from compete.oof.guards import warnings_of
from support.in_process import Ran, Run, in_process

pytestmark = pytest.mark.slow

Process = Callable[..., subprocess.CompletedProcess[str]]

SMALL = 'epochs = 1\nbatch_size = 64\nmax_length = 128\nprecision = "float32"\n'
COMMIT = "0123456789" * 4
AGAIN = "copy or download the folder again"
STAND_IN = "under [checkpoints] in competition.toml"

# What each recipe's line must say, besides its name and its checkpoint's.
TROUBLES: dict[str, tuple[str, ...]] = {
    "nowhere": (
        "'nobody/nothing'",
        "is not on this machine",
        "no network",
        f"a folder that holds it can stand in, {STAND_IN}",
    ),
    "absent": ("'./models/absent'", "does not exist: there is no such folder"),
    "no_config": ("'models/no_config'", "has no config.json", "copied by half"),
    "bad_config": ("'models/bad_config'", "config.json", "It looks like the config file", AGAIN),
    "cut": ("'models/cut'", "weights that are cut off or damaged (*.safetensors)"),
    "no_weights": ("'models/no_weights'", "no weights as safetensors", "convert them"),
    "no_tokenizer": ("'models/no_tokenizer'", "has no tokenizer files (tokenizer.json)"),
    "strange": ("'models/strange'", "transformers does not know", "pip install --upgrade transformers"),
    "encoder": ("'models/fine'", "is an encoder (distilbert)", "sequence_classifier takes encoders"),
    "own_code": (
        "'models/own_code'",
        "runs Python code of its own",
        'write remote_code = true and revision = "COMMIT"',
        "[training] remote_code in competition.toml",
    ),
    "four_bits": ("'models/decoder'", "without bitsandbytes", "`pip install bitsandbytes`", 'adaptation = "lora"'),
}

# Put before everything else on the path: Python then finds no bitsandbytes, installed or not.
WITHOUT_BITSANDBYTES = """
import importlib.machinery
import importlib.metadata

find_spec = importlib.machinery.PathFinder.find_spec
from_name = importlib.metadata.Distribution.from_name


def no_spec(name, path=None, target=None):
    return None if name.partition(".")[0] == "bitsandbytes" else find_spec(name, path, target)


def no_distribution(name):
    if name == "bitsandbytes":
        raise importlib.metadata.PackageNotFoundError(name)
    return from_name(name)


importlib.machinery.PathFinder.find_spec = staticmethod(no_spec)
importlib.metadata.Distribution.from_name = staticmethod(no_distribution)
"""


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """For what is refused before anything is trained."""
    return in_process(tmp_path, monkeypatch, capsys)


def write_recipe(
    workspace: Workspace,
    name: str,
    checkpoint: str,
    more: str = 'adaptation = "frozen"\n',
    family: str = "sequence_classifier",
) -> None:
    text = f'family = "{family}"\n[settings]\ncheckpoint = "{checkpoint}"\n{SMALL}{more}'
    (workspace.recipes / f"{name}.toml").write_text(text, encoding="utf-8")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, **changes}), encoding="utf-8")


def spoil_checkpoints(workspace: Workspace) -> None:
    """One recipe for every trouble, and `fine`, whose checkpoint has none."""
    folder, texts = workspace.root / "models", ["yes happy sunny", "no furious rotten w1"]
    for name, architecture in (("fine", "distilbert"), ("decoder", "llama")):
        write_miniature(architecture, texts, folder / name, seed=1)
    for name in ("no_config", "bad_config", "cut", "no_weights", "strange", "own_code"):
        shutil.copytree(folder / "fine", folder / name)
    shutil.copytree(folder / "decoder", folder / "no_tokenizer")

    (folder / "no_config" / "config.json").unlink()
    (folder / "bad_config" / "config.json").write_text("{model_type: ", encoding="utf-8")
    weights = folder / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    (folder / "no_weights" / "model.safetensors").unlink()
    for path in (folder / "no_tokenizer").glob("tokenizer*"):
        path.unlink()
    edit_config(folder / "strange", model_type="nonesuch")
    code = {"AutoConfig": "configuration_own.Own", "AutoModelForSequenceClassification": "modeling_own.Own"}
    edit_config(folder / "own_code", model_type="nonesuch", auto_map=code)

    for name in TROUBLES:
        write_recipe(workspace, name, f"models/{name}")
    write_recipe(workspace, "nowhere", "nobody/nothing")
    write_recipe(workspace, "absent", "./models/absent")
    write_recipe(workspace, "four_bits", "models/decoder", 'adaptation = "qlora"\n')
    write_recipe(workspace, "fine", "models/fine", 'adaptation = "frozen"\nlearning_rate = 1e-3\n')
    write_recipe(workspace, "encoder", "models/fine", "", family="label_generator")


def hide_bitsandbytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WITHOUT_BITSANDBYTES, encoding="utf-8")
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def test_every_trouble_is_named_and_the_other_models_are_trained(
    workspace: Workspace, compete: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_bitsandbytes(tmp_path / "path", monkeypatch)
    spoil_checkpoints(workspace)
    # A text longer than the model can read is cut, and an empty one is scored as it is.
    edit(workspace.recipes / "fine.toml", "max_length = 128", "max_length = 4096")
    test = workspace.root / "test.csv"
    lines = test.read_text(encoding="utf-8").splitlines()
    lines[1:3] = ["b0000,", f"b0001,{'sunny ' * 3000}"]
    test.write_text("\n".join(lines) + "\n", encoding="utf-8")

    # In one process, one after the other: the libraries are imported once for all of them.
    ran = compete("train-base", "--all", "--fold", "0", "--workers", "0", "--no-parity")

    assert ran.returncode == 1, ran.stderr
    assert "warning: 1 empty text in the test set, first row 1 (b0000)" in ran.stderr
    message = ran.stderr[ran.stderr.index("error: ") :]
    assert f"{len(TROUBLES)} of {len(TROUBLES) + 3} jobs failed; 3 were finished and kept" in message
    assert "Traceback" not in message
    assert not re.search(r"https?:|huggingface\.co|hf\.co", message)  # which host it is does not help anybody
    found = {line.split()[0]: line for line in message.splitlines()[1:]}
    assert set(found) == set(TROUBLES)
    for name, said in TROUBLES.items():
        assert f"{name} fold 0: UserError: the checkpoint " in found[name], found[name]
        for part in said:
            assert part in found[name], found[name]
        assert "Traceback" in (workspace.oof / name / "logs" / "fold_0.log").read_text(encoding="utf-8")
    for name in ("fine", "words", "words_smooth"):
        table = pd.read_parquet(workspace.oof / name / "fold_0" / "test.parquet")
        assert np.isfinite(table[["joy", "anger", "trust"]].to_numpy()).all()


def declare(workspace: Workspace, text: str) -> None:
    path = workspace.declaration
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.mark.parametrize("code", ["", f'revision = "{COMMIT}"\n'], ids=["not pinned", "not allowed"])
def test_code_of_a_repository_is_refused_before_anything_is_trained(workspace: Workspace, here: Run, code: str) -> None:
    write_recipe(workspace, "own_code", "nobody/nothing", f"remote_code = true\n{code}")
    said = ["base_models/own_code.toml"]
    if code:
        said += ["runs Python code from its own repository", "remote_code = ['own_code'] under [training]"]
    else:
        said += ["settings.remote_code: found true, needs `revision`, a commit of 40 hex digits"]
    _refused(workspace, here("train-base", "--all"), *said)


def test_a_stand_in_that_does_not_exist(workspace: Workspace, here: Run) -> None:
    write_recipe(workspace, "stood_in", "nobody/nothing")
    declare(workspace, '\n[checkpoints]\n"nobody/nothing" = "models/absent"\n')
    said = ("competition.toml", "checkpoints.nobody/nothing", "the folder models/absent does not exist")
    _refused(workspace, here("train-base", "--all"), *said)


def test_as_published_without_published_settings(workspace: Workspace, here: Run) -> None:
    _refused(workspace, here("train-base", "words", "--as-published"), "base_models/words.toml", "has no [published]")


def test_a_size_that_is_none(workspace: Workspace, here: Run) -> None:
    ran = here("train-base", "--all", "--size", "minature")
    _refused(workspace, ran, "--size minature", "did you mean 'miniature'?", "full, laptop")


def test_a_gated_checkpoint_says_what_to_accept() -> None:
    response: Any = SimpleNamespace(headers={}, request=None)
    url = "https://huggingface.co/some/thing/resolve/main/config.json"
    gated = GatedRepoError(f"403 Client Error.\n\nCannot access gated repo for url {url}.", response=response)
    # As transformers words it for whoever calls from_pretrained:
    wrapped = OSError(
        "You are trying to access a gated repo.\nMake sure to have access to it at "
        f"https://huggingface.co/some/thing.\n{gated}"
    )
    for error in (gated, wrapped):
        remedy = _remedy("some/thing", error)
        assert remedy is not None
        assert remedy.startswith("is gated: accept its licence")
        assert "`hf auth login`" in remedy
        assert "http" not in remedy


def test_a_name_that_the_hub_does_not_know() -> None:
    error = OSError(
        "some/thing is not a local folder and is not a valid model identifier listed on "
        "'https://huggingface.co/models'\nIf this is a private repository, make sure to pass a token"
    )
    remedy = _remedy("some/thing", error)
    assert remedy is not None
    assert remedy.startswith("does not exist, neither as a folder nor on the hub")
    assert f"can stand in, {STAND_IN}" in remedy


def test_a_mistake_that_is_not_the_checkpoints_stays_what_it_is() -> None:
    assert _remedy("some/thing", ValueError("max_length must be positive")) is None
    assert _remedy("some/thing", KeyError("loss")) is None


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ('family = "linear"\n', "the same probability in every row: trust"),
        ('family = "ffnn"\n', "never predicted, no probability reaches 0.5: trust"),
        (
            f'family = "sequence_classifier"\n[settings]\ncheckpoint = "miniature:distilbert"\n{SMALL}'
            'learning_rate = 0.01\nscheduler = "constant"\n',
            "never predicted, no probability reaches 0.5: trust",
        ),
    ],
    ids=["linear", "ffnn", "sequence_classifier"],
)
def test_a_label_that_no_training_row_has_is_learnt_and_warned_of(workspace: Workspace, recipe: str, said: str) -> None:
    (workspace.recipes / "rare.toml").write_text(recipe, encoding="utf-8")
    competition = load_competition(workspace)
    planned = with_plan(competition)
    labels = competition.train_targets.copy()
    labels[planned.plan.other_rows(0), 2] = 0
    context = FitContext(competition.labels, seed=1)
    rare = dataclasses.replace(competition, train_targets=labels)
    # Handed to the family itself: a label that one fold alone has is learnt by no model.
    others, held_out = planned.plan.other_rows(0), planned.plan.rows(0)
    model = (
        load_recipe(workspace, "rare").build().fit([rare.train_texts[row] for row in others], labels[others], context)
    )
    probabilities = model.predict_proba([rare.train_texts[row] for row in held_out])
    assert probabilities[:, 2].max() < 0.5
    assert said in map(str, warnings_of(probabilities, competition.labels, context.curves))


def _refused(workspace: Workspace, ran: Ran, *said: str) -> None:
    assert ran.code == 2, ran.stdout + ran.stderr
    assert ran.stderr.count("error: ") == 1
    assert "Traceback" not in ran.stderr
    for part in said:
        assert part in ran.stderr
    assert not list(workspace.oof.rglob("part.json"))
