"""compete status --provenance: what every fold has seen, as a table and as JSON; compete import --seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from compete.oof import store
from support.in_process import Run, in_process
from support.one_model import edit, train_words


@pytest.fixture
def compete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(tmp_path, monkeypatch, capsys)


def test_every_fold_is_shown_with_what_it_has_seen(workspace: Workspace, compete: Run) -> None:
    edit(workspace.recipes / "words.toml", "[settings]", "seeds = 2\n[settings]")
    train_words(load_competition(workspace), 0, 1)
    ran = compete("status", "--provenance")
    assert ran.code == 0
    lines = [line.split() for line in ran.stdout.splitlines()]
    rows = [cells for cells in lines if cells[-1:] and cells[-1].startswith("0.0")]
    assert [cells[-6:-1] for cells in rows] == [["0", "1,", "2", "no", "-"], ["1", "0,", "2", "no", "-"]]
    assert ran.stdout.count("not trained") >= 4  # fold 2 of words, and all of words_smooth
    plain = compete("status", "--json").document["models"][0]
    assert "provenance" not in plain
    told = compete("status", "--provenance", "--json").document["models"][0]["provenance"]
    assert told[0]["seen"] == {"folds": [1, 2], "test_texts": False, "through": []}
    assert told[0]["seed_spread"] == store.read_record(workspace.base_model("words").part(0))["seed_spread"] > 0
    assert told[2] == {"fold": 2, "seen": None, "seed_spread": None}


def test_an_import_tells_or_is_shown_as_not_told(trained: Workspace, compete: Run, tmp_path: Path) -> None:
    folder = trained.base_model("words")
    files = ("--oof", str(folder.oof), "--test", str(folder.test))
    assert compete("import", "mate", *files).code == 0
    assert "not told" in compete("status", "--provenance").stdout
    path = tmp_path / "seen.json"
    others = {fold: sorted({0, 1, 2} - {fold}) for fold in range(3)}
    path.write_text(json.dumps({str(f): {"folds": seen, "test_texts": True} for f, seen in others.items()}))
    assert compete("import", "mate", *files, "--seen", str(path), "--force").code == 0
    shown = compete("status", "--provenance", "--json").document["models"]
    told = next(model for model in shown if model["name"] == "mate")["provenance"]
    assert [fold["seen"]["folds"] for fold in told] == [[1, 2], [0, 2], [0, 1]]
    path.write_text(path.read_text().replace("[1, 2]", "[0, 1]"))
    ran = compete("import", "mate", *files, "--seen", str(path), "--force")
    assert ran.code == 2
    assert "mate fold 0 has seen the labels of fold 0" in ran.stderr
