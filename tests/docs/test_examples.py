"""The examples are workspaces that compete reads, with the settings that their results were made with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compete.base_models.recipes import load_recipe, recipe_names
from compete.competition.declaration import read_declaration
from compete.competition.starter import starter_folder
from compete.competition.workspace import Workspace
from compete.stacking.stack_recipes import load_with_parts, stack_names

ROOT = Path(__file__).parents[2]
EC = ROOT / "examples" / "ec"
SHIPPED = {
    "linear": "linear",
    "nbsvm": "nbsvm",
    "ffnn": "ffnn",
    "minilm": "distilbert_base_uncased",
    "gemma_3_270m": "gemma_2b",
    "embeddinggemma_300m": "embeddinggemma_300m",
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("shipped")
    shutil.copytree(starter_folder() / "base_models", root / "base_models")
    shutil.copy(EC / "competition.toml", root)
    return Workspace(root, "laptop")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_recipe_of_the_example_has_the_settings_of_the_shipped_one(shipped: Workspace, name: str) -> None:
    example, original = load_recipe(Workspace(EC), name), load_recipe(shipped, SHIPPED[name])
    assert example.settings.model_dump() == original.settings.model_dump()
    assert example.declaration.seed == original.declaration.seed


def test_every_recipe_of_the_example_loads() -> None:
    names = recipe_names(Workspace(EC))
    assert set(names) == {*SHIPPED, "embeddinggemma_goemotions"}
    steps = load_recipe(Workspace(EC), "embeddinggemma_goemotions").declaration.pretrain_on
    assert [step.workspace for step in steps] == ["goemotions"]
    assert len(read_declaration(Workspace(EC / "goemotions")).data.labels or ()) == 28


def test_its_stacks_are_those_that_init_gives() -> None:
    names = stack_names(Workspace(EC))
    assert [recipe.name for recipe in load_with_parts(Workspace(EC), names)]
    for name in names:
        given = starter_folder() / "stacking" / f"{name}.toml"
        assert Workspace(EC).stack_recipe(name).read_bytes() == given.read_bytes()
