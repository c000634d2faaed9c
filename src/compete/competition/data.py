"""The competition's rows: read, checked, and fingerprinted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete.competition.declaration import CompetitionDeclaration, Data, read_declaration
from compete.competition.label_cells import held, zeros_and_ones
from compete.competition.metrics import METRICS, Metric
from compete.competition.reading import read_table, read_tables
from compete.competition.workspace import Workspace
from compete.declarations import unknown_name
from compete.errors import DataError
from compete.fingerprints import digest


@dataclass(frozen=True)
class Competition:
    """A workspace's declaration and its rows, all checks passed.

    train_labels is 0/1 of shape (n_train, n_labels); submission_ids is the order of the sample submission,
    or of the test file where no sample is declared; warnings are sentences to show once.
    """

    workspace: Workspace
    declaration: CompetitionDeclaration
    labels: tuple[str, ...]
    train_ids: list[str]
    train_texts: list[str]
    train_labels: NDArray[np.int8]
    test_ids: list[str]
    test_texts: list[str]
    submission_ids: list[str]
    warnings: tuple[str, ...] = ()

    @property
    def metric(self) -> Metric:
        return METRICS[self.declaration.metric]

    @property
    def label_rates(self) -> dict[str, float]:
        """Share of the training rows that have the label, by label."""
        return dict(zip(self.labels, self.train_labels.mean(axis=0).tolist(), strict=True))

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """One short hash per thing that trained probabilities depend on, so that a change can be named."""
        return {
            "label names": digest(self.labels),
            "train ids": digest(self.train_ids),
            "train texts": digest(self.train_texts),
            "train labels": digest([self.train_labels.tobytes()]),
            "test ids": digest(self.test_ids),
            "test texts": digest(self.test_texts),
        }


def load_competition(workspace: Workspace) -> Competition:
    """Read competition.toml and every file it names; raises DeclarationError or DataError."""
    declaration = read_declaration(workspace)
    data = declaration.data
    train_paths = [workspace.root / name for name in data.train]
    test_paths = [workspace.root / name for name in data.test]
    train = read_tables(train_paths, data.separator, data.quoting, data.encoding)
    test = read_tables(test_paths, data.separator, data.quoting, data.encoding)
    labels = _label_columns(train, data, data.train)
    _require_columns(test, [data.id, data.text], data.test)
    train_ids, test_ids = _ids(train, data.id, data.train), _ids(test, data.id, data.test)
    _check_overlap(train_ids, test_ids)
    train_texts, test_texts = train[data.text].tolist(), test[data.text].tolist()
    _check_train_texts(train_texts, train_ids, data)
    return Competition(
        workspace=workspace,
        declaration=declaration,
        labels=labels,
        train_ids=train_ids,
        train_texts=train_texts,
        train_labels=label_matrix(train, labels, train_ids, _named(data.train)),
        test_ids=test_ids,
        test_texts=test_texts,
        submission_ids=_submission_ids(workspace, data, labels, test_ids),
        warnings=tuple(_warnings(test_texts, test_ids)),
    )


def read_new_texts(path: Path, data: Data) -> tuple[list[str], list[str]]:
    """Ids and texts of a file with the columns of the test file, read as the competition's files are."""
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    table = read_table(path, data.separator, data.quoting, data.encoding)
    _require_columns(table, [data.id, data.text], [str(path)])
    return _ids(table, data.id, [str(path)]), table[data.text].tolist()


def label_matrix(table: pd.DataFrame, labels: Sequence[str], ids: Sequence[str], source: str) -> NDArray[np.int8]:
    """The label columns as 0/1, shape (n_rows, n_labels); anything else is named by row, id and column.

    true and false, yes and no are read too. Where a column holds something else from which labels can be made, like
    several labels in one cell, the message says what, and how.
    """
    matrix = np.empty((len(table), len(labels)), dtype=np.int8)
    bad: list[str] = []
    odd: list[str] = []
    for column, label in enumerate(labels):
        values = zeros_and_ones(table[label])
        rows = np.flatnonzero(values.isna().to_numpy())
        odd += [label] * bool(len(rows))
        for row in rows[:3]:
            found = table[label].iloc[row]
            shown = f"is {found!r}" if found.strip() else "is empty"
            bad.append(f"  row {row + 1} ({ids[row]}): {label} {shown}")
        matrix[:, column] = values.fillna(0).to_numpy(dtype=np.int8)
    if bad:
        more = "" if len(bad) <= 10 else f"\n  and more, {len(bad)} seen"
        raise DataError(
            f"{source}: labels must be 0 or 1\n" + "\n".join(bad[:10]) + more + "\n" + _way_on(table, odd, len(labels))
        )
    return matrix


def _way_on(table: pd.DataFrame, odd: Sequence[str], labels: int) -> str:
    """What to do about label columns that hold something else."""
    listing = "Is a column among them no label? List the label columns in competition.toml, data.labels."
    things = {label: held(table[label], label) for label in odd}
    advice = [f"{label!r} seems to hold {thing.what}; {thing.advice}" for label, thing in things.items() if thing]
    return "\n".join([*([] if advice and labels == 1 else [listing]), *advice[:1]])


def _named(files: Sequence[str]) -> str:
    return ", ".join(files)


def _require_columns(table: pd.DataFrame, columns: Sequence[str], files: Sequence[str]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        hints = "; ".join(f"{name!r}: {unknown_name(name, map(str, table.columns))}" for name in missing)
        raise DataError(f"{_named(files)} lacks a column that competition.toml names. {hints}")


def _label_columns(train: pd.DataFrame, data: Data, files: Sequence[str]) -> tuple[str, ...]:
    _require_columns(train, [data.id, data.text, *(data.labels or [])], files)
    if data.labels:
        return tuple(data.labels)
    labels = tuple(str(column) for column in train.columns if column not in (data.id, data.text))
    if not labels:
        raise DataError(f"{_named(files)} has no column besides {data.id!r} and {data.text!r}: where are the labels?")
    return labels


def _ids(table: pd.DataFrame, column: str, files: Sequence[str]) -> list[str]:
    ids = table[column]
    empty = np.flatnonzero((ids.str.strip() == "").to_numpy())
    if len(empty):
        raise DataError(f"{_named(files)} row {empty[0] + 1} has no id ({column!r} is empty)")
    repeated = ids[ids.duplicated()].unique()
    if len(repeated):
        rows = np.flatnonzero((ids == repeated[0]).to_numpy()) + 1
        raise DataError(
            f"{_named(files)} has {len(repeated)} duplicate id{'s' * (len(repeated) > 1)}: {repeated[0]!r} is in rows "
            f"{', '.join(map(str, rows[:5]))}. Every row needs an id of its own ({column!r})."
        )
    if not len(ids):
        raise DataError(f"{_named(files)} has a header and no rows")
    return [str(value) for value in ids]


def _check_overlap(train_ids: Sequence[str], test_ids: Sequence[str]) -> None:
    common = set(train_ids) & set(test_ids)
    if common:
        shown = ", ".join(sorted(common)[:3])
        raise DataError(
            f"{len(common)} ids are in train and in test ({shown}): a test row that was trained on makes every "
            "score a lie. Check data.train and data.test in competition.toml."
        )


def _check_train_texts(texts: Sequence[str], ids: Sequence[str], data: Data) -> None:
    empty = [row for row, text in enumerate(texts) if not text.strip()]
    if empty:
        shown = ", ".join(f"row {row + 1} ({ids[row]})" for row in empty[:3])
        raise DataError(
            f"{_named(data.train)}: {len(empty)} empty text{'s' * (len(empty) > 1)} in {data.text!r}: {shown}. "
            "Fill or remove these rows."
        )


def _warnings(test_texts: Sequence[str], test_ids: Sequence[str]) -> Iterable[str]:
    empty = [row for row, text in enumerate(test_texts) if not text.strip()]
    if empty:
        yield (
            f"{len(empty)} empty text{'s' * (len(empty) > 1)} in the test set, first row {empty[0] + 1} "
            f"({test_ids[empty[0]]}): scored as it is"
        )


def _submission_ids(workspace: Workspace, data: Data, labels: Sequence[str], test_ids: Sequence[str]) -> list[str]:
    """The order of the sample submission, after its ids and columns were checked against test and labels."""
    if data.sample_submission is None:
        return list(test_ids)
    path: Path = workspace.root / data.sample_submission
    sample = read_table(path, encoding=data.encoding)
    if data.id not in sample.columns or set(sample.columns) - {data.id} != set(labels):
        raise DataError(
            f"{data.sample_submission} has the columns {', '.join(map(str, sample.columns))}, expected "
            f"{', '.join([data.id, *labels])}. Check data.id, data.labels and data.sample_submission."
        )
    ids = _ids(sample, data.id, [data.sample_submission])
    missing, extra = set(test_ids) - set(ids), set(ids) - set(test_ids)
    if missing or extra:
        example = f"{min(missing)!r} only in test" if missing else f"{min(extra)!r} only in the sample"
        raise DataError(
            f"{_named(data.test)} and {data.sample_submission} do not have the same ids: {len(missing)} only in "
            f"test, {len(extra)} only in the sample ({example}). Are they from the same competition?"
        )
    return ids
