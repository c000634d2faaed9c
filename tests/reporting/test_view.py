"""`compete.open`: what it shows is what lies in the files, and looking changes none of them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import f1_score, precision_score

import compete
from compete.competition.workspace import Workspace
from compete.errors import CompeteError, DeclarationError, UserError
from compete.opened import Opened
from support.lived_in import LABELS, NAME, ODD_STACK, build_stacks, copied, declare, train_models, write_model

MODELS = ["words", "words_smooth"]
STACKS = [ODD_STACK, "logistic"]


def manifest(workspace: Workspace, folder: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((workspace.oof / folder / "manifest.json").read_text(encoding="utf-8"))
    return found


def hashes(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_rows_are_those_of_the_files(opened: Opened, worked_in: Workspace) -> None:
    assert (opened.name, opened.metric, opened.labels) == (NAME, "f1_macro", LABELS)
    train = pd.read_csv(worked_in.root / "train.csv", dtype={"id": str}).set_index("id")
    assert opened.train["text"].to_dict() == train["text"].to_dict()
    assert np.array_equal(opened.train[list(LABELS)], train[list(LABELS)])
    test = pd.read_csv(worked_in.root / "test.csv", dtype={"id": str}).set_index("id")
    assert list(opened.test.columns) == ["text"]
    assert opened.test["text"].to_dict() == test["text"].to_dict()


def test_folds_are_those_that_were_trained(opened: Opened, worked_in: Workspace) -> None:
    for fold in range(3):
        held_out = pq.read_table(worked_in.oof / "words" / f"fold_{fold}" / "oof.parquet")["id"].to_pylist()
        assert opened.folds[opened.folds == fold].index.tolist() == held_out


@pytest.mark.parametrize(("name", "folder"), [("words", "words"), ("logistic", "stacks/logistic")])
def test_probabilities_are_the_files_values(opened: Opened, worked_in: Workspace, name: str, folder: str) -> None:
    for file, table in (("oof", opened.oof(name)), ("test", opened.test_probabilities(name))):
        stored = pq.read_table(worked_in.oof / folder / f"{file}.parquet").to_pandas().set_index("id")
        pd.testing.assert_frame_equal(table, stored)
    assert np.array_equal(opened.probabilities(name).oof, opened.oof(name).to_numpy())


def test_scores_are_the_kept_ones(opened: Opened, worked_in: Workspace) -> None:
    scores = json.loads((worked_in.oof / "words" / "scores.json").read_text(encoding="utf-8"))
    shown = opened.models.loc["words"]
    assert [shown[key] for key in ("honest", "low", "high", "naive")] == [
        scores[key] for key in ("honest", "low", "high", "naive")
    ]
    assert (shown["state"], shown["family"], shown["folds"]) == ("fresh", "families.py:Words", 3)
    assert shown["seconds"] == manifest(worked_in, "words")["seconds"]
    stack = manifest(worked_in, "stacks/logistic")["score"]
    assert isinstance(stack, dict)
    assert opened.stacks.loc["logistic", "honest"] == stack["honest"]
    assert opened.stacks["method"].to_dict() == {ODD_STACK: "mean", "logistic": "logistic"}
    assert opened.per_label("logistic").loc[LABELS[0], "f1"] == stack["labels"][LABELS[0]]["f1"]
    assert list(opened.per_label("words").index) == list(LABELS)


def test_one_stack_is_chosen_and_it_is_the_one_that_is_sent(opened: Opened, worked_in: Workspace) -> None:
    choice = json.loads((worked_in.oof / "stacks" / "choice.json").read_text(encoding="utf-8"))["stack"]
    assert opened.chosen is not None
    assert opened.chosen.name == choice
    assert opened.stacks["chosen"].to_dict() == {name: name == choice for name in STACKS}


def test_decisions_score_as_the_first_repeat_did_and_are_not_those_of_one_threshold(opened: Opened) -> None:
    truth = opened.train[list(LABELS)].to_numpy()
    for name, near in (("words", 1e-9), ("logistic", 0.03)):  # a stack's weights too are fitted again when scored
        decided = opened.decisions(name)
        assert f1_score(truth, decided, average="macro") == pytest.approx(opened.find(name).score.repeats[0], abs=near)
        thresholds = opened.per_label(name)["threshold"].to_numpy()
        assert not np.array_equal(decided, opened.oof(name).to_numpy() >= thresholds)
        precision = precision_score(truth, decided, average=None)
        assert opened.per_label(name)["precision"].to_numpy() == pytest.approx(precision, abs=0.1)


def test_curves_are_what_training_wrote_down(opened: Opened, worked_in: Workspace) -> None:
    found = opened.curves("words")
    assert list(found) == [0, 1, 2]
    path = worked_in.oof / "words" / "fold_1" / "curves.json"
    assert found[1] == json.loads(path.read_text(encoding="utf-8"))
    assert opened.curves("logistic") == {}


def test_the_ledger_has_a_row_per_submission_with_its_scores(opened: Opened) -> None:
    ledger = opened.ledger
    assert ledger["source"].to_dict() == {1: "stack logistic", 2: "base model words", 3: "base model words_smooth"}
    assert ledger["validation"].to_dict() == pytest.approx(
        {1: opened.find("logistic").score.honest, **{n: opened.find(MODELS[n - 2]).score.honest for n in (2, 3)}}
    )
    for number in (1, 2, 3):
        sent = pd.read_csv(opened.workspace.submissions / str(ledger["file"][number])).set_index("id")
        solution = pd.read_csv(opened.workspace.root / "solution.csv").set_index("id")
        for usage, column in (("Public", "public"), ("Private", "private")):
            truth = solution.loc[solution["Usage"] == usage, list(LABELS)]
            by_hand = f1_score(truth, sent.loc[truth.index, list(LABELS)], average="macro")
            assert ledger[column][number] == pytest.approx(by_hand)
    assert (ledger["public_low"] < ledger["public_high"]).all()


def test_the_best_comes_first_where_less_is_better_too(opened: Opened, lived: Workspace) -> None:
    honest = [shown.score.honest for shown in opened.ranked]
    assert len(honest) == 4
    assert honest == sorted(honest, reverse=True)
    declare(lived, 'metric = "log_loss"')
    losses = [shown.score.honest for shown in compete.open(lived.root).ranked]
    assert losses == sorted(losses)


def test_probabilities_are_not_decided_on_where_the_metric_scores_them(lived: Workspace) -> None:
    declare(lived, 'metric = "roc_auc_macro"')
    with pytest.raises(UserError, match="macro-AUC scores probabilities"):
        compete.open(lived.root).decisions("words")


@pytest.mark.parametrize("ask", ["oof", "test_probabilities", "per_label", "decisions", "curves", "probabilities"])
def test_a_wrong_name_is_refused_with_the_right_ones(opened: Opened, ask: str) -> None:
    with pytest.raises(UserError, match=r"'wrods'.*words, words_smooth") as refused:
        getattr(opened, ask)("wrods")
    assert "logistic" in str(refused.value)


def test_a_wrong_figure_is_refused_with_the_right_ones(opened: Opened) -> None:
    with pytest.raises(UserError, match=r"'score'.*label_rates.*scores"):
        opened.figure("score")


def test_outside_of_a_workspace_nothing_is_opened(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this is not a workspace"):
        compete.open(tmp_path)


def test_a_folder_inside_of_a_workspace_opens_it(opened: Opened, worked_in: Workspace) -> None:
    assert compete.open(worked_in.root / "oof" / "words").workspace.root == opened.workspace.root
    assert compete.open(str(worked_in.root)).workspace.root == opened.workspace.root
    assert repr(opened) == f"<workspace {NAME!r}: 2 base models, 2 stacks>"


def test_a_size_that_is_none_is_refused(worked_in: Workspace) -> None:
    with pytest.raises(DeclarationError, match="size"):
        compete.open(worked_in.root, size="huge").models  # noqa: B018


def look_at_everything(opened: Opened) -> None:
    for table in (opened.train, opened.test, opened.folds, opened.models, opened.stacks, opened.ledger):
        assert len(table)
    for name in opened.shown:
        assert len(opened.oof(name)) and len(opened.per_label(name)) and len(opened.decisions(name))
    assert opened.figures()


def test_looking_changes_nothing_but_kept_scores(lived: Workspace) -> None:
    before = hashes(lived.root)
    look_at_everything(compete.open(lived.root))
    assert hashes(lived.root) == before
    for name in MODELS:
        (lived.oof / name / "scores.json").unlink()
    look_at_everything(compete.open(lived.root))
    assert hashes(lived.root) == before  # computed again, and the same


def test_looking_at_an_untouched_workspace_leaves_it_untouched(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    before = hashes(workspace.root)
    opened = compete.open(workspace.root)
    assert opened.models["state"].to_dict() == dict.fromkeys(MODELS, "missing")
    assert opened.models["honest"].isna().all()
    assert opened.stacks["state"].to_dict() == {"logistic": "not built yet"}
    assert len(opened.ledger) == 0
    assert opened.chosen is None
    assert opened.figures() == ["label_rates", "co_occurrence"]
    assert hashes(workspace.root) == before
    assert not workspace.oof.exists()
    with pytest.raises(UserError, match="compete folds"):
        opened.folds  # noqa: B018
    with pytest.raises(UserError, match="words: not trained yet"):
        opened.oof("words")


def test_what_the_edited_recipe_made_stale_has_no_score_anywhere(lived: Workspace) -> None:
    write_model(lived, "words", 9.0)
    opened = compete.open(lived.root)
    assert list(opened.shown) == ["words_smooth"]
    assert opened.models.loc["words", "state"] == "stale"
    assert opened.models["honest"].isna().to_dict() == {"words": True, "words_smooth": False}
    assert opened.left_out["words"] == "stale: settings.smoothing: 1.0 -> 9.0"
    for name in STACKS:  # built from what is stale now
        assert opened.left_out[f"stack {name}"].startswith(
            f"the stack {name!r} is stale: its base model words is stale"
        )
    assert opened.stacks["honest"].isna().all()
    assert opened.chosen is not None and opened.chosen.name == "words_smooth"
    for ask in (opened.oof, opened.per_label, opened.decisions):
        with pytest.raises(UserError, match=r"words: stale: settings\.smoothing"):
            ask("words")
        with pytest.raises(UserError, match="logistic: the stack 'logistic' is stale"):
            ask("logistic")


def test_an_edited_competition_makes_everything_stale(lived: Workspace) -> None:
    text = lived.declaration.read_text(encoding="utf-8")
    lived.declaration.write_text(text.replace("seed = 7", "seed = 8"), encoding="utf-8")
    opened = compete.open(lived.root)
    assert opened.shown == {}
    assert set(opened.left_out) == {*MODELS, *(f"stack {name}" for name in STACKS)}
    assert all("folds.seed: 7 -> 8" in why for why in opened.left_out.values())
    with pytest.raises(UserError, match=r"another competition: folds\.seed: 7 -> 8"):
        opened.folds  # noqa: B018


def test_a_damaged_file_is_named_as_it_lies_in_the_workspace(lived: Workspace) -> None:
    lived.base_model("words").oof.write_bytes(b"torn")
    opened = compete.open(lived.root)
    assert "words" not in opened.shown
    assert opened.left_out["words"].startswith("damaged: oof/words/oof.parquet is not the file that compete wrote")
    lived.stack("logistic").test.unlink()
    opened = compete.open(lived.root)
    assert opened.left_out["stack logistic"].startswith("oof/stacks/logistic/test.parquet is missing")
    assert str(lived.root) not in " ".join([*opened.left_out.values(), *opened.stacks["state"]])


def test_a_model_of_some_folds_has_none_of_the_whole_ones_numbers(lived: Workspace) -> None:
    write_model(lived, "third", 2.0)
    train_models(lived, ["third"], [0, 2])
    opened = compete.open(lived.root)
    assert opened.left_out == {"third": "2 of 3 folds trained"}
    row = opened.models.loc["third"]
    assert (row["state"], row["folds"]) == ("missing", 2)
    assert np.isnan(row["honest"])
    with pytest.raises(UserError, match="third: 2 of 3 folds trained"):
        opened.test_probabilities("third")


def test_a_stack_of_a_retrained_model_is_stale(lived: Workspace) -> None:
    write_model(lived, "words", 9.0)
    train_models(lived, ["words"])
    opened = compete.open(lived.root)
    assert list(opened.base_models) == MODELS
    assert "base model words" in opened.left_out["stack logistic"]
    build_stacks(lived, ["logistic"])
    opened = compete.open(lived.root)
    assert list(opened.stacked) == ["logistic"]


def test_a_stack_recipe_that_cannot_be_read_is_told_and_hides_nothing_else(lived: Workspace) -> None:
    (lived.stack_recipes / "logistic.toml").write_text('method = "logistics"\n', encoding="utf-8")
    opened = compete.open(lived.root)
    assert opened.stacks.loc[ODD_STACK, "state"] == "fresh"
    assert "did you mean 'logistic'?" in opened.stacks["state"].to_dict()["logistic"]
    assert opened.stacks["method"].isna().to_dict() == {ODD_STACK: False, "logistic": True}


def test_a_recipe_that_cannot_be_read_is_refused_as_every_command_does(lived: Workspace) -> None:
    (lived.recipes / "words.toml").write_text('family = "nothing"\n', encoding="utf-8")
    with pytest.raises(CompeteError, match=r"base_models/words\.toml"):
        compete.open(lived.root).models  # noqa: B018


def test_a_model_whose_recipe_is_gone_is_left_out(lived: Workspace) -> None:
    (lived.recipes / "words.toml").unlink()
    opened = compete.open(lived.root)
    assert opened.models.loc["words", "state"] == "recipe gone"
    assert "words" not in opened.shown
    assert "leave_one_out" in opened.figures()  # the stack is as it was built
    assert opened.figure("leave_one_out").axes


def test_curves_of_folds_that_are_no_more_are_not_shown(lived: Workspace) -> None:
    shutil.copytree(lived.oof / "words" / "fold_0", lived.oof / "words" / "fold_7")
    (lived.oof / "words" / "fold_old").mkdir()
    (lived.oof / "words" / "fold_1" / "curves.json").write_text("{torn", encoding="utf-8")
    assert list(compete.open(lived.root).curves("words")) == [0, 2]


def test_a_mistyped_folder_is_not_the_workspace_above_it(worked_in: Workspace) -> None:
    with pytest.raises(UserError, match="no-such-folder is no folder"):
        compete.open(worked_in.root / "no-such-folder")
