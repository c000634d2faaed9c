"""A workspace that nothing can be written to, on somebody else's disk, can be looked at."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from compete import atomic
from compete.competition.workspace import Workspace
from support.in_process import Run, in_process
from support.lived_in import copied, declare, rewrite, train_models

pytestmark = pytest.mark.slow

KEEPABLE = 'family = "linear"\n[settings]\nword_ngrams = [1, 1]\nchar_ngrams = []\n'


@pytest.fixture
def compete(
    worked_in: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    return in_process(copied(worked_in, tmp_path / "workspace").root, monkeypatch, capsys)


def read_only(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root, permissions hinder nobody: every way that compete writes is refused in their place."""

    def refused(written: Callable[..., None]) -> Callable[..., None]:
        def write(path: Path, *arguments: object) -> None:
            if path.resolve().is_relative_to(root.resolve()):
                raise OSError(errno.EROFS, "Read-only file system", str(path))
            written(path, *arguments)

        return write

    def acquire(self: FileLock, *arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self.lock_file))

    monkeypatch.setattr(atomic, "write_bytes", refused(atomic.write_bytes))
    monkeypatch.setattr(FileLock, "acquire", acquire)


@pytest.mark.parametrize("command", ["status", "folds", "scores", "report"])
def test_what_only_reads_needs_to_write_nothing(
    compete: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, command: str
) -> None:
    arguments = [command]
    if command == "report":
        request.getfixturevalue("unpainted")  # painting reads and writes nothing
        arguments += ["--folder", str(tmp_path / "report")]
    before = compete(*arguments)
    assert before.code == 0, before.stderr
    (tmp_path / "workspace" / "oof" / "sources.json").unlink()  # a cache, which cannot be written again
    read_only(tmp_path / "workspace", monkeypatch)
    ran = compete(*arguments)
    assert ran.code == 0, ran.stderr
    assert ran.stdout.splitlines()[-1:] == before.stdout.splitlines()[-1:]


def test_new_texts_are_predicted_into_another_folder(
    untouched: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = copied(untouched, tmp_path / "workspace")
    (workspace.recipes / "words.toml").write_text(KEEPABLE, encoding="utf-8")
    train_models(workspace, ["words"])
    compete = in_process(workspace.root, monkeypatch, capsys)
    read_only(workspace.root, monkeypatch)
    output = tmp_path / "new.csv"
    ran = compete("predict", str(workspace.root / "test.csv"), "words", "--output", str(output))
    assert ran.code == 0, ran.stderr
    assert len(output.read_text(encoding="utf-8").splitlines()) == 91
    refused = compete("train-base", "words", "--force")
    assert refused.code == 2 and "Permission denied" in refused.stderr


def test_a_score_that_is_not_defined_names_the_label_and_hinders_nothing(
    untouched: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = copied(untouched, tmp_path / "workspace")
    rewrite(workspace.root / "train.csv", {}, lambda number, row: {**row, "joy": "1", "anger": "1", "trust": "1"})
    declare(workspace, 'metric = "roc_auc_macro"')
    train_models(workspace)
    ran = in_process(workspace.root, monkeypatch, capsys)("status")
    assert ran.code == 0, ran.stderr
    assert "macro-AUC is not defined here" in ran.stderr and "trust" in ran.stderr
    assert "words_smooth" in ran.stdout
