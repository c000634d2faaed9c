"""A sample that is written otherwise than train and test, and ids that only number rows: the whole road at once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from compete.competition.workspace import Workspace
from support.in_process import in_process
from support.lived_in import copied, rewrite

pytestmark = pytest.mark.slow


def test_from_row_numbers_to_a_file_in_the_samples_manner(
    untouched: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copied(untouched, tmp_path).root
    for name in ("train", "test", "sample", "solution"):
        rewrite(root / f"{name}.csv", {}, lambda number, row: {**row, "id": str(number)})
    rows = [f'0.0,0.0,0.0,"{name}"\r\n' for name in reversed(range(90))]
    sample = "\ufefftrust, joy ,anger,Id\r\n" + "".join(rows)
    (root / "sample.csv").write_bytes(sample.encode())
    solution = (root / "solution.csv").read_text(encoding="utf-8").replace("Usage", "usage")
    (root / "solution.csv").write_text(solution + "90,-1,-1,-1,Public\n91,,,,Ignored\n", encoding="utf-8")
    run = in_process(root, monkeypatch, capsys)
    trained = run("train-base", "--all")
    assert trained.code == 0, trained.stderr
    assert "sample.csv: the column 'Id' is taken for 'id'" in trained.stderr
    assert "90 ids are in train and in test" in trained.stderr
    assert "nothing can be scored" not in trained.stderr
    stacked = run("stack", "--allow", "words", "--allow", "words_smooth")
    assert stacked.code == 0, stacked.stderr
    sent = run("submit", "logistic", "--json")
    assert sent.code == 0, sent.stderr
    written = (root / "submissions" / "001_logistic.csv").read_bytes().decode()
    assert written.replace("1.0", "0.0") == sample != written
    submission = sent.document["submission"]
    truth, decided = (
        pd.read_csv(root / "solution.csv", index_col="id"),
        pd.read_csv(root / "submissions/001_logistic.csv"),
    )
    decided = decided.rename(columns=str.strip).set_index("Id")
    public = truth[(truth["usage"] == "Public") & (truth["joy"] >= 0)].index
    assert len(public) == 45
    both = [(truth.loc[public, label] == 1, decided.loc[public, label] == 1) for label in ("joy", "anger", "trust")]
    by_hand = sum(2 * (true & said).sum() / (true.sum() + said.sum()) for true, said in both) / 3
    assert submission["public"] == pytest.approx(by_hand)
