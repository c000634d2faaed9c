from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compete.competition.quoting import rows_of
from compete.competition.reading import read_table
from compete.errors import DataError

pytestmark = pytest.mark.slow

Layout = Callable[[str, str, str], list[str]]

# How a row is laid out: from id, text and label to fields; by its header.
LAYOUTS: dict[str, Layout] = {
    "id,joy,text": lambda i, text, label: [i, label, text],
    "id,text,joy": lambda i, text, label: [i, text, label],
    "text,id,joy": lambda i, text, label: [text, i, label],
    "id,text": lambda i, text, label: [i, text],
    "text,id": lambda i, text, label: [text, i],
}
STRAYS = {
    "closed in the middle of a text": ['"a good day', "b", '"c" she said', "d"],
    "closed at the end of a text": ['"a good day', "b", 'and "so on"', 'it is 5"', "d"],
    "closed by the next but one": ["x", '"open', "tall, 5'11\"", "y"],
}


def save(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


def plain(header: str, rows: Sequence[Sequence[str]], separator: str = ",") -> str:
    """A table as programs write it that know nothing of quotes."""
    return "".join(separator.join(row) + "\n" for row in [header.split(","), *rows])


@pytest.mark.parametrize("header", LAYOUTS)
@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("labels", [("0", "1"), ("0.0", "1.0"), ("False", "True")])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_rows_that_stray_quotes_swallow_are_never_lost(
    tmp_path: Path, header: str, stray: str, labels: tuple[str, str], separator: str
) -> None:
    texts = [text.replace(separator, " ") for text in STRAYS[stray]]
    rows = [LAYOUTS[header](f"r{n}", text, labels[n % 2]) for n, text in enumerate(texts)]
    path = save(tmp_path / "test.csv", plain(header, rows, separator))
    with pytest.raises(DataError, match='set quoting = "none"'):
        read_table(path, separator)
    assert read_table(path, separator, quoting="none")["text"].tolist() == texts


def test_the_lines_are_named_and_both_ways_out(tmp_path: Path) -> None:
    path = save(tmp_path / "test.csv", 'id,text\nr0,x\nr1,"a good day\nr2,b\nr3,ends so"\nr4,d\n')
    with pytest.raises(DataError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "test.csv lines 3 to 5, column 'text'" in message
    assert "3 rows are read, 5 without quotes" in message
    assert 'quoting = "none"' in message and 'quoting = "minimal"' in message
    assert read_table(path, quoting="minimal")["id"].tolist() == ["r0", "r1", "r4"]  # who says so is believed


def test_a_stray_quote_in_a_file_that_needs_its_quotes_is_to_be_mended(tmp_path: Path) -> None:
    rows = 'r0,"one, two",1\nr1,"stray,0\nr2,three,0\nr3,he is 5",1\nr4,"four, five",0\n'
    path = save(tmp_path / "train.csv", "id,text,joy\n" + rows)
    with pytest.raises(DataError, match=r"lines 3 to 5, .*Close the quote there, or write it twice"):
        read_table(path)


def test_ids_like_hashes_are_known_by_their_characters(tmp_path: Path) -> None:
    ids = [f"{(n * 2654435761) % 36**6:06x}" for n in range(1, 60)]
    texts = ["some words"] * len(ids)
    texts[30], texts[33] = '"opens', 'closes"'
    path = save(tmp_path / "test.csv", plain("id,text", list(zip(ids, texts, strict=True))))
    with pytest.raises(DataError, match="lines 32 to 35"):
        read_table(path)


@pytest.mark.parametrize(
    "text",
    [
        "one, two,\nthree, four, five,\nsix",
        "dear all\nHowever, I think so",
        "a list\n1, first\n2, second",
        "a blank line\n\nand, then",
        "two\nlines and a comma,",
        'he said ""\n"no",\nand left',
        "of labels, 0\nr, 1",
        "\n",
    ],
)
@pytest.mark.parametrize("header", LAYOUTS)
@pytest.mark.parametrize("rows", [3, 100])
def test_texts_of_several_lines_that_a_writer_quoted_are_read(
    tmp_path: Path, text: str, header: str, rows: int
) -> None:
    path = tmp_path / "train.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header.split(","))
        writer.writerows(LAYOUTS[header](f"2018-En-{n:05d}", text, str(n % 2)) for n in range(rows))
    assert read_table(path)["text"].tolist() == [text] * rows


def test_an_id_that_is_there_already_begins_no_row(tmp_path: Path) -> None:
    """A numbered list in a table whose ids are numbers, none of which is missing."""
    texts = ["x"] * 30
    texts[7] = "to do\n10,walk the dog"
    path = tmp_path / "test.csv"
    pd.DataFrame({"id": range(30), "text": texts}).assign(id=lambda t: t["id"].astype(str)).to_csv(path, index=False)
    assert read_table(path)["text"].tolist() == texts


def test_a_quote_closed_within_one_line_asks_for_none_only_where_that_reads_the_file(tmp_path: Path) -> None:
    bare = save(tmp_path / "bare.csv", 'id,text\nr0,"c" she said\nr1,d\n')
    with pytest.raises(DataError, match=r"line 2, .*closed in the middle .*quoting = \"none\""):
        read_table(bare)
    assert read_table(bare, quoting="none")["text"].tolist() == ['"c" she said', "d"]
    mixed = save(tmp_path / "mixed.csv", 'id,text\nr0,"c" she said\nr1,"d, e"\n')
    assert read_table(mixed)["text"].tolist() == ["c she said", "d, e"]


def test_quotes_in_the_middle_of_texts_and_blanks_behind_quoted_ones_are_nothing_special(tmp_path: Path) -> None:
    path = save(tmp_path / "test.csv", 'id,text\nr0,she said "c"\nr1,5\'11"\nr2,"d" \n')
    assert read_table(path)["text"].tolist() == ['she said "c"', "5'11\"", "d "]


def test_a_quote_that_is_never_closed_is_named_with_its_line(tmp_path: Path) -> None:
    path = save(tmp_path / "test.csv", 'id,text\nr0,"two\nlines"\nr1,"open\nr2,b\n')
    with pytest.raises(DataError, match=r"line 4 is never closed; .*quoting = \"none\""):
        read_table(path)


TEXTS = st.text(st.sampled_from("ab \",;\n\t'“"), max_size=12)
TABLES = st.lists(st.tuples(TEXTS, st.sampled_from("01")), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    rows=TABLES,
    header=st.sampled_from(sorted(LAYOUTS)),
    separator=st.sampled_from(",;\t"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_a_csv_writer_writes_reads_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    header: str,
    separator: str,
    quoting: Literal[0, 1, 2],
    line_end: str,
) -> None:
    path = tmp_path_factory.mktemp("written") / "train.csv"
    expected = [LAYOUTS[header](f"2018-En-{n:05d}", text, label) for n, (text, label) in enumerate(rows)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=line_end)
        writer.writerows([header.split(","), *expected])
    assert read_table(path, separator).to_numpy().tolist() == expected
    pd.DataFrame(expected, columns=header.split(",")).to_csv(path, sep=separator, index=False, quoting=quoting)
    assert read_table(path, separator).to_numpy().tolist() == expected


@settings(max_examples=300, deadline=None)
@given(
    texts=st.lists(st.text(st.sampled_from("ab \"'5"), min_size=1, max_size=8), min_size=1, max_size=8),
    header=st.sampled_from(sorted(LAYOUTS)),
    separator=st.sampled_from(",\t"),
)
def test_planted_quotes_never_lose_a_row(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], header: str, separator: str
) -> None:
    path = tmp_path_factory.mktemp("planted") / "train.csv"
    rows = [LAYOUTS[header](f"r{n}", text, str(n % 2)) for n, text in enumerate(texts)]
    save(path, plain(header, rows, separator))
    try:
        table = read_table(path, separator)
    except DataError:
        return
    assert table["id"].tolist() == [f"r{n}" for n in range(len(texts))]


@settings(max_examples=300, deadline=None)
@given(content=st.text(st.sampled_from('a",\n\r'), max_size=30))
def test_rows_are_counted_as_the_csv_module_and_pandas_count_them(content: str) -> None:
    counted = [row.fields for row in rows_of(io.StringIO(content, newline=""), ",")]
    by_csv = [len(row) for row in csv.reader(io.StringIO(content, newline="")) if row]
    assert counted == by_csv
    try:
        table = pd.read_csv(
            io.StringIO("x,x,x,x,x,x\n" + content, newline=""), header=None, dtype=str, keep_default_na=False
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError):
        return
    # pandas loses a row that begins with an empty field behind an empty line that only a carriage return ends.
    assert len(table) == len(counted) + 1 or "\r," in content


def test_a_row_that_pandas_loses_is_missed(tmp_path: Path) -> None:
    path = save(tmp_path / "test.csv", "id,text\n1,x\n\r,\n3,z\n")
    with pytest.raises(DataError, match=r"test\.csv: 2 rows are read, and 3 are there\. .*carriage returns"):
        read_table(path)
