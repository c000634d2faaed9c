"""Labels with fewer positive rows than folds, down to none, go the whole road: predicted by a constant, and said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import compete
from compete.competition.metrics import METRICS
from compete.competition.workspace import Workspace
from support.in_process import Run, in_process
from support.lived_in import copied, declare, rewrite, write_linear_models

pytestmark = pytest.mark.slow

# Positive rows of the training set; trust has none, anger two of three that are wanted.
ANGRY = frozenset({"a0017", "a0123"})
STACKS = {
    "mean": 'method = "mean"\nmodels = ["linear", "nbsvm"]',
    "blend": 'method = "blend"\nper = "label"\ncalibration = "platt"',
    "logistic": 'method = "logistic"\nC = [0.05, 0.5]\nlabel_shift = true',
    "lightgbm": 'method = "lightgbm"\nrow_features = true',
    "second_level": 'method = "blend"\nstacks = ["blend", "logistic", "lightgbm"]',
}
CONSTANT = 3 / 2 / 240


@pytest.fixture
def rare(untouched: Workspace, tmp_path: Path) -> Workspace:
    workspace = copied(untouched, tmp_path)

    def change(number: int, row: dict[str, str]) -> dict[str, str]:
        return {**row, "anger": str(int(row["id"] in ANGRY)), "trust": "0"}

    rewrite(workspace.root / "train.csv", {}, change)
    for name, text in STACKS.items():
        (workspace.stack_recipes / f"{name}.toml").write_text(text + "\n", encoding="utf-8")
    write_linear_models(workspace)
    return workspace


@pytest.fixture
def run(rare: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(rare.root, monkeypatch, capsys)


@pytest.mark.parametrize("metric", ["f1_macro", "f1_samples", "log_loss"])
def test_the_whole_road(rare: Workspace, run: Run, metric: str) -> None:
    declare(rare, f'metric = "{metric}"')
    said = "or group than the 3 folds, or all in one fold: anger, trust; not learnt, predicted by the constant"
    folds = run("folds", "--json")
    assert said in folds.stderr
    assert folds.document["not_learnt"] == ["anger", "trust"]
    trained = run("train-base", "words", "linear", "nbsvm", "--workers", "0")
    assert trained.code == 0, trained.stderr
    assert said in trained.stderr
    assert "linear: fewer positive rows than folds, not learnt, a constant in every row: anger, trust" in trained.stderr
    stacked = run("stack", "--json")
    assert stacked.code == 0, stacked.stderr
    assert said in stacked.stderr
    opened = compete.open(rare.root)
    for name in ("linear", *STACKS):
        for cells in (opened.oof(name), opened.test_probabilities(name)):
            assert np.allclose(cells[["anger", "trust"]], CONSTANT, rtol=1e-6), name
            assert cells["joy"].nunique() > 50
    for number, source in enumerate(("linear", "second_level"), start=1):
        # With one label left, the most samples-F1 is had by saying it of every row.
        sent = run("submit", source, *(["--allow-constant", "--again"] if metric == "f1_samples" else []))
        assert sent.code == 0, sent.stderr
        (path,) = (rare.root / "submissions").glob(f"{number:03}_*.csv")
        table = pd.read_csv(path)
        assert list(table.columns) == ["id", "joy", "anger", "trust"]
        assert table["anger"].nunique() == table["trust"].nunique() == 1
        if METRICS[metric].thresholds:
            assert not table[["anger", "trust"]].to_numpy().any()
    new = rare.root / "new.csv"
    new.write_text("id,text\nn1,what a good day\nn2,so angry now\n", encoding="utf-8")
    for source in ("linear", "mean"):
        assert run("predict", str(new), source, "--output", str(rare.root / "predicted.csv")).code == 0
        told = pd.read_csv(rare.root / "predicted.csv")
        assert np.allclose(told[["anger", "trust"]], CONSTANT, rtol=1e-3)
        assert told["joy"].nunique() == 2


def test_an_auc_is_the_mean_over_the_labels_that_have_one(rare: Workspace, run: Run) -> None:
    declare(rare, 'metric = "roc_auc_macro"')
    trained = run("train-base", "linear", "nbsvm", "--workers", "0")
    assert trained.code == 0, trained.stderr
    assert "macro-AUC is the mean over the other labels: trust is the same in every training row" in trained.stderr
    stacked = run("stack", "mean", "--json")
    assert stacked.code == 0, stacked.stderr
    (score,) = stacked.document["stacks"]
    opened = compete.open(rare.root)
    aucs = [roc_auc_score(opened.train[label], opened.oof("mean")[label]) for label in ("joy", "anger")]
    assert aucs[1] == 0.5
    assert score["honest"] == pytest.approx(np.mean(aucs))
    assert score["low"] < score["honest"] < score["high"]
    assert run("submit", "mean").code == 0


def test_a_team_mate_may_have_learnt_what_we_did_not(rare: Workspace, run: Run) -> None:
    """Columns of a rare label that differ from row to row are stacked like any others."""
    (rare.stack_recipes / "mean.toml").write_text('method = "mean"\n', encoding="utf-8")
    assert run("train-base", "words", "words_smooth", "--workers", "0").code == 0
    opened = compete.open(rare.root)
    random = np.random.default_rng(0)
    for name, cells in (("oof", opened.oof("words")), ("test", opened.test_probabilities("words"))):
        mate = cells.copy()
        mate[["anger", "trust"]] = random.uniform(0.001, 0.02, size=(len(mate), 2))
        mate.index.name = "id"
        mate.to_csv(rare.root / f"mate_{name}.csv")
    imported = run("import", "mate", "--oof", "mate_oof.csv", "--test", "mate_test.csv")
    assert imported.code == 0, imported.stderr
    stacked = run("stack", "--json", "--allow", "mate")
    assert stacked.code == 0, stacked.stderr
    assert run("submit", "second_level").code == 0
