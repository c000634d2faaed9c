"""The rows that a model gets most wrong, where classes, numbers or grades are predicted; and frames of models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import compete
from compete.base_models.confident_learning import likely_class_errors
from compete.opened import Opened
from compete.reporting.page.hard_rows import HardRows, hard_rows
from support.every_task import CLASSES, task_workspace
from support.lived_in import train_models


@pytest.fixture(scope="module", params=["multiclass", "regression_two", "ordinal"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    workspace = task_workspace(tmp_path_factory.mktemp(request.param), request.param)
    train_models(workspace)
    return compete.open(workspace.root, quiet=True)


@pytest.fixture(scope="module")
def found(opened: Opened) -> HardRows:
    return hard_rows(opened, opened.find("linear"), per_label=15)


def test_rows_are_sorted_out_of_all_by_how_wrong_they_are(opened: Opened, found: HardRows) -> None:
    oof, truth = opened.oof("linear").to_numpy(dtype=np.float64), opened.competition.train_targets.astype(np.float64)
    for output, name in enumerate(opened.labels):
        rows = [row for row in found.rows if row[1] == output]
        if opened.competition.task.kind == "classes":
            wrong = np.where(truth[:, output] == 1, -np.log(oof[:, output]), -np.inf)
        else:
            wrong = np.abs(oof[:, output] - truth[:, output])
            wrong /= np.sqrt((wrong**2).mean())
        worst = np.sort(wrong)[::-1][: min(15, int(np.isfinite(wrong).sum()))]
        assert np.allclose([row[4] for row in rows[: len(worst)]], worst, atol=1e-4), name
    assert json.loads(json.dumps(found.rows, allow_nan=False)) == found.rows


def test_a_row_shows_what_is_true_and_what_was_said(opened: Opened, found: HardRows) -> None:
    oof, task = opened.oof("linear"), opened.competition.task
    for text, output, shown, predicted, _, fold, _, models in found.rows:
        name, row = task.outputs[output], found.ids[text]
        assert found.texts[text] == opened.train["text"][row] and fold == opened.folds[row]
        assert predicted == pytest.approx(oof[name][row], abs=6e-5)
        assert models == pytest.approx([opened.oof(model)[name][row] for model in found.models], abs=6e-5)
        if task.kind == "classes":
            assert opened.train[name][row] == 1
            assert CLASSES[shown] == oof.loc[row].idxmax()
        else:
            assert shown == pytest.approx(opened.train[name][row], abs=6e-5)


def test_likely_label_errors_are_those_of_the_classes(opened: Opened, found: HardRows) -> None:
    if opened.competition.task.kind != "classes":
        assert found.suspects == {} and not any(row[6] for row in found.rows)
        assert all(low < high for low, high in found.ranges)
        return
    truth = opened.competition.train_targets
    marked = likely_class_errors(truth, opened.oof("linear").to_numpy())
    assert found.suspects == {name: int(marked[truth[:, k] == 1].sum()) for k, name in enumerate(CLASSES)}
    assert 0 < marked.sum() < 0.2 * len(marked)
    assert found.ranges == []


def test_the_frames_of_a_model_are_of_its_task(opened: Opened) -> None:
    classes = opened.competition.task.kind == "classes"
    per_label, per_target = opened.per_label("linear"), opened.per_target("linear")
    assert list(per_label.index) == (list(CLASSES) if classes else [])
    assert list(per_target.index) == ([] if classes else list(opened.labels))
    assert {"precision", "recall", "f1"} <= set(per_label.columns)
    assert {"rmse", "mae", "pearson", "bias", "right"} <= set(per_target.columns)


def test_folds_have_the_means_of_what_is_predicted(opened: Opened, tmp_path: Path) -> None:
    table = opened.fold_table()
    truth, folds = opened.competition.train_targets, opened.folds.to_numpy()
    assert table.rows == [300, *np.bincount(folds).tolist()]
    for fold in range(3):
        means = truth[folds == fold].mean(axis=0, dtype=np.float64)
        assert np.allclose(table.table.loc[str(fold)].to_numpy()[1:], means)
        assert np.allclose(table.spreads[fold + 1], truth[folds == fold].std(axis=0, dtype=np.float64))
    kind, part = opened.competition.task.kind, table.parts[0]
    expected = {
        "classes": {"label_rates"},
        "numbers": {"means", "spreads"},
        "grades": {"means", "spreads", "grade_rates"},
    }
    assert set(part) == expected[kind]
    if kind == "grades":
        shares = part["grade_rates"]["mood"]
        assert isinstance(shares, dict) and sum(shares.values()) == pytest.approx(1)
        assert list(table.rated) == ["mood -2", "mood -1", "mood 0", "mood 1", "mood 2"]
        assert list(shares.values()) == pytest.approx(list(table.rates[0][1]))
