"""The CSV of a submission: written as the sample is, and checked against it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete.competition.column_names import matched
from compete.competition.data import Competition
from compete.competition.manner import PLAIN, Manner, encoding_of
from compete.competition.reading import guess_separator, read_table
from compete.competition.row_ids import what_happened_to
from compete.competition.saved_index import without_saved_index
from compete.errors import SubmissionError
from compete.fingerprints import digest

_WORDS = {"true": "1", "false": "0"}


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


@dataclass(frozen=True)
class Form:
    """What a submission must look like."""

    columns: Sequence[str]
    """The id column and the labels, in the order of the sample."""
    ids: Sequence[str]
    """The rows in order."""
    decisions: bool
    """Whether cells are 0 or 1; else they are probabilities."""
    id_at: int = 0
    """Place of the id among the columns."""
    manner: Manner = PLAIN
    """How the sample is written."""

    @property
    def id_column(self) -> str:
        return self.columns[self.id_at]

    @property
    def labels(self) -> list[str]:
        return [name for name in self.columns if name != self.id_column]

    @property
    def names(self) -> list[str]:
        """The columns as the sample writes them."""
        return self.manner.names(self.columns)


def submission_form(competition: Competition) -> Form:
    """The form of the sample submission, or of id and labels where none is declared."""
    sample, decisions = competition.sample, competition.metric.decides
    return Form(sample.columns, sample.ids, decisions, sample.id_at, sample.manner)


def predictions_beside(path: Path) -> Path:
    """What the same source says of the training rows, out of fold: kept with every submission."""
    return path.with_suffix(".oof.parquet")


def render(form: Form, ids: Sequence[str], labels: Sequence[str], values: NDArray[np.generic]) -> bytes:
    """The CSV; values (len(ids), len(labels)) are decisions or probabilities, in any order of rows.

    Probabilities have as many digits as tell them apart.
    """
    table = pd.DataFrame(values, columns=list(labels), index=pd.Index(ids))
    found = table.loc[list(form.ids), form.labels].to_numpy()
    cells = np.array(form.manner.off_on)[found.astype(np.intp)] if form.decisions else found.astype(str)
    return _written(form, cells.tolist())


def fitted(path: Path, form: Form) -> tuple[bytes, str]:
    """A CSV that was made elsewhere, written as the sample is; and a sentence on what that changed, or nothing.

    Rows and columns may be in any order; values stay as they are. Raises SubmissionError for other rows or columns and
    for impossible values.
    """
    table, index = without_saved_index(named_as(read_any(path, form), form), form.columns)
    _refuse_columns(path, table, form)
    ids = table[form.id_column].tolist()
    _refuse_ids(path, ids, form)
    _checked_values(path, table, form)
    content = path.read_bytes()
    changes = {
        "its rows": ids != list(form.ids),
        "its columns": table.columns.tolist() != list(form.columns),
        f"the column {index!r}, a saved index,": index is not None,
    }
    if not any(changes.values()) and not _unlike(content, form):
        return content, ""
    cells = table.set_index(form.id_column).loc[list(form.ids), form.labels].apply(lambda column: column.str.strip())
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
    """The numbers, (n_rows, n_labels), by id in the order of the form."""

    def constant_labels(self) -> list[str]:
        """Labels that have one value in all rows: legal, and almost always a mistake."""
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
        raise SubmissionError(f"{path} has no rows, expected {len(form.ids)}")
    table.columns = pd.Index(form.columns)
    ids = table[form.id_column].tolist()
    if ids != list(form.ids):
        same = sorted(ids) == sorted(form.ids)
        what = "the right ids in another order" if same else f"other ids ({len(ids)} rows, expected {len(form.ids)})"
        raise SubmissionError(f"{path} has {what} than the sample submission")
    values = _checked_values(path, table, form)
    unlike = _unlike(path.read_bytes(), form)
    if unlike:
        raise SubmissionError(f"{path}: {unlike}")
    return CheckedFile(path, digest([values.tobytes()]), pd.DataFrame(values, index=ids, columns=form.labels))


def read_values(path: Path, form: Form) -> pd.DataFrame:
    """The numbers of a submission, of whatever order and manner: a row per id, a column per label of the form.

    NaN for what is no number. Raises SubmissionError if a column is missing or an id is there twice.
    """
    table = named_as(read_any(path, form), form)
    missing = [name for name in form.columns if name not in table.columns]
    if missing:
        raise SubmissionError(f"{path} lacks the columns {', '.join(missing)}")
    table = table.set_index(form.id_column)
    if table.index.has_duplicates:
        raise SubmissionError(f"{path} has the id {table.index[table.index.duplicated()][0]!r} more than once")
    return _numbers(table[form.labels])


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


def _refuse_ids(path: Path, ids: Sequence[str], form: Form) -> None:
    missing, unknown = set(form.ids) - set(ids), set(ids) - set(form.ids)
    if missing or unknown or len(ids) != len(form.ids):
        example = f"missing: {min(missing)!r}" if missing else f"unknown: {min(unknown)!r}" if unknown else "some twice"
        raise SubmissionError(
            f"{path} has other ids ({len(ids)} rows, expected {len(form.ids)}) than the sample submission ({example}). "
            f"{what_happened_to(ids, form.ids, form.id_column)}".rstrip()
        )


def _checked_values(path: Path, table: pd.DataFrame, form: Form) -> NDArray[np.float64]:
    """The cells as numbers, (n_rows, n_labels); raises SubmissionError for one that is none or cannot be."""
    values: NDArray[np.float64] = _numbers(table[form.labels]).to_numpy()
    fine = np.isin(values, (0, 1)) if form.decisions else (values >= 0) & (values <= 1)  # NaN fails both
    if not fine.all():
        row, column = np.argwhere(~fine)[0]
        label, name = form.labels[column], table[form.id_column].iloc[row]
        allowed = "0 or 1" if form.decisions else "a number from 0 to 1"
        raise SubmissionError(
            f"{path} row {row + 1} ({name}): {label} is {table[label].iloc[row]!r}, expected {allowed}"
        )
    return values


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
    """cells: of the labels, a list per row in the order of the form."""
    at = form.id_at
    rows = ([*row[:at], name, *row[at:]] for name, row in zip(form.ids, cells, strict=True))
    return form.manner.text(form.columns, rows).encode(form.manner.encoding)


def _numbers(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.apply(_column_of_numbers).astype(np.float64)


def _column_of_numbers(cells: pd.Series[str]) -> pd.Series[float]:
    numbers = pd.to_numeric(cells, errors="coerce")
    if numbers.isna().any():
        numbers = pd.to_numeric(cells.str.strip().str.lower().replace(_WORDS), errors="coerce")
    return numbers
