"""The recipes that come with compete: they load at every size, say what their checkpoints are, and train."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from compete.base_models.families import FitContext
from compete.base_models.pretrained.settings import CheckpointSettings, TransformerSettings
from compete.base_models.recipes import AS_PUBLISHED, Architecture, Recipe, load_recipe, recipe_names
from compete.competition.declaration import Size
from compete.competition.starter import starter_folder
from compete.competition.task import TaskName
from compete.competition.workspace import Workspace
from compete.declarations import read_toml
from compete.errors import UserError
from support.task_posts import TASKS, assert_better_than_a_constant, assert_in_form, task_context, task_posts

pytestmark = pytest.mark.slow

Posts = tuple[list[str], NDArray[np.int8]]

LABELS = ("joy", "anger")
REPORT = {
    "ffnn",
    "roberta_base",
    "distilbert_base_uncased",
    "distilroberta_base",
    "gemma_2b",
    "llama_3_2_1b",
    "stella_en_1_5b_v5",
    "llama_3_2_3b_instruct",
    "qwen2_5_1_5b",
    "qwen2_5_14b_instruct",
}
GENERATORS = {"llama_3_2_3b_instruct", "qwen2_5_1_5b", "qwen2_5_14b_instruct", "qwen2_5_72b_instruct"}
DECODERS = {"gemma2", "gemma3_text", "llama", "qwen2"}
LARGEST_ON_A_LAPTOP = 305_000_000
SIZES: tuple[Size, ...] = ("full", "laptop", "miniature")
SHIPPED = {path.stem: path for path in sorted((starter_folder() / "base_models").glob("*.toml"))}
PUBLISHED = {name for name, path in SHIPPED.items() if "published" in read_toml(path)}
TRANSFORMERS = [name for name, path in SHIPPED.items() if "checkpoint" in read_toml(path).get("settings", {})]
# As shipped, and as published where the recipe has that.
MODELS = [name + how for name in SHIPPED for how in ("", AS_PUBLISHED) if not how or name in PUBLISHED]
# No answer yes or no gives a number.
ALLOWED = [(name, task) for name in SHIPPED for task in TASKS if task != "regression" or name not in GENERATORS]
DECLARATION = """\
name = "tiny"

[data]
train = "train.csv"
test = "test.csv"
id = "id"
text = "text"
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with copies of the recipes, as `compete init` makes it."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "competition.toml").write_text(DECLARATION, encoding="utf-8")
    (folder / "base_models").mkdir()
    for path in SHIPPED.values():
        shutil.copy(path, folder / "base_models")
    return folder


def load(root: Path, model: str, size: Size) -> Recipe:
    return load_recipe(Workspace(root, size), model)


def transformer(recipe: Recipe) -> CheckpointSettings:
    assert isinstance(recipe.settings, CheckpointSettings)
    return recipe.settings


def architecture(root: Path, name: str, size: Size) -> Architecture:
    recipe = load(root, name, size)
    return recipe.declaration.architectures[transformer(recipe).checkpoint]


def test_the_ten_models_of_the_report_are_there_and_all_of_them_are_trained_by_all(root: Path) -> None:
    assert set(recipe_names(Workspace(root))) == set(SHIPPED) >= REPORT
    outside = {name for name in SHIPPED if load(root, name, "full").declaration.outside_all}
    assert outside == {"qwen2_5_72b_instruct", "boosted", "embeddinggemma_300m"}


def test_the_models_of_the_report_have_its_scores_and_settings(root: Path) -> None:
    assert PUBLISHED == REPORT
    for name in REPORT:
        published = load(root, name, "full").declaration.published
        assert published is not None and published.settings
        assert published.validation is not None and published.kaggle_public is not None
        assert published.split and published.thresholds


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model", MODELS)
def test_it_loads_at_every_size(root: Path, model: str, size: Size) -> None:
    recipe = load(root, model, size)
    assert recipe.name == model
    checkpoint = getattr(recipe.settings, "checkpoint", "miniature:" if size == "miniature" else "")
    assert checkpoint.startswith("miniature:") == (size == "miniature")
    assert recipe.identity()["family"] == recipe.declaration.family
    base = load(root, model.removesuffix(AS_PUBLISHED), size)
    assert checkpoint == getattr(base.settings, "checkpoint", checkpoint)  # published settings leave the size alone
    assert (recipe.settings == base.settings) == (recipe.name == base.name)


@pytest.mark.parametrize("size", ["full", "laptop"])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_architecture_of_its_checkpoint_is_stated(root: Path, name: str, size: Size) -> None:
    stated = architecture(root, name, size)
    kind = stated.config["model_type"]
    known = AutoConfig.for_model(kind).to_dict()
    assert stated.config.keys() <= known.keys()  # a key that no configuration has would be passed over in silence
    config = AutoConfig.for_model(**stated.config)
    assert {key: getattr(config, key) for key in stated.config} == stated.config
    autos: list[Any] = [AutoModel, *([AutoModelForCausalLM] if kind in DECODERS else [])]
    with torch.device("meta"):  # shapes without values
        counts = [sum(weight.numel() for weight in auto.from_config(config).parameters()) for auto in autos]
    assert min(abs(count / stated.parameters - 1) for count in counts) < 0.01
    bytes_per_parameter = stated.download_gb * 1e9 / stated.parameters
    assert min(abs(bytes_per_parameter - width) for width in (2, 4)) < 0.1


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_laptop_takes_a_small_checkpoint_without_code_of_its_own(root: Path, name: str) -> None:
    assert architecture(root, name, "laptop").parameters <= LARGEST_ON_A_LAPTOP
    for model in [name, *([name + AS_PUBLISHED] if name in PUBLISHED else [])]:
        recipe = load(root, model, "laptop")
        assert not transformer(recipe).remote_code
        recipe.refuse_unopenable()


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_every_stated_architecture_is_one_of_a_checkpoint_that_the_recipe_speaks_of(root: Path, name: str) -> None:
    written = SHIPPED[name].read_text(encoding="utf-8")
    for checkpoint in load(root, name, "full").declaration.architectures:
        assert checkpoint.split("/")[-1] in written.split("[architectures.")[0]


@pytest.mark.parametrize("model", MODELS)
def test_it_trains_at_miniature_size(root: Path, posts: Posts, model: str) -> None:
    texts, labels = posts[0][:48], posts[1][:48]
    recipe = load(root, model, "miniature")
    recipe.refuse_unopenable()
    context = FitContext(labels=LABELS, seed=recipe.declaration.seed)
    unseen = ["such a sunny day", "rotten", ""]
    probabilities: Any = recipe.build().fit(texts, labels, context).predict_proba(unseen)
    assert probabilities.shape == (len(unseen), len(LABELS))
    assert probabilities.dtype == np.float32
    assert np.isfinite(probabilities).all()
    assert np.all((probabilities >= 0) & (probabilities <= 1))
    assert not context.warnings
    if "epochs" in recipe.settings.model_dump():
        assert context.curves
        assert all(np.isfinite(row["validation_loss"]) for row in context.curves)


def of_task(root: Path, tmp_path: Path, task: TaskName) -> Path:
    """A workspace with the same recipes and another task."""
    shutil.copytree(root / "base_models", tmp_path / "base_models")
    (tmp_path / "competition.toml").write_text(f'task = "{task}"\n{DECLARATION}', encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("task", TASKS)
def test_every_recipe_loads_at_every_size_in_every_task(root: Path, tmp_path: Path, task: TaskName) -> None:
    folder = of_task(root, tmp_path, task)
    for size in SIZES:
        found = {name: load(folder, name, size) for name in SHIPPED}
        unfit = {name for name, recipe in found.items() if recipe.unfit}
        assert unfit == (GENERATORS if task == "regression" else set())


@pytest.mark.parametrize(("name", "task"), ALLOWED)
def test_it_trains_in_every_task_that_it_allows(root: Path, tmp_path: Path, name: str, task: TaskName) -> None:
    texts, targets = task_posts(task, 40)
    recipe = load(of_task(root, tmp_path, task), name, "miniature")
    is_transformer = isinstance(recipe.settings, TransformerSettings)
    family = recipe.build(**({"epochs": 1} if is_transformer else {}))
    context = task_context(task, recipe.declaration.seed)
    found: Any = family.fit(texts, targets, context).predict_proba([*texts, "rotten", ""])
    assert_in_form(task, found, len(texts) + 2)
    assert np.ptp(found, axis=0).min() > 0  # texts are told apart
    assert not context.warnings
    assert all(np.isfinite(row["validation_loss"]) for row in context.curves)
    if name in ("linear", "nbsvm") and task in ("regression", "ordinal"):
        assert_better_than_a_constant(found[: len(texts)], targets)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_a_generator_is_refused_where_plain_numbers_are_asked(root: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="use sequence_classifier, ffnn or linear"):
        load(of_task(root, tmp_path, "regression"), name, "miniature").build()
