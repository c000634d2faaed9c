"""Python plays the tutorial (docs/tutorial.md) from the first file to the last score, without the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import compete
from compete.competition import demo_data
from compete.errors import DataError, JobsFailedError, UserError
from compete.opened import Opened
from compete.workflows.submit import nobody_to_ask

pytestmark = pytest.mark.slow


BROKEN = """
from pydantic import BaseModel


class Broken:
    class Settings(BaseModel): ...

    def __init__(self, settings): ...

    def fit(self, texts, labels, context):
        raise OSError("no")
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """The embedded competition, two models trained, the stacks built, two submissions sent."""
    root = tmp_path_factory.mktemp("emotions")
    with pytest.MonkeyPatch.context() as fewer:
        fewer.setattr(demo_data, "TRAIN_ROWS", 400)
        fewer.setattr(demo_data, "TEST_ROWS", 200)
        files = {path.stem: path for path in compete.demo_data(root / "data")}
    ws = compete.init(root, train=files["train"], test=files["test"], sample=files["sample_submission"], quiet=True)
    declaration = ws.workspace.declaration
    text = declaration.read_text(encoding="utf-8")
    declaration.write_text(re.sub("^# (?=solution = )", "", text, flags=re.MULTILINE), encoding="utf-8")
    assert ws.models["state"].eq("missing").all()
    ws.train_base("linear", "nbsvm")
    ws.stack("mean", "blend")
    ws.submit()
    ws.submit("linear")
    return ws


def test_the_fold_table_has_every_row_once(played: Opened) -> None:
    table = played.fold_table().table
    assert table.index.tolist() == ["all", "0", "1", "2", "3", "4"]
    assert table.loc["all", "rows"] == table["rows"].iloc[1:].sum() == len(played.train)
    means = played.train.drop(columns="text").groupby(played.folds).mean()
    np.testing.assert_allclose(table.iloc[1:, 1:].to_numpy(), means.to_numpy())


def test_what_was_trained_is_seen_by_the_object_that_trained_it(played: Opened) -> None:
    fresh = played.models.query("state == 'fresh'")
    assert fresh.index.tolist() == ["linear", "nbsvm"] == list(played.base_models)
    assert fresh["honest"].between(fresh["low"], fresh["high"]).all()
    pd.testing.assert_frame_equal(played.status("linear", "nbsvm").table, fresh)
    assert played.oof("linear").shape == (len(played.train), 11)


def test_stacks_are_compared_with_their_base_models(played: Opened) -> None:
    stacked = played.stack("mean", "blend", leave_one_out=True)
    table = stacked.table
    assert table.index.tolist() == ["mean", "blend", "nbsvm", "linear"]
    assert table["chosen"].sum() == 1 and bool(table.loc[stacked.chosen, "chosen"])
    assert table["honest"]["nbsvm"] == played.models["honest"]["nbsvm"]
    left_out = stacked.left_one_out
    assert set(left_out.index) == set(stacked.error_correlation.columns) == {"linear", "nbsvm"}
    assert (left_out["low"] <= left_out["gain"]).all() and (left_out["gain"] <= left_out["high"]).all()
    assert stacked.labels.index.tolist() == list(played.labels)
    assert played.chosen is not None and played.chosen.name == stacked.chosen


def test_the_ledger_and_the_scores_are_one_table(played: Opened) -> None:
    assert played.ledger.index.tolist() == [1, 2]
    before = played.scores()
    assert before.table["private"].isna().all()
    after = played.scores(private=True)
    assert after.table["private"].between(0.2, 1).all() and played.ledger["private"].notna().all()
    assert any("public score" in sentence for sentence in after.reading)
    selected = played.finalists()
    assert selected.table["select"].tolist() == [True, True]
    assert re.match(r"select number \d .* expected regret 0\.\d+", selected.reading[0])


def test_the_private_score_is_not_in_what_submit_returns(played: Opened) -> None:
    sent = played.submit("nbsvm", again=True)
    assert sent.entry is not None and sent.entry.outcome.status == "scored"
    assert "private" not in sent.table.columns and sent.table.index.tolist() == [sent.entry.number]


def test_new_texts_as_a_list_or_as_a_file(played: Opened) -> None:
    texts = played.test["text"].tolist()[:3]
    of_list = played.predict(texts, "nbsvm")
    of_file = played.predict(played.workspace.data / "test.csv", "nbsvm")
    assert of_list.table.index.tolist() == ["0", "1", "2"]
    np.testing.assert_array_equal(of_list.values, of_file.values[:3])
    np.testing.assert_allclose(of_file.table.to_numpy(), played.test_probabilities("nbsvm").to_numpy(), atol=1e-6)
    decided = played.predict(texts, "nbsvm", decisions=True).table
    assert set(np.unique(decided.to_numpy())) <= {0, 1}


def test_a_path_as_a_string_is_a_file_and_what_is_no_text_is_refused(played: Opened) -> None:
    file = played.workspace.data / "test.csv"
    assert len(played.predict(str(file), "nbsvm").values) == len(played.test)
    with pytest.raises(DataError, match="text 1 is no string: None"):
        played.predict(["a day", None], "nbsvm")  # type: ignore[list-item]
    with pytest.raises(DataError, match="its column of texts"):
        played.predict(played.test, "nbsvm")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda ws: ws.rehearse("linear", share=20), "share = 20"),
        (lambda ws: ws.rehearse("linear", seed=-1), "seed = -1"),
        (lambda ws: ws.rehearse("linear", workers=-1), "workers = -1"),
        (lambda ws: ws.train_base("linear", workers=-1), "workers = -1"),
        (lambda ws: ws.train_base("linear", threads=0), "threads = 0"),
        (lambda ws: ws.train_base("linear", folds=9), "--fold 9: the fold plan has folds 0 to 4"),
        (lambda ws: ws.status("linaer"), "no base model 'linaer'; did you mean 'linear'"),
        (lambda ws: ws.submit(Path("none.csv")), "none.csv does not exist"),
        (lambda ws: ws.report(ws.workspace.declaration), "the report needs a folder"),
    ],
)
def test_what_the_command_line_refuses_is_refused(played: Opened, ask: Callable[[Opened], object], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        ask(played)


def test_what_was_written_before_an_error_is_seen(played: Opened, tmp_path: Path) -> None:
    data = played.workspace.data
    ws = compete.init(tmp_path / "new", train=data / "train.csv", test=data / "test.csv", quiet=True)
    with pytest.raises(UserError, match="no fold plan yet"):
        _ = ws.folds
    with pytest.raises(UserError, match="--fold 9"):
        ws.train_base("linear", folds=9)
    assert ws.folds.nunique() == 5


def test_a_workspace_whose_data_are_still_to_come_can_be_shown(tmp_path: Path) -> None:
    assert repr(compete.init(tmp_path / "new", kaggle="some-slug")) == (
        "<workspace 'new', not ready: `compete status` says why>"
    )


def test_plan_report_and_rehearsal(
    played: Opened, tmp_path: Path, unpainted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compete.workflows.executors.default_workers", lambda recipes, gpus: 0)
    assert played.plan("linear", "roberta_base").table.index.tolist()[0] == "linear"
    written = played.report(tmp_path / "page")
    assert written.page == tmp_path / "page" / "index.html" and written.figures > 10
    rehearsed = played.rehearse("linear", seed=1)
    assert rehearsed.table["source"].tolist() == ["base model linear"]
    assert rehearsed.table["private"].notna().all()


def test_probabilities_made_elsewhere_come_in(played: Opened, tmp_path: Path) -> None:
    played.oof("nbsvm").to_csv(tmp_path / "oof.csv")
    played.test_probabilities("nbsvm").to_csv(tmp_path / "test.csv")
    status = played.import_model("twin", tmp_path / "oof.csv", tmp_path / "test.csv")
    assert status.table.loc["twin", "state"] == "fresh"
    assert "twin" in played.base_models


def test_what_fails_is_raised_and_what_was_trained_is_there(played: Opened) -> None:
    (played.workspace.root / "broken.py").write_text(BROKEN, encoding="utf-8")
    played.workspace.recipe("broken").write_text('family = "broken.py:Broken"\n', encoding="utf-8")
    with pytest.raises(JobsFailedError, match="5 of 5 jobs failed"):
        played.train_base("broken")
    assert played.models.loc["broken", "state"] == "missing"
    with pytest.raises(UserError, match="did you mean 'linear'"):
        played.train_base("lineer")


def test_where_submissions_count_nobody_is_asked_and_yes_has_to_be_said() -> None:
    with pytest.raises(UserError, match="say --yes"):
        nobody_to_ask("kaggle toy")


def test_notices_go_to_standard_error_unless_quiet(
    played: Opened, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    played.oof("linear").to_csv(tmp_path / "oof.csv")
    played.test_probabilities("linear").to_csv(tmp_path / "test.csv")
    for quiet in (False, True):
        opened = compete.open(played.workspace.root, quiet=quiet)
        opened.import_model("copy", tmp_path / "oof.csv", tmp_path / "test.csv", force=True)
        shown = capsys.readouterr()
        assert shown.out == ""
        assert ("cannot be checked from outside" in shown.err) is not quiet
