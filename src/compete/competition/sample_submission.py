"""The sample submission: which columns and rows a submission has, in which order, and how they are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from compete.competition.column_names import matched, otherwise_written
from compete.competition.declaration import Data
from compete.competition.manner import PLAIN, Manner, encoding_of, manner_of
from compete.competition.reading import guess_separator, read_table
from compete.competition.row_ids import what_happened_to
from compete.errors import DataError

_TEXT_FILES = {".csv", ".tsv", ".tab", ".txt"}


@dataclass(frozen=True)
class SampleSubmission:
    """What a submission looks like."""

    columns: tuple[str, ...]
    """The id column and the labels by the names that competition.toml and train have, in the order of a submission."""
    ids: list[str]
    """The rows in order."""
    id_at: int = 0
    """Place of the id among the columns."""
    manner: Manner = PLAIN


def read_sample(
    root: Path, data: Data, labels: Sequence[str], test_ids: Sequence[str]
) -> tuple[SampleSubmission, list[str]]:
    """The declared sample submission, or what it would be without one; and warnings.

    Columns and rows may be in any order. Raises DataError unless they are the id and the labels, and the test ids.
    """
    if data.sample_submission is None:
        return SampleSubmission((data.id, *labels), list(test_ids)), []
    path = root / data.sample_submission
    encoding = encoding_of(path, data.encoding) if path.is_file() else data.encoding
    table = read_table(path, encoding=encoding)
    written = [str(column) for column in table.columns]
    meant = _columns(table, data, labels, test_ids)
    names = {column: name for name, column in meant.items()}
    columns, id_at = tuple(names[column] for column in written), written.index(meant[data.id])
    ids = table[meant[data.id]].tolist()
    _check_ids(ids, test_ids, data)
    manner = _manner(path, encoding, table, id_at)
    return SampleSubmission(columns, ids, id_at, manner), otherwise_written(meant, data.sample_submission)


def _manner(path: Path, encoding: str, table: pd.DataFrame, id_at: int) -> Manner:
    """How the sample is written; of one that is no text only the columns' names count."""
    names = [str(column) for column in table.columns]
    if path.suffix.lower() in _TEXT_FILES:
        values = pd.unique(table.drop(columns=names[id_at]).to_numpy().ravel())
        found = manner_of(path.read_bytes(), guess_separator(path, encoding), encoding, id_at, values)
        # A header that reads back otherwise cannot be copied: the file is then written plainly.
        if found.names(names) == names:
            return found
    return replace(PLAIN, header=PLAIN.header_of(names))


def _columns(table: pd.DataFrame, data: Data, labels: Sequence[str], test_ids: Sequence[str]) -> dict[str, str]:
    """The sample's column of the id and of every label."""
    wanted, found = [data.id, *labels], [str(column) for column in table.columns]
    meant = matched(wanted, found)
    missing, unknown = [n for n in wanted if n not in meant], [c for c in found if c not in meant.values()]
    # The id under another name, which its values tell.
    if missing == [data.id] and len(unknown) == 1 and set(table[unknown[0]]) == set(test_ids):
        return {**meant, data.id: unknown[0]}
    if missing or unknown:
        what = (f"missing: {', '.join(missing)}", f"not known: {', '.join(unknown)}")
        raise DataError(
            f"{data.sample_submission} has the columns {', '.join(found)}, expected {', '.join(wanted)} "
            f"({'; '.join(text for text, there in zip(what, (missing, unknown), strict=True) if there)}). Every label "
            "is a column of the sample, and no other: check data.id, data.labels and data.sample_submission."
        )
    return meant


def _check_ids(ids: Sequence[str], test_ids: Sequence[str], data: Data) -> None:
    sample, test = data.sample_submission, ", ".join(data.test)
    repeated = next((name for name, again in zip(sorted(ids), sorted(ids)[1:], strict=False) if name == again), None)
    if repeated is not None:
        raise DataError(f"{sample} has the id {repeated!r} more than once, expected every id of {test} once")
    missing, extra = set(test_ids) - set(ids), set(ids) - set(test_ids)
    if missing or extra:
        example = f"{min(missing)!r} only in test" if missing else f"{min(extra)!r} only in the sample"
        happened = what_happened_to(ids, test_ids, data.id)
        raise DataError(
            f"{test} and {sample} do not have the same ids: {len(missing)} only in test, {len(extra)} only in the "
            f"sample ({example}). {happened or 'Are they from the same competition?'}"
        )
