"""Commands at once, disks that are full or read-only, a clock that goes back: nothing lost, nothing doubled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from compete.competition.workspace import Workspace
from compete.oof.state import State
from compete.oof.survey import survey
from compete.submissions import ledger as ledger_module
from compete.submissions import sending
from compete.submissions.ledger import Entry, ledger_of
from support.hostile import snapshot
from support.in_process import Ran, Run, in_process
from support.lived_in import copied, write_model

pytestmark = pytest.mark.slow


def entries(workspace: Workspace) -> list[Entry]:
    return ledger_of(workspace).entries()


def left_behind(workspace: Workspace) -> list[Path]:
    return list(workspace.root.rglob(".compete-tmp-*"))


def at_once(workspace: Workspace, *commands: tuple[str, ...]) -> list[Ran]:
    """Processes of their own, started before the first has ended."""
    started = [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "compete.cli.main", *command],
            cwd=workspace.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for command in commands
    ]
    told = [process.communicate(timeout=300) for process in started]
    return [Ran(process.returncode, *both) for process, both in zip(started, told, strict=True)]


def test_two_commands_send_the_same_once(stacked_once: Workspace, tmp_path: Path) -> None:
    workspace = copied(stacked_once, tmp_path / "workspace")
    ran = at_once(workspace, ("submit", "words"), ("submit", "words"))
    assert sorted(each.code for each in ran) == [0, 2]
    assert "the same content was submitted before" in "".join(each.stderr for each in ran)
    assert [entry.submission.source for entry in entries(workspace)] == ["base model words"]
    assert len(list(workspace.submissions.glob("*.csv"))) == 1
    assert left_behind(workspace) == []


def test_four_commands_do_each_its_own(stacked_once: Workspace, tmp_path: Path) -> None:
    workspace = copied(stacked_once, tmp_path / "workspace")
    write_model(workspace, "words_third", 2.0)
    ran = at_once(
        workspace,
        ("submit", "words", "--again"),
        ("submit", "logistic", "--again"),
        ("train-base", "words_third", "--workers", "0"),
        ("import", "mate", "--oof", "oof/words/oof.parquet", "--test", "oof/words/test.parquet"),
    )
    assert [each.code for each in ran] == [0, 0, 0, 0], [each.stderr for each in ran]
    found = entries(workspace)
    assert {entry.submission.source for entry in found} == {"base model words", "stack logistic"}
    assert [entry.number for entry in found] == [1, 2]
    assert {entry.outcome.status for entry in found} == {"scored"}
    assert len({entry.submission.file for entry in found}) == len(list(workspace.submissions.glob("*.csv"))) == 2
    states = survey(workspace).states
    assert set(states) == {"words", "words_smooth", "words_third", "mate"}
    assert {state.state for state in states.values()} == {State.FRESH}
    assert left_behind(workspace) == []


@pytest.fixture
def disk(stacked_once: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace on a file system of its own, of 4 MiB, where the machine lets a test mount one."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("mounting needs rights that this user has not")
    try:
        yield copied(stacked_once, mount / "workspace")
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@pytest.fixture
def compete(disk: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(disk.root, monkeypatch, capsys)


WRITE = {
    "submit": ("submit", "words"),
    "import": ("import", "mate", "--oof", "oof/words/oof.parquet", "--test", "oof/words/test.parquet"),
    "stack": ("stack", "--force"),
    "train-base": ("train-base", "words", "--force", "--workers", "0"),
}


@pytest.mark.parametrize("command", WRITE)
def test_a_full_disk_loses_and_doubles_nothing(disk: Workspace, compete: Run, command: str) -> None:
    before = {name: (disk.base_model(name).record.read_bytes()) for name in ("words", "words_smooth")}
    filled = disk.root / "ballast"
    with filled.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            pass
    ran = compete(*WRITE[command])
    assert ran.code in (1, 2) and "no space left" in ran.stderr.lower(), ran.stderr
    assert "Traceback" not in ran.stderr
    for name, content in before.items():
        assert disk.base_model(name).record.read_bytes() == content
    filled.unlink()
    again = compete(*WRITE[command])
    assert again.code == 0, again.stderr
    assert len(entries(disk)) == (command == "submit")
    assert left_behind(disk) == []


def test_a_read_only_disk_is_said_and_stays_as_it_is(disk: Workspace, compete: Run, tmp_path: Path) -> None:
    before = snapshot(disk.root, disk.root / "nothing")
    subprocess.run(["mount", "-o", "remount,ro", str(disk.root.parent)], check=True)
    for looking in (("status",), ("folds",), ("scores",)):
        ran = compete(*looking)
        assert ran.code == 0, ran.stderr
    for name, writing in WRITE.items():
        ran = compete(*writing)
        assert ran.code == 2 and "Read-only file system" in ran.stderr, (name, ran.stderr)
        assert "Traceback" not in ran.stderr
    assert snapshot(disk.root, disk.root / "nothing") == before


def test_a_clock_that_goes_back_doubles_nothing(
    stacked_once: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = copied(stacked_once, tmp_path / "workspace")
    compete = in_process(workspace.root, monkeypatch, capsys)
    real, ago = datetime, timedelta()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return real.now(UTC) - ago

    for module in (sending, ledger_module):
        monkeypatch.setattr(module, "datetime", Clock)
    assert compete("submit", "words").code == 0
    ago = timedelta(days=40)
    same = compete("submit", "words")
    assert same.code == 2 and "the same content was submitted before" in same.stderr
    assert compete("submit", "words_smooth", "--again").code == 0
    first, second = entries(workspace)
    assert (first.number, second.number) == (1, 2) and second.created < first.created
    assert [entry.submission.file for entry in (first, second)] == ["001_words.csv", "002_words_smooth.csv"]
    for command in (("scores",), ("scores", "--private"), ("finalists",), ("status",)):
        ran = compete(*command)
        assert ran.code == 0, ran.stderr
