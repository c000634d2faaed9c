from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from compete import atomic
from compete.errors import DiskFullError


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too, and its content."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_written_and_its_folders_are_made(tmp_path: Path) -> None:
    atomic.write_bytes(tmp_path / "oof" / "words" / "a.bin", b"\x00\r\n\xff")
    assert (tmp_path / "oof" / "words" / "a.bin").read_bytes() == b"\x00\r\n\xff"


def test_text_keeps_its_line_ends(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a.txt", "é\r\nb\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\xa9\r\nb\n"


def test_json_keeps_the_order_of_its_keys(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "a.json", {"b": "é", "a": 1})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "b": "é",\n  "a": 1\n}\n'


def test_a_longer_file_is_replaced_whole(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a.txt", "a long old content")
    atomic.write_text(tmp_path / "a.txt", "new")
    assert tree(tmp_path) == {"a.txt": "new"}


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, full_disk: None) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(DiskFullError, match=r"no space left .*a\.txt"):
        atomic.write_text(tmp_path / "a.txt", "new")
    assert tree(tmp_path) == {"a.txt": "old"}


def test_a_full_disk_leaves_no_new_file(tmp_path: Path, full_disk: None) -> None:
    with pytest.raises(DiskFullError):
        atomic.write_text(tmp_path / "a.txt", "new")
    assert list(tmp_path.iterdir()) == []


def test_the_old_file_is_there_until_the_new_one_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("old")
    seen: list[str] = []
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append((tmp_path / "a.txt").read_text())
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    atomic.write_text(tmp_path / "a.txt", "new")
    assert seen[0] == "old"
    assert (tmp_path / "a.txt").read_text() == "new"


def test_any_other_trouble_is_not_called_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="input/output error") as caught:
        atomic.write_text(tmp_path / "a.txt", "new")
    assert not isinstance(caught.value, DiskFullError)
    assert list(tmp_path.iterdir()) == []


def old_folder(tmp_path: Path) -> Path:
    target = tmp_path / "fold_0"
    target.mkdir()
    (target / "old.txt").write_text("old")
    return target


def test_a_folder_appears_only_when_it_is_filled(tmp_path: Path) -> None:
    target = tmp_path / "words" / "fold_0"
    with atomic.new_folder(target) as folder:
        (folder / "a.txt").write_text("a")
        assert not target.exists()
        assert folder.parent == target.parent  # a rename between file systems is a copy
    assert tree(tmp_path) == {"words/fold_0/a.txt": "a"}
    assert [path.name for path in target.parent.iterdir()] == ["fold_0"]


def test_a_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    target = old_folder(tmp_path)
    with atomic.new_folder(target) as folder:
        (folder / "new.txt").write_text("new")
        assert tree(target) == {"old.txt": "old"}
    assert tree(tmp_path) == {"fold_0/new.txt": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["fold_0"]


def fill_half(target: Path, error: type[BaseException]) -> None:
    with atomic.new_folder(target) as folder:
        (folder / "half.txt").write_text("half")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_while_filling_leaves_the_old_folder(tmp_path: Path, error: type[BaseException]) -> None:
    target = old_folder(tmp_path)
    with pytest.raises(error):
        fill_half(target, error)
    assert [path.name for path in tmp_path.iterdir()] == ["fold_0"]
    assert tree(target) == {"old.txt": "old"}


def test_an_error_while_filling_leaves_no_new_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fill_half(tmp_path / "fold_0", RuntimeError)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_filling_a_folder_is_said_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match="fold_0"), atomic.new_folder(tmp_path / "fold_0"):
        raise OSError(errno.ENOSPC, "no space")
    assert list(tmp_path.iterdir()) == []


# Dies as SIGKILL makes it die: in the middle of a file, inside a folder that is half filled.
KILLED_RUN = """
import os, sys
from pathlib import Path
from compete import atomic

os.fsync = lambda descriptor: os._exit(9)
with atomic.new_folder(Path(sys.argv[1])) as folder:
    (folder / "half.txt").write_text("half")
    atomic.write_text(Path(sys.argv[2]), "half")
"""


def test_sweep_removes_what_killed_runs_left_and_nothing_else(tmp_path: Path) -> None:
    kept = {"competition.toml": "mine", "oof/words/part.json": "{}", "oof/words/.hidden": "", "oof/compete-tmp-1": ""}
    for name, content in kept.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    words = tmp_path / "oof" / "words"
    run = subprocess.run([sys.executable, "-c", KILLED_RUN, words / "fold_0", words / "oof.parquet"], check=False)
    assert run.returncode == 9
    assert len(list(words.iterdir())) == 4, "two kept files, half a folder, half a file"
    atomic.sweep(tmp_path)
    assert tree(tmp_path) == kept
    assert sorted(path.name for path in words.iterdir()) == [".hidden", "part.json"]


def killed_process_that_left(folder: Path) -> list[Path]:
    """What a process leaves that is killed while it writes a file and uses a scratch folder."""
    code = (
        "import os, sys, time; from pathlib import Path; from compete import atomic\n"
        "scratch = atomic.new_scratch()\n"
        f"left = Path({str(folder)!r}) / f'{{atomic._MARK}}{{atomic._owner()}}-index.html'; left.write_text('half')\n"
        "print(scratch, left, sep='\\n', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    left = [Path(process.stdout.readline().strip()) for _ in range(2)]
    atomic.sweep_dead(folder)
    atomic.scratch_folder().__enter__()
    assert all(path.exists() for path in left), "what a living process owns is left alone"
    process.kill()
    process.wait()
    process.stdout.close()
    return left


def test_what_a_killed_process_left_goes_with_the_next_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratches = tmp_path / "tmp"
    scratches.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratches))
    monkeypatch.setattr(tempfile, "tempdir", None)
    others = [tmp_path / f"{atomic._MARK}1_00000000-of another machine", tmp_path / "index.html"]
    for path in others:
        path.write_text("kept", encoding="utf-8")
    scratch, half = killed_process_that_left(tmp_path)
    assert scratch.parent == scratches and half.parent == tmp_path
    atomic.sweep_dead(tmp_path)
    with atomic.scratch_folder() as mine:
        assert mine.is_dir() and not scratch.exists() and not half.exists()
    assert not mine.exists()
    assert all(path.exists() for path in others)
