from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compete.competition.reading import default_separator, read_table, read_tables
from compete.errors import DataError

# What real posts and real exports contain, and what must come back to the last character.
AWKWARD_TEXTS = [
    'she said "never again", and left',
    "two\nlines",
    "a Windows\r\nline end",
    "an empty line\n\nbetween",
    "commas, tabs\tand; semicolons | bars",
    "  spaces at both ends  ",
    '"quoted from end to end"',
    "it's '' fine \\n \\",
    "naïve café 😂 \u200d \ufeff",
    "NA",
    "None",
    "null",
    "nan",
    "",
    "#comment?",
    "1e5",
    "TRUE",
]


def save(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


def save_quoted(path: Path, texts: list[str], separator: str, line_end: str = "\n") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator=line_end)
        writer.writerow(["id", "text", "joy"])
        writer.writerows([f"{number:03d}", text, "1"] for number, text in enumerate(texts))
    return path


@pytest.mark.parametrize("name", ["train.csv", "train.tsv", "train.txt"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_texts_survive_to_the_last_character(tmp_path: Path, name: str, line_end: str) -> None:
    path = save_quoted(tmp_path / name, AWKWARD_TEXTS, default_separator(Path(name)), line_end)
    table = read_table(path)
    assert list(table.columns) == ["id", "text", "joy"]
    assert table["text"].tolist() == AWKWARD_TEXTS
    assert table["id"].tolist() == [f"{number:03d}" for number in range(len(AWKWARD_TEXTS))]
    assert set(table["joy"]) == {"1"}


# A NUL and a lone surrogate cannot stand in a UTF-8 CSV file at all.
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(LINES, min_size=1, max_size=6))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("any") / "train.csv"
    # Quoted by hand: csv.writer leaves a lone carriage return bare, which ends a row.
    rows = "".join('"{}","{}"\n'.format(number, text.replace('"', '""')) for number, text in enumerate(texts))
    assert read_table(save(path, "id,text\n" + rows))["text"].tolist() == texts


def test_parquet_gives_the_same_strings(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    ids = [f"{number:03d}" for number in range(len(AWKWARD_TEXTS))]
    pd.DataFrame({"id": ids, "text": AWKWARD_TEXTS, "joy": [1] * len(ids)}).to_parquet(path)
    table = read_table(path)
    assert table["text"].tolist() == AWKWARD_TEXTS
    assert table["id"].tolist() == ids
    assert set(table["joy"]) == {"1"}


def test_nothing_in_a_parquet_file_is_an_empty_string(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pd.DataFrame({"id": ["a", "b"], "text": ["x", None]}).to_parquet(path)
    assert read_table(path)["text"].tolist() == ["x", ""]


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pd.DataFrame({"id": ["a"]}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"train\.parquet is not a parquet file"):
        read_table(path)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    table = read_table(save(tmp_path / "train.csv", "\ufeffid,text\na,x\n"))
    assert list(table.columns) == ["id", "text"]


def test_declared_encodings_are_used(tmp_path: Path) -> None:
    path = save(tmp_path / "train.csv", "id,text\na,café\n", "latin-1")
    assert read_table(path, encoding="latin-1")["text"].tolist() == ["café"]
    with pytest.raises(DataError, match=r"train\.csv is not utf-8.*text .*: set data\.encoding"):
        read_table(path)
    with pytest.raises(DataError, match=r"set data\.encoding"):
        read_table(path, encoding="utf-nine")


def test_bare_quotes_are_characters_when_quoting_is_none(tmp_path: Path) -> None:
    texts = ['"so it begins', 'he said "no" "', '""', 'ends with "']
    path = save(tmp_path / "train.txt", "ID\tTweet\n" + "".join(f"{n}\t{text}\n" for n, text in enumerate(texts)))
    assert read_table(path, quoting="none")["Tweet"].tolist() == texts


def test_a_stray_quote_that_swallows_tab_separated_rows_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "train.txt", 'ID\tTweet\na\tone\nb\t"stray\nc\ttwo\nd\tclosed"\ne\tthree\n')
    with pytest.raises(DataError, match=r"lines 3 to 5, column 'Tweet': .*whole rows.*quoting = \"none\""):
        read_table(path)


def test_a_stray_quote_that_swallows_comma_separated_rows_is_noticed(tmp_path: Path) -> None:
    header = "id,text,joy,anger,fear,trust,love\n"
    path = save(tmp_path / "train.csv", header + 'a,"stray,0,0,0,0,0\nb,x,0,1,0,0,0\nc,"closed",0,0,0,0,0\n')
    with pytest.raises(DataError, match=r"quoting = \"none\""):
        read_table(path)


def test_a_quote_that_is_never_closed_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "train.txt", 'ID\tTweet\na\tone\nb\t"stray\nc\ttwo\n')
    with pytest.raises(DataError, match=r"quoting = \"none\""):
        read_table(path)


def test_prose_with_many_commas_over_many_lines_is_no_swallowed_row(tmp_path: Path) -> None:
    text = "one, two,\nthree, four, five,\nsix"
    path = save_quoted(tmp_path / "train.csv", [text], ",")
    assert read_table(path)["text"].tolist() == [text]


@pytest.mark.parametrize(
    ("separator", "name", "shown"),
    [(";", "train.csv", '";"'), ("\t", "train.csv", '"\\t"'), ("|", "train.csv", '"|"'), (",", "train.tsv", '","')],
)
def test_a_wrong_separator_names_the_right_one(tmp_path: Path, separator: str, name: str, shown: str) -> None:
    path = save_quoted(tmp_path / name, ["x", "y"], separator)
    declared = "," if separator != "," else "\t"
    with pytest.raises(DataError) as caught:
        read_table(path, declared)
    assert f"set separator = {shown} in [data]" in str(caught.value)
    assert read_table(path, separator)["text"].tolist() == ["x", "y"]
    assert read_table(path)["text"].tolist() == ["x", "y"]  # undeclared, the header tells


def test_the_usual_separator_is_preferred_to_a_more_frequent_one(tmp_path: Path) -> None:
    path = save(tmp_path / "train.txt", "id\ttext, with, commas\na\tx\n")
    assert read_table(path).columns.tolist() == ["id", "text, with, commas"]


@pytest.mark.parametrize("quoting", ["minimal", "none"])
def test_a_row_that_is_too_short_is_named(tmp_path: Path, quoting: str) -> None:
    path = save(tmp_path / "train.csv", "id,text,joy\na,x,1\n\nb,y\nc,z,0\n")
    with pytest.raises(DataError, match=r"train\.csv row 2 has fewer fields than the header \(3\)"):
        read_table(path, quoting=quoting)


def test_a_carriage_return_inside_a_text_splits_a_row_and_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "train.txt", "ID\tTweet\na\tx\ry\nb\tz\n")
    with pytest.raises(DataError, match="row 2 has fewer fields"):
        read_table(path, quoting="none")


def test_labels_stored_as_booleans_are_labels(tmp_path: Path) -> None:
    pd.DataFrame({"id": ["a", "b"], "joy": [True, False]}).to_parquet(tmp_path / "train.parquet")
    assert read_table(tmp_path / "train.parquet")["joy"].tolist() == ["1", "0"]


def test_a_row_that_is_too_long_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "train.csv", "id,text\na,x\nb,y,z\nc,w\n")
    with pytest.raises(DataError, match=r"train\.csv .*line 3\b"):
        read_table(path)


def test_a_row_of_empty_fields_is_not_too_short(tmp_path: Path) -> None:
    table = read_table(save(tmp_path / "train.csv", "id,text,joy\na,,\n"))
    assert table.iloc[0].tolist() == ["a", "", ""]


def test_a_long_file_is_checked_to_its_last_row(tmp_path: Path) -> None:
    rows = "".join(f"{number},{'x' * 90}\n" for number in range(20_000))
    path = save(tmp_path / "train.csv", "id,text\n" + rows + "last,too,long\n")
    with pytest.raises(DataError, match="line 20002"):
        read_table(path)


def test_a_repeated_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.csv has the column 'joy' twice"):
        read_table(save(tmp_path / "train.csv", "id,joy,text,joy\na,1,x,0\n"))


def test_an_empty_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.csv is empty"):
        read_table(save(tmp_path / "train.csv", ""))
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist: check the path"):
        read_table(tmp_path / "nowhere.csv")


def test_several_files_are_one_table_in_the_order_given(tmp_path: Path) -> None:
    first = save(tmp_path / "a.csv", "id,text\n1,x\n2,y\n")
    second = save(tmp_path / "b.csv", "id,text\n3,z\n")
    table = read_tables([second, first])
    assert table["id"].tolist() == ["3", "1", "2"]
    assert table.index.tolist() == [0, 1, 2]


def test_several_files_with_unlike_columns_are_refused(tmp_path: Path) -> None:
    first = save(tmp_path / "a.csv", "id,text\n1,x\n")
    second = save(tmp_path / "b.csv", "text,id\nz,3\n")
    with pytest.raises(DataError, match=r"b\.csv has the columns text, id, but .*a\.csv has id, text"):
        read_tables([first, second])


def test_prose_of_many_lines_and_commas_is_no_swallowed_row_in_a_table_of_labels(tmp_path: Path) -> None:
    text = "what a day\nI like apples, pears, plums, figs, dates, nuts, kiwis, and so on."
    path = tmp_path / "train.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text", *"abcdef"], ["1", text, *"010010"]])
    assert read_table(path)["text"].tolist() == [text]


def test_a_text_longer_than_the_csv_modules_own_limit(tmp_path: Path) -> None:
    path = save(tmp_path / "test.csv", f"id,text\na,{'x' * 200_000}\nb,\n")
    assert read_table(path)["text"].str.len().tolist() == [200_000, 0]
