"""A disk that fills up while results are written: one message, exit code 2, finished work kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from compete.competition.workspace import Workspace
from support.in_process import Run, in_process

pytestmark = pytest.mark.slow

TRAIN = ("train-base", "--all", "--workers", "1")
# Run before anything else in every process that a job gets: writing a part's tables fails as on a full disk.
SITE = """
import errno, os, pathlib
real = os.fsync

def fsync(descriptor):
    name = os.readlink(f"/proc/self/fd/{descriptor}")
    if pathlib.Path(os.environ["FULL_DISK"]).exists() and "words_smooth" in name and name.endswith("test.parquet"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    real(descriptor)

os.fsync = fsync
"""


@pytest.fixture
def compete(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process, its jobs in processes of their own."""
    return in_process(workspace.root, monkeypatch, capsys)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names open files through /proc")
def test_a_full_disk_is_said_and_loses_nothing(
    workspace: Workspace, compete: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    full = tmp_path / "full"
    full.touch()
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    monkeypatch.setenv("FULL_DISK", str(full))
    ran = compete(*TRAIN)
    assert ran.code == 2, ran.stderr
    assert "no space left on the disk" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert (workspace.oof / "words" / "manifest.json").is_file()
    assert not list((workspace.oof / "words_smooth").glob("fold_*"))

    full.unlink()
    again = compete(*TRAIN)
    assert again.code == 0, again.stderr
    assert "3 jobs" in again.stderr
    assert not list(workspace.oof.rglob(".compete-tmp*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 256 KiB, where the machine lets a test mount one."""
    mount = tmp_path / "small"
    mount.mkdir()
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting needs rights that this user has not")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_disk_that_is_really_full(
    workspace: Workspace, compete: Run, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace.root / "oof").symlink_to(small_disk)
    monkeypatch.setenv("COMPETE_FOLLOW_LINKS", "1")
    (small_disk / "ballast").write_bytes(b"x" * 200 * 1024)
    ran = compete(*TRAIN)
    assert ran.code == 2, ran.stderr
    assert "no space left" in ran.stderr
    (small_disk / "ballast").unlink()
    (small_disk / "ballast").write_bytes(b"")
    again = compete(*TRAIN)
    assert again.code == 0, again.stderr
