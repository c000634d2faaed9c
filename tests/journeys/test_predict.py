"""`compete predict`: the models that training kept, on a file of new texts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.workspace import Workspace
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.state import competition_rows
from compete.oof.train import choose_recipes, current_plan, plan_work, shape_of, train
from compete.stacking.recipes import load_stack_recipe
from compete.stacking.scores import base_model_score
from compete.stacking.stack import build_stack, stack_folder

Run = Callable[..., subprocess.CompletedProcess[str]]

RECIPES = {
    "linear": 'family = "linear"\n[settings]\nword_ngrams = [1, 1]\nchar_ngrams = []\n',
    "letters": 'family = "linear"\n[settings]\nword_ngrams = []\nchar_ngrams = [2, 3]\n',
}


@pytest.fixture
def trained(workspace: Workspace) -> Competition:
    for name, text in RECIPES.items():
        (workspace.recipes / f"{name}.toml").write_text(text, encoding="utf-8")
    competition = load_competition(workspace)
    work = plan_work(competition, choose_recipes(competition, [*RECIPES, "words"]), parity=False)
    train(work, InlineExecutor())
    return competition


def written(workspace: Workspace, name: str) -> pd.DataFrame:
    return pd.read_csv(workspace.root / name, index_col="id")


def test_the_test_set_is_predicted_as_it_was(trained: Competition, compete: Run) -> None:
    """The competition's own test file stands in for new texts, since what it has to give is known."""
    workspace, plan = trained.workspace, current_plan(trained)
    build_stack(trained, plan, load_stack_recipe(workspace, "logistic"), list(RECIPES))

    alone = compete("predict", "test.csv", "linear", "-o", "linear.csv")
    assert alone.returncode == 0, alone.stderr
    assert "linear.csv: 90 rows, probabilities of base model linear" in alone.stderr
    linear, expected = written(workspace, "linear.csv"), store.read_model(workspace.oof / "linear", shape_of(trained))
    assert list(linear.columns) == ["joy", "anger", "trust"]
    assert list(linear.index) == trained.test_ids
    np.testing.assert_allclose(linear.to_numpy(), expected.test, atol=1e-6, rtol=0)

    stacked = compete("predict", "test.csv")  # the best stack, into predictions.csv
    assert stacked.returncode == 0, stacked.stderr
    assert "predictions.csv: 90 rows, probabilities of stack logistic" in stacked.stderr
    of_stack = store.read_model(stack_folder(workspace, "logistic"), shape_of(trained)).test
    np.testing.assert_allclose(written(workspace, "predictions.csv").to_numpy(), of_stack, atol=1e-5, rtol=0)

    decided = compete("predict", "test.csv", "linear", "--decisions", "-o", "decided.csv")
    assert decided.returncode == 0, decided.stderr
    decisions = written(workspace, "decided.csv")
    score = base_model_score(trained, plan, "linear")
    for column, label in enumerate(trained.labels):
        # What lies on the threshold itself may be rounded to either side; a threshold lies between probabilities.
        cut = expected.test[:, column] >= score.labels[label].threshold
        assert decisions[label].tolist() == cut.astype(int).tolist()
        assert 0 < decisions[label].sum() < 90


def test_what_cannot_be_predicted_is_said_and_writes_nothing(trained: Competition, compete: Run) -> None:
    root = trained.workspace.root
    foreign = {"kind": "imported", "identity": competition_rows(trained, current_plan(trained))}
    probabilities = store.read_model(trained.workspace.oof / "linear", shape_of(trained))
    store.write_model(trained.workspace.oof / "mate", probabilities, shape_of(trained), foreign)
    (root / "no_text.csv").write_text("id,tekst\nc1,sunny\n", encoding="utf-8")
    mistakes: dict[tuple[str, str], tuple[str, ...]] = {
        ("test.csv", "mate"): ("mate was imported", "its models are not"),
        ("tset.csv", "linear"): ("tset.csv does not exist",),
        ("no_text.csv", "linear"): ("no_text.csv lacks a column", "'text': did you mean 'tekst'?"),
        ("test.csv", "lineer"): ("'lineer'; did you mean 'linear'?",),
        ("test.csv", "words"): ("fold 0 of words was not kept",),
    }
    before = {path.name for path in root.iterdir()}
    for (file, what), said in mistakes.items():
        ran = compete("predict", file, what, "-o", "out.csv")
        assert ran.returncode == 2, ran.stdout + ran.stderr
        assert ran.stderr.count("error: ") == 1
        assert "Traceback" not in ran.stderr
        for part in said:
            assert part in ran.stderr
    assert {path.name for path in root.iterdir()} == before
