"""The CSV of a submission: written as the sample is, and checked against it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete.competition.column_names import matched
from compete.competition.manner import encoding_of
from compete.competition.reading import guess_separator, read_table
from compete.competition.row_ids import what_happened_to
from compete.competition.saved_index import without_saved_index
from compete.errors import SubmissionError
from compete.fingerprints import digest
from compete.submissions.cells import from_cells, to_cells, unchecked_values
from compete.submissions.form import Form, Key


@dataclass(frozen=True)
class CsvFile:
    """A CSV that was made elsewhere: nothing is known of it but what it says."""

    path: Path

    @property
    def name(self) -> str:
        """As the file is called that is sent."""
        return "".join(c if c.isalnum() or c in "-_" else "-" for c in self.path.stem)

    @property
    def title(self) -> str:
        """As the ledger names it."""
        return f"file {self.path.name}"


def predictions_beside(path: Path) -> Path:
    """What the same source says of the training rows, out of fold: kept with every submission."""
    return path.with_suffix(".oof.parquet")


def render(form: Form, ids: Sequence[str], labels: Sequence[str], values: NDArray[np.generic]) -> bytes:
    """The CSV; values (len(ids), len(labels)) are decisions, probabilities or numbers, in any order of rows.

    Numbers have as many digits as tell them apart, or as many as the sample's.
    """
    table = pd.DataFrame(values, columns=list(labels), index=pd.Index(ids))
    return _written(form, to_cells(form, table.loc[list(form.ids), form.labels].to_numpy()))


def fitted(path: Path, form: Form) -> tuple[bytes, str]:
    """A CSV that was made elsewhere, written as the sample is; and a sentence on what that changed, or nothing.

    Rows and columns may be in any order; values stay as they are. Raises SubmissionError for other rows or columns and
    for impossible values.
    """
    table, index = without_saved_index(named_as(read_any(path, form), form), form.columns)
    _refuse_columns(path, table, form)
    keys = form.keys_of(table)
    _refuse_keys(path, keys, form)
    from_cells(form, table, str(path))
    content = path.read_bytes()
    changes = {
        "its rows": keys != form.keys,
        "its columns": table.columns.tolist() != list(form.columns),
        f"the column {index!r}, a saved index,": index is not None,
    }
    if not any(changes.values()) and not _unlike(content, form):
        return content, ""
    cells = table.iloc[_order(keys, form.keys)][form.value_columns].apply(lambda column: column.str.strip())
    changed = [what for what, there in changes.items() if there] or ["the way it is written"]
    text = (
        f"{path.name}: {' and '.join(changed)} had to be put right to be as in the sample submission; no value changed"
    )
    return _written(form, cells.to_numpy().tolist()), text


@dataclass(frozen=True)
class CheckedFile:
    """A CSV that may be sent, parsed once."""

    path: Path
    content: str
    """A hash of its cells."""
    values: pd.DataFrame
    """The values, (n_rows, n_outputs), by id in the order of the form."""
    one_answer: bool = False
    """Whether a row's values are one answer, a class or a ranking: that some class is never named is no mistake."""

    def constant_labels(self) -> list[str]:
        """Outputs that have one value in all rows: legal, and almost always a mistake."""
        if self.one_answer and len(self.values.drop_duplicates()) > 1:
            return []
        return [str(label) for label in self.values.columns if self.values[label].nunique() == 1]


def check(path: Path, form: Form) -> CheckedFile:
    """Read a written CSV and check it as Kaggle would, and more.

    Raises SubmissionError for another header than the sample's, byte for byte, other ids or order, empty or impossible
    values.
    """
    table = read_table(path, form.manner.separator, encoding=encoding_of(path, form.manner.encoding))
    if list(table.columns) != form.names:
        raise SubmissionError(f"{path} has the columns {', '.join(table.columns)}, expected {', '.join(form.names)}")
    if not len(table):
        raise SubmissionError(f"{path} has no rows, expected {len(form.keys)}")
    table.columns = pd.Index(form.columns)
    keys = form.keys_of(table)
    if keys != form.keys:
        same = sorted(keys) == sorted(form.keys)
        what = "the right ids in another order" if same else f"other ids ({len(keys)} rows, expected {len(form.keys)})"
        raise SubmissionError(f"{path} has {what} than the sample submission")
    values = from_cells(form, table, str(path))
    unlike = _unlike(path.read_bytes(), form)
    if unlike:
        raise SubmissionError(f"{path}: {unlike}")
    return CheckedFile(path, digest([values.to_numpy().tobytes()]), values, form.one_answer)


def read_values(path: Path, form: Form) -> pd.DataFrame:
    """The values of a submission, of whatever order and manner: a row per id, a column per output of the form.

    NaN for what is no number. Raises SubmissionError if a column is missing, an id is there twice, or names are no
    classes or labels.
    """
    table = named_as(read_any(path, form), form)
    missing = [name for name in form.columns if name not in table.columns]
    if missing:
        raise SubmissionError(f"{path} lacks the columns {', '.join(missing)}")
    keys = pd.Series(form.keys_of(table))
    if keys.duplicated().any():
        raise SubmissionError(f"{path} has the id {', '.join(keys[keys.duplicated()].iloc[0])!r} more than once")
    if form.layout.name in ("class", "list"):
        return from_cells(form, table, str(path))
    return unchecked_values(form, table, str(path))


def read_any(path: Path, form: Form) -> pd.DataFrame:
    """A CSV with the separator that the form has, or another one if its header does not have that."""
    encoding = encoding_of(path, form.manner.encoding)
    with path.open(encoding=encoding, errors="replace") as file:
        usual = form.manner.separator in file.readline()
    return read_table(path, form.manner.separator if usual else guess_separator(path, encoding), encoding=encoding)


def named_as(table: pd.DataFrame, form: Form) -> pd.DataFrame:
    """The table with the form's names for its columns, whether it has the sample's or others that only look unlike."""
    written = zip(form.names, form.columns, strict=True)
    table = table.rename(columns={column: name for column, name in written if name not in table.columns})
    meant = matched(form.columns, [str(column) for column in table.columns])
    return table.rename(columns={column: name for name, column in meant.items()})


def _refuse_columns(path: Path, table: pd.DataFrame, form: Form) -> None:
    found = [str(column) for column in table.columns]
    if set(found) != set(form.columns):
        missing = [name for name in form.columns if name not in found]
        unknown = [name for name in found if name not in form.columns]
        raise SubmissionError(
            f"{path} has the columns {', '.join(found)}, expected {', '.join(form.names)}"
            + (f"; missing: {', '.join(missing)}" if missing else "")
            + (f"; not known: {', '.join(unknown)}" if unknown else "")
        )


def _refuse_keys(path: Path, keys: Sequence[Key], form: Form) -> None:
    missing, unknown = set(form.keys) - set(keys), set(keys) - set(form.keys)
    if missing or unknown or len(keys) != len(form.keys):
        odd = {"missing": missing, "unknown": unknown}
        example = next((f"{what}: {_first(keys)!r}" for what, keys in odd.items() if keys), "some twice")
        happened = what_happened_to([key[0] for key in keys], [key[0] for key in form.keys], form.id_column)
        raise SubmissionError(
            f"{path} has other ids ({len(keys)} rows, expected {len(form.keys)}) than the sample submission "
            f"({example}). {happened}".rstrip()
        )


def _first(keys: Iterable[Key]) -> str:
    return ", ".join(min(keys))


def _order(keys: Sequence[Key], wanted: Sequence[Key]) -> list[int]:
    """Where each of the wanted keys is."""
    place = {key: row for row, key in enumerate(keys)}
    return [place[key] for key in wanted]


def _unlike(content: bytes, form: Form) -> str:
    """What of a file is not written as in the sample; empty where nothing is."""
    manner = form.manner
    text, header = content.decode(manner.encoding, errors="replace"), manner.header_of(form.columns)
    if not text.startswith(header + manner.line_end):
        first = text.split("\n", 1)[0]
        return f"its first line is {first!r}, that of the sample submission is {header + manner.line_end!r}"
    if text.endswith(("\r", "\n")) != manner.ends:
        return f"its last line ends {'without' if manner.ends else 'with'} a line break, unlike the sample submission"
    return ""


def _written(form: Form, cells: Iterable[list[str]]) -> bytes:
    """cells: of the values, a list per row in the order of the form."""
    places = [*map(list(form.columns).index, [*form.key_columns, *form.value_columns])]
    order = sorted(range(len(places)), key=places.__getitem__)
    rows = ([(*key, *row)[at] for at in order] for key, row in zip(form.keys, cells, strict=True))
    return form.manner.text(form.columns, rows).encode(form.manner.encoding)
