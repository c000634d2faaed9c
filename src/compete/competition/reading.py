"""Reading the files of a competition as strings, exactly as they are written.

Everything is read as text: ids keep their leading zeros, a tweet that says "NA" or "None" stays a tweet.
"""

from __future__ import annotations

import csv
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath

import pandas as pd

from compete.competition.data_files import kind_of, open_text, refuse_long_lines, unpacked_name
from compete.competition.quoting import Row, refuse_stray_quotes, rows_of, unclosed
from compete.competition.table_formats import read_json_lines, read_parquet, read_workbook, refuse_many_columns
from compete.data_bounds import LONGEST_LINE
from compete.errors import DataError

_SEPARATORS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a bar"}


def read_tables(
    paths: Sequence[Path],
    separator: str | None = None,
    quoting: str | None = None,
    encoding: str = "utf-8",
    *,
    checked: bool = False,
) -> pd.DataFrame:
    """Several files with the same columns as one table of strings."""
    tables = [read_table(path, separator, quoting, encoding, checked=checked) for path in paths]
    for path, table in zip(paths[1:], tables[1:], strict=True):
        if list(table.columns) != list(tables[0].columns):
            raise DataError(
                f"{path} has the columns {', '.join(table.columns)}, but {paths[0]} has "
                f"{', '.join(tables[0].columns)}: files that are read as one need the same columns"
            )
    return pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]


def read_table(
    path: Path,
    separator: str | None = None,
    quoting: str | None = None,
    encoding: str = "utf-8",
    *,
    checked: bool = False,
) -> pd.DataFrame:
    """One CSV, TSV, JSON-lines, parquet or Excel file as a table of strings; packed or not.

    quoting: as in competition.toml; None reads quotes as CSV writers write them and looks for strays, unless the file
    was `checked` before. encoding: of text that has no byte order mark.

    Raises DataError naming the file, the row or line where that is known, and the setting that would help.
    """
    if not path.is_file():
        what = "is no file" if path.exists() else "does not exist"
        raise DataError(f"{path} {what}: check the path in competition.toml")
    kind, _ = kind_of(path)
    if kind in ("text", "json lines") and not checked:
        refuse_long_lines(path)
    if kind == "text":
        return _read_text(path, separator or guess_separator(path, encoding), quoting, encoding, checked=checked)
    if kind == "json lines":
        return read_json_lines(path, encoding)
    table = read_parquet(path) if kind == "parquet" else read_workbook(path)
    _check_columns(table, path)
    return table


def guess_separator(path: Path, encoding: str = "utf-8") -> str:
    """Tab for .tsv and .txt (the official SemEval files), else comma; another one if the header has only that."""
    usual = default_separator(kind_of(path)[1])
    header = header_line(path, encoding)
    return usual if usual in header else max(_SEPARATORS, key=header.count)


def header_line(path: Path, encoding: str = "utf-8") -> str:
    """The first line of a text file."""
    with open_text(path, encoding) as file:
        line = file.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE:
        raise DataError(f"{path} has a line of more than {LONGEST_LINE // 2**20} MiB: is it text, with line ends?")
    return line


def default_separator(path: PurePath) -> str:
    """By the file's ending, whatever it is packed in."""
    return "\t" if unpacked_name(path).suffix.lower() in {".tsv", ".txt", ".tab"} else ","


def _read_text(path: Path, separator: str, quoting: str | None, encoding: str, *, checked: bool) -> pd.DataFrame:
    _check_separator(path, separator, encoding)
    refuse_many_columns(path, header_line(path, encoding).count(separator) + 1)
    table = _promote_header(_read_csv(path, separator, quoting, encoding))
    _check_columns(table, path)
    if checked:
        return table
    with open_text(path, encoding) as file:
        rows = _checked(rows_of(file, separator, quotes=quoting != "none"), path, table)
        if quoting is None:
            refuse_stray_quotes(path, table, separator, encoding, rows)
        else:
            deque(rows, maxlen=0)  # to the end, for the checks of `_checked` alone
    return table


def _read_csv(path: Path, separator: str, quoting: str | None, encoding: str) -> pd.DataFrame:
    try:
        with open_text(path, encoding) as file, warnings.catch_warnings():
            # Rows longer than the header are only warned of, and then cut short.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                file,
                sep=separator,
                header=None,  # pandas renames a repeated column silently; _promote_header does not
                dtype=str,
                keep_default_na=False,
                quoting=csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL,
            )
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty") from None
    except pd.errors.ParserWarning as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    except pd.errors.ParserError as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataError(
            f"{path} cannot be read with {_SEPARATORS.get(separator, repr(separator))} as separator: "
            + (reason if quoting == "none" else _with_quotes(reason, path, separator, encoding))
        ) from None


def _with_quotes(reason: str, path: Path, separator: str, encoding: str) -> str:
    """What the parser said, in lines of the file where a quote is never closed, and what may help."""
    with open_text(path, encoding) as file:
        line = unclosed(rows_of(file, separator))
    reason = reason if line is None else f"the quote that opens a field in line {line} is never closed"
    return f'{reason}; if quotes in the texts are plain characters, set quoting = "none"'


def _promote_header(rows: pd.DataFrame) -> pd.DataFrame:
    """The first row becomes the column names, as they are written."""
    table = rows.iloc[1:].reset_index(drop=True)
    table.columns = pd.Index([str(name).strip() for name in rows.iloc[0]])
    return table


def _check_separator(path: Path, separator: str, encoding: str) -> None:
    header = header_line(path, encoding)
    if separator in header:
        return
    for other, name in _SEPARATORS.items():
        if other in header:
            raise DataError(
                f"{path} has a single column when split at {_SEPARATORS.get(separator, repr(separator))}, "
                f"but its header contains {name}: set separator = {_toml_string(other)} in [data]"
            )


def _check_columns(table: pd.DataFrame, path: Path) -> None:
    repeated = [column for column, count in Counter(map(str, table.columns)).items() if count > 1]
    if repeated:
        raise DataError(f"{path} has the column {min(repeated)!r} twice")


def _checked(rows: Iterable[Row], path: Path, table: pd.DataFrame) -> Iterator[Row]:
    """The file's rows as they come; raises DataError where pandas filled one up with empty strings, or left one out."""
    fields, number = table.shape[1], 0
    for number, row in enumerate(rows):  # the header is number 0
        if row.fields < fields:
            raise DataError(
                f"{path} row {number} has fewer fields than the header ({fields}). "
                'A quote or separator inside a text? See quoting ("none") and separator in [data].'
            )
        yield row
    if number != len(table):
        raise DataError(
            f"{path}: {len(table)} rows are read, and {number} are there. Does the file have carriage returns as line "
            "ends? Save it with other ones."
        )


def _toml_string(text: str) -> str:
    return '"\\t"' if text == "\t" else f'"{text}"'
