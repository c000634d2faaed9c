"""Columns beside the text, from the files to a family, a stack and new rows: they are used, and nothing leaks."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import numpy as np
import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.workspace import Workspace
from compete.errors import DataError, UserError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.work import choose_recipes, find_work, train
from compete.stacking.new_texts import predict_base_model, predict_stack
from compete.stacking.row_inputs import NOTHING, RowInputs, row_inputs
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe, load_stack_recipe
from compete.workflows.predict import predict
from conftest import build_workspace, make_rows, write_csv
from support.stacks import BOTH, build_stack, train_models, write_stack_recipes

pytestmark = pytest.mark.slow

BOOSTED = 'family = "lightgbm"\n[settings]\nchar_ngrams = []\nn_components = 4\nmin_data_in_leaf = 5\n'
# Predicts nothing but what its row's cells say, and fails where a text comes without them.
OWN = """
import numpy as np
from pydantic import BaseModel

from compete.base_models.families import Needs
from compete.competition.text_columns import split_features


class Upvoted:
    class Settings(BaseModel):
        pass

    def __init__(self, settings):
        pass

    @classmethod
    def needs(cls, settings):
        return Needs(features=True)

    def fit(self, texts, labels, context):
        self.predict_proba(texts)
        return self

    def predict_proba(self, texts):
        cells = [split_features(text)[1] for text in texts]
        topics, upvotes = zip(*cells)
        assert set(topics) == {"cats", "art", ""}
        return np.repeat([[float(up) >= 600] for up in upvotes], 3, axis=1).astype(np.float32)
"""
TREES = "[trees]\nmin_data_in_leaf = 5\n"
WITH = f'method = "lightgbm"\nfeatures = true\n{TREES}'
WITHOUT = f'method = "lightgbm"\n{TREES}'
WANTS = StackRecipe("wants", StackDeclaration(method="lightgbm", features=True))
COUNTS = StackRecipe("counts", StackDeclaration(method="lightgbm", row_features=True))
NEITHER = StackRecipe("neither", StackDeclaration(method="lightgbm"))


def rows_of(count: int, seed: int, prefix: str) -> list[dict[str, str]]:
    """The tiny workspace's posts; "trust", which their words hardly tell, is where upvotes are many."""
    random = Random(seed)
    rows = make_rows(count, seed, prefix)
    for row in rows:
        row["upvotes"] = str(random.randrange(600) + (600 if row["trust"] == "1" else 0))
        row["topic"] = random.choice(["cats", "art", ""])
    return rows


def built(root: Path) -> Workspace:
    train, test = rows_of(240, 1, "a"), rows_of(90, 2, "b")
    workspace = build_workspace(root, train=train, test=test)
    write_csv(root / "test.csv", test, ["id", "text", "upvotes", "topic"])
    declaration = workspace.declaration.read_text(encoding="utf-8")
    columns = 'text = "text"\nlabels = ["joy", "anger", "trust"]\nfeatures = ["upvotes", "topic"]'
    workspace.declaration.write_text(declaration.replace('text = "text"', columns), encoding="utf-8")
    (workspace.recipes / "trees.toml").write_text(BOOSTED, encoding="utf-8")
    return workspace


@pytest.fixture
def declared(tmp_path: Path) -> Competition:
    return load_competition(built(tmp_path / "declared"))


def edit_cells(competition: Competition, file: str, column: str, cells: dict[int, str]) -> Competition:
    """The competition with some cells of a file (row, from 0: new cell) changed."""
    import pandas as pd

    path = competition.workspace.root / file
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for row, cell in cells.items():
        table.loc[row, column] = cell
    table.to_csv(path, index=False)
    return load_competition(competition.workspace)


def trained(competition: Competition, *, parity: bool = False) -> store.Predictions:
    train(find_work(competition, choose_recipes(competition, ["trees"]), parity=parity), InlineExecutor())
    return store.read_model(competition.workspace.base_model("trees"), competition.shape)


def loss_of_trust(competition: Competition, oof: np.ndarray) -> float:
    p, y = oof[:, 2].clip(1e-6, 1 - 1e-6), competition.train_targets[:, 2]
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def test_a_family_that_wants_columns_has_them_and_its_kept_models_too(declared: Competition) -> None:
    found = trained(declared, parity=True)
    assert loss_of_trust(declared, found.oof) < 0.1
    planned = with_plan(declared)
    again = predict_base_model(planned, "trees", declared.test_texts, 1, features=declared.test_features)
    np.testing.assert_allclose(again, found.test, atol=1e-6)
    with pytest.raises(UserError, match="also looks at upvotes, topic, which texts alone do not have"):
        predict_base_model(planned, "trees", declared.test_texts, 1)


def test_a_family_of_ones_own_has_the_cells_in_the_order_of_their_names_if_it_asks(declared: Competition) -> None:
    (declared.workspace.root / "own.py").write_text(OWN, encoding="utf-8")
    (declared.workspace.recipes / "own.toml").write_text('family = "own.py:Upvoted"\n', encoding="utf-8")
    train(find_work(declared, choose_recipes(declared, ["own"])), InlineExecutor())
    found = store.read_model(declared.workspace.base_model("own"), declared.shape)
    assert np.array_equal(found.oof[:, 2], declared.train_targets[:, 2])


def test_a_family_that_does_not_want_them_never_sees_a_cell(declared: Competition) -> None:
    assert declared.texts_for(features=False) == (declared.train_texts, declared.test_texts)
    assert not any("\x1e" in text for text in (*declared.train_texts, *declared.test_texts))
    train_texts, test_texts = declared.texts_for(features=True)
    assert all(text.count("\x1e") == 2 for text in (*train_texts, *test_texts))


def test_what_is_learnt_for_a_fold_does_not_depend_on_the_columns_of_its_rows(declared: Competition) -> None:
    plan = with_plan(declared).plan
    fold = plan.rows(0)
    before = trained(declared)
    shutil.rmtree(declared.workspace.oof / "trees")
    changed = {int(row): "999999" for row in fold[::2]}
    after = trained(edit_cells(declared, "train.csv", "upvotes", changed))
    # Rows of the fold whose own cells stayed: their model saw none of those that were changed.
    np.testing.assert_array_equal(before.oof[fold[1::2]], after.oof[fold[1::2]])
    assert not np.array_equal(before.oof[plan.rows(1)], after.oof[plan.rows(1)])  # whose model did


def test_the_trees_of_a_stack_use_the_columns(declared: Competition) -> None:
    train_models(declared, BOTH)
    write_stack_recipes(declared, {"with": WITH, "without": WITHOUT})
    for name in ("with", "without"):
        build_stack(declared, name)
    oofs = [store.read_model(declared.workspace.stack(name), declared.shape).oof for name in ("with", "without")]
    of_each = [loss_of_trust(declared, oof) for oof in oofs]
    assert of_each[0] < 0.6 * of_each[1]


def test_new_rows_need_the_columns_and_are_predicted_as_the_test_set(declared: Competition) -> None:
    (declared.workspace.recipes / "plain.toml").write_text(BOOSTED.replace("= 4", "= 6"), encoding="utf-8")
    names = ["plain", "trees"]
    train(find_work(declared, choose_recipes(declared, names), parity=False), InlineExecutor())
    write_stack_recipes(declared, {"with": WITH})
    build_stack(declared, "with", names)
    stored = store.read_model(declared.workspace.stack("with"), declared.shape).test
    recipe, planned = load_stack_recipe(declared.workspace, "with"), with_plan(declared)
    found = predict_stack(planned, recipe, declared.test_texts, 1, features=declared.test_features)
    np.testing.assert_allclose(found, stored, atol=1e-5)
    of_file = predict(declared.workspace, declared.workspace.root / "test.csv", "with", threads=1)
    np.testing.assert_allclose(of_file.values.astype(np.float32), stored, atol=1e-5)
    with pytest.raises(UserError, match="give it a file with the columns"):
        predict(declared.workspace, declared.test_texts, "with", threads=1)
    bare = declared.workspace.root / "bare.csv"
    write_csv(bare, [{"id": "n1", "text": "happy", "topic": "art"}])
    with pytest.raises(DataError, match=r"bare\.csv lacks a column that competition\.toml names\. 'upvotes'"):
        predict(declared.workspace, bare, "with", threads=1)
    write_csv(bare, [{"id": "n1", "text": "happy", "upvotes": "many", "topic": "art"}])
    said: list[str] = []
    predict(declared.workspace, bare, "with", threads=1, say=said.append)
    assert any(line.startswith("warning: ") and "row 1: 'many' in the column 'upvotes'" in line for line in said)


def test_a_recipe_gets_what_it_wants_and_nothing_else(declared: Competition) -> None:
    train_rows, others = row_inputs(declared, [WANTS, COUNTS, NEITHER], ["happy"], {"upvotes": ["7"], "topic": ["x"]})
    wanted, counted = (train_rows.wanted_by(recipe.declaration) for recipe in (WANTS, COUNTS))
    assert wanted is not None and wanted.shape == (240, 2) and wanted.dtype == np.float32
    assert counted is not None and counted.shape == (240, 13)
    assert train_rows.wanted_by(NEITHER.declaration) is None
    # In the order of the names: topic, which no training row has, and upvotes.
    assert others.declared is not None and others.declared.tolist() == [[-1, 7]]
    both = StackDeclaration(method="lightgbm", features=True, row_features=True)
    assert train_rows.wanted_by(both).shape == (240, 15)  # type: ignore[union-attr]
    assert NOTHING.wanted_by(both) is None
    assert row_inputs(declared, [NEITHER], ["happy"], None) == (RowInputs(), RowInputs())


def test_the_codes_of_new_rows_are_those_of_the_training_rows(declared: Competition) -> None:
    _, found = row_inputs(
        declared, [WANTS], ["a"] * 3, {"upvotes": ["1e300", "word", ""], "topic": ["", "cats", "art"]}
    )
    assert found.declared is not None
    np.testing.assert_array_equal(found.declared[:, 0], [0, 2, 1])
    assert np.isfinite(found.declared[0, 1]) and np.isnan(found.declared[1:, 1]).all()


def test_features_that_nobody_declared_are_refused_by_name(workspace: Workspace) -> None:
    competition = load_competition(workspace)
    train_models(competition, BOTH)
    write_stack_recipes(competition, {"with": WITH})
    with pytest.raises(UserError, match=r"stacking/with\.toml: features = true, but competition\.toml declares none"):
        build_stack(competition, "with")


def test_the_family_works_with_texts_alone(workspace: Workspace) -> None:
    (workspace.recipes / "trees.toml").write_text(BOOSTED, encoding="utf-8")
    competition = load_competition(workspace)
    found = trained(competition, parity=True)
    again = predict_base_model(with_plan(competition), "trees", competition.test_texts, 1)
    np.testing.assert_allclose(again, found.test, atol=1e-6)


def test_a_column_that_test_lacks_is_named(declared: Competition) -> None:
    write_csv(declared.workspace.root / "test.csv", rows_of(90, 2, "b"), ["id", "text", "topic"])
    with pytest.raises(DataError, match=r"test\.csv lacks a column that competition\.toml names\. 'upvotes'"):
        load_competition(declared.workspace)


def test_a_word_in_a_column_of_numbers_is_said_and_counts_as_missing(declared: Competition) -> None:
    changed = edit_cells(declared, "test.csv", "upvotes", {4: "many"})
    [said] = [warning for warning in changed.warnings if "upvotes" in warning]
    assert said.startswith("test.csv row 5: 'many' in the column 'upvotes', which holds numbers in train")
    _, others = row_inputs(changed, [WANTS], changed.test_texts, changed.test_features)
    assert others.declared is not None and np.isnan(others.declared[4, 1])
    assert not declared.warnings


def test_an_empty_column_is_refused(declared: Competition) -> None:
    with pytest.raises(
        DataError, match=r"train\.csv: the column 'topic', which data\.features .* is empty in every row"
    ):
        edit_cells(declared, "train.csv", "topic", dict.fromkeys(range(240), ""))
