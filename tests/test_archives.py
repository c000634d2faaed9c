"""What is read was perhaps damaged on its way, or made by somebody else."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

import pytest

from compete import archives
from compete.archives import MANIFEST, read_archive, write_archive
from compete.errors import ArchiveError, DiskFullError

CONTENT = {"a.txt": b"first" * 100, "folder/b.bin": bytes(range(256))}
Members = list[tuple[str, bytes, int]]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "one.job"
    write_archive(path, {"kind": "job", "model": "words"}, CONTENT)
    return path


def members_of(path: Path) -> Members:
    with zipfile.ZipFile(path) as packed:
        return [(each.filename, packed.read(each), each.external_attr) for each in packed.infolist()]


def rewrite(path: Path, members: Members) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        for name, content, attributes in members:
            member = zipfile.ZipInfo(name)
            member.external_attr = attributes
            packed.writestr(member, content)


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_what_was_packed_is_unpacked(archive: Path, tmp_path: Path) -> None:
    found = read_archive(archive, "job", {"model": str})
    found.unpack(tmp_path / "all")
    assert {name: (tmp_path / "all" / name).read_bytes() for name in found.names} == CONTENT
    found.unpack(tmp_path / "part", "folder")
    assert everything(tmp_path / "part") == ["b.bin"]
    assert found.read("a.txt") == CONTENT["a.txt"]
    assert found.has("folder") and not found.has("fold")


def test_the_same_content_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    for name, content in CONTENT.items():
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
    again = {name: tmp_path / "files" / name for name in reversed(CONTENT)}
    write_archive(tmp_path / "two.job", {"kind": "job", "model": "words"}, again)
    assert (tmp_path / "two.job").read_bytes() == archive.read_bytes()


def test_every_flipped_byte_is_noticed_or_harms_nothing(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    for place in range(0, len(whole), 7):
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
        target = tmp_path / str(place)
        try:
            read_archive(archive, "job", {}).unpack(target)
        except ArchiveError:
            continue
        # It was in what nobody reads, like a date.
        assert {name: (target / name).read_bytes() for name in CONTENT} == CONTENT


@pytest.mark.parametrize("length", [0, 10, 200, -1])
def test_a_torn_file_is_refused(archive: Path, length: int) -> None:
    archive.write_bytes(archive.read_bytes()[:length])
    with pytest.raises(ArchiveError, match="is damaged"):
        read_archive(archive, "job", {})


@pytest.mark.parametrize(
    "name",
    ["../evil", "folder/../../evil", "/evil", "C:/evil", "folder\\evil", "./evil", "folder//evil", "a\x1bb", "x" * 300],
)
def test_a_name_that_leads_elsewhere_is_refused(archive: Path, tmp_path: Path, name: str) -> None:
    rewrite(archive, [*members_of(archive), (name, b"evil", 0)])
    before = everything(tmp_path)
    with pytest.raises(ArchiveError, match="is not unpacked, for its member"):
        read_archive(archive, "job", {})
    assert everything(tmp_path) == before
    with pytest.raises(ArchiveError, match="cannot be packed"):
        write_archive(tmp_path / "two.job", {"kind": "job"}, {name: b"evil"})


def test_a_link_is_refused(archive: Path) -> None:
    rewrite(archive, [*members_of(archive), ("link", b"/etc/passwd", (stat.S_IFLNK | 0o777) << 16)])
    with pytest.raises(ArchiveError, match="a link"):
        read_archive(archive, "job", {})


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(archive: Path) -> None:
    rewrite(archive, [*members_of(archive), ("a.txt", b"other", 0)])
    with pytest.raises(ArchiveError, match="there twice"):
        read_archive(archive, "job", {})


def test_a_member_that_the_manifest_does_not_list_is_refused(archive: Path) -> None:
    rewrite(archive, [*members_of(archive), ("more.txt", b"more", 0)])
    with pytest.raises(ArchiveError, match="does not hold the files"):
        read_archive(archive, "job", {})


def test_a_member_that_was_exchanged_is_refused(archive: Path, tmp_path: Path) -> None:
    rewrite(
        archive, [(name, b"other" if name == "a.txt" else content, how) for name, content, how in members_of(archive)]
    )
    found = read_archive(archive, "job", {})
    with pytest.raises(ArchiveError, match=r"a\.txt is not what was packed"):
        found.unpack(tmp_path / "out")
    with pytest.raises(ArchiveError, match=r"a\.txt is not what was packed"):
        found.read("a.txt")


def test_an_edited_manifest_is_refused(archive: Path) -> None:
    (name, manifest, how), *others = members_of(archive)
    assert name == MANIFEST
    edited = json.dumps({**json.loads(manifest), "model": "other"}).encode()
    rewrite(archive, [(name, edited, how), *others])
    with pytest.raises(ArchiveError, match="was changed"):
        read_archive(archive, "job", {})


def test_another_kind_and_a_manifest_that_lacks_something_are_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="is a job, expected a result"):
        read_archive(archive, "result", {})
    with pytest.raises(ArchiveError, match="has no fold"):
        read_archive(archive, "job", {"fold": int})
    with pytest.raises(ArchiveError, match="does not exist"):
        read_archive(tmp_path / "nothing.job", "job", {})
    rewrite(archive, [("a.txt", b"", 0)])
    with pytest.raises(ArchiveError, match="was not packed by compete"):
        read_archive(archive, "job", {})


def test_too_much_is_refused_before_it_is_unpacked(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 1000)
    with pytest.raises(ArchiveError, match="bytes, at most 1000"):
        read_archive(archive, "job", {})
    monkeypatch.setattr(archives, "MOST_FILES", 2)
    with pytest.raises(ArchiveError, match="holds 3 files, at most 2"):
        read_archive(archive, "job", {})


def test_a_disk_without_room_is_said_first(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    with pytest.raises(DiskFullError, match="756 bytes are needed, 10 are free"):
        read_archive(archive, "job", {}).unpack(tmp_path / "out")
    assert not (tmp_path / "out").exists()
