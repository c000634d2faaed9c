"""Tables that are no CSV: JSON lines, parquet and workbooks, as strings like everything else that is read."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from compete.competition.data_files import open_bytes, open_text
from compete.data_bounds import MOST_CELLS, MOST_COLUMNS, MOST_ROWS, is_bomb
from compete.errors import DataError

_ONE_PER_LINE = (
    'Every line has to be an object like {"id": "1", "text": "..."}; pandas writes a table so with '
    'to_json(..., orient="records", lines=True).'
)


class _Number(str):
    """A number as it is written, so that 1.0 stays 1.0 and a long id keeps its last digits."""


def refuse_many_columns(path: Path, count: int) -> None:
    """Raise DataError for more columns than any competition has, before they are read."""
    if count > MOST_COLUMNS:
        raise DataError(f"{path} has {count:,} columns, at most {MOST_COLUMNS:,} are read")


def read_parquet(path: Path) -> pd.DataFrame:
    try:
        with open_bytes(path) as file:
            refuse_large_parquet(path, file)
            table = pd.read_parquet(file)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a parquet file that can be read: {error}") from None
    return pd.DataFrame({str(name): _strings(table[name]) for name in table.columns})


def refuse_large_parquet(path: Path, file: IO[bytes]) -> None:
    """Raise DataError for what a file of any size can promise: more rows, columns or cells than are read."""
    about = pq.ParquetFile(file).metadata
    refuse_many_columns(path, about.num_columns)
    if about.num_rows > MOST_ROWS or about.num_rows * about.num_columns > MOST_CELLS:
        raise DataError(f"{path} has {about.num_rows:,} rows, at most {MOST_ROWS:,} are read")
    file.seek(0)


def read_json_lines(path: Path, encoding: str) -> pd.DataFrame:
    """One object per line; a key that a line does not have is an empty cell, as null is."""
    records, names = [], dict[str, None]()
    with open_text(path, encoding) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                records.append(_record(path, number, line))
                names.update(dict.fromkeys(records[-1]))
                refuse_many_columns(path, len(names))
    if not records:
        raise DataError(f"{path} is empty")
    if len(records) * len(names) > MOST_CELLS:
        raise DataError(f"{path} has {len(records):,} rows of {len(names):,} keys: that is more than is read")
    columns = list(names)
    return pd.DataFrame([[record.get(name, "") for name in columns] for record in records], columns=columns, dtype=str)


def read_workbook(path: Path) -> pd.DataFrame:
    """The one sheet of an .xlsx file, its first row the names; needs openpyxl, which is not among the requirements."""
    with open_bytes(path) as file:
        new = file.read(4) == b"PK\x03\x04"
    if not new or importlib.util.find_spec("openpyxl") is None:
        how = "" if not new else ", or run `pip install openpyxl`, with which compete reads it"
        raise DataError(f'{path} is an Excel workbook: save it as "CSV UTF-8" in Excel{how}')
    try:
        with open_bytes(path) as file:
            _refuse_large_workbook(path, file)
            sheets = pd.read_excel(file, sheet_name=None, header=None, dtype=object, na_filter=False, engine="openpyxl")
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not an Excel workbook that can be read: {error}") from None
    filled = {name: sheet for name, sheet in sheets.items() if not sheet.empty}
    if len(filled) != 1:
        what = f"{len(filled)} sheets with rows ({', '.join(map(str, filled))})" if filled else "no rows"
        raise DataError(f'{path} has {what}, expected one sheet: save the one that is meant as "CSV UTF-8"')
    [sheet] = filled.values()
    table = pd.DataFrame(sheet.iloc[1:].map(_cell), dtype=str).reset_index(drop=True)
    table.columns = pd.Index([_cell(name).strip() for name in sheet.iloc[0]])
    return table


def _refuse_large_workbook(path: Path, file: IO[bytes]) -> None:
    """A workbook is a zip archive of sheets, which are read as a whole."""
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if is_bomb(path.stat().st_size, unpacked):
        raise DataError(f"{path} of {path.stat().st_size:,} bytes is unpacked to {unpacked:,}: that is a bomb")
    file.seek(0)


def _record(path: Path, number: int, line: str) -> dict[str, str]:
    try:
        record = json.loads(
            line, parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=_without_repeats
        )
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} line {number} is not JSON ({error}). {_ONE_PER_LINE}") from None
    if not isinstance(record, dict):
        raise DataError(f"{path} line {number} holds no object. {_ONE_PER_LINE}")
    return {name: _cell(value) for name, value in record.items()}


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} twice")
    return record


def _strings(column: pd.Series) -> pd.Series:
    if column.dtype == object:
        return column.map(_cell).astype(str)
    if column.dtype == bool:
        return column.astype(int).astype(str)  # a label that is stored as true or false
    return column.astype(object).where(column.notna(), "").astype(str)


def _cell(value: Any) -> str:
    """A value as the text that would stand for it in a CSV; a list as JSON writes it."""
    if isinstance(value, str):
        return str(value)  # a plain one, of a _Number too
    if isinstance(value, (list, tuple, dict, np.ndarray)):
        return _nested(value)
    if pd.isna(value):
        return ""
    return str(int(value)) if isinstance(value, (bool, np.bool_)) else str(value)


def _nested(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_nested(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple, np.ndarray)):
        return "[" + ", ".join(map(_nested, value)) + "]"
    if isinstance(value, str) and not isinstance(value, _Number):
        return json.dumps(value, ensure_ascii=False)
    return _cell(value) or "null"
