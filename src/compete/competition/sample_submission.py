"""The sample submission: its form, its columns and rows, in which order, and how they are written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from compete.competition.column_names import matched, otherwise_written
from compete.competition.declaration import CompetitionDeclaration, Data
from compete.competition.layouts import COLUMNS, Layout, free_separator, long_rows, separator_of
from compete.competition.manner import PLAIN, Manner, encoding_of, manner_of
from compete.competition.metric_names import places_of
from compete.competition.reading import guess_separator, read_table
from compete.competition.row_ids import what_happened_to
from compete.competition.task import Task, are_probabilities
from compete.errors import DataError

_TEXT_FILES = {".csv", ".tsv", ".tab", ".txt"}
_PLACEHOLDERS = 2  # so many different numbers say nothing of how numbers are to be written


@dataclass(frozen=True)
class SampleSubmission:
    """What a submission looks like."""

    columns: tuple[str, ...]
    """Its columns in order: the id and the outputs by the names that competition.toml and train have."""
    ids: list[str]
    """The rows of test in the order of the file."""
    id_at: int = 0
    """Place of the id among the columns."""
    manner: Manner = PLAIN
    layout: Layout = COLUMNS
    file: str | None = None
    """Where this was seen; None where no sample is declared."""

    @property
    def n_rows(self) -> int:
        return len(self.layout.rows or self.ids)


class _UnfittingError(Exception):
    """A sample has another form than the one that was tried; says why."""


@dataclass(frozen=True)
class _Sample:
    """What the readings look at."""

    table: pd.DataFrame
    declared: CompetitionDeclaration
    task: Task
    label_columns: Sequence[str]
    test_ids: Sequence[str]

    @property
    def data(self) -> Data:
        return self.declared.data

    @property
    def found(self) -> list[str]:
        return [str(column) for column in self.table.columns]

    @property
    def places(self) -> int | None:
        return places_of(self.declared.metric_name)


@dataclass(frozen=True)
class _Read:
    """The sample's column for each name, and how values lie in them."""

    meant: dict[str, str]
    layout: Layout


def read_sample(
    root: Path, declared: CompetitionDeclaration, task: Task, label_columns: Sequence[str], test_ids: Sequence[str]
) -> tuple[SampleSubmission, list[str]]:
    """The declared sample submission, or what it would be without one; and warnings.

    Columns and rows may be in any order. Raises DataError unless they are the test ids and what the task predicts, in
    one of the forms that `layouts` lists.
    """
    data = declared.data
    if data.sample_submission is None:
        layout = usual_layout(declared, task, label_columns)
        columns = task.outputs if layout.name == "columns" else (layout.column,)
        return SampleSubmission((data.id, *columns), list(test_ids), layout=layout), []
    path = root / data.sample_submission
    encoding = encoding_of(path, data.encoding) if path.is_file() else data.encoding
    sample = _Sample(read_table(path, encoding=encoding), declared, task, label_columns, test_ids)
    read = _reading(sample)
    names = {column: name for name, column in read.meant.items()}
    columns = tuple(names.get(column, column) for column in sample.found)
    keys = read.layout.key_columns or (read.meant[data.id],)
    id_at = sample.found.index(keys[0])
    if read.layout.name == "long":
        ids = list(dict.fromkeys(name for name, _ in read.layout.rows))
    else:
        ids = sample.table[keys[0]].tolist()
    _check_ids(ids, test_ids, data)
    manner = _manner(path, encoding, sample.table, keys)
    said = otherwise_written(read.meant, data.sample_submission)
    return SampleSubmission(columns, ids, id_at, manner, read.layout, data.sample_submission), said


def usual_layout(declared: CompetitionDeclaration, task: Task, label_columns: Sequence[str]) -> Layout:
    """How a submission looks that no sample shows: as the metric wants it."""
    places = places_of(declared.metric_name)
    if places is not None:
        return Layout(
            "list", label_columns[0] if len(label_columns) == 1 else "labels", free_separator(task.outputs), most=places
        )
    if declared.metric_info.wants == "decisions":
        return decided_layout(declared, task, label_columns)
    return COLUMNS


def decided_layout(declared: CompetitionDeclaration, task: Task, label_columns: Sequence[str]) -> Layout:
    """How decisions are written where no sample shows it: as the training rows have them."""
    if len(label_columns) == 1 and task.kind == "classes":
        return Layout("class", label_columns[0])
    if declared.data.label_separator is not None:
        return Layout("list", label_columns[0], declared.data.label_separator)
    return COLUMNS


def _reading(sample: _Sample) -> _Read:
    """The first form that fits; raises DataError that lists what was tried."""
    tried: list[tuple[str, str]] = []
    for form, reading in _readings(sample):
        try:
            return reading(sample)
        except _UnfittingError as error:
            tried.append((form, str(error)))
    listed = "\n".join(f"  {form}: {why}" for form, why in tried)
    raise DataError(
        f"{sample.data.sample_submission} {_headline(sample)} What was tried:\n{listed}\nCheck task, metric, data.id, "
        "data.labels and data.sample_submission in competition.toml."
    )


def _readings(sample: _Sample) -> Iterator[tuple[str, Callable[[_Sample], _Read]]]:
    kind, noun = sample.task.kind, sample.task.noun
    if len(sample.task.outputs) > 1:
        yield f"a row per id and {noun}", _long
    yield f"a column per {noun}", _columns
    if are_probabilities(kind) and sample.places is not None:
        yield f"a column with the {sample.places} most probable", _list
    elif kind == "classes":
        yield "a column of class names", _class
    elif kind == "labels" and sample.task.name == "multilabel":
        yield "a column with several labels", _list


def _headline(sample: _Sample) -> str:
    """The columns that are there and those of the commonest form."""
    wanted, found, meant = _wanted(sample)
    missing, unknown = _missing(wanted, meant), _unknown(found, meant)
    what = (f"missing: {', '.join(missing)}", f"not known: {', '.join(unknown)}")
    differ = "; ".join(text for text, there in zip(what, (missing, unknown), strict=True) if there)
    return f"has the columns {', '.join(found)}, expected {', '.join(wanted)}" + (f" ({differ})." if differ else ".")


def _wanted(sample: _Sample) -> tuple[list[str], list[str], dict[str, str]]:
    wanted = [sample.data.id, *sample.task.outputs]
    return wanted, sample.found, matched(wanted, sample.found)


def _missing(wanted: Sequence[str], meant: dict[str, str]) -> list[str]:
    return [name for name in wanted if name not in meant]


def _unknown(found: Sequence[str], meant: dict[str, str]) -> list[str]:
    return [name for name in found if name not in meant.values()]


def _columns(sample: _Sample) -> _Read:
    """A column per output."""
    wanted, found, meant = _wanted(sample)
    missing, unknown = _missing(wanted, meant), _unknown(found, meant)
    # The id under another name, which its values tell.
    if sample.data.id in missing and unknown:
        unlike = [name for name in unknown if set(sample.table[name]) == set(sample.test_ids)]
        if len(unlike) == 1 and len(missing) == len(unknown):
            meant[sample.data.id] = unlike[0]
            missing.remove(sample.data.id)
            unknown.remove(unlike[0])
    # A single column of values can be nothing but the single output.
    if missing == [wanted[-1]] and len(unknown) == 1 and len(wanted) == 2 and sample.task.name != "multilabel":
        return _Read({**meant, missing[0]: unknown[0]}, _with_digits(sample, [unknown[0]]))
    prefix = _prefix(missing, unknown)
    if prefix:
        return _Read({**meant, **{name: prefix + name for name in missing}}, COLUMNS)
    several = _several_of_one(sample.task.outputs, unknown)
    if several:
        raise _UnfittingError(several)
    if missing or unknown:
        parts = [f"no {_some(missing)}"] * bool(missing) + [f"{_some(unknown)} would be nothing"] * bool(unknown)
        raise _UnfittingError("; ".join(parts))
    return _Read(meant, _with_digits(sample, [meant[name] for name in sample.task.outputs]))


def _several_of_one(outputs: Sequence[str], unknown: Sequence[str]) -> str:
    """What to say where an output has several columns, as a probability of each of its values; mostly nothing."""
    for output in outputs:
        shared = [column for column in unknown if column.startswith(output) or column.endswith(output)]
        # Of outputs that begin alike, as toxic and toxic_severe, a column belongs to the longer.
        longer = [other for other in outputs if other != output and output in other]
        own = [column for column in shared if not any(other in column for other in longer)]
        if len(own) > 1:
            return (
                f"{_some(own)} would be {len(own)} columns of {output}, and of each there is one value. compete sends "
                "no probability of each value of it: ask for another metric, or make the file from `compete predict`"
            )
    return ""


def _prefix(missing: Sequence[str], unknown: Sequence[str]) -> str:
    """What the names of these columns have before those of the outputs, as class_ of class_1; mostly nothing."""
    if len(missing) < 2 or len(missing) != len(unknown):
        return ""
    for column in unknown:
        prefix = column.removesuffix(missing[0])
        if prefix != column and {prefix + name for name in missing} == set(unknown):
            return prefix
    return ""


def _with_digits(sample: _Sample, columns: Sequence[str]) -> Layout:
    """The digits after the point that the sample's numbers have, where they are more than placeholders."""
    if sample.task.gives_probabilities:
        return COLUMNS
    cells = {str(cell).strip() for column in columns for cell in sample.table[column].unique()}
    return replace(COLUMNS, digits=digits_of(cells))


def digits_of(cells: set[str]) -> int | None:
    """The most digits after the point of numbers; None where two or fewer differ, or where none has any."""
    found = [re.fullmatch(r"[-+]?[0-9]+(?:\.([0-9]*))?", cell) for cell in cells]
    if len(cells) <= _PLACEHOLDERS or not all(found):
        return None
    return max(len(each[1] or "") for each in found if each) or None


def _class(sample: _Sample) -> _Read:
    """A column of class names."""
    id_column, other = _id_and_another(sample)
    cells = sample.table[other].str.strip()
    odd = [cell for cell in cells.unique() if cell and cell not in sample.task.outputs]
    if odd and not _same_numbers(odd, sample.task.outputs):
        raise _UnfittingError(f"{other} holds {odd[0]!r}, which is none of {_some(sample.task.outputs)}")
    return _one_column(sample, id_column, other, Layout("class"))


def _same_numbers(cells: Sequence[str], outputs: Sequence[str]) -> bool:
    """Whether cells are the numbers of classes written otherwise, as 1.0 for 1."""
    try:
        return {float(cell) for cell in cells} <= {float(name) for name in outputs}
    except ValueError:
        return False


def _list(sample: _Sample) -> _Read:
    """A column with several labels, or with the most probable ones."""
    id_column, other = _id_and_another(sample)
    if other in sample.task.outputs:
        raise _UnfittingError(f"{other} is a single {sample.task.noun}")
    cells = [str(cell) for cell in sample.table[other].unique()]
    separator = separator_of(cells, sample.task.outputs, sample.data.label_separator)
    if separator is None:
        raise _UnfittingError(
            f"{other} holds {cells[0]!r}, and no separator parts that into some of the {sample.task.noun}s"
        )
    return _one_column(sample, id_column, other, Layout("list", separator=separator, most=sample.places))


def _id_and_another(sample: _Sample) -> tuple[str, str]:
    found = sample.found
    if len(found) != 2:
        raise _UnfittingError(f"there are {len(found)} columns")
    meant = matched([sample.data.id], found)
    unlike = [name for name in found if set(sample.table[name]) == set(sample.test_ids)]
    id_column = meant.get(sample.data.id) or (unlike[0] if len(unlike) == 1 else None)
    if id_column is None:
        raise _UnfittingError(f"no column is {sample.data.id!r} or holds the ids of {', '.join(sample.data.test)}")
    return id_column, next(name for name in found if name != id_column)


def _one_column(sample: _Sample, id_column: str, other: str, layout: Layout) -> _Read:
    name = sample.label_columns[0] if len(sample.label_columns) == 1 else other
    return _Read({sample.data.id: id_column, name: other}, replace(layout, column=name))


def _long(sample: _Sample) -> _Read:
    """A row per id and output."""
    cells = {name: sample.table[name].tolist() for name in sample.found}
    read = long_rows(cells, sample.test_ids, sample.task.outputs)
    if read is None:
        raise _UnfittingError(f"no column, and no two, name an id and a {sample.task.noun} in every row")
    key_columns, rows = read
    _check_pairs(sample, rows)
    value = next(name for name in sample.found if name not in key_columns)
    keys = list(zip(*(cells[name] for name in key_columns), strict=True)) if len(key_columns) == 1 else rows
    digits = _with_digits(sample, [value]).digits
    return _Read({}, Layout("long", value, digits=digits, rows=rows, keys=keys, key_columns=key_columns))


def _check_pairs(sample: _Sample, rows: Sequence[tuple[str, str]]) -> None:
    """Raise DataError unless every id has a row for every output, once."""
    counts, noun, file = Counter(rows), sample.task.noun, sample.data.sample_submission
    wanted = dict.fromkeys((name, output) for name in sample.test_ids for output in sample.task.outputs)
    odd = next((row for row in rows if row not in wanted), None)
    if odd is not None:
        raise DataError(f"{file} has the row {' '.join(odd).strip()!r}, which is no test id with a {noun}")
    twice = next((row for row, count in counts.items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{file} has {counts[twice]} rows for {twice[0]!r} and the {noun} {twice[1]!r}, expected one")
    missing = next((row for row in wanted if row not in counts), None)
    if missing is not None:
        raise DataError(f"{file} has no row for {missing[0]!r} and the {noun} {missing[1]!r}; other rows name both")


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _manner(path: Path, encoding: str, table: pd.DataFrame, keys: Sequence[str]) -> Manner:
    """How the sample is written; of one that is no text only the columns' names count."""
    names = [str(column) for column in table.columns]
    if path.suffix.lower() in _TEXT_FILES:
        values = pd.unique(table.drop(columns=list(keys)).to_numpy().ravel())
        id_at = names.index(keys[0])
        found = manner_of(path.read_bytes(), guess_separator(path, encoding), encoding, id_at, values)
        # A header that reads back otherwise cannot be copied: the file is then written plainly.
        if found.names(names) == names:
            return found
    return replace(PLAIN, header=PLAIN.header_of(names))


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
