"""A checkpoint is what its files are: in the hub's cache, in a folder, in another folder, or not here at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from compete import atomic
from compete.base_models.checkpoint_files import Checkpoint, checkpoint_of
from compete.base_models.recipes import load_recipe
from compete.competition.workspace import Workspace

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"model.safetensors": b"weights" * 100, "config.json": b"{}", "tokenizer.json": b'{"a": 1}', "README.md": b"hi"}
SHARDS = {
    "model-00001-of-00002.safetensors": b"one",
    "model-00002-of-00002.safetensors": b"two",
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    ).encode(),
    "config.json": b"{}",
}


def found(workspace: Workspace, checkpoint: str = "org/model", folder: Path | None = None) -> Checkpoint | None:
    settings = f'family = "sequence_classifier"\n[settings]\ncheckpoint = "{checkpoint}"\n'
    (workspace.recipes / "model.toml").write_text(settings, encoding="utf-8")
    declaration = workspace.declaration.read_text(encoding="utf-8").partition("\n[checkpoints]")[0]
    line = f'\n[checkpoints]\n"{checkpoint}" = "{folder}"\n' if folder is not None else ""
    workspace.declaration.write_text(declaration + line, encoding="utf-8")
    return checkpoint_of(workspace, load_recipe(workspace, "model"))


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def cache(root: Path, files: dict[str, bytes]) -> None:
    """As the hub's client lays them down: blobs by hash, and links to them."""
    repository = root / "models--org--model"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    for name, content in files.items():
        # Of large files the blob is called by SHA-256, of the others by git's SHA-1.
        large = name.endswith(".safetensors")
        blob = repository / "blobs" / (hashlib.sha256 if large else hashlib.sha1)(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(blob)


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
    return root


@pytest.mark.parametrize("files", [FILES, SHARDS], ids=["single", "shards"])
def test_the_hubs_files_and_a_copy_of_them_are_one_checkpoint(
    workspace: Workspace, hub: Path, tmp_path: Path, files: dict[str, bytes]
) -> None:
    assert found(workspace) is None  # not fetched yet
    cache(hub, files)
    fetched = found(workspace)
    assert fetched is not None and fetched.commit == COMMIT
    assert fetched.record() == {"files": fetched.files, "commit": COMMIT}
    copies = [found(workspace, folder=write(tmp_path / name, files)) for name in ("copied", "elsewhere")]
    by_path = found(workspace, checkpoint=str(tmp_path / "copied"))
    assert copies == [Checkpoint(fetched.files)] * 2
    assert by_path == copies[0]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_other_files_are_another_checkpoint(workspace: Workspace, hub: Path, tmp_path: Path, name: str) -> None:
    first = found(workspace, folder=write(tmp_path / "weights", FILES))
    changed = FILES[name][:-1] + b"?"
    assert found(workspace, folder=write(tmp_path / "weights", {name: changed})) != first
    assert found(workspace, folder=write(tmp_path / "weights", FILES)) == first


def test_what_says_nothing_of_the_model_is_not_hashed(workspace: Workspace, hub: Path, tmp_path: Path) -> None:
    first = found(workspace, folder=write(tmp_path / "weights", FILES))
    assert found(workspace, folder=write(tmp_path / "weights", {"README.md": b"other words"})) == first


@pytest.mark.parametrize("missing", ["model-00002-of-00002.safetensors"])
def test_a_checkpoint_without_all_its_weights_is_none(
    workspace: Workspace, hub: Path, tmp_path: Path, missing: str
) -> None:
    folder = write(tmp_path / "weights", SHARDS)
    (folder / missing).unlink()
    assert found(workspace, folder=folder) is None
    cache(hub, {name: content for name, content in SHARDS.items() if name != missing})
    assert found(workspace) is None


def test_large_files_are_hashed_once(
    workspace: Workspace, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = atomic.sha256_file

    def sha256_file(path: Path) -> str:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(atomic, "sha256_file", sha256_file)
    cache(hub, FILES)
    found(workspace)
    assert "model.safetensors" not in read and not any(len(name) == 64 for name in read)  # its blob's name says it
    read.clear()
    folder = write(tmp_path / "weights", FILES)
    first = found(workspace, folder=folder)
    assert sorted(read) == ["config.json", "model.safetensors", "tokenizer.json"]
    read.clear()
    assert found(workspace, folder=folder) == first
    assert read == []
    assert not any(str(tmp_path) in line for line in workspace.checkpoint_hashes.read_text().splitlines())


def test_a_cache_of_hashes_that_is_damaged_or_cannot_be_written_is_done_without(
    workspace: Workspace, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "weights", FILES)
    first = found(workspace, folder=folder)
    for content in ("{", "[1]", "null"):
        workspace.checkpoint_hashes.write_text(content)
        assert found(workspace, folder=folder) == first

    def refuse(path: Path, content: object) -> None:
        raise PermissionError("read-only")

    workspace.checkpoint_hashes.unlink()
    monkeypatch.setattr(atomic, "write_json", refuse)
    assert found(workspace, folder=folder) == first


def test_a_model_without_a_checkpoint_and_a_miniature_have_none(workspace: Workspace) -> None:
    assert checkpoint_of(workspace, load_recipe(workspace, "words")) is None
    assert found(workspace, checkpoint="miniature:llama") is None
