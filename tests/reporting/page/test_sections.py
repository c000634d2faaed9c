"""The sections of the report: the workspace's numbers, and what is said where some are missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import compete
from compete.competition.workspace import Workspace
from compete.opened import Opened
from support.lived_in import LABELS, build_stacks, copied, declare, reveal, send, train_models, write_model
from support.report_page import MODEL_TABLE, SCORE_TABLE, SUBMISSION_TABLE, ReportPage, without_figures

pytestmark = pytest.mark.slow


def test_tables_hold_the_workspaces_numbers(page: ReportPage, opened: Opened) -> None:
    for name, model in opened.models.iterrows():
        row = page.row(MODEL_TABLE, str(name))
        assert row["honest"] == f"{model['honest']:.4f}"
        assert row["95 % interval"] == f"{model['low']:.4f} to {model['high']:.4f}"
        assert (row["naive"], row["state"], row["folds"]) == (f"{model['naive']:.4f}", "fresh", "3/3")
    for shown in opened.ranked:
        row = page.row(SCORE_TABLE, shown.title.removeprefix("base model "))
        assert row["honest"] == f"{shown.score.honest:.4f}"
        assert row["optimism"] == f"{shown.score.naive - shown.score.honest:+.4f}"
    assert opened.chosen is not None
    for label, score in opened.chosen.score.labels.items():
        row = page.row(f"Labels and thresholds of {opened.chosen.title}", label)
        assert row["rate"] == f"{opened.train[label].mean():.3f}"
        assert row["F1"] == f"{score.f1:.3f}"
        assert row["threshold"].startswith(f"{score.threshold:.3f} ± ")
    for number, sent in opened.ledger.iterrows():
        row = page.row(SUBMISSION_TABLE, str(number))
        assert (row["what"], row["state"]) == (sent["source"], "scored")
        assert (row["public"], row["private"]) == (f"{sent['public']:.4f}", f"{sent['private']:.4f}")
        assert row["public expected"] == f"{sent['public_low']:.4f} to {sent['public_high']:.4f}"
    rows = dict(page.tables["Rows"])
    assert (rows["training rows"], rows["test rows"], rows["labels"], rows["folds"]) == ("240", "90", "3", "3")
    assert rows["labels per training row"] == f"{opened.train[list(LABELS)].sum(axis=1).mean():.2f}"


def test_the_chosen_stack_alone_is_marked(report_page: Path) -> None:
    text = report_page.read_text(encoding="utf-8")
    assert re.findall(r'<tr class="chosen"><td>([^<]*)<', text) == ["stack logistic"]


def test_what_is_stale_has_no_score_and_a_reason(lived: Workspace) -> None:
    write_model(lived, "words", 9.0)
    page = without_figures(lived)
    row = page.row(MODEL_TABLE, "words")
    assert [row[c] for c in ("state", "honest", "95 % interval", "naive")] == ["stale", "-", "-", "-"]
    assert [row[0] for row in page.tables[SCORE_TABLE][1:]] == ["words_smooth"]
    assert "words is not in the figures: stale: settings.smoothing: 1.0 -> 9.0." in page.sections["models"]
    assert "No stack is built yet, or none that is up to date" in page.sections["stack"]
    assert "its base model words is stale" in page.sections["stack"]
    assert page.hard_rows()["models"] == ["words_smooth"]


def test_an_edited_competition_is_told_and_nothing_else_is(lived: Workspace) -> None:
    text = lived.declaration.read_text(encoding="utf-8")
    lived.declaration.write_text(text.replace("seed = 7", "seed = 8"), encoding="utf-8")
    page = without_figures(lived)
    assert "The competition was edited after the fold plan was made: folds.seed: 7 -> 8." in page.sections["data"]
    assert SCORE_TABLE not in page.tables
    assert all(row[4:7] == ["-", "-", "-"] for row in page.tables[MODEL_TABLE][1:])
    assert "errors" not in page.sections
    assert "honest" not in page.sections[""]  # nor among the numbers on top
    assert len(page.tables[SUBMISSION_TABLE]) == 4  # what was sent was sent


def test_a_partly_trained_model_is_told(lived: Workspace) -> None:
    write_model(lived, "third", 2.0)
    train_models(lived, ["third"], [1])
    page = without_figures(lived)
    assert page.row(MODEL_TABLE, "third")["folds"] == "1/3"
    assert "third is not in the figures: 1 of 3 folds trained." in page.sections["models"]


def test_nothing_trained(untouched: Workspace) -> None:
    page = without_figures(untouched)
    assert "No base model is trained on every fold yet" in page.sections["models"]
    assert "No stack is built yet" in page.sections["stack"]
    assert "Nothing was submitted yet" in page.sections["submissions"]
    assert page.row(MODEL_TABLE, "words")["state"] == "not trained"
    assert [row[0] for row in page.tables["Commands"][1:]] == ["compete folds"]
    assert len(page.scripts) == 1


def test_no_recipe_at_all(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    for path in (*workspace.recipes.glob("*.toml"), *workspace.stack_recipes.glob("*.toml")):
        path.unlink()
    assert MODEL_TABLE not in without_figures(workspace).tables


def test_public_scores_alone_and_none_at_all(lived: Workspace) -> None:
    (lived.submissions / "ledger.sqlite").unlink()
    text = lived.declaration.read_text(encoding="utf-8")
    send(lived, ["words"])
    row = without_figures(lived).row(SUBMISSION_TABLE, "1")
    assert row["public"] != "-" and row["private"] == "-"
    assert row["private expected"] != "-"  # that is no secret
    (lived.submissions / "ledger.sqlite").unlink()
    lived.declaration.write_text(text.replace('solution = "solution.csv"\n', ""), encoding="utf-8")
    send(lived, ["words"])
    row = without_figures(lived).row(SUBMISSION_TABLE, "1")
    assert (row["state"], row["public"], row["private"]) == ("sent", "-", "-")


@pytest.mark.parametrize(
    ("metric", "sign"), [("log_loss", -1), ("roc_auc_macro", 1), ("f1_micro", 1), ("f1_samples", 1)]
)
def test_every_kind_of_metric_has_its_page(lived: Workspace, metric: str, sign: int) -> None:
    declare(lived, f'metric = "{metric}"')
    build_stacks(lived, ["logistic"])
    send(lived, ["logistic"])
    reveal(lived)
    opened = compete.open(lived.root)
    page = without_figures(lived)
    for shown in opened.ranked:
        row = page.row(SCORE_TABLE, shown.title.removeprefix("base model "))
        optimism = sign * (shown.score.naive - shown.score.honest)
        # What the naive score flatters by is above 0 where less is better too.
        assert float(row["optimism"]) == pytest.approx(optimism, abs=6e-5)
    if metric in ("log_loss", "roc_auc_macro"):
        assert page.tables["Labels of stack logistic, decided at 0.5"][0][-1] == "F1"
    else:
        thresholds = [row[5] for row in page.tables["Labels and thresholds of stack logistic"][1:]]
        assert all(cell == "-" for cell in thresholds) is (metric == "f1_samples")
    assert "scored by several metrics" in page.sections["submissions"]
