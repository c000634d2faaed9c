"""The road from data to a revealed private score, as a user walks it: one command after the other."""

from __future__ import annotations

import csv
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from compete.competition.workspace import Workspace
from support.in_process import Run as InProcess
from support.in_process import in_process

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    """For commands behind those that have to be processes of their own."""
    return in_process(tmp_path, monkeypatch, capsys)


def test_train_stack_submit_scores(
    workspace: Workspace, compete: Run, here: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # as a user's shell has it
    trained = compete("train-base", "--all")
    assert trained.returncode == 0, trained.stderr
    assert "words_smooth fold 2" in trained.stdout
    assert trained.stdout.count("3/3  fresh") == 2

    stacked = compete("stack")
    assert stacked.returncode == 0, stacked.stderr
    assert "honest" in stacked.stdout
    assert "naive" in stacked.stdout

    sent = compete("submit")
    assert sent.returncode == 0, sent.stderr
    assert "private" not in sent.stdout
    with (workspace.submissions / "001_logistic.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "joy", "anger", "trust"]
    assert len(rows) == 90
    assert {value for row in rows for value in list(row.values())[1:]} == {"0", "1"}

    hidden = here("scores")
    assert "private" not in hidden.stdout
    revealed = here("scores", "--private")
    assert "private" in revealed.stdout
    assert "private" in here("scores").stdout  # once revealed, it stays


def test_the_same_content_is_sent_once(trained: Workspace, here: InProcess) -> None:
    assert here("submit", "words").code == 0
    second = here("submit", "words")
    assert second.code == 2
    assert "submitted before: number 1" in second.stderr
    assert here("submit", "words", "--again").code == 0
    with sqlite3.connect(trained.submissions / "ledger.sqlite") as ledger:
        assert ledger.execute("SELECT count(*) FROM submissions").fetchone() == (2,)
    ledger.close()
    assert len(list(trained.submissions.glob("*.csv"))) == 2


def test_a_team_mates_model_is_imported_and_stacked(trained: Workspace, here: InProcess) -> None:
    for role in ("oof", "test"):
        (trained.root / f"{role}.parquet").write_bytes((trained.oof / "words" / f"{role}.parquet").read_bytes())
    imported = here("import", "team_mate", "--oof", "oof.parquet", "--test", "test.parquet")
    assert imported.code == 0, imported.stderr
    assert "imported" in imported.stdout
    assert "team_mate" in here("stack").stdout


def test_two_runs_at_once_neither_fail_nor_train_twice(workspace: Workspace, here: InProcess) -> None:
    for recipe in workspace.recipes.glob("*.toml"):
        recipe.write_text(recipe.read_text(encoding="utf-8") + "seconds = 0.3\n", encoding="utf-8")
    command = [sys.executable, "-m", "compete.cli.main", "train-base", "--all", "--workers", "1"]
    both = [
        subprocess.Popen(command, cwd=workspace.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("waiting" in error for _, error in outputs) == 1
    assert sum("6 jobs" in error for _, error in outputs) == 1
    assert here("stack").code == 0


def test_two_runs_train_different_folds_at_the_same_time(workspace: Workspace, here: InProcess) -> None:
    """Each job ends only when one of the other command has begun."""
    assert here("folds").code == 0
    family = workspace.root / "families.py"
    meeting = """
        import pathlib
        folder = pathlib.Path(__file__).parent / "met"
        folder.mkdir(exist_ok=True)
        (folder / f"{self.settings.smoothing}").touch()
        for _ in range(3000):
            if len(list(folder.glob("*.0"))) == 2:
                break
            time.sleep(0.02)
        else:
            raise TimeoutError("nobody came")
"""
    text = family.read_text(encoding="utf-8")
    family.write_text(text.replace("        time.sleep(self.settings.seconds)\n", meeting), encoding="utf-8")
    command = [sys.executable, "-m", "compete.cli.main", "train-base", "--workers", "1"]
    both = [
        subprocess.Popen([*command, name, "--fold", fold], cwd=workspace.root, stderr=subprocess.PIPE, text=True)
        for name, fold in (("words", "0"), ("words_smooth", "1"))
    ]
    outputs = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert (workspace.oof / "words" / "fold_0").is_dir() and (workspace.oof / "words_smooth" / "fold_1").is_dir()


def test_a_failed_job_fails_alone(workspace: Workspace, here: InProcess) -> None:
    broken = (
        (workspace.root / "families.py")
        .read_text(encoding="utf-8")
        .replace(
            "        time.sleep(self.settings.seconds)",
            '        if self.settings.seconds > 8:\n            raise RuntimeError("the camel is tired")',
        )
    )
    (workspace.root / "families.py").write_text(broken, encoding="utf-8")
    (workspace.recipes / "broken.toml").write_text(
        'family = "families.py:Words"\n[settings]\nseconds = 9\n', encoding="utf-8"
    )
    ran = here("train-base", "--all")
    assert ran.code == 1
    assert "3 of 9 jobs failed; 6 were finished and kept" in ran.stderr
    assert "the camel is tired" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Traceback" in (workspace.oof / "broken" / "logs" / "fold_0.log").read_text(encoding="utf-8")
    assert (workspace.oof / "words" / "manifest.json").is_file()


def test_outside_of_a_workspace(here: InProcess, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere: Path = tmp_path_factory.mktemp("elsewhere")
    ran = here("status", cwd=elsewhere)
    assert ran.code == 2
    assert "compete init" in ran.stderr


def test_traceback_is_shown_on_demand(workspace: Workspace, compete: Run, here: InProcess) -> None:
    assert "Traceback" not in here("train-base", "nobody").stderr
    assert "Traceback" in compete("train-base", "nobody", "--traceback").stderr
