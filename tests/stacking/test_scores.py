from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.folds import FoldPlan
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.foreign import ForeignFile, import_model
from compete.oof.state import State
from compete.oof.survey import survey
from compete.oof.train import choose_recipes, current_plan, plan_work, shape_of, train
from compete.stacking.evaluation import Evaluation, evaluate
from compete.stacking.scores import (
    SCORES,
    LabelScore,
    Score,
    base_model_score,
    kept_score,
    score_from,
    score_of,
    whole_model_scores,
)

LABELS = {"joy": LabelScore(0.5, 0.25, 1 / 3, 0.4, 0.01), "anger": LabelScore(1.0, 0.5, 2 / 3, 0.2, 0.0)}


@pytest.fixture
def trained(competition: Competition) -> Competition:
    train(plan_work(competition, choose_recipes(competition, ["words"])), InlineExecutor())
    return competition


@pytest.fixture
def plan(competition: Competition) -> FoldPlan:
    return current_plan(competition)


@pytest.fixture
def folder(competition: Competition) -> Path:
    return competition.workspace.oof / "words"


def plant(folder: Path, honest: float) -> None:
    """A kept score that no computation would give: whoever returns it has not computed."""
    record = json.loads((folder / SCORES).read_text(encoding="utf-8"))
    (folder / SCORES).write_text(json.dumps({**record, "honest": honest}), encoding="utf-8")


def test_a_record_survives_json_unchanged() -> None:
    score = Score("f1_macro", 0.1 + 0.2, 2 / 3, LABELS)
    assert score_from(json.loads(json.dumps(score.record()))) == score
    assert list(score.record()["labels"]) == ["joy", "anger"]


def test_an_evaluation_becomes_numbers_under_the_right_names() -> None:
    columns = np.arange(10.0).reshape(5, 2)
    precision, recall, f1, thresholds, spread = columns
    score = score_of(Evaluation(0.6, 0.7, precision, recall, f1, thresholds, spread), "f1_micro", ["joy", "anger"])
    assert score == Score("f1_micro", 0.6, 0.7, {"joy": LabelScore(0, 2, 4, 6, 8), "anger": LabelScore(1, 3, 5, 7, 9)})


def test_the_first_score_is_computed_and_kept(trained: Competition, plan: FoldPlan, folder: Path) -> None:
    score = base_model_score(trained, plan, "words")
    oof = store.read_model(folder, shape_of(trained)).oof
    assert score.honest == evaluate(trained.metric, trained.train_labels, plan.folds, oof).honest
    assert kept_score(folder, "f1_macro", store.read_record(folder / store.MANIFEST)) == score


def test_a_kept_score_is_not_computed_again(trained: Competition, plan: FoldPlan, folder: Path) -> None:
    base_model_score(trained, plan, "words")
    plant(folder, 0.123)
    assert base_model_score(trained, plan, "words").honest == 0.123


def test_other_probabilities_are_scored_anew(trained: Competition, plan: FoldPlan, folder: Path) -> None:
    first = base_model_score(trained, plan, "words")
    plant(folder, 0.123)
    recipe = 'family = "families.py:Words"\n[settings]\nsmoothing = 50.0\n'
    (trained.workspace.recipes / "words.toml").write_text(recipe, encoding="utf-8")
    train(plan_work(trained, choose_recipes(trained, ["words"])), InlineExecutor())
    found = base_model_score(trained, plan, "words").honest
    assert found not in (0.123, first.honest)
    assert found == base_model_score(trained, plan, "words").honest


def test_another_metric_is_scored_anew(trained: Competition, plan: FoldPlan, folder: Path) -> None:
    base_model_score(trained, plan, "words")
    plant(folder, 0.123)
    log_loss = trained.declaration.model_copy(update={"metric": "log_loss"})
    changed = dataclasses.replace(trained, declaration=log_loss)
    score = base_model_score(changed, plan, "words")
    assert score.metric == "log_loss"
    oof = store.read_model(folder, shape_of(trained)).oof
    assert score.honest == changed.metric.compute(trained.train_labels, oof)
    assert base_model_score(trained, plan, "words").honest != 0.123


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '"0.5"'])
def test_a_broken_file_is_scored_anew_and_replaced(
    trained: Competition, plan: FoldPlan, folder: Path, content: str
) -> None:
    score = base_model_score(trained, plan, "words")
    (folder / SCORES).write_text(content, encoding="utf-8")
    assert kept_score(folder, "f1_macro", store.read_record(folder / store.MANIFEST)) is None
    assert base_model_score(trained, plan, "words") == score
    assert json.loads((folder / SCORES).read_text(encoding="utf-8"))["honest"] == score.honest


@pytest.mark.parametrize("key", ["of", "metric", "naive", "labels"])
def test_a_file_that_lacks_a_part_or_is_of_another_version_is_not_used(
    trained: Competition, plan: FoldPlan, folder: Path, key: str
) -> None:
    base_model_score(trained, plan, "words")
    record = json.loads((folder / SCORES).read_text(encoding="utf-8"))
    without = {name: value for name, value in record.items() if name != key}
    for wrong in (without, {**without, "of": ["-1", *record["of"][1:]]}):
        (folder / SCORES).write_text(json.dumps(wrong), encoding="utf-8")
        assert kept_score(folder, "f1_macro", store.read_record(folder / store.MANIFEST)) is None


def test_the_same_probabilities_under_another_plan_are_scored_anew(
    trained: Competition, plan: FoldPlan, folder: Path
) -> None:
    """Imported files keep their bytes when the plan changes, and their honest score does not."""
    oof_file, test_file = ForeignFile(folder / store.OOF), ForeignFile(folder / store.TEST)
    import_model(trained, plan, "mate", oof_file, test_file)
    before = base_model_score(trained, plan, "mate")
    path = trained.workspace.declaration
    path.write_text(path.read_text(encoding="utf-8").replace("seed = 7", "seed = 8"), encoding="utf-8")
    changed = load_competition(trained.workspace)
    other_plan = current_plan(changed, replace_stale=True)
    import_model(changed, other_plan, "mate", oof_file, test_file, force=True)
    after = base_model_score(changed, other_plan, "mate")
    oof = store.read_model(trained.workspace.oof / "mate", shape_of(changed)).oof
    assert after.honest == evaluate(changed.metric, changed.train_labels, other_plan.folds, oof).honest
    assert after.honest != before.honest


def test_status_shows_whole_models_only_with_kept_or_computed_scores(
    trained: Competition, plan: FoldPlan, folder: Path
) -> None:
    states = survey(trained.workspace).states
    assert {name: state.state for name, state in states.items()} == {
        "words": State.FRESH,
        "words_smooth": State.MISSING,
    }
    found = whole_model_scores(trained.workspace, "f1_macro", states)
    assert found == {"words": base_model_score(trained, plan, "words")}
    plant(folder, 0.123)
    assert whole_model_scores(trained.workspace, "f1_macro", states)["words"].honest == 0.123
