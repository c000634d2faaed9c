"""Reading the files of a competition as strings, exactly as they are written.

Everything is read as text: ids keep their leading zeros, a tweet that says "NA" or "None" stays a tweet.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from compete.errors import DataError

_SEPARATORS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a bar"}


def read_tables(
    paths: Sequence[Path],
    separator: str | None = None,
    quoting: str = "minimal",
    encoding: str = "utf-8",
) -> pd.DataFrame:
    """Several files with the same columns as one table of strings."""
    tables = [read_table(path, separator, quoting, encoding) for path in paths]
    for path, table in zip(paths[1:], tables[1:], strict=True):
        if list(table.columns) != list(tables[0].columns):
            raise DataError(
                f"{path} has the columns {', '.join(table.columns)}, but {paths[0]} has "
                f"{', '.join(tables[0].columns)}: files that are read as one need the same columns"
            )
    return pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]


def read_table(
    path: Path, separator: str | None = None, quoting: str = "minimal", encoding: str = "utf-8"
) -> pd.DataFrame:
    """One CSV, TSV or parquet file as a table of strings.

    Raises DataError naming the file, the row where that is known, and the setting that would help.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist: check the path in competition.toml")
    if path.suffix == ".parquet":
        return _read_parquet(path)
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding
    separator = separator or guess_separator(path, encoding)
    _check_separator(path, separator, encoding)
    table = _promote_header(_read_csv(path, separator, quoting, encoding))
    _check_columns(table, path)
    _check_rows(table, path, separator, quoting, encoding)
    return table


def guess_separator(path: Path, encoding: str = "utf-8-sig") -> str:
    """Tab for .tsv and .txt (the official SemEval files), else comma; another one if the header has only that."""
    usual = default_separator(path)
    header = _header(path, encoding)
    return usual if usual in header else max(_SEPARATORS, key=header.count)


def _header(path: Path, encoding: str) -> str:
    try:
        with path.open(encoding=encoding, newline="") as file:
            return file.readline()
    except (UnicodeDecodeError, LookupError):
        return ""  # reading the whole file will say what is wrong


def default_separator(path: Path) -> str:
    return "\t" if path.suffix.lower() in {".tsv", ".txt", ".tab"} else ","


def _read_csv(path: Path, separator: str, quoting: str, encoding: str) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            # Rows longer than the header are only warned of, and then cut short.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                sep=separator,
                header=None,  # pandas renames a repeated column silently; _promote_header does not
                dtype=str,
                keep_default_na=False,
                encoding=encoding,
                quoting=csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL,
            )
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty") from None
    except pd.errors.ParserWarning as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    except pd.errors.ParserError as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        hint = "" if quoting == "none" else '; if quotes in the texts are plain characters, set quoting = "none"'
        raise DataError(
            f"{path} cannot be read with {_SEPARATORS.get(separator, repr(separator))} as separator: {reason}{hint}"
        ) from None
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(f"{path} is not {encoding.removesuffix('-sig')} text ({error}): set data.encoding") from None


def _promote_header(rows: pd.DataFrame) -> pd.DataFrame:
    """The first row becomes the column names, as they are written."""
    table = rows.iloc[1:].reset_index(drop=True)
    table.columns = pd.Index([str(name).strip() for name in rows.iloc[0]])
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a parquet file that can be read: {error}") from None
    flags = table.select_dtypes("bool").columns
    table[flags] = table[flags].astype(int)  # a label that is stored as true or false
    return table.astype(object).where(table.notna(), "").astype(str)


def _check_separator(path: Path, separator: str, encoding: str) -> None:
    header = _header(path, encoding)
    if separator in header:
        return
    for other, name in _SEPARATORS.items():
        if other in header:
            raise DataError(
                f"{path} has a single column when split at {_SEPARATORS.get(separator, repr(separator))}, "
                f"but its header contains {name}: set separator = {_toml_string(other)} in [data]"
            )


def _check_columns(table: pd.DataFrame, path: Path) -> None:
    columns = [str(column) for column in table.columns]
    repeated = {column for column in columns if columns.count(column) > 1}
    if repeated:
        raise DataError(f"{path} has the column {min(repeated)!r} twice")


def _check_rows(table: pd.DataFrame, path: Path, separator: str, quoting: str, encoding: str) -> None:
    row = _first_short_row(table, path, separator, quoting, encoding)
    if row is not None:
        raise DataError(
            f"{path} row {row} has fewer fields than the header ({table.shape[1]}). "
            'A quote or separator inside a text? See quoting ("none") and separator in [data].'
        )
    if quoting != "none":
        _check_swallowed_lines(table, path, separator)


def _first_short_row(table: pd.DataFrame, path: Path, separator: str, quoting: str, encoding: str) -> int | None:
    """Number, from 1, of the first row with too few fields.

    pandas fills such a row up with empty strings; so only a table with an empty last field is read again, by
    the csv module, to count.
    """
    if not (table.iloc[:, -1] == "").any():
        return None
    csv.field_size_limit(2**31 - 1)  # its default is shorter than some posts
    with path.open(encoding=encoding, newline="") as file:
        reader = (
            csv.reader(file, delimiter=separator, quoting=csv.QUOTE_NONE)
            if quoting == "none"
            else csv.reader(file, delimiter=separator)
        )
        rows = (row for row in reader if row)
        return next((number for number, row in enumerate(rows) if len(row) < table.shape[1]), None)


def _check_swallowed_lines(table: pd.DataFrame, path: Path, separator: str) -> None:
    """A stray opening quote makes a parser read whole rows as one field, without any error.

    A line of a text is such a row if it splits into as many fields and ends, as rows of labels do, in 0 or 1;
    prose with many commas does not. In a text of a tab-separated file any tab is suspicious.
    """
    fields = table.shape[1] - 1
    for column in table.columns:
        several_lines = table[column][table[column].str.contains("\n", regex=False)]
        for row, value in several_lines.items():
            if any(_looks_like_a_row(line, separator, fields) for line in value.split("\n")):
                raise DataError(
                    f"{path} row {int(str(row)) + 1}, column {column!r}: one quoted field contains what look like "
                    'whole rows. If quotes in this file are plain characters, set quoting = "none" in [data].'
                )


def _looks_like_a_row(line: str, separator: str, fields: int) -> bool:
    enough = line.count(separator) >= fields > 0
    return enough and (separator == "\t" or line.rsplit(separator, 1)[1].strip() in {"0", "1"})


def _toml_string(text: str) -> str:
    return '"\\t"' if text == "\t" else f'"{text}"'
