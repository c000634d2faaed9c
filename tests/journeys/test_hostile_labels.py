"""Labels that are called as the columns of compete's own tables are go the whole road, under their own names."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import f1_score

import compete
from compete.competition.workspace import Workspace
from support.in_process import Run, in_process
from support.lived_in import copied, rewrite

pytestmark = pytest.mark.slow

# Besides these the rows have an id column ID and a text column Tweet.
LABELS = (
    "id", "text", "Usage", "fold", "model", "rows", "_id", "label", "name", "index", "level_0", "Unnamed: 0", "0",
    "__index_level_0__", "usage", "honest", "labels", "f1_macro",
)  # fmt: skip
COLUMNS = {"id": "ID", "text": "Tweet", "joy": "id", "anger": "text", "trust": "Usage"}


@pytest.fixture(scope="module")
def started(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Labels beyond the tiny workspace's three are those of other rows: every label is another one."""
    workspace = copied(untouched, tmp_path_factory.mktemp("hostile"))
    for name in ("train", "test", "sample", "solution"):
        path = workspace.root / f"{name}.csv"
        rewrite(path, COLUMNS if name != "solution" else {**COLUMNS, "Usage": "_Usage"})
        if name == "test":
            continue
        table = pd.read_csv(path, dtype=str)
        for place, label in enumerate(LABELS[3:], start=1):
            table[label] = np.roll(table[LABELS[place % 2]], 7 * place)
        columns = [column for column in table.columns if column not in LABELS]
        table[[*columns[:1], *LABELS, *columns[1:]]].to_csv(path, index=False)
    text = workspace.declaration.read_text(encoding="utf-8")
    text = text.replace('id = "id"', 'id = "ID"').replace('text = "text"', 'text = "Tweet"')
    workspace.declaration.write_text(text, encoding="utf-8")
    (workspace.stack_recipes / "mean.toml").write_text('method = "mean"\n', encoding="utf-8")
    return workspace


@pytest.fixture
def run(
    started: Workspace, unpainted: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    return in_process(started.root, monkeypatch, capsys)


def test_the_whole_road(started: Workspace, run: Run) -> None:
    root = started.root
    for command in (["folds"], ["train-base", "--all", "--workers", "0"], ["status"], ["scores"]):
        done = run(*command, "--json")
        assert done.code == 0, done.stderr
        assert "nothing can be scored" not in done.stderr
    # Two models on folds of 80 rows can look like anything.
    stacked = run("stack", "--leave-one-out", "--allow", "words", "--allow", "words_smooth", "--json")
    assert stacked.code == 0, stacked.stderr
    assert [label["name"] for label in stacked.document["labels"]] == list(LABELS)
    for source in ("words", "logistic", "mean"):
        done = run("submit", source, "--allow-constant", "--again")
        assert done.code == 0, done.stderr
    revealed = run("scores", "--private", "--json")
    assert revealed.code == 0, revealed.stderr
    _scores_are_those_of_the_solution(root, revealed.document["submissions"])
    _tables_are_those_of_the_files(root)
    _import_again(root, run)
    assert run("finalists").code == 0
    assert run("report").code == 0


def _scores_are_those_of_the_solution(root: Path, submissions: list[dict[str, object]]) -> None:
    solution = pd.read_csv(root / "solution.csv").set_index("ID")
    for entry in submissions:
        sent = pd.read_csv(root / "submissions" / str(entry["file"])).set_index("ID")
        assert list(sent.columns) == list(LABELS)
        for score, usage in (("public", "Public"), ("private", "Private")):
            truth = solution[solution["_Usage"] == usage][list(LABELS)]
            by_hand = f1_score(truth, sent.loc[truth.index], average="macro", zero_division=0)
            assert entry[score] == pytest.approx(by_hand)


def _tables_are_those_of_the_files(root: Path) -> None:
    opened = compete.open(root)
    train = pd.read_csv(root / "train.csv").set_index("ID")
    assert list(opened.train.columns) == ["_text", *LABELS]
    assert opened.train["_text"].tolist() == train["Tweet"].tolist()
    assert np.array_equal(opened.train[list(LABELS)], train[list(LABELS)])
    assert list(opened.test.columns) == ["_text"]
    assert opened.train.reset_index()["__id"].tolist() == train.index.tolist()
    assert opened.folds.index.name == opened.oof("words").index.name == "__id"
    stored = pq.read_table(root / "oof" / "words" / "oof.parquet")
    assert stored.column_names == ["__id", *LABELS]
    assert np.array_equal(opened.oof("words"), stored.drop_columns(["__id"]).to_pandas())
    assert list(opened.per_label("logistic").index) == list(LABELS)
    assert opened.test_probabilities("mean").shape == (90, len(LABELS))


def _import_again(root: Path, run: Run) -> None:
    """What lies in the store is read as anybody's file is."""
    for name in ("oof", "test"):
        shutil.copy(root / "oof" / "words" / f"{name}.parquet", root / f"mate_{name}.parquet")
    done = run("import", "mate", "--oof", "mate_oof.parquet", "--test", "mate_test.parquet")
    assert done.code == 0, done.stderr
    for name in ("oof", "test"):
        stored = [(root / "oof" / model / f"{name}.parquet").read_bytes() for model in ("words", "mate")]
        assert stored[0] == stored[1]


def test_it_can_be_rehearsed(started: Workspace, run: Run) -> None:
    """The rehearsal's own solution keeps the label Usage and the column that divides public from private apart."""
    done = run("rehearse", "words", "--share", "0.4", "--workers", "0", "--json")
    assert done.code == 0, done.stderr
    header = (started.root / "rehearsals" / "0" / "data" / "solution.csv").read_text(encoding="utf-8").split("\n")[0]
    assert next(csv.reader([header])) == ["ID", *LABELS, "_Usage"]
    assert json.loads(done.stdout)["submissions"][0]["private"] is not None
