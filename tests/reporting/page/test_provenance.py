"""How the report was made: commands, versions, seeds and fingerprints."""

from __future__ import annotations

from pathlib import Path

import pytest

import compete
from compete.competition.workspace import Workspace
from compete.opened import Opened
from support.lived_in import ODD_STACK, copied, train_models
from support.report_page import ReportPage, without_figures

pytestmark = pytest.mark.slow


def test_how_it_was_made_can_be_made_again(page: ReportPage, opened: Opened) -> None:
    commands = [row[0] for row in page.tables["Commands"][1:]]
    assert commands[:2] == ["compete folds", "compete train-base words words_smooth"]
    assert commands[2] == f"compete stack {ODD_STACK} logistic --leave-one-out"
    versions = dict(page.tables["Versions"])
    assert versions["compete"] == compete.__version__
    assert {"python", "numpy"} <= set(versions)
    seeds = dict(page.tables["Seeds"])
    assert seeds["fold plan, K = 3"] == "7"
    assert seeds["words"] == "42"
    prints = dict(page.tables["Fingerprints"])
    assert prints["train texts"] == opened.competition.fingerprints["train texts"]
    files = opened.find("logistic").record["files"]
    assert prints["stack logistic, test.parquet"] == files["test.parquet"][:16]
    assert "Trained on: " in page.sections["made"] and "cores" in page.sections["made"]


def test_versions_are_of_the_processes_that_trained(
    untouched: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = copied(untouched, tmp_path)
    monkeypatch.setattr("compete.oof.job.made_by", lambda: {"numpy": "1.0", "machine": "m", "gpu": "A Card"})
    train_models(workspace, ["words"], [0, 1])
    monkeypatch.setattr("compete.oof.job.made_by", lambda: {"numpy": "2.0", "machine": "m", "cores": "8"})
    train_models(workspace, ["words"])
    page = without_figures(workspace)
    assert dict(page.tables["Versions"][1:])["numpy"] == "1.0, 2.0"
    assert "Trained on: m, 8 cores, A Card." in page.sections["made"]


def test_a_size_that_was_asked_for_is_part_of_the_commands(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    train_models(workspace, ["words"])
    commands = [row[0] for row in without_figures(workspace, size="miniature").tables["Commands"][1:]]
    assert commands == ["compete folds", "compete train-base words --size miniature"]
