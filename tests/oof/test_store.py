"""A file that was touched, torn or swapped is recognised on every read, and the error names it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compete import atomic
from compete.competition.folds import FoldPlan
from compete.competition.shape import Shape
from compete.competition.workspace import ResultFolder
from compete.errors import StoreError
from compete.oof import store
from compete.oof.store import Predictions

SHAPE = Shape(["a1", "a2", "a3", "a4"], ["b1", "b2"], ["joy", "anger"])
PLAN = FoldPlan(np.array([1, 0, 1, 0], dtype=np.int16), 2, {}, "plan")
RECORD = {"identity": {"family": "words"}, "kind": "trained"}


def probabilities(n_rows: int = 4) -> Predictions:
    random = np.random.default_rng(n_rows)
    return Predictions(random.random((n_rows, 2), dtype=np.float32), random.random((2, 2), dtype=np.float32))


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    """A whole model of four training and two test rows."""
    model = ResultFolder(tmp_path / "words")
    store.write_model(model, probabilities(), SHAPE, RECORD)
    return model


@pytest.fixture
def part(tmp_path: Path) -> ResultFolder:
    """Where fold 0 of a model is going to lie."""
    return ResultFolder(tmp_path).part(0)


def rewrite(folder: ResultFolder, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a table and its hash in the manifest, as a careful forger or another version would."""
    path = folder.path / name
    pq.write_table(change(pq.read_table(path)), path)
    record = json.loads(folder.record.read_text())
    record["files"][name] = atomic.sha256_file(path)
    store.write_record(folder.record, {key: record[key] for key in record if key != "sha256"})


def set_cell(table: pa.Table, value: float) -> pa.Table:
    column = table["anger"].to_numpy().copy()
    column[1] = value
    return table.set_column(2, "anger", pa.array(column))


def test_a_model_comes_back_as_it_was_written(folder: ResultFolder) -> None:
    found, written = store.read_model(folder, SHAPE), probabilities()
    assert found.oof.dtype == found.test.dtype == np.float32
    assert np.array_equal(found.oof, written.oof) and np.array_equal(found.test, written.test)
    record = store.read_record(folder)
    assert record["identity"] == RECORD["identity"] and record["kind"] == "trained"


def test_a_part_comes_back_with_the_rows_of_its_fold(tmp_path: Path) -> None:
    written = probabilities(2)
    store.write_part(ResultFolder(tmp_path).part(1), ["a1", "a3"], written, SHAPE, RECORD, [{"epoch": 1, "loss": 0.5}])
    found = store.read_part(ResultFolder(tmp_path).part(1), PLAN, SHAPE)
    assert np.array_equal(found.oof, written.oof) and np.array_equal(found.test, written.test)
    assert json.loads((tmp_path / "fold_1" / "curves.json").read_text()) == [{"epoch": 1, "loss": 0.5}]


def test_a_part_under_another_fold_number_is_foreign(tmp_path: Path, part: ResultFolder) -> None:
    store.write_part(ResultFolder(tmp_path).part(1), ["a1", "a3"], probabilities(2), SHAPE, RECORD, [])
    shutil.move(tmp_path / "fold_1", tmp_path / "fold_0")
    with pytest.raises(StoreError, match=r"fold_0/oof\.parquet holds other rows"):
        store.read_part(part, PLAN, SHAPE)


def test_the_same_input_gives_the_same_bytes(folder: ResultFolder, tmp_path: Path) -> None:
    again = ResultFolder(tmp_path / "again")
    store.write_model(again, probabilities(), SHAPE, RECORD)
    for one, other in ((folder.oof, again.oof), (folder.test, again.test), (folder.record, again.record)):
        assert one.read_bytes() == other.read_bytes()
    turned = store.to_parquet(SHAPE.train_ids, probabilities().oof[::-1], SHAPE.labels)
    assert turned != folder.oof.read_bytes()


@pytest.mark.parametrize("name", ["oof.parquet", "test.parquet"])
@pytest.mark.parametrize("damage", ["byte", "half", "empty", "gone", "other"])
def test_a_file_that_was_touched_is_named(folder: ResultFolder, name: str, damage: str) -> None:
    path = folder.path / name
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "other":
        path.write_bytes((folder.test if path == folder.oof else folder.oof).read_bytes())
    else:
        flipped = content[:100] + bytes([content[100] ^ 1]) + content[101:]
        path.write_bytes({"byte": flipped, "half": content[: len(content) // 2], "empty": b""}[damage])
    with pytest.raises(StoreError) as caught:
        store.read_model(folder, SHAPE)
    assert str(caught.value).startswith(str(path))
    assert "compete train-base words --force" in str(caught.value)


@pytest.mark.parametrize("name", ["oof.parquet", "test.parquet"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.select(["id", "anger", "joy"]), "has the columns id, anger, joy, not id, joy, anger"),
        (lambda t: t.rename_columns(["id", "joy", "fear"]), "has the columns id, joy, fear"),
        (lambda t: t.select(["id", "joy"]), "has the columns id, joy, not"),
        (lambda t: t.take(list(range(t.num_rows))[::-1]), "in another order"),
        (lambda t: t.slice(1), "holds other rows"),
        (lambda t: t.set_column(0, "id", pa.array([f"x{i}" for i in range(t.num_rows)])), "holds other rows"),
        (lambda t: set_cell(t, float("nan")), "no probabilities"),
        (lambda t: set_cell(t, 1.5), "no probabilities"),
        (lambda t: set_cell(t, -0.1), "no probabilities"),
    ],
    ids=["swapped", "renamed", "dropped", "permuted", "fewer", "ids", "nan", "above", "below"],
)
def test_a_table_of_other_content_is_refused_even_with_the_right_hash(
    folder: ResultFolder, name: str, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    rewrite(folder, name, change)
    with pytest.raises(StoreError) as caught:
        store.read_model(folder, SHAPE)
    assert str(caught.value).startswith(str(folder.path / name))
    assert message in str(caught.value)


def test_a_foreign_file_in_place_of_a_table_is_refused(folder: ResultFolder) -> None:
    folder.oof.write_text("id,joy,anger\n", encoding="utf-8")
    with pytest.raises(StoreError, match=r"oof\.parquet is not the file that compete wrote"):
        store.read_model(folder, SHAPE)
    with pytest.raises(StoreError, match=r"oof\.parquet is not a parquet file that can be read"):
        store.read_predictions(folder.oof, SHAPE.train_ids, SHAPE.labels)


def test_a_missing_manifest_is_named(folder: ResultFolder) -> None:
    folder.record.unlink()
    with pytest.raises(StoreError, match=r"manifest\.json is missing, though there are files beside it"):
        store.read_model(folder, SHAPE)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 0, "files": {}, "identity": {}}', b'{"format": 1}']
)
def test_a_manifest_that_is_torn_or_of_another_format_is_named(folder: ResultFolder, content: bytes) -> None:
    folder.record.write_bytes(content)
    with pytest.raises(StoreError, match=r"manifest\.json is damaged or was not written by this version"):
        store.read_model(folder, SHAPE)


def _fail_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write = atomic.write_bytes

    def torn(path: Path, content: bytes) -> None:
        if path.name == name:
            raise RuntimeError("power cut")
        write(path, content)

    monkeypatch.setattr(atomic, "write_bytes", torn)


@pytest.mark.parametrize("name", ["oof.parquet", "test.parquet", "curves.json", "part.json"])
def test_a_part_is_there_as_a_whole_or_not_at_all(
    tmp_path: Path, part: ResultFolder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _fail_at(name, monkeypatch)
    with pytest.raises(RuntimeError, match="power cut"):
        store.write_part(part, ["a2", "a4"], probabilities(2), SHAPE, RECORD, [])
    assert list(tmp_path.iterdir()) == []


def test_an_older_part_survives_a_failed_rewrite(
    tmp_path: Path, part: ResultFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = probabilities(2)
    store.write_part(part, ["a2", "a4"], old, SHAPE, RECORD, [])
    with monkeypatch.context() as patch:
        _fail_at("part.json", patch)
        with pytest.raises(RuntimeError, match="power cut"):
            store.write_part(part, ["a2", "a4"], Predictions(old.oof[::-1], old.test), SHAPE, RECORD, [])
    assert [path.name for path in tmp_path.iterdir()] == ["fold_0"]
    assert np.array_equal(store.read_part(part, PLAN, SHAPE).oof, old.oof)
    store.write_part(part, ["a2", "a4"], Predictions(old.oof[::-1], old.test), SHAPE, RECORD, [])
    assert np.array_equal(store.read_part(part, PLAN, SHAPE).oof, old.oof[::-1])


def test_a_model_whose_writing_was_cut_off_is_not_read(folder: ResultFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest is written last: until then the old one gives the new tables away."""
    _fail_at("manifest.json", monkeypatch)
    with pytest.raises(RuntimeError, match="power cut"):
        store.write_model(folder, Predictions(probabilities().oof[::-1], probabilities().test), SHAPE, RECORD)
    with pytest.raises(StoreError, match=r"oof\.parquet"):
        store.read_model(folder, SHAPE)


@pytest.mark.parametrize(("old", "new"), [('"files"', '"fils"'), ('"identity"', '"identitty"'), ("{", '{"more": 1,')])
def test_a_manifest_that_was_edited_by_hand_is_refused(folder: ResultFolder, old: str, new: str) -> None:
    """Thresholds and scores lie in manifests: an edit would send other decisions under an honest score."""
    path = folder.record
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(StoreError, match=r"manifest\.json is damaged"):
        store.read_model(folder, SHAPE)


@pytest.mark.parametrize(
    ("labels", "id_name"),
    [(["joy", "anger"], "id"), (["ID", "Id"], "id"), (["id", "anger"], "_id"), (["_id", "id"], "__id")],
)
def test_the_ids_stand_in_a_column_that_is_no_label(tmp_path: Path, labels: list[str], id_name: str) -> None:
    written, path = probabilities().oof, tmp_path / "oof.parquet"
    path.write_bytes(store.to_parquet(SHAPE.train_ids, written, labels))
    assert pq.read_table(path).column_names == [id_name, *labels]
    assert pq.read_table(path)[id_name].to_pylist() == SHAPE.train_ids
    assert np.array_equal(store.read_predictions(path, SHAPE.train_ids, labels), written)
    with pytest.raises(StoreError, match="has the columns"):
        store.read_predictions(path, SHAPE.train_ids, ["joy", "id"])


def test_another_number_is_refused_where_no_record_has_the_hash(tmp_path: Path) -> None:
    """Parquet has no checksums of its own: a flipped bit of a number is another number."""
    ids, labels = [f"r{number}" for number in range(50)], ["joy", "fear"]
    cells = np.random.default_rng(0).random((50, 2)).astype(np.float32)
    path = tmp_path / "kept.parquet"
    content = store.to_parquet(ids, cells, labels)
    path.write_bytes(content)
    assert np.array_equal(store.read_predictions(path, ids, labels), cells)
    changed = content.replace(cells[3:4, 0].tobytes(), np.float32(0.5).tobytes())
    assert changed != content
    path.write_bytes(changed)
    with pytest.raises(StoreError, match=r"kept\.parquet is not the file that compete wrote"):
        store.read_predictions(path, ids, labels)
