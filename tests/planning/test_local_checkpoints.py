from __future__ import annotations

import json
from pathlib import Path

import pytest

from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.planning.local_checkpoints import configuration_of, is_on_machine, tokenizer_of, weight_bytes

RECIPE = """\
family = "sequence_classifier"
[settings]
checkpoint = "nobody/small"
[architectures."nobody/small"]
parameters = 1_000
download_gb = 0.5
config = { model_type = "bert", hidden_size = 8 }
"""


def load(workspace: Workspace, text: str = RECIPE) -> Recipe:
    (workspace.recipes / "model.toml").write_text(text, encoding="utf-8")
    return load_recipe(workspace, "model")


@pytest.fixture
def folder(workspace: Workspace) -> Path:
    """A folder that stands for the checkpoint."""
    made = workspace.root / "local"
    made.mkdir()
    (made / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 16}), encoding="utf-8")
    for number, size in enumerate((1000, 234)):
        (made / f"model-{number}.safetensors").write_bytes(b"\x00" * size)
    with workspace.declaration.open("a") as file:
        file.write('\n[checkpoints]\n"nobody/small" = "local"\n')
    return made


def test_a_folder_tells_its_own_shape_and_size(workspace: Workspace, folder: Path) -> None:
    recipe = load(workspace)
    assert is_on_machine(recipe)
    assert weight_bytes(recipe) == 1234
    assert configuration_of(recipe) == {"model_type": "bert", "hidden_size": 16}


def test_what_is_not_here_is_as_the_recipe_describes_it(workspace: Workspace) -> None:
    recipe = load(workspace)
    assert not is_on_machine(recipe)
    assert weight_bytes(recipe) == 5 * 10**8
    assert configuration_of(recipe) == {"model_type": "bert", "hidden_size": 8}
    assert tokenizer_of(recipe) is None


@pytest.mark.parametrize("checkpoint", ["nobody/unheard-of", "../no/such/folder"])
def test_of_what_nobody_describes_nothing_is_known(workspace: Workspace, checkpoint: str) -> None:
    recipe = load(workspace, f'family = "sequence_classifier"\n[settings]\ncheckpoint = "{checkpoint}"\n')
    assert (is_on_machine(recipe), weight_bytes(recipe), configuration_of(recipe)) == (False, None, None)


def test_a_configuration_that_is_torn_is_named_and_a_foreign_one_is_none(workspace: Workspace, folder: Path) -> None:
    recipe = load(workspace)
    (folder / "config.json").write_text('{"hidden_size": 16}', encoding="utf-8")
    assert configuration_of(recipe) is None
    (folder / "config.json").write_text('{"model_type": ', encoding="utf-8")
    with pytest.raises(UserError, match=r"config\.json: cannot be read as a checkpoint's configuration"):
        configuration_of(recipe)


def test_a_folder_without_a_tokenizer_has_none(workspace: Workspace, folder: Path) -> None:
    assert tokenizer_of(load(workspace)) is None  # transformers would make up one of five tokens
