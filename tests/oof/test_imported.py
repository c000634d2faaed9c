from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.errors import DataError, StoreError, UserError
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.imported import ImportedFile, import_model, read_imported

IDS, LABELS = ["a1", "a2", "a3", "a4"], ("joy", "anger", "trust")
MATRIX = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9], [0.0, 1.0, 0.25]])
SHUFFLED = [2, 0, 3, 1]


def table(matrix: NDArray[np.float64] = MATRIX) -> pd.DataFrame:
    """Rows and columns in another order than the competition's."""
    whole = pd.DataFrame(matrix, columns=list(LABELS)).assign(id=IDS)
    return whole.iloc[SHUFFLED][["trust", "id", "joy", "anger"]]


def write(folder: Path, kind: str, frame: pd.DataFrame) -> ImportedFile:
    path = folder / f"foreign.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "tsv":
        frame.to_csv(path, index=False, sep="\t")
    elif kind == "parquet":
        frame.to_parquet(path, index=False)
    else:
        np.save(path, frame[list(LABELS)].to_numpy())
        frame[["id"]].to_csv(folder / "ids.csv", index=False)
        return ImportedFile(path, folder / "ids.csv")
    return ImportedFile(path)


def read(file: ImportedFile) -> NDArray[np.float32]:
    """A file in which there is nothing to put right."""
    found, notes = read_imported(file, "id", IDS, LABELS, "training")
    assert notes == []
    return found


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "npy"])
def test_rows_and_columns_in_any_order_come_back_in_the_competitions(tmp_path: Path, kind: str) -> None:
    found = read(write(tmp_path, kind, table()))
    assert found.dtype == np.float32
    assert np.array_equal(found, MATRIX.astype(np.float32))


def test_a_column_named_id_stands_in_for_the_competitions_own_name(tmp_path: Path) -> None:
    file = write(tmp_path, "csv", table())
    found, notes = read_imported(file, "tweet_id", IDS, LABELS, "training")
    assert np.array_equal(found, MATRIX.astype(np.float32)) and notes == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(id=[f"x{name}" for name in t["id"]]), r"4 are missing and 4 are unknown \(missing: 'a1'"),
        (lambda t: t.assign(id=["a3", "a1", "a3", "a2"]), "has the id 'a3' more than once"),
        (lambda t: t.iloc[:3], r"4 training rows: it has 3, 1 are missing and 0 are unknown \(missing: 'a2'"),
        (
            lambda t: pd.concat([t, t.iloc[:1].assign(id="zz")]),
            r"has 5, 0 are missing and 1 are unknown \(unknown: 'zz'",
        ),
        (lambda t: t.assign(fear=0.5), "not known: 'fear'"),
        (lambda t: t.drop(columns="anger"), "missing: anger"),
        (
            lambda t: t.rename(columns={"anger": "rage"}),
            r"has the columns 'trust', 'id', 'joy', 'rage'; .*missing: anger;",
        ),
        (lambda t: t.rename(columns={"anger": "rage"}), "missing: anger; not known: 'rage'$"),
        (lambda t: t.drop(columns="id"), "missing: id"),
        (lambda t: t.assign(joy=[0.1, 0.2, None, 0.4]), r"1 row holds empty cells: row 3 \(a4\): joy$"),
        (
            lambda t: t.assign(joy=[0.1, "high", 0.3, 0.4]),
            r"1 row holds what is no number, first row 2 \(a1\): joy is 'high'$",
        ),
        (lambda t: t.assign(joy=[0.1, 1.01, -2.3, 0.4]), r"2 rows hold .* first row 2 \(a1\).*Apply a sigmoid"),
    ],
    ids=["ids", "twice", "fewer", "more", "label", "nolabel", "renamed", "there", "noid", "nan", "word", "logits"],
)
def test_a_table_that_does_not_fit_is_refused(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    file = write(tmp_path, "csv", change(table()))
    with pytest.raises(DataError, match=message) as caught:
        read(file)
    assert str(file.path) in str(caught.value)


@pytest.mark.parametrize("value", [np.inf, -0.01, 1.01, 1.000002])
@pytest.mark.parametrize("kind", ["parquet", "npy"])
def test_a_value_that_is_no_probability_is_named_by_row(tmp_path: Path, kind: str, value: float) -> None:
    matrix = MATRIX.copy()
    matrix[0, 1] = value  # a1, which is row 2 of the shuffled file
    with pytest.raises(DataError, match=r"1 row holds values that are no probabilities, first row 2 \(a1\)"):
        read(write(tmp_path, kind, table(matrix)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for file in (ImportedFile(tmp_path / "x.csv"), ImportedFile(tmp_path / "x.npy", tmp_path / "ids.csv")):
        with pytest.raises(DataError, match="does not exist"):
            read(file)


def test_a_matrix_without_ids_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "npy", table())
    with pytest.raises(UserError, match=r"foreign\.npy has no ids: .*--oof-ids"):
        read(ImportedFile(file.path))


@pytest.mark.parametrize("matrix", [MATRIX[:3], MATRIX[:, :2], MATRIX.T, MATRIX.ravel()])
def test_a_matrix_of_another_shape_is_refused(tmp_path: Path, matrix: NDArray[np.generic]) -> None:
    file = write(tmp_path, "npy", table())
    np.save(file.path, matrix)
    with pytest.raises(DataError, match=r"foreign\.npy has shape .* expected \(4, 3\)"):
        read(file)


class Trap:
    """Whoever unpickles it runs its code."""

    sprung = False

    def __reduce__(self) -> tuple[Callable[..., None], tuple[type[Trap], str, bool]]:
        return setattr, (Trap, "sprung", True)


def test_a_matrix_of_pickled_objects_is_refused_and_never_run(tmp_path: Path) -> None:
    file = write(tmp_path, "npy", table())
    trap = np.empty((4, 3), dtype=object)
    trap[:] = Trap()
    np.save(file.path, trap, allow_pickle=True)
    with pytest.raises(DataError, match=r"foreign\.npy is not an \.npy file of numbers"):
        read(file)
    assert not Trap.sprung


def test_a_file_that_only_calls_itself_npy_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "npy", table())
    file.path.write_text("id,joy\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"is not an \.npy file of numbers"):
        read(file)


def foreign_model(competition: Competition, folder: Path, round_to: int = 3) -> tuple[ImportedFile, ImportedFile]:
    """Files for both kinds of rows, in reverse order."""
    files = []
    for name, ids in (("oof", competition.train_ids), ("test", competition.test_ids)):
        values = np.random.default_rng(len(ids)).random((len(ids), len(competition.labels)))
        frame = pd.DataFrame(values.round(round_to), columns=list(competition.labels)).assign(id=ids)
        frame.iloc[::-1].to_csv(folder / f"{name}.csv", index=False)
        files.append(ImportedFile(folder / f"{name}.csv"))
    return files[0], files[1]


def test_an_imported_model_lies_in_the_store_like_any_other(competition: Competition, tmp_path: Path) -> None:
    oof, test = foreign_model(competition, tmp_path)
    assert import_model(with_plan(competition), "mate", oof, test) == []
    stored = store.read_model(competition.workspace.base_model("mate"), competition.shape)
    expected = pd.read_csv(oof.path).iloc[::-1][list(competition.labels)].to_numpy()
    assert stored.oof == pytest.approx(expected, abs=1e-6)
    assert stored.test.shape == (90, 3)


@pytest.mark.parametrize("name", ["stacks", "", "../mate", "a/b", "ä", ".hidden", "-x", "two words"])
def test_a_name_that_cannot_be_a_folder_is_refused(competition: Competition, tmp_path: Path, name: str) -> None:
    files = foreign_model(competition, tmp_path)
    planned = with_plan(competition)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="cannot be a model's name"):
        import_model(planned, name, *files, force=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_name_of_a_recipe_is_refused(competition: Competition, tmp_path: Path) -> None:
    files = foreign_model(competition, tmp_path)
    with pytest.raises(UserError, match=r"base_models/words\.toml is a recipe of that name"):
        import_model(with_plan(competition), "words", *files, force=True)


def test_an_existing_model_is_replaced_only_when_forced(competition: Competition, tmp_path: Path) -> None:
    planned = with_plan(competition)
    folder = competition.workspace.base_model("mate")
    import_model(planned, "mate", *foreign_model(competition, tmp_path))
    before = folder.oof.read_bytes()
    files = foreign_model(competition, tmp_path, round_to=1)
    with pytest.raises(StoreError, match="oof/mate is there already"):
        import_model(planned, "mate", *files)
    assert folder.oof.read_bytes() == before
    import_model(planned, "mate", *files, force=True)
    assert folder.oof.read_bytes() != before


def test_a_refused_import_leaves_nothing(competition: Competition, tmp_path: Path) -> None:
    oof, test = foreign_model(competition, tmp_path)
    with pytest.raises(DataError, match="90 test rows"):
        import_model(with_plan(competition), "mate", oof, oof)
    with pytest.raises(DataError, match="240 training rows"):
        import_model(with_plan(competition), "mate", test, oof)
    assert not (competition.workspace.oof / "mate").exists()


def test_decisions_and_constant_columns_are_warned_of(competition: Competition, tmp_path: Path) -> None:
    planned = with_plan(competition)
    decisions, whole = import_model(planned, "cut", *foreign_model(competition, tmp_path, 0)), tmp_path / "c"
    assert len(decisions) == 1 and "every value is 0 or 1" in decisions[0]
    whole.mkdir()
    oof, test = foreign_model(competition, whole)
    pd.read_csv(oof.path).assign(anger=0.5).to_csv(oof.path, index=False)
    assert import_model(planned, "flat", oof, test) == ["constant in training: anger"]


@pytest.mark.parametrize("matrix", [MATRIX.astype(str), MATRIX.astype(complex)])
def test_a_matrix_of_no_real_numbers_is_refused(tmp_path: Path, matrix: NDArray[np.generic]) -> None:
    file = write(tmp_path, "npy", table())
    np.save(file.path, matrix)
    with pytest.raises(DataError, match=r"foreign\.npy is not an \.npy file of real numbers"):
        read(file)


def test_an_empty_npy_and_an_npz_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "npy", table())
    file.path.write_bytes(b"")
    with pytest.raises(DataError, match=r"foreign\.npy is not an \.npy file of numbers"):
        read(file)
    with file.path.open("wb") as archive:
        np.savez(archive, MATRIX)
    with pytest.raises(DataError, match=r"foreign\.npy is not an \.npy file of numbers"):
        read(file)


def refused(tmp_path: Path, frame: pd.DataFrame, kind: str = "csv") -> str:
    with pytest.raises(DataError) as caught:
        read(write(tmp_path, kind, frame))
    assert str(caught.value).startswith(str(tmp_path / f"foreign.{kind}"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: 100 * m, "These look like percents: divide by 100."),
        (lambda m: np.log(m + 0.01) - np.log(1.01 - m), "Logits? Apply a sigmoid first."),
        (lambda m: np.log(m + 1e-9) - 1, "Logarithms of probabilities, or logits?"),
        (lambda m: m + 0.5, "A probability lies between 0 and 1; the highest value is 1.5."),
        (lambda m: 1000 * m, "A probability lies between 0 and 1; the highest value is 1000."),
        (lambda m: m / np.where(m == 0.25, 0, 1), "Infinite values"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "npy"])
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_values_that_are_no_probabilities_are_called_what_they_look_like(
    tmp_path: Path, kind: str, change: Callable[[NDArray[np.float64]], NDArray[np.float64]], said: str
) -> None:
    message = refused(tmp_path, table(change(MATRIX)), kind)
    assert said in message
    assert ("sigmoid" in message) == ("ogits" in said or "Logarithms" in said)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npy"])
def test_empty_cells_are_named_and_get_no_advice_on_logits(tmp_path: Path, kind: str) -> None:
    matrix = MATRIX.copy()
    matrix[0, 1], matrix[3] = np.nan, np.nan
    message = refused(tmp_path, table(matrix), kind)
    assert message.endswith("2 rows hold empty cells: row 2 (a1): anger; row 3 (a4): all labels")
    assert "sigmoid" not in message


def test_many_empty_rows_are_counted(tmp_path: Path) -> None:
    ids = [f"a{number}" for number in range(40)]
    frame = pd.DataFrame({"id": ids, **dict.fromkeys(LABELS, [0.5] * 10 + [np.nan] * 30)})
    frame.to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(DataError, match=r"30 rows hold empty cells: row 11 \(a10\): all labels; .*; and 25 more$"):
        read_imported(ImportedFile(tmp_path / "x.csv"), "id", ids, LABELS, "training")


def test_what_float32_rounds_beyond_the_ends_is_clipped_and_said(tmp_path: Path) -> None:
    matrix = MATRIX.copy()
    matrix[3, :2] = -1e-7, 1.0000001
    for kind in ("csv", "parquet", "npy"):
        found, [note] = read_imported(write(tmp_path, kind, table(matrix)), "id", IDS, LABELS, "training")
        assert found[3, :2].tolist() == [0, 1]
        assert "were clipped" in note


@pytest.mark.parametrize("name", [None, "Unnamed: 0", "index"])
def test_a_saved_index_is_left_out_and_said(tmp_path: Path, name: str | None) -> None:
    path = tmp_path / "foreign.csv"
    table().reset_index(drop=True).to_csv(path, index_label=name)
    assert path.read_text().startswith(f"{name or ''},trust")
    found, [note] = read_imported(ImportedFile(path), "id", IDS, LABELS, "training")
    assert np.array_equal(found, MATRIX.astype(np.float32))
    assert note == f"{path}: the column {name or ''!r} is a saved index, and left out"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", [None, "id"])
def test_ids_that_are_the_index_are_read_as_such(tmp_path: Path, kind: str, name: str | None) -> None:
    path = tmp_path / f"foreign.{kind}"
    frame = table().set_index("id").rename_axis(name)
    frame.to_csv(path) if kind == "csv" else frame.to_parquet(path)
    found, notes = read_imported(ImportedFile(path), "id", IDS, LABELS, "training")
    assert np.array_equal(found, MATRIX.astype(np.float32))
    assert len(notes) == (name is None) and all("it holds the ids" in note for note in notes)


def test_an_index_in_place_of_the_ids_is_told_from_them(tmp_path: Path) -> None:
    table().drop(columns="id").reset_index(drop=True).to_csv(tmp_path / "foreign.csv")
    with pytest.raises(DataError) as caught:
        read(ImportedFile(tmp_path / "foreign.csv"))
    assert "missing: id; not known: ''. '' is a saved index, not an id: table.to_csv(..., index=False)" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("ids", "written", "said"),
    [
        (["1", "2", "3", "4"], ["1.0", "2.0", "3.0", "4.0"], "were read as floats ('3.0' for '3')"),
        (["01", "02", "03", "04"], ["1", "2", "3", "4"], "lost their leading zeros ('3' for '03')"),
        (["01", "02", "03", "04"], ["1.0", "2.0", "3.0", "4.0"], "were read as floats ('3.0' for '03')"),
        (
            [f"91208200000000{n}013" for n in range(4)],
            ["9.1208e+17", "9.1209e+17", "9.1210e+17", "9.1211e+17"],
            "were read as floats and lost digits ('9.1210e+17')",
        ),
        (["x-1", "x-2", "x-3", "x-4"], [" X-1", "X-2 ", "x-3 ", "x-4 "], "have blanks around them or are in another"),
        (["x-1", "x-2", "x-3", "x-4"], ["0", "1", "2", "3"], "The ids are row numbers: save the column 'id'"),
    ],
)
def test_ids_that_a_tool_has_changed_are_recognised(
    tmp_path: Path, ids: list[str], written: list[str], said: str
) -> None:
    frame = pd.DataFrame(MATRIX, columns=list(LABELS)).assign(id=written).iloc[SHUFFLED]
    with pytest.raises(DataError) as caught:
        read_imported(write(tmp_path, "csv", frame), "id", ids, LABELS, "training")
    assert said in str(caught.value)
    assert ('dtype={"id": str}' in str(caught.value)) == ("floats" in said or "zeros" in said)


@pytest.mark.parametrize(
    ("separator", "ending"), [(";", "csv"), ("\t", "csv"), (";", "tsv"), (",", "tsv"), ("|", "csv")]
)
def test_any_separator_is_read(tmp_path: Path, separator: str, ending: str) -> None:
    path = tmp_path / f"foreign.{ending}"
    table().to_csv(path, index=False, sep=separator)
    assert np.array_equal(read(ImportedFile(path)), MATRIX.astype(np.float32))


def test_decimal_commas_are_called_so(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "foreign.csv", index=False, sep=";", decimal=",")
    with pytest.raises(DataError, match=r"joy is '0,7'\. Decimal commas\? .*decimal='\.'"):
        read(ImportedFile(tmp_path / "foreign.csv"))


@pytest.mark.parametrize(
    "content",
    [
        b'id,joy,anger,trust\na1,"0.1,0.2,0.3\na2,0.4,0.5,0.6\n',
        b"id,joy,anger,trust\na1,0.1,0.2\n",
        b"id,joy,anger,trust\na1,0.1,0.2,0.3,0.4\n",
        b"id,joy,anger,trust\na\xff1,0.1,0.2,0.3\n",
        b"id,joy,joy,trust\na1,0.1,0.2,0.3\n",
        b"",
    ],
)
def test_a_file_that_cannot_be_read_gets_no_advice_for_the_competitions_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "foreign.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(ImportedFile(tmp_path / "foreign.csv"))
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "foreign.csv")) and "Save it anew" in message
    assert not {"[data]", "data.encoding", "quoting"} & set(message.replace(":", " ").split())


def test_columns_in_another_case_are_taken_and_said(tmp_path: Path) -> None:
    found, notes = read_imported(
        write(tmp_path, "csv", table().rename(columns={"id": "ID", "anger": "Anger"})), "id", IDS, LABELS, "training"
    )
    assert np.array_equal(found, MATRIX.astype(np.float32))
    assert [note.partition(": ")[2] for note in notes] == ["the column 'Anger' is taken for 'anger'"]


@pytest.mark.parametrize(("column", "wrong"), [("_id", False), ("Tweet ID", False), ("id", True)])
def test_a_label_called_id_is_not_the_id(tmp_path: Path, column: str, wrong: bool) -> None:
    labels = ("id", "anger", "trust")
    frame = pd.DataFrame(MATRIX, columns=list(labels))
    if not wrong:
        frame.insert(1, column, IDS)
    file = ImportedFile(tmp_path / "foreign.csv")
    frame.to_csv(file.path, index=False)
    if wrong:
        with pytest.raises(DataError, match=r"missing: Tweet ID$"):
            read_imported(file, "Tweet ID", IDS, labels, "training")
    else:
        assert np.array_equal(read_imported(file, "Tweet ID", IDS, labels, "training")[0], MATRIX.astype(np.float32))
