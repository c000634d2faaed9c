"""Every command over a small competition of every task: none fails, and none speaks of what the task does not have."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import compete as compete_package
from compete.competition.workspace import Workspace
from support.every_task import CASES, CLASSES, task_workspace
from support.in_process import Ran, Run, in_process

pytestmark = pytest.mark.slow

OF_CLASSES = {"label_rates", "confusion", "reliability", "reliability_models", "label_f1", "labels_linear"}
OF_NUMBERS = {"targets", "predicted_true", "residuals", "target_scores"}
OF_ALL = {
    "scores",
    "honest_naive",
    "cost",
    "error_correlation",
    "leave_one_out",
    "leaderboard",
    "public_private",
    "road",
}
NOT_OF_NUMBERS = ("label", "threshold", "F1", "precision", "probabilit", "class")
NOT_OF_CLASSES = ("threshold", "label")
# One of every task; of the others, which have another metric, sample or number of targets, no job goes elsewhere and
# nothing is rehearsed.
WHOLE = ("binary", "multiclass", "regression", "ordinal")


@pytest.fixture
def compete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(tmp_path, monkeypatch, capsys)


def said(run: Run, *arguments: str) -> str:
    ran = run(*arguments)
    assert ran.code == 0, f"compete {' '.join(arguments)}: {ran.stdout}{ran.stderr}"
    return ran.stdout + ran.stderr


def document(run: Run, *arguments: str) -> Ran:
    ran = run(*arguments, "--json")
    assert ran.code == 0, ran.stderr
    assert ran.document
    return ran


# Multilabel has journeys of its own.
@pytest.mark.parametrize("name", [name for name in CASES if name != "multilabel"])
def test_every_command(name: str, tmp_path: Path, compete: Run, unpainted: None) -> None:
    workspace, case = task_workspace(tmp_path, name), CASES[name]
    numbers, classes = case.task in ("regression", "ordinal"), case.task == "multiclass"
    texts = [said(compete, "plan"), said(compete, "folds")]
    if name in WHOLE:
        said(compete, "jobs", "export", "jobs", "linear", "--fold", "0")
        said(compete, "jobs", "run", "jobs/linear-fold-0.job")
        assert "linear fold 0 came in" in said(compete, "jobs", "collect", "jobs")
    texts += [said(compete, "train-base", "--all", "--workers", "0"), said(compete, "status")]
    _import(workspace)
    texts.append(said(compete, "import", "mine", "--oof", "mine_oof.csv", "--test", "mine_test.csv"))
    texts.append(said(compete, "stack", "--without", "mine"))
    stacked = document(compete, "stack", "--without", "mine", "--leave-one-out").document
    assert {each["name"] for each in stacked["stacks"]} == set(case.stacks)
    assert bool(stacked["targets"]) is numbers and bool(stacked["labels"]) is not numbers
    texts += [said(compete, "submit", "mean"), said(compete, "submit", "linear"), said(compete, "submit", "nbsvm")]
    texts += [said(compete, "scores", "--private"), said(compete, "finalists")]
    texts += [
        said(compete, "compare", "mean", "linear", "1"),
        said(compete, "compare", "linear", "nbsvm", "--rows", "0"),
    ]
    for command in (["plan"], ["folds"], ["status"], ["scores"], ["finalists"], ["submit", "blend", "--again"]):
        document(compete, *command)
    for what in ("mean", "linear") if name in WHOLE else ("mean",):
        texts += [said(compete, "predict", "test.csv", what), said(compete, "predict", "test.csv", what, "--decisions")]
    _check_decisions(tmp_path / "predictions.csv", name)
    said(compete, "report")
    _check_report(workspace, name)
    if name in WHOLE:
        assert "in the range that was promised" in said(
            compete, "rehearse", "linear", "nbsvm", "--stack", "mean", "--workers", "0"
        )
    for text in texts:
        _says_nothing_of(NOT_OF_NUMBERS if numbers else NOT_OF_CLASSES if classes else (), text)


def _import(workspace: Workspace) -> None:
    opened = compete_package.open(workspace.root, quiet=True)
    opened.oof("linear").to_csv(workspace.root / "mine_oof.csv")
    opened.test_probabilities("nbsvm").to_csv(workspace.root / "mine_test.csv")


def _says_nothing_of(words: tuple[str, ...], text: str) -> None:
    for word in words:
        assert word not in text, text


def _check_decisions(file: Path, name: str) -> None:
    """What `predict --decisions` wrote is what train has."""
    with file.open(encoding="utf-8", newline="") as opened:
        rows = [{k: v for k, v in row.items() if k != "id"} for row in csv.DictReader(opened)]
    cells = {cell for row in rows for cell in row.values()}
    assert len(rows) == 120 and list(rows[0]) == list(CASES[name].columns)
    if CASES[name].task == "multiclass":
        assert cells <= set(CLASSES)
    elif name == "ordinal":
        assert cells <= {"-2", "-1", "0", "1", "2"}
    elif CASES[name].task in ("multilabel", "binary"):
        assert cells <= {"0", "1"}
    else:
        assert all(float(cell) == float(cell) for cell in cells)


def _check_report(workspace: Workspace, name: str) -> None:
    """Which figures the page has, and its words."""
    drawn = {path.stem for path in (workspace.root / "report" / "figures").glob("*.svg")}
    page = (workspace.root / "report" / "index.html").read_text(encoding="utf-8")
    task = CASES[name].task
    expected = {
        "binary": OF_ALL | {"precision_recall"} | (OF_CLASSES - {"confusion"}),
        "multiclass": OF_ALL | OF_CLASSES,
        "regression": OF_ALL | OF_NUMBERS,
        "ordinal": OF_ALL | OF_NUMBERS | {"confusion"} | ({"cuts"} if name == "ordinal" else set()),
    }[task]
    assert expected <= drawn
    others = {figure for figure in drawn - expected if not figure.startswith("labels_")}
    assert others == set()
    assert any(figure.startswith("labels_") for figure in drawn) is (task not in ("regression", "ordinal"))
    words = page[page.index("<main>") : page.index("<footer")].partition('id="made"')[0]
    if task in ("regression", "ordinal"):
        for word in ("threshold", "probability", "precision", "Labelled", "label error"):
            assert word not in words
    if task == "multiclass":
        assert "threshold" not in words and "The classes, one by one" in words
