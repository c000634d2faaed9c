"""Differences are recomputed from what lies in oof/ and submissions/; what cannot be compared is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import f1_score

from compete.competition.data import load_competition
from compete.competition.folds import stored_plan
from compete.competition.workspace import Workspace
from compete.errors import CompeteError, UserError
from compete.experiments.comparing import Difference, chance_to_be_better, corrected, holm, p_value
from compete.oof.store import read_record
from compete.stacking.ensemble.cross_fitting import as_it_is
from compete.stacking.ensemble.evaluation import decide_by_fold
from compete.stored_json import read_json
from compete.submissions.csv_file import predictions_beside
from compete.submissions.ledger import ledger_of
from compete.workflows.compare import Comparison, compare
from support.in_process import in_process
from support.lived_in import copied


def test_holm_is_the_step_down_of_the_paper() -> None:
    # 0.01 * 4, then 0.02 * 3, then 0.03 * 2 is no less than the one before, then 0.9.
    assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert holm([0.04]) == [0.04]
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_what_differs_in_nothing_is_no_difference() -> None:
    (same,) = corrected([(0.0, np.zeros(1000))])
    assert same == Difference(0.0, 0.0, 0.0, 1.0, 1.0) and not same.surely
    assert chance_to_be_better(np.zeros(10)) == 0.5
    assert chance_to_be_better(np.array([1.0, 1.0, -1.0, 0.0])) == 0.625


def test_a_p_value_is_two_sided() -> None:
    assert p_value(1.96, 1.0) == p_value(-1.96, 1.0) == pytest.approx(0.05, abs=1e-4)


def test_equal_models_are_told_apart_one_time_in_twenty() -> None:
    """Correlated pairs too: 400 comparisons of four equal models."""
    random = np.random.default_rng(0)
    alarms, family = [], []
    for _ in range(400):
        scores = random.normal(size=4)
        pairs = [(a, b) for a in range(4) for b in range(a)]
        p = [p_value(scores[a] - scores[b], np.sqrt(2)) for a, b in pairs]
        alarms.append(np.mean(np.array(p) < 0.05))
        family.append(min(holm(p)) < 0.05)
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.02)
    assert 0.01 < np.mean(family) <= 0.07  # any of six without a correction: 0.2


@pytest.fixture(scope="module")
def found(worked_in: Workspace) -> Comparison:
    return compare(worked_in, ["words_smooth", "logistic", "words"], rows=4)


def decisions(workspace: Workspace, name: str) -> NDArray[Any]:
    """Cut by thresholds of the other folds."""
    competition, plan = load_competition(workspace), stored_plan(workspace)
    assert plan is not None
    folder = workspace.stack(name) if name == "logistic" else workspace.base_model(name)
    oof = pd.read_parquet(folder.oof).iloc[:, 1:].to_numpy()
    fit = as_it_is(oof, plan.folds)
    return decide_by_fold(competition.metric, competition.train_targets, fit, "cross_fitted")[0]


def test_every_number_is_that_of_the_stored_parts(worked_in: Workspace, found: Comparison) -> None:
    honest = {name: read_json(worked_in.base_model(name).scores)["honest"] for name in ("words", "words_smooth")}
    honest["logistic"] = read_record(worked_in.stack("logistic"))["score"]["honest"]
    order = sorted(honest, key=lambda name: -honest[name])
    table = found.table
    assert list(zip(table["first"], table["second"], strict=True)) == [
        (order[0], order[1]),
        (order[0], order[2]),
        (order[1], order[2]),
    ]
    truth = load_competition(worked_in).train_targets
    random = np.random.default_rng(5)
    chosen = [random.integers(len(truth), size=len(truth)) for _ in range(400)]
    for row in table.to_dict("records"):
        assert row["difference"] == pytest.approx(honest[row["first"]] - honest[row["second"]], abs=1e-12)
        first, second = decisions(worked_in, row["first"]), decisions(worked_in, row["second"])
        by_hand = [
            f1_score(truth[rows], first[rows], average="macro", zero_division=0)
            - f1_score(truth[rows], second[rows], average="macro", zero_division=0)
            for rows in chosen
        ]
        deviation = float(np.std(by_hand))
        assert row["p"] == pytest.approx(2 * norm.sf(abs(row["difference"]) / deviation), abs=0.12)
        assert (row["high"] - row["low"]) / 2 == pytest.approx(1.96 * deviation, rel=0.15)
        # 45 private rows, and 240 that tell of them.
        private = deviation * np.sqrt(1 + len(truth) / 45)
        assert row["better"] == pytest.approx(norm.cdf(row["difference"] / private), abs=0.03)
    assert table["p_holm"].tolist() == pytest.approx(holm(table["p"].tolist()))


def test_labels_are_compared_by_their_f1(worked_in: Workspace, found: Comparison) -> None:
    competition = load_competition(worked_in)
    pair = found.outputs[found.outputs["first"] == found.table["first"][0]].head(3)
    assert list(pair["output"]) == list(competition.labels)
    for side in ("first", "second"):
        said = decisions(worked_in, pair[side].iloc[0])
        by_hand = f1_score(competition.train_targets, said, average=None)
        assert pair[f"of_{side}"].tolist() == pytest.approx(by_hand.tolist())
    assert (pair["difference"] - (pair["of_first"] - pair["of_second"])).abs().max() < 1e-12
    assert pair["p_holm"].tolist() == pytest.approx(holm(pair["p"].tolist()))


def test_rows_are_those_on_which_one_is_right_and_the_other_wrong(worked_in: Workspace, found: Comparison) -> None:
    competition = load_competition(worked_in)
    first, second = found.table["first"][0], found.table["second"][0]
    rows = found.rows[(found.rows["first"] == first) & (found.rows["second"] == second)]
    wrong = {
        name: np.abs(decisions(worked_in, name) - competition.train_targets).sum(axis=1) for name in (first, second)
    }
    ahead = wrong[second] - wrong[first]
    places = [competition.train_ids.index(each) for each in rows["id"]]
    assert [int(ahead[place]) for place in places] == [
        *(int(each) for each in np.sort(ahead)[::-1][:4] if each > 0),
        *(int(each) for each in np.sort(ahead)[:4] if each < 0),
    ]
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        assert (row["error_of_first"], row["error_of_second"]) == (wrong[first][place], wrong[second][place])
        assert row["text"] == competition.train_texts[place]
        said = decisions(worked_in, first)[place]
        names = [label for label, on in zip(competition.labels, said, strict=True) if on]
        assert row["of_first"] == (", ".join(names) or "none")


def test_a_submission_is_what_was_sent(worked_in: Workspace) -> None:
    """By its number or its file; it does not differ from the model that it was made of."""
    entry = ledger_of(worked_in).entries()[1]
    assert entry.submission.source == "base model words"
    for name in ("2", entry.submission.file):
        table = compare(worked_in, ["words", name]).table
        (row,) = table.to_dict("records")
        assert (row["difference"], row["p"]) == (0.0, 1.0) and row["better"] == pytest.approx(0.5, abs=0.02)
    both = compare(worked_in, ["1", "2"]).found
    assert [each.kind for each in both.contestants] == ["submission", "submission"]
    assert all(each.public is not None for each in both.contestants)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["words"], "1 to compare"),
        (["words", "words"], "words is named twice"),
        (["words", "wrds"], "no stack or base model is called 'wrds'"),
        (["words", "9"], "no submission 9 is in the ledger"),
        (["words", "none.csv"], "no submission none.csv"),
        (["words", "../words"], "cannot be a stack or model's name"),
    ],
)
def test_what_is_not_there_is_named(worked_in: Workspace, names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare(worked_in, names)


def test_stale_damaged_and_other_plans_are_refused_by_name(worked_in: Workspace, tmp_path: Path) -> None:
    workspace = copied(worked_in, tmp_path)
    recipe = workspace.recipe("words_smooth")
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("5.0", "6.0"), encoding="utf-8")
    with pytest.raises(CompeteError, match=r"'words_smooth' is stale: settings\.smoothing: 5\.0 -> 6\.0"):
        compare(workspace, ["words", "words_smooth"])
    with pytest.raises(CompeteError, match="'logistic' is stale: its base model words_smooth"):
        compare(workspace, ["words", "logistic"])
    entries = ledger_of(workspace).entries()
    with pytest.raises(UserError, match="named twice, by its number and by its file"):
        compare(workspace, ["1", entries[0].submission.file])
    beside = predictions_beside(workspace.submission(entries[0].submission.file))
    beside.write_bytes(beside.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"submission 1 \(stack logistic\) has damaged out-of-fold predictions"):
        compare(workspace, ["words", "1"])
    text = workspace.declaration.read_text(encoding="utf-8")
    workspace.declaration.write_text(text.replace("seed = 7", "seed = 8"), encoding="utf-8")
    with pytest.raises(CompeteError, match=r"'words' is stale: folds\.seed: 7 -> 8"):
        compare(workspace, ["words", "2"])
    workspace.fold_plan.unlink()
    with pytest.raises(UserError, match="nothing to compare"):
        compare(workspace, ["words", "2"])


def test_the_command_says_what_python_has(
    worked_in: Workspace, found: Comparison, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = in_process(worked_in.root, monkeypatch, capsys)
    ran = run("compare", "words_smooth", "logistic", "words", "--rows", "4", "--json")
    assert ran.code == 0, ran.stderr
    assert [pair["difference"] for pair in ran.document["pairs"]] == found.table["difference"].tolist()
    assert [len(pair["rows"]) for pair in ran.document["pairs"]] == [len(pair.rows) for pair in found.found.pairs]
    shown = run("compare", "words_smooth", "logistic")
    assert shown.code == 0 and "95 % interval" in shown.stdout and "p, Holm" in shown.stdout
    assert "\u202e" not in shown.stdout
    assert run("compare", "words", "words").code == 2
