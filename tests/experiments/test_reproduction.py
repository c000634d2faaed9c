"""Published models are trained under their own split and scored by their own method; the honest score stands beside."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from compete.base_models.recipes import Published
from compete.competition.demo_data import write_demo_data
from compete.competition.starter import make_workspace
from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.experiments.published import published_models
from compete.experiments.reproduction import kept, split_as_published
from compete.experiments.run_log import read_log
from compete.oof.lock import held_folds
from compete.workflows.reproduce import reproduce
from support.in_process import in_process
from support.lived_in import copied

PUBLISHED = """
[published]
model = {model}
validation = 0.5
kaggle_public = 0.4
split = "{split}"
{how}
thresholds = "{thresholds}"
threshold = {threshold}

[published.settings]
smoothing = 2.0
"""
MODELS = {
    "plain": PUBLISHED.format(model=2, split="plain 70/30", how="held_out = 0.3", thresholds="none", threshold=0.5),
    "tuned": PUBLISHED.format(
        model=1, split="MultilabelStratifiedKFold, 4", how="folds = 4", thresholds="per label", threshold='"per label"'
    ),
    "fixed": PUBLISHED.format(
        model=3, split="MultilabelStratifiedKFold, 6", how="folds = 6", thresholds="0.4 for all", threshold=0.4
    ),
}


@pytest.fixture(scope="module")
def published_once(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = copied(untouched, tmp_path_factory.mktemp("published"))
    for name, table in MODELS.items():
        recipe = f'family = "families.py:Words"\n[settings]\nsmoothing = 1.0\n{table}'
        workspace.recipe(name).write_text(recipe, encoding="utf-8")
    reproduce(workspace, workers=0)
    return workspace


@pytest.fixture
def published(published_once: Workspace, tmp_path: Path) -> Workspace:
    return copied(published_once, tmp_path)


def validation_rows(workspace: Workspace, name: str) -> tuple[pd.DataFrame, NDArray[Any]]:
    """Stored probabilities of the validation rows, and what is true of them."""
    own = workspace.reproduction("full", name)
    (part,) = sorted(own.oof.glob("*/fold_*/oof.parquet"))
    oof = pd.read_parquet(part).set_index("id")
    train = pd.read_csv(workspace.root / "train.csv").set_index("id")
    return oof, train.loc[oof.index, list(oof.columns)].to_numpy()


def test_scores_are_those_of_the_stored_parts(published_once: Workspace) -> None:
    table = reproduce(published_once, workers=0).table
    assert list(table.index) == ["tuned", "plain", "fixed"]  # in the order of the report
    for name, cut in (("plain", 0.5), ("fixed", 0.4)):
        oof, truth = validation_rows(published_once, name)
        by_hand = f1_score(truth, oof.to_numpy() >= cut, average="macro", zero_division=0)
        assert table["reproduced"][name] == table["honest"][name] == pytest.approx(by_hand)
    oof, truth = validation_rows(published_once, "tuned")
    best = [
        max(f1_score(truth[:, i], oof[label] >= cut) for cut in oof[label].unique())
        for i, label in enumerate(oof.columns)
    ]
    assert table["reproduced"]["tuned"] == pytest.approx(np.mean(best))
    assert table["honest"]["tuned"] < table["reproduced"]["tuned"]
    assert (table["low"] < table["honest"]).all() and (table["honest"] < table["high"]).all()
    assert table["rows"].tolist() == [len(validation_rows(published_once, name)[0]) for name in table.index]
    assert table["published"].tolist() == [0.5] * 3 and table["kaggle"].tolist() == [0.4] * 3


def test_validation_rows_are_those_of_the_published_split(published_once: Workspace) -> None:
    train = pd.read_csv(published_once.root / "train.csv").set_index("id")
    labels = train[["joy", "anger", "trust"]].to_numpy()
    for name, k in (("tuned", 4), ("fixed", 6)):
        splits = list(MultilabelStratifiedKFold(k, shuffle=True, random_state=42).split(labels, labels))
        assert sorted(validation_rows(published_once, name)[0].index) == sorted(train.index[splits[-1][1]])
    assert len(validation_rows(published_once, "plain")[0]) == round(0.3 * len(train))


def test_it_lies_apart_and_is_in_the_log(published_once: Workspace) -> None:
    assert not list(published_once.oof.glob("*/manifest.json")) and not published_once.fold_plan.exists()
    assert held_folds(published_once) == set()
    runs = [each.run for each in read_log(published_once).runs]
    assert [(run.command, run.name) for run in runs] == [("reproduce", name) for name in ("tuned", "plain", "fixed")]
    assert runs[0].identity["settings.smoothing"] == "2.0"


def test_what_is_there_is_not_trained_again(published: Workspace) -> None:
    parts = {
        path: path.stat().st_mtime_ns for path in published.root.glob("reproduction/full/*/oof/*/fold_*/part.json")
    }
    assert len(parts) == 3
    recipe = published.recipe("plain")
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("smoothing = 2.0", "smoothing = 3.0"), "utf-8")
    reproduce(published, workers=0)
    again = [path.parents[2].parent.name for path, when in parts.items() if path.stat().st_mtime_ns != when]
    assert again == ["plain"]
    assert [each.run.name for each in read_log(published).runs][3:] == ["plain"]
    assert list(read_log(published).runs[3].changes) == ["settings.smoothing: 2.0 -> 3.0"]


def test_one_that_fails_fails_alone(
    published: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (published.root / "broken.py").write_text(
        (published.root / "families.py").read_text(encoding="utf-8").replace("time.sleep(", "raise ValueError("),
        "utf-8",
    )
    text = published.recipe("fixed").read_text(encoding="utf-8").replace("families.py", "broken.py")
    published.recipe("broken").write_text(text.replace("model = 3", "model = 4"), encoding="utf-8")
    run = in_process(published.root, monkeypatch, capsys)
    ran = run("reproduce", "--workers", "0", "--json")
    assert ran.code == 1 and "1 of 4 models could not be trained" in ran.stderr
    models = {each["name"]: each for each in ran.document["models"]}
    assert models["broken"]["honest"] is None and models["broken"]["state"] == "failed"
    assert all(models[name]["honest"] is not None for name in MODELS)
    shown = run("reproduce", "tuned", "plain", "--workers", "0")
    assert shown.code == 0 and "reproduced" in shown.stdout and "stratified, 4" in shown.stdout


def test_a_checkpoint_that_is_not_here_is_said(published: Workspace) -> None:
    text = MODELS["fixed"].replace("smoothing = 2.0", "epochs = 1")
    recipe = f'family = "sequence_classifier"\n[settings]\ncheckpoint = "nobody/has-this"\n{text}'
    published.recipe("far").write_text(recipe, encoding="utf-8")
    said: list[str] = []
    found = reproduce(published, workers=0, say=said.append)
    assert found.table["state"]["far"] == "absent" and found.failed is None
    assert any("nobody/has-this is not on this machine: `compete reproduce far` asks for it" in each for each in said)
    declaration = published.declaration.read_text(encoding="utf-8")
    published.declaration.write_text(f'{declaration}\n[checkpoints]\n"nobody/has-this" = "gone"\n', encoding="utf-8")
    failed = reproduce(published, ["far"], workers=0).failed
    assert failed is not None and "the folder gone does not exist" in str(failed)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["plan"], r"no recipe base_models/plan\.toml"),
        (["words"], r"base_models/words\.toml: \[published\] names no split"),
        (["../words"], "no recipe"),
    ],
)
def test_what_was_not_published_is_named(published: Workspace, names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        reproduce(published, names)


def test_nothing_published_is_said(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="no recipe in base_models/ says how it was published"):
        reproduce(workspace)


def test_rows_that_are_too_few_for_a_split_are_said() -> None:
    labels = np.ones((20, 2), dtype=np.int8)
    with pytest.raises(UserError, match="20 rows are too few for 15 folds"):
        split_as_published(Published(folds=15), labels)
    with pytest.raises(UserError, match="names neither folds nor held_out"):
        split_as_published(Published(), labels)
    assert split_as_published(Published(held_out=0.3), labels).sum() == 6


def test_what_is_no_result_is_none(tmp_path: Path) -> None:
    path = tmp_path / "reproduced.json"
    assert kept(path) is None
    for text in ("{", "[]", '{"version": 9}', '{"version": 1, "validation": "x"}'):
        path.write_text(text, encoding="utf-8")
        assert kept(path) is None


@pytest.mark.slow
def test_all_ten_as_miniatures(tmp_path: Path) -> None:
    """The report's table is made again, with random nets of the same architectures, on posts of the demo."""
    write_demo_data(tmp_path / "data")
    train, test, sample = (tmp_path / "data" / f"{name}.csv" for name in ("train", "test", "sample_submission"))
    pd.read_csv(train, dtype=str, keep_default_na=False).head(60).to_csv(train, index=False)
    workspace, _ = make_workspace(tmp_path / "demo", train, test, sample)
    for path in workspace.recipes.glob("*.toml"):  # one epoch is enough to run every line
        path.write_text(re.sub(r"^epochs = \d+", "epochs = 1", path.read_text(encoding="utf-8"), flags=re.M), "utf-8")
    found = reproduce(Workspace(workspace.root, "miniature"), workers=0)
    assert found.failed is None
    table = found.table
    published = published_models()
    assert list(table.index) == [each.name for each in published]
    assert table["published"].tolist() == [each.published.validation for each in published]
    assert set(table["size"]) == {"miniature"} and table["honest"].notna().all()
    assert (table["honest"] <= table["reproduced"] + 1e-9).all()
