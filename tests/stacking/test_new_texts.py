"""Probabilities of new texts are made as those of the test set were: the same texts give the same numbers."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from compete.cli.main import main
from compete.competition.data import Competition, load_competition
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.errors import StoreError, UserError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.work import choose_recipes, find_work, train
from compete.stacking.building import build, open_stacking
from compete.stacking.new_texts import predict_base_model, predict_stack
from compete.stacking.scoring import base_model_score
from compete.stacking.stack_recipes import load_stack_recipe, load_with_parts
from support.in_process import in_process

pytestmark = pytest.mark.slow

RECIPES = {
    "of_words": 'family = "linear"\n[settings]\nword_ngrams = [1, 1]\nchar_ngrams = []\n',
    "of_letters": 'family = "linear"\n[settings]\nword_ngrams = []\nchar_ngrams = [2, 3]\nweighting = "nbsvm"\n',
}


@pytest.fixture
def prepared(workspace: Workspace) -> Competition:
    """The tiny workspace with two recipes more, whose models can be kept; its own cannot."""
    for name, text in RECIPES.items():
        (workspace.recipes / f"{name}.toml").write_text(text, encoding="utf-8")
    return load_competition(workspace)


def train_models(competition: Competition, *names: str) -> Planned:
    train(find_work(competition, choose_recipes(competition, names), parity=False), InlineExecutor())
    return with_plan(competition)


def stored(competition: Competition, name: str) -> NDArray[np.float32]:
    return store.read_model(competition.workspace.base_model(name), competition.shape).test


@pytest.mark.parametrize("name", RECIPES)
def test_a_base_model_gives_the_test_sets_probabilities_again(prepared: Competition, name: str) -> None:
    planned = train_models(prepared, name)
    doing: list[str] = []
    found = predict_base_model(planned, name, prepared.test_texts, 1, lambda fraction, what: doing.append(what))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, stored(prepared, name), atol=1e-6, rtol=0)
    assert doing == [f"{name} fold {fold}" for fold in range(3)]


def test_a_text_does_not_depend_on_its_company(prepared: Competition) -> None:
    planned = train_models(prepared, "of_words")
    texts = [prepared.test_texts[7], "", "never seen: 😀"]
    together = predict_base_model(planned, "of_words", texts, 1)
    alone = np.concatenate([predict_base_model(planned, "of_words", [text], 1) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6, rtol=0)
    np.testing.assert_allclose(together[0], stored(prepared, "of_words")[7], atol=1e-6, rtol=0)
    assert predict_base_model(planned, "of_words", [], 1).shape == (0, 3)


# Thresholds and trees of the tiny workspace: few rows, so that something grows at all.
STACKS = {
    "mean": 'method = "mean"',
    "mean_calibrated": 'method = "mean"\ncalibration = "temperature"',
    "blend": 'method = "blend"',
    "blend_per_label": 'method = "blend"\nper = "label"\ncalibration = "platt"',
    "logistic": 'method = "logistic"\nC = [1e-6, 0.3]',
    "lightgbm": 'method = "lightgbm"\nrow_features = true\n[trees]\nmin_data_in_leaf = 5',
    "shifted": 'method = "logistic"\nC = 0.3\nlabel_shift = true',
    "second_level": 'method = "blend"\nstacks = ["mean", "lightgbm", "logistic"]',
    "second_level_shifted": 'method = "mean"\nstacks = ["blend", "logistic"]\nlabel_shift = true',
}


def build_stack(competition: Competition, name: str, members: Sequence[str] = tuple(RECIPES)) -> None:
    recipes = load_with_parts(competition.workspace, [name])
    # Alarms are allowed: so few rows can look like anything.
    build(open_stacking(with_plan(competition), recipes, sorted(members), members), name)


@pytest.fixture(scope="module")
def stackable(untouched_shifted: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Competition:
    """Two trained models whose models were kept, and recipes for stacks of every kind; other label rates."""
    workspace = Workspace(tmp_path_factory.mktemp("stackable"))
    shutil.copytree(untouched_shifted.root, workspace.root, dirs_exist_ok=True)
    for name, text in RECIPES.items():
        (workspace.recipes / f"{name}.toml").write_text(text, encoding="utf-8")
    for name, text in STACKS.items():
        (workspace.stack_recipes / f"{name}.toml").write_text(text + "\n", encoding="utf-8")
    competition = load_competition(workspace)
    train_models(competition, *RECIPES)
    return competition


def stack_once(competition: Competition, name: str) -> None:
    """Build it if no test of this module has."""
    if not competition.workspace.stack(name).path.exists():
        build_stack(competition, name)


def stored_stack(competition: Competition, name: str) -> NDArray[np.float32]:
    return store.read_model(competition.workspace.stack(name), competition.shape).test


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_gives_the_test_sets_probabilities_again(stackable: Competition, name: str) -> None:
    stack_once(stackable, name)
    recipe = load_stack_recipe(stackable.workspace, name)
    found = predict_stack(with_plan(stackable), recipe, stackable.test_texts, 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, stored_stack(stackable, name), atol=1e-5, rtol=0)


def test_the_kinds_of_stacks_do_predict_differently(stackable: Competition) -> None:
    """The control of the test above."""
    for name in STACKS:
        stack_once(stackable, name)
    found = np.stack([stored_stack(stackable, name) for name in STACKS])
    apart = np.abs(found[:, None] - found[None]).max(axis=(2, 3))
    assert apart[~np.eye(len(found), dtype=bool)].min() > 1e-3


@pytest.mark.parametrize("name", ["lightgbm", "shifted", "second_level_shifted"])
def test_a_stacks_probability_of_a_text_does_not_depend_on_its_company(stackable: Competition, name: str) -> None:
    stack_once(stackable, name)
    planned, recipe = with_plan(stackable), load_stack_recipe(stackable.workspace, name)
    few = predict_stack(planned, recipe, stackable.test_texts[7:9], 1)
    np.testing.assert_allclose(few, stored_stack(stackable, name)[7:9], atol=1e-5, rtol=0)


def test_parts_of_different_models_see_them_in_the_order_they_were_built_with(stackable: Competition) -> None:
    of_pairs = RECIPES["of_words"].replace("[1, 1]", "[1, 2]")
    (stackable.workspace.recipes / "of_pairs.toml").write_text(of_pairs, encoding="utf-8")
    train_models(stackable, "of_pairs")
    for name, text in {
        "later_two": 'method = "mean"\nmodels = ["of_pairs", "of_words"]\n',
        "all_three": 'method = "lightgbm"\n[trees]\nmin_data_in_leaf = 5\n',
        "both_of_these": 'method = "mean"\nstacks = ["later_two", "all_three"]\n',
    }.items():
        (stackable.workspace.stack_recipes / f"{name}.toml").write_text(text, encoding="utf-8")
    build_stack(stackable, "both_of_these", [*RECIPES, "of_pairs"])
    recipe = load_stack_recipe(stackable.workspace, "both_of_these")
    found = predict_stack(with_plan(stackable), recipe, stackable.test_texts, 1)
    np.testing.assert_allclose(found, stored_stack(stackable, "both_of_these"), atol=1e-5, rtol=0)


def test_a_stack_names_the_member_that_was_not_kept(prepared: Competition) -> None:
    planned = train_models(prepared, "of_words", "words")
    recipe = load_stack_recipe(prepared.workspace, "logistic")
    with pytest.raises(StoreError, match="the stack 'logistic' was not built yet: `compete stack logistic`"):
        predict_stack(planned, recipe, ["happy"], 1)
    build_stack(prepared, "logistic", ["of_words", "words"])
    with pytest.raises(StoreError, match="the family of words has no `save` and `load`"):
        predict_stack(planned, recipe, ["happy"], 1)


def test_a_stack_over_other_probabilities_than_there_are_is_refused(prepared: Competition) -> None:
    planned = train_models(prepared, *RECIPES)
    recipe = load_stack_recipe(prepared.workspace, "logistic")
    build_stack(prepared, "logistic")
    (prepared.workspace.recipes / "of_words.toml").write_text(RECIPES["of_words"] + "C = 0.5\n", encoding="utf-8")
    with pytest.raises(
        StoreError, match=r"of_words is stale \(settings\.C: 1\.0 -> 0\.5\)\. First `compete train-base of_words`"
    ):
        predict_stack(planned, recipe, ["happy"], 1)
    train_models(prepared, "of_words")
    with pytest.raises(StoreError, match=r"the stack 'logistic' is stale: base model of_words changed"):
        predict_stack(planned, recipe, ["happy"], 1)


def test_a_fold_that_somebody_removed_is_named(prepared: Competition) -> None:
    planned = train_models(prepared, "of_words")
    shutil.rmtree(prepared.workspace.base_model("of_words").kept(2))
    with pytest.raises(StoreError, match=r"fold 2 of of_words was not kept.*`compete train-base of_words --force`"):
        predict_base_model(planned, "of_words", ["happy"], 1)


def write_imported(competition: Competition) -> None:
    """The model `mate`, with the probabilities of `of_words`."""
    record = {"kind": "imported", "identity": with_plan(competition).identity}
    of_words = store.read_model(competition.workspace.base_model("of_words"), competition.shape)
    store.write_model(competition.workspace.base_model("mate"), of_words, competition.shape, record)


def test_an_imported_model_has_nothing_to_predict_with(prepared: Competition) -> None:
    planned = train_models(prepared, "of_words")
    write_imported(prepared)
    with pytest.raises(StoreError, match="mate was imported: its probabilities are here, its models are not"):
        predict_base_model(planned, "mate", ["happy"], 1)


def test_a_model_that_is_unknown_or_not_trained(prepared: Competition) -> None:
    planned = train_models(prepared, "of_words")
    with pytest.raises(UserError, match=r"no recipe base_models/of_word\.toml; did you mean 'of_words'\?"):
        predict_base_model(planned, "of_word", ["happy"], 1)
    with pytest.raises(StoreError, match="words_smooth is missing; `compete train-base words_smooth` trains it"):
        predict_base_model(planned, "words_smooth", ["happy"], 1)


def written(competition: Competition, name: str) -> pd.DataFrame:
    return pd.read_csv(competition.workspace.root / name, index_col="id")


def test_the_command_predicts_the_test_set_as_it_was(
    prepared: Competition, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The competition's own test file stands in for new texts, since what it has to give is known."""
    planned = train_models(prepared, *RECIPES)
    build_stack(prepared, "logistic")
    compete = in_process(prepared.workspace.root, monkeypatch, capsys)

    alone = compete("predict", "test.csv", "of_words", "-o", "alone.csv")
    assert alone.code == 0, alone.stderr
    assert "alone.csv: 90 rows, probabilities of base model of_words" in alone.stderr
    table, expected = written(prepared, "alone.csv"), stored(prepared, "of_words")
    assert list(table.columns) == ["joy", "anger", "trust"]
    assert list(table.index) == prepared.test_ids
    np.testing.assert_allclose(table.to_numpy(), expected, atol=1e-6, rtol=0)

    stacked = compete("predict", "test.csv")  # the best stack, into predictions.csv
    assert stacked.code == 0, stacked.stderr
    assert "predictions.csv: 90 rows, probabilities of stack logistic" in stacked.stderr
    of_stack = stored_stack(prepared, "logistic")
    np.testing.assert_allclose(written(prepared, "predictions.csv").to_numpy(), of_stack, atol=1e-5, rtol=0)

    decided = compete("predict", "test.csv", "of_words", "--decisions", "-o", "decided.csv")
    assert decided.code == 0, decided.stderr
    assert "decided.csv: 90 rows, decisions of base model of_words" in decided.stderr
    thresholds = base_model_score(planned, "of_words").labels
    for column, label in enumerate(prepared.labels):
        decisions = written(prepared, "decided.csv")[label]
        threshold = thresholds[label].threshold
        assert threshold is not None
        assert decisions.tolist() == (expected[:, column] >= threshold).astype(int).tolist()
        assert 0 < decisions.sum() < 90


def test_what_the_command_cannot_predict_is_said_and_nothing_written(
    prepared: Competition, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train_models(prepared, "of_words", "words")
    write_imported(prepared)
    root = prepared.workspace.root
    (root / "no_text.csv").write_text("id,tekst\nc1,sunny\n", encoding="utf-8")
    mistakes: dict[tuple[str, str], tuple[str, ...]] = {
        ("test.csv", "mate"): ("mate was imported", "its models are not"),
        ("tset.csv", "of_words"): ("tset.csv does not exist",),
        ("no_text.csv", "of_words"): ("no_text.csv lacks a column", "'text': did you mean 'tekst'?"),
        ("test.csv", "of_wurds"): ("'of_wurds'; did you mean 'of_words'?",),
        ("test.csv", "words"): ("the family of words has no `save` and `load`",),
    }
    before = {path.name for path in root.iterdir()}
    monkeypatch.chdir(root)
    for (file, what), said in mistakes.items():
        monkeypatch.setattr(sys, "argv", ["compete", "predict", file, what, "-o", "out.csv"])
        with pytest.raises(SystemExit) as ended:
            main()
        message = capsys.readouterr().err
        assert ended.value.code == 2
        assert message.startswith("error: ")
        for part in said:
            assert part in message
    assert {path.name for path in root.iterdir()} == before
