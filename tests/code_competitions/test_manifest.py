"""What a manifest may say, and that it tells by itself whether it was changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compete.code_competitions.manifest import (
    MANIFEST,
    Manifest,
    PackedFile,
    Step,
    check_hashes,
    id_of,
    listed,
    read_manifest,
    sizes_of,
    write_manifest,
)
from compete.errors import PackError

FILES = {
    "submission.ipynb": "{}",
    "workspace/facts.json": "{}",
    "weights/one/fold_0/kept.json": "one",
    "weights/two/fold_0/kept.json": "two",
    "weights/three/fold_0/kept.json": "three",
}
NAMES = ["one", "two", "three"]


def step(*members: str) -> Step:
    return Step(members=list(members), stack="mean", honest=0.5, low=0.4, high=0.6, decision={"rule": "half"})


def written(folder: Path) -> Manifest:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    files = listed(folder)
    steps = [step(*NAMES), step("one", "two"), step("two", "three"), step("one")]
    members = [
        {
            "name": name,
            "folds": 1,
            "precision": "as trained",
            "gain": None,
            "seconds_per_row": 0.1,
            "seconds_to_load": 1,
        }
        for name in NAMES
    ]
    manifest = Manifest.model_validate(
        {
            "format": 1, "name": "mine", "id": id_of(files, steps, []), "competition": "tiny", "kaggle": None,
            "task": "multilabel", "metric": "f1_macro", "source": "stack mean", "kind": "stack", "source_name": "mean",
            "compete": "0.1.0", "python": "3.11", "budget_seconds": 60, "ordered_by": "chance", "members": members,
            "steps": [each.model_dump() for each in steps], "checkpoints": [], "wheels_needed": [],
            "files": [each.model_dump() for each in files], "bytes": sizes_of(files),
        }
    )  # fmt: skip
    write_manifest(folder, manifest)
    return manifest


def test_what_is_written_is_read(tmp_path: Path) -> None:
    manifest = written(tmp_path)
    found = read_manifest(tmp_path)
    assert found.model_copy(update={"sha256": ""}) == manifest
    check_hashes(tmp_path, found)
    assert found.parts == ["notebook", "weights/one", "weights/three", "weights/two", "workspace"]
    assert found.bytes["total"] == sum(len(text) for text in FILES.values())
    assert found.everything.members == NAMES


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        (["one", "two", "three"], ["one", "two", "three"]),
        (["one", "two"], ["one", "two"]),
        (["two", "three"], ["two", "three"]),
        (["one", "three"], ["one"]),
        (["three"], None),
        ([], None),
    ],
)
def test_the_step_of_most_of_those_that_are_done_is_taken(
    tmp_path: Path, done: list[str], expected: list[str] | None
) -> None:
    manifest = written(tmp_path)
    number = manifest.step_for(done)
    assert (None if number is None else manifest.steps[number].members) == expected


def edited(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changed, its own hash made anew: as somebody would who means it."""
    from compete.code_competitions.manifest import _digest_of

    raw = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(raw)
    raw["sha256"] = _digest_of(raw)
    (folder / MANIFEST).write_text(json.dumps(raw), encoding="utf-8")


def test_a_manifest_that_was_changed_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    path = tmp_path / MANIFEST
    path.write_text(path.read_text(encoding="utf-8").replace("0.5,", "0.9,", 1), encoding="utf-8")
    with pytest.raises(PackError, match="was changed since it was written"):
        read_manifest(tmp_path)


def test_a_score_that_was_changed_with_its_hash_is_of_another_pack(tmp_path: Path) -> None:
    written(tmp_path)
    edited(tmp_path, lambda raw: raw["steps"][0].update(honest=0.9))
    with pytest.raises(PackError, match="it is of another pack than its files"):
        check_hashes(tmp_path, read_manifest(tmp_path))


@pytest.mark.parametrize(
    "path",
    [
        "../outside", "workspace/../../outside", "/etc/passwd", "workspace//x", "workspace/./x", "C:/x", "workspace\\x",
        "weights/one", "weights/../x", "weights/oof stacks/x", "elsewhere/x", "workspace/a\nb",
    ],
)  # fmt: skip
def test_a_path_that_leaves_the_pack_is_refused(tmp_path: Path, path: str) -> None:
    written(tmp_path)
    edited(tmp_path, lambda raw: raw["files"][1].update(path=path, part="/".join(path.split("/")[:2])))
    with pytest.raises(PackError, match="is no manifest of a pack"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../x"}, {"source_name": "a b"}, {"id": "../../0123456789"}, {"format": 2}, {"budget_seconds": -1},
        {"members": []}, {"bytes": {"total": 1}}, {"unknown": 1}, {"task": "other"}, {"steps": []},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_what_compete_does_not_write_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    written(tmp_path)
    edited(tmp_path, lambda raw: raw.update(change))
    with pytest.raises(PackError):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", "{" * 100_000, '{"format": 1}', "\x00"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST).write_text(content, encoding="utf-8")
    with pytest.raises(PackError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_a_file_that_is_missing_changed_or_strange_is_named(tmp_path: Path) -> None:
    manifest = written(tmp_path)
    file = tmp_path / "weights" / "one" / "fold_0" / "kept.json"
    file.write_text("One", encoding="utf-8")
    with pytest.raises(PackError, match=r"kept\.json is not the file that was packed"):
        check_hashes(tmp_path, manifest)
    file.unlink()
    with pytest.raises(PackError, match=r"kept\.json is missing"):
        check_hashes(tmp_path, manifest)
    file.write_text("one", encoding="utf-8")
    (tmp_path / "kaggle.json").write_text("{}", encoding="utf-8")
    with pytest.raises(PackError, match=r"kaggle\.json is no file of the pack"):
        check_hashes(tmp_path, manifest)


def test_neither_notebook_nor_wheels_make_it_another_pack() -> None:
    file = {"sha256": "0" * 64, "bytes": 1}
    files = [PackedFile(path="workspace/a", part="workspace", **file)]  # type: ignore[arg-type]
    more = [PackedFile(path="wheels/a.whl", part="wheels", **file)]  # type: ignore[arg-type]
    assert id_of(files, [step("one")], []) == id_of([*files, *more], [step("one")], [])
    assert id_of(files, [step("one")], []) != id_of(files, [step("two")], [])
