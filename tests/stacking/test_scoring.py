from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.metrics import METRICS
from compete.competition.planned import Planned
from compete.competition.workspace import ResultFolder
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.honest_scores import LabelScore, Score, kept_score
from compete.oof.imported import ImportedFile, import_model
from compete.oof.state import State
from compete.oof.survey import survey
from compete.oof.work import choose_recipes, find_work, train
from compete.stacking.ensemble.cross_fitting import as_it_is
from compete.stacking.ensemble.decision_rules import Cut, decision_from
from compete.stacking.ensemble.evaluation import Evaluation, PerLabel, evaluate
from compete.stacking.scoring import REPEATS, base_model_score, repeated_plans, score_of, whole_model_scores

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(competition: Competition) -> Competition:
    train(find_work(competition, choose_recipes(competition, ["words"])), InlineExecutor())
    return competition


@pytest.fixture
def planned(competition: Competition) -> Planned:
    return with_plan(competition)


@pytest.fixture
def folder(competition: Competition) -> ResultFolder:
    return competition.workspace.base_model("words")


def plant(folder: ResultFolder, honest: float) -> None:
    """A kept score that no computation would give: whoever returns it has not computed."""
    record = json.loads(folder.scores.read_text(encoding="utf-8"))
    folder.scores.write_text(json.dumps({**record, "honest": honest}), encoding="utf-8")


def scored_anew(planned: Planned, name: str = "words") -> Score:
    """The score of a base model, computed without a look at what was kept."""
    competition = planned.competition
    oof = store.read_model(competition.workspace.base_model(name), competition.shape).oof
    fits = [as_it_is(oof, folds) for folds in repeated_plans(planned)]
    return score_of(evaluate(competition.metric, competition.train_targets, fits, oof), competition.labels)


def test_an_evaluation_becomes_numbers_under_the_right_names() -> None:
    columns = PerLabel(*np.arange(16.0).reshape(8, 2))
    draws = np.linspace(0.0, 1.0, 1001)
    cuts = np.array([0.2, 0.4])
    found = score_of(
        Evaluation(METRICS["f1_micro"], 0.6, 0.7, (0.5, 0.7), draws, [], columns, Cut(cuts)), ["joy", "anger"]
    )
    joy, anger = LabelScore(*range(0, 16, 2)), LabelScore(*range(1, 16, 2))
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))
    expected = Score(
        "f1_micro", 0.6, 0.0, 1.0, 0.7, (0.5, 0.7), {"thresholds": [0.2, 0.4]}, {"joy": joy, "anger": anger}
    )
    assert dataclasses.replace(found, low=0.0, high=1.0) == expected


def test_a_label_without_a_threshold_has_none_in_its_record_too(trained: Competition, planned: Planned) -> None:
    samples = trained.declaration.model_copy(update={"metric": "f1_samples"})
    score = base_model_score(Planned(dataclasses.replace(trained, declaration=samples), planned.plan), "words")
    assert [(label.threshold, label.threshold_spread) for label in score.labels.values()] == [(None, None)] * 3
    kept = trained.workspace.base_model("words").scores.read_text(encoding="utf-8")
    assert "NaN" not in kept and '"threshold": null' in kept


@pytest.mark.parametrize("metric", ["f1_macro", "f1_micro", "f1_samples"])
def test_the_kept_decision_is_the_one_that_was_fitted(trained: Competition, planned: Planned, metric: str) -> None:
    declared = trained.declaration.model_copy(update={"metric": metric})
    competition = dataclasses.replace(trained, declaration=declared)
    base_model_score(Planned(competition, planned.plan), "words")
    folder = competition.workspace.base_model("words")
    kept = kept_score(folder, metric, store.read_record(folder))
    probabilities = store.read_model(folder, competition.shape)
    fit = as_it_is(probabilities.oof, planned.plan.folds)
    fitted = evaluate(competition.metric, competition.train_targets, [fit], probabilities.oof).decision
    assert kept is not None
    decided = decision_from(kept.decision).decide(probabilities.test)
    assert np.array_equal(decided, fitted.decide(probabilities.test))
    assert 0 < decided.mean() < 1


def test_the_first_score_is_computed_and_kept(trained: Competition, planned: Planned, folder: ResultFolder) -> None:
    score = base_model_score(planned, "words")
    assert score == scored_anew(planned)
    assert kept_score(folder, "f1_macro", store.read_record(folder)) == score


def test_scores_are_of_the_fold_plan_and_of_others_like_it(trained: Competition, planned: Planned) -> None:
    plans = repeated_plans(planned)
    assert np.array_equal(plans[0], planned.plan.folds)
    assert len({folds.tobytes() for folds in plans}) == len(plans) == 3
    assert all(np.array_equal(a, b) for a, b in zip(plans, repeated_plans(planned), strict=True))
    rates = np.array([[trained.train_targets[folds == k].mean(axis=0) for k in range(3)] for folds in plans])
    assert np.ptp(rates, axis=1).max() < 0.15
    score = base_model_score(planned, "words")
    assert score.honest == pytest.approx(np.mean(score.repeats))
    assert len(score.repeats) == 3


def test_a_kept_score_is_not_computed_again(trained: Competition, planned: Planned, folder: ResultFolder) -> None:
    base_model_score(planned, "words")
    plant(folder, 0.123)
    assert base_model_score(planned, "words").honest == 0.123


def test_other_probabilities_are_scored_anew(trained: Competition, planned: Planned, folder: ResultFolder) -> None:
    first = base_model_score(planned, "words")
    plant(folder, 0.123)
    recipe = 'family = "families.py:Words"\n[settings]\nsmoothing = 50.0\n'
    (trained.workspace.recipes / "words.toml").write_text(recipe, encoding="utf-8")
    train(find_work(trained, choose_recipes(trained, ["words"])), InlineExecutor())
    found = base_model_score(planned, "words").honest
    assert found not in (0.123, first.honest)
    assert found == base_model_score(planned, "words").honest


def test_another_metric_is_scored_anew(trained: Competition, planned: Planned, folder: ResultFolder) -> None:
    base_model_score(planned, "words")
    plant(folder, 0.123)
    log_loss = trained.declaration.model_copy(update={"metric": "log_loss"})
    changed = dataclasses.replace(trained, declaration=log_loss)
    score = base_model_score(Planned(changed, planned.plan), "words")
    assert score.metric == "log_loss"
    oof = store.read_model(folder, trained.shape).oof
    assert score.honest == pytest.approx(changed.metric.compute(trained.train_targets, oof))
    assert base_model_score(planned, "words").honest != 0.123


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '"0.5"'])
def test_a_broken_file_is_scored_anew_and_replaced(
    trained: Competition, planned: Planned, folder: ResultFolder, content: str
) -> None:
    score = base_model_score(planned, "words")
    folder.scores.write_text(content, encoding="utf-8")
    assert kept_score(folder, "f1_macro", store.read_record(folder)) is None
    assert base_model_score(planned, "words") == score
    assert json.loads(folder.scores.read_text(encoding="utf-8"))["honest"] == score.honest


def test_the_same_probabilities_under_another_plan_are_scored_anew(
    trained: Competition, planned: Planned, folder: ResultFolder
) -> None:
    """Imported files keep their bytes when the plan changes, and their honest score does not."""
    oof_file, test_file = ImportedFile(folder.oof), ImportedFile(folder.test)
    import_model(planned, "mate", oof_file, test_file)
    before = base_model_score(planned, "mate")
    path = trained.workspace.declaration
    path.write_text(path.read_text(encoding="utf-8").replace("seed = 7", "seed = 8"), encoding="utf-8")
    changed = load_competition(trained.workspace)
    other_plan = with_plan(changed, replace_stale=True)
    import_model(other_plan, "mate", oof_file, test_file, force=True)
    after = base_model_score(other_plan, "mate")
    assert after == scored_anew(other_plan, "mate")
    assert after.honest != before.honest


def test_status_shows_whole_models_only_with_kept_or_computed_scores(
    trained: Competition, planned: Planned, folder: ResultFolder
) -> None:
    looked = survey(trained.workspace)
    states = looked.states
    assert {name: state.state for name, state in states.items()} == {
        "words": State.FRESH,
        "words_smooth": State.MISSING,
    }
    found = whole_model_scores(trained.workspace, looked.declaration, states)
    assert found == {"words": base_model_score(planned, "words")}
    plant(folder, 0.123)
    assert whole_model_scores(trained.workspace, looked.declaration, states)["words"].honest == 0.123


@pytest.mark.parametrize("key", ["column", "time"])
def test_folds_that_are_given_are_the_only_ones_that_anything_is_scored_under(planned: Planned, key: str) -> None:
    competition = planned.competition
    assert len(repeated_plans(planned)) == REPEATS
    folds = competition.declaration.folds.model_copy(update={key: "when"})
    declaration = competition.declaration.model_copy(update={"folds": folds})
    given = dataclasses.replace(planned, competition=dataclasses.replace(competition, declaration=declaration))
    (only,) = repeated_plans(given)
    assert only.tolist() == planned.plan.folds.tolist()
