"""A workspace that somebody sends: what of it runs when it is looked at, and who may read what is written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from compete.competition.workspace import FOLLOW_LINKS, Workspace
from compete.environments import for_jobs, for_kaggle
from compete.execution.jobs import Job
from compete.execution.local import LocalExecutor
from support.hostile import edits, link
from support.in_process import Run, in_process
from support.lived_in import copied, send, train_models

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="rights and links are those of Unix"),
]

METRIC = 'metric = "mine.py:score"\nmetric_wants = "probabilities"\nmetric_greater_is_better = true\n'


@pytest.fixture
def marker(untouched: Workspace, tmp_path: Path) -> Path:
    """Says which file of the workspace ran."""
    workspace, marker = copied(untouched, tmp_path / "workspace"), tmp_path / "ran.txt"
    runs = f"with open({str(marker)!r}, 'a') as file:\n    file.write(__name__ + ' ')\n\n\n"
    family = workspace.root / "families.py"
    family.write_text(family.read_text(encoding="utf-8") + "\n\n" + runs, encoding="utf-8")
    train_models(workspace)
    marker.unlink()  # the control: a family runs to be trained
    (workspace.root / "mine.py").write_text(f"{runs}def score(truth, predicted):\n    return 0.5\n", encoding="utf-8")
    edits("competition.toml", 'name = "tiny"\n', f'name = "tiny"\n{METRIC}')(workspace)
    return marker


@pytest.fixture
def compete(marker: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(marker.parent / "workspace", monkeypatch, capsys)


LOOK = [
    ("status",),
    ("status", "--json"),
    ("folds",),
    ("plan",),
    ("scores",),
    ("import", "mate", "--oof", "oof/words/oof.parquet", "--test", "oof/words/test.parquet"),
]
SCORING = [("stack",), ("stack", "--json"), ("report",), ("submit", "words")]


def test_looking_runs_neither_a_family_nor_a_metric(compete: Run, marker: Path) -> None:
    for command in LOOK:
        ran = compete(*command)
        assert ran.code == 0, ran.stderr
        assert not marker.exists(), command
    assert "which runs code" in compete("status").stderr
    for command in SCORING:
        ran = compete(*command)
        assert (ran.code, marker.exists()) == (2, False), command
        assert "mine.py is code of this workspace that nobody has allowed to run here" in ran.stderr
    trains = compete("train-base", "words")
    assert trains.code == 0 and "words was not scored by mine.py:score yet: mine.py is code" in trains.stderr
    assert "compete_workspace_mine" not in marker.read_text(encoding="utf-8")  # the family ran, as it does to train
    marker.unlink()
    assert compete("allow").code == 0
    assert not marker.exists()
    assert compete("stack").code == 0  # the control: whatever scores runs the metric, and no family
    assert set(marker.read_text(encoding="utf-8").split()) == {"compete_workspace_mine"}


def test_a_link_out_is_followed_where_its_owner_says_so(
    stacked_once: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = copied(stacked_once, tmp_path / "workspace")
    workspace.oof.rename(tmp_path / "large")
    link("oof", "../large")(workspace)
    run = in_process(workspace.root, monkeypatch, capsys)
    assert run("status").code == 2
    monkeypatch.setenv(FOLLOW_LINKS, "1")
    assert run("status").code == 0


def test_the_ledger_is_not_for_all_whatever_the_umask_allows(stacked_once: Workspace, tmp_path: Path) -> None:
    workspace = copied(stacked_once, tmp_path / "workspace")
    before = os.umask(0)
    try:
        send(workspace, ["words"])
    finally:
        os.umask(before)
    assert stat.S_IMODE(workspace.ledger.stat().st_mode) == 0o660


def test_a_training_is_started_without_kaggles_tokens_and_its_log_is_not_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "told.py").write_text("import os\ndef told(payload, report):\n    print(dict(os.environ))\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    secrets = {"KAGGLE_KEY": "k1", "KAGGLE_API_TOKEN": "k2", "HF_TOKEN": "h1"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    log = tmp_path / "logs" / "fold_0.log"
    job = Job("environment", "told:told", {}, log)
    before = os.umask(0)
    try:
        list(LocalExecutor(1, 1).run([job]))
    finally:
        os.umask(before)
    told = log.read_text(encoding="utf-8")
    assert "'HF_TOKEN': 'h1'" in told
    assert "KAGGLE_KEY" not in told and "KAGGLE_API_TOKEN" not in told
    assert stat.S_IMODE(log.stat().st_mode) == 0o640


def test_kaggles_process_knows_no_other_secret() -> None:
    given = {
        "KAGGLE_KEY": "a",
        "HF_TOKEN": "b",
        "WANDB_API_KEY": "c",
        "AWS_SECRET": "d",
        "https_proxy": "e",
        "HOME": "f",
    }
    assert for_kaggle(given) == {"KAGGLE_KEY": "a", "https_proxy": "e", "HOME": "f"}
    assert for_jobs(given) == {name: value for name, value in given.items() if name != "KAGGLE_KEY"}
