"""The competition's rows: read, checked, and fingerprinted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete.competition.column_names import matched, otherwise_written
from compete.competition.declaration import CompetitionDeclaration, Data, read_declaration
from compete.competition.feature_columns import empty_columns, words_among_numbers
from compete.competition.metrics import Metric, find_metric, own_metric
from compete.competition.near_identical import near_identical_groups
from compete.competition.reading import read_table, read_tables
from compete.competition.row_ids import number_their_rows
from compete.competition.sample_submission import SampleSubmission, read_sample
from compete.competition.saved_index import saved_index
from compete.competition.shape import Shape, Targets
from compete.competition.targets import learn_task, strata, target_matrix
from compete.competition.task import Task
from compete.competition.text_columns import TextColumns, with_features
from compete.competition.workspace import Workspace
from compete.declarations import unknown_name
from compete.errors import DataError, UserError
from compete.fingerprints import digest

# Rows of two files that only number them may have the same text by chance: "thanks" is written often.
_BY_CHANCE = 0.01


@dataclass(frozen=True)
class Competition:
    """A workspace's declaration and its rows, all checks passed."""

    workspace: Workspace
    declaration: CompetitionDeclaration
    task: Task
    train_ids: list[str]
    train_texts: list[str]
    train_targets: Targets
    """What is true, shape (n_train, n_outputs): int8 of 0 and 1, or float32 of numbers (see `task`)."""
    label_columns: tuple[str, ...]
    """The columns of train that say it."""
    train_columns: pd.DataFrame
    """The declared columns of train as they are written, a row per training row; the id is not among them."""
    test_ids: list[str]
    test_texts: list[str]
    test_columns: pd.DataFrame
    """Those of them that test has."""
    sample: SampleSubmission
    """What a submission looks like."""
    warnings: tuple[str, ...] = ()
    """Sentences to show once."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs: labels, classes or targets."""
        return self.task.outputs

    @property
    def train_features(self) -> dict[str, list[str]]:
        """The cells of the declared features in train, by column."""
        return self._features_of(self.train_columns)

    @property
    def test_features(self) -> dict[str, list[str]]:
        """Those of test."""
        return self._features_of(self.test_columns)

    def _features_of(self, table: pd.DataFrame) -> dict[str, list[str]]:
        return {name: table[name].tolist() for name in self.declaration.data.features}

    def texts_for(self, features: bool) -> tuple[list[str], list[str]]:
        """Texts of train and of test as a family is handed them: where it wants features, with those behind them."""
        if not features:
            return self.train_texts, self.test_texts
        return with_features(self.train_texts, self.train_features), with_features(self.test_texts, self.test_features)

    def new_texts_for(
        self, features: bool, texts: Sequence[str], columns: Mapping[str, Sequence[str]] | None
    ) -> list[str]:
        """The same of other texts, and the cells of their rows, by column; raises UserError where those are missing."""
        return with_features(texts, self.new_features(columns)) if features else list(texts)

    def new_features(self, columns: Mapping[str, Sequence[str]] | None) -> dict[str, Sequence[str]]:
        """The features among the columns of new rows; raises UserError where there are none, but texts alone."""
        names = self.declaration.data.features
        if names and columns is None:
            raise UserError(
                f"the model also looks at {', '.join(names)}, which texts alone do not have: give it a file with the "
                "columns of the test file"
            )
        return {name: columns[name] for name in names} if columns is not None else {}

    @property
    def submission_ids(self) -> list[str]:
        """The order of the sample submission, or of the test file where no sample is declared."""
        return self.sample.ids

    @cached_property
    def metric_source(self) -> str:
        """What a score of a metric of the user's own depends on; empty for another."""
        return self.declaration.metric_source(self.workspace)

    @cached_property
    def metric(self) -> Metric:
        """The competition's metric, or the user's own."""
        return metric_of(self.workspace, self.declaration, self.task)

    @property
    def shape(self) -> Shape:
        """Ids and labels, as every stored table has them."""
        return Shape(self.train_ids, self.test_ids, self.labels, self.task.gives_probabilities)

    @cached_property
    def alike(self) -> NDArray[np.intp]:
        """A number for every training row, (n_train,), equal for rows of nearly one text."""
        return near_identical_groups(self.train_texts)

    @cached_property
    def groups(self) -> NDArray[np.intp]:
        """A number for every training row, (n_train,), equal for rows of nearly one text, or of a declared group."""
        declared = self.declaration.folds.groups
        return self.alike if declared is None else connected(self.alike, self.train_columns[declared].tolist())

    @cached_property
    def strata(self) -> NDArray[np.int8]:
        """What folds are stratified by, 0/1 (n_train, n_strata)."""
        return strata(self.task, self.train_targets)

    @property
    def label_rates(self) -> dict[str, float]:
        """Share of the training rows that have the label, or class, by name; of numbers and grades there is none."""
        if not self.task.gives_probabilities:
            return {}
        return dict(zip(self.labels, self.train_targets.mean(axis=0).tolist(), strict=True))

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """One short hash per thing that trained probabilities depend on, so that a change can be named."""
        declared, folds = self.declaration, self.declaration.folds
        # Only what is declared: what was made before there were these stays fresh.
        more: dict[str, str] = {"task": declared.task} if declared.task != "multilabel" else {}
        more |= {"grades": digest(map(str, self.task.grades))} if self.task.grades else {}
        for name, column in (("groups", folds.groups), ("fold column", folds.column), ("times", folds.time)):
            more |= {name: digest(self.train_columns[column])} if column is not None else {}
        for name in declared.data.features:
            more[f"feature {name}"] = digest([*self.train_columns[name], *self.test_columns[name]])
        return {
            **more,
            "label names": digest(self.labels),
            "train ids": digest(self.train_ids),
            "train texts": digest(self.train_texts),
            "train labels": digest([self.train_targets.tobytes()]),
            "test ids": digest(self.test_ids),
            "test texts": digest(self.test_texts),
        }


def metric_of(workspace: Workspace, declared: CompetitionDeclaration, task: Task) -> Metric:
    """The declared metric, or the user's own, whose file is run."""
    if declared.own_metric is None:
        return find_metric(declared.metric_name).of(task)
    (file, function), info = declared.own_metric, declared.metric_info
    own = own_metric(workspace.root / file, function, info.greater_is_better, info.wants)
    return replace(own, name=declared.metric_name).of(task)


def load_competition(workspace: Workspace, *, checked: bool = False) -> Competition:
    """Read competition.toml and every file it names; raises DeclarationError or DataError.

    checked: another process has read the same files before, and quotes that stand by themselves need not be looked for
    again, which takes most of the time. Whether they are the same the caller tells by the fingerprints.
    """
    declaration = read_declaration(workspace)
    data = declaration.data
    train_paths = [workspace.root / name for name in data.train]
    test_paths = [workspace.root / name for name in data.test]
    train = read_tables(train_paths, data.separator, data.quoting, data.encoding, checked=checked)
    test = read_tables(test_paths, data.separator, data.quoting, data.encoding, checked=checked)
    in_test = [*declaration.text_columns.names, *data.features]
    roles = [data.id, *in_test, *_fold_columns(declaration)]
    train, of_train = _named_as_declared(train, [*roles, *(data.labels or [])], data.train)
    test, of_test = _named_as_declared(test, [data.id, *in_test], data.test)
    train, of_index = _without_index(train, roles, data.labels or [], data.train)
    columns = _label_columns(train, roles, data)
    train_ids, test_ids = _ids(train, data.id, data.train), _ids(test, data.id, data.test)
    train_texts, test_texts = _texts(train, declaration.text_columns), _texts(test, declaration.text_columns)
    _check_train_texts(train_texts, train_ids, data)
    cells = train[list(columns)].set_axis(train_ids, axis=0)
    task = learn_task(declaration, cells, _named(data.train))
    overlap = _overlap(dict(zip(train_ids, train_texts, strict=True)), dict(zip(test_ids, test_texts, strict=True)))
    sample, of_sample = read_sample(workspace.root, declaration, task, columns, test_ids)
    of_features = _check_features(train, test, data)
    return Competition(
        workspace=workspace,
        declaration=declaration,
        task=task,
        train_ids=train_ids,
        train_texts=train_texts,
        train_targets=target_matrix(cells, task, data.label_separator, _named(data.train)),
        label_columns=columns,
        train_columns=train[list(dict.fromkeys([*roles[1:], *columns]))],
        test_ids=test_ids,
        test_texts=test_texts,
        test_columns=test[list(dict.fromkeys([*in_test, *_groups_of(test, declaration)]))],
        sample=sample,
        warnings=(
            *of_train,
            *of_index,
            *of_test,
            *of_sample,
            *overlap,
            *_empty_texts(test_texts, test_ids),
            *of_features,
        ),
    )


def labels_of_one_class(competition: Competition) -> list[str]:
    """Labels that every training row has, or none."""
    if not competition.task.gives_probabilities:
        return []
    return [label for label, rate in competition.label_rates.items() if rate in (0.0, 1.0)]


def left_out_of_the_metric(competition: Competition) -> list[str]:
    """What the user is told of labels that the metric has no value for; mostly nothing."""
    without = labels_of_one_class(competition)
    if competition.metric.name != "roc_auc_macro" or not without or len(without) == len(competition.labels):
        return []
    are = "is" if len(without) == 1 else "are"
    return [f"macro-AUC is the mean over the other labels: {', '.join(without)} {are} the same in every training row"]


@dataclass(frozen=True)
class NewTexts:
    """Rows to predict that are not the competition's."""

    ids: list[str]
    texts: list[str]
    features: dict[str, list[str]]
    """The cells of the declared features, by column."""


def read_new_texts(path: Path, data: Data) -> NewTexts:
    """A file with the columns of the test file, read as the competition's files are."""
    if not path.is_file():
        raise DataError(f"{path} {'is no file' if path.exists() else 'does not exist'}")
    table = read_table(path, data.separator, data.quoting, data.encoding)
    texts = TextColumns.of(data.text)
    table, _ = _named_as_declared(table, [data.id, *texts.names, *data.features], [str(path)])
    features = {name: table[name].tolist() for name in data.features}
    return NewTexts(_ids(table, data.id, [str(path)]), _texts(table, texts), features)


def connected(groups: NDArray[np.intp], names: Sequence[str]) -> NDArray[np.intp]:
    """Groups (n_rows,) that are larger: rows of one name are together too, and whoever is with one of them.

    An empty name is none: such rows are only with those that they were with.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    places: dict[str, int] = {}
    # Every name is a point beside the groups, and every row ties its group to its name.
    named = [(row, places.setdefault(name, len(places))) for row, name in enumerate(names) if name.strip()]
    rows, points = np.array(named, dtype=np.intp).reshape(-1, 2).T
    n_groups = int(groups.max()) + 1
    size = n_groups + len(places)
    ties = coo_array((np.ones(len(rows), dtype=np.int8), (groups[rows], n_groups + points)), shape=(size, size))
    return np.asarray(connected_components(ties, directed=False)[1][groups], dtype=np.intp)


def _texts(table: pd.DataFrame, texts: TextColumns) -> list[str]:
    return texts.texts({name: table[name].tolist() for name in texts.names})


def _fold_columns(declared: CompetitionDeclaration) -> list[str]:
    folds = declared.folds
    return [name for name in (folds.groups, folds.column, folds.time) if name is not None]


def _groups_of(test: pd.DataFrame, declared: CompetitionDeclaration) -> list[str]:
    """The column of groups, where test has it: it is not needed there, but tells what train has of its groups."""
    return [name for name in [declared.folds.groups] if name is not None and name in test.columns]


def _named(files: Sequence[str]) -> str:
    return ", ".join(files)


def _named_as_declared(
    table: pd.DataFrame, columns: Sequence[str], files: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The table with these columns under these very names; a sentence for each that was written in another case."""
    meant = matched(columns, [str(column) for column in table.columns])
    missing = [column for column in columns if column not in meant]
    if missing:
        hints = "; ".join(f"{name!r}: {unknown_name(name, map(str, table.columns))}" for name in missing)
        raise DataError(f"{_named(files)} lacks a column that competition.toml names. {hints}")
    names = {column: name for name, column in meant.items()}
    return table.rename(columns=names), otherwise_written(meant, _named(files))


def _without_index(
    train: pd.DataFrame, roles: Sequence[str], labels: Sequence[str], files: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The training rows without a saved index, which is no label; a sentence if there was one."""
    index = saved_index(train, [*roles, *labels])
    if index is None or not train[index].is_unique or not number_their_rows(train[index].tolist()):
        return train, []
    return train.drop(columns=index), [f"{_named(files)}: the column {index!r} is a saved index, and left out"]


def _label_columns(train: pd.DataFrame, roles: Sequence[str], data: Data) -> tuple[str, ...]:
    """Those that are declared, or all columns that have no other role."""
    if data.labels:
        return tuple(data.labels)
    labels = tuple(str(column) for column in train.columns if column not in roles)
    if not labels:
        others = " and ".join(map(repr, dict.fromkeys(roles)))
        raise DataError(f"{_named(data.train)} has no column besides {others}: where are the labels?")
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


def _overlap(train: Mapping[str, str], test: Mapping[str, str]) -> list[str]:
    """A warning where both files only number their rows; raises DataError if rows of one file are in the other.

    train, test: texts by id.
    """
    common = [name for name in test if name in train]
    if not common:
        return []
    same = [name for name in common if train[name].strip() == test[name].strip()]
    shown = ", ".join((same or common)[:3])
    if number_their_rows(list(train)) and number_their_rows(list(test)) and len(same) <= _BY_CHANCE * len(common):
        return [
            f"{len(common)} ids are in train and in test ({shown}): they are taken for numbers of the rows, as each "
            "file has its own, since the texts beside them differ"
        ]
    what = f"{len(same)} of them with the same text" if same else "with other texts"
    raise DataError(
        f"{len(common)} ids are in train and in test ({shown}), {what}: a test row that was trained on makes every "
        "score a lie. Check data.train and data.test in competition.toml; if each file names its rows in its own way, "
        "rename the ids of train (train-1, train-2, ...): those of test belong to the sample submission."
    )


def _check_train_texts(texts: Sequence[str], ids: Sequence[str], data: Data) -> None:
    empty = [row for row, text in enumerate(texts) if not text.strip()]
    if empty:
        shown = ", ".join(f"row {row + 1} ({ids[row]})" for row in empty[:3])
        raise DataError(
            f"{_named(data.train)}: {len(empty)} empty text{'s' * (len(empty) > 1)} in {data.text!r}: {shown}. "
            "Fill or remove these rows."
        )


def _empty_texts(test_texts: Sequence[str], test_ids: Sequence[str]) -> Iterable[str]:
    empty = [row for row, text in enumerate(test_texts) if not text.strip()]
    if empty:
        yield (
            f"{len(empty)} empty text{'s' * (len(empty) > 1)} in the test set, first row {empty[0] + 1} "
            f"({test_ids[empty[0]]}): scored as it is"
        )


def _check_features(train: pd.DataFrame, test: pd.DataFrame, data: Data) -> list[str]:
    """Sentences on cells of test that are no number as those of train are; raises DataError for an empty column."""
    of_train, of_test = ({name: table[name].tolist() for name in data.features} for table in (train, test))
    empty = empty_columns(of_train)
    if empty:
        raise DataError(
            f"{_named(data.train)}: the column {empty[0]!r}, which data.features in competition.toml names, is empty "
            "in every row: leave it out there"
        )
    return words_among_numbers(of_train, of_test, _named(data.test))
