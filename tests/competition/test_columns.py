from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest

from compete.competition.columns import Columns, guess_columns, mean_words

SENTENCES = ["what a good day", "how rotten, and furious", "NA or nothing at all", "the sun is out again"]


def table(columns: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({name: [str(value) for value in values] for name, values in columns.items()})


def guess(
    train: Mapping[str, Any] | None = None,
    test: Mapping[str, Any] | None = None,
    sample: Mapping[str, Any] | None = None,
) -> Columns:
    return guess_columns(*(None if each is None else table(each) for each in (train, test, sample)))


@pytest.mark.parametrize(
    "name",
    ["id", "ID", "Id", "textID", "tweet_id", "tweetid", "Comment Id", "PhraseId", "qid", "uuid", "row_id", "key"],
)
def test_an_id_is_told_by_its_name_wherever_it_stands(name: str) -> None:
    columns = {"text": SENTENCES, "source": ["a1", "a2", "a3", "a4"], name: ["x1", "x2", "x3", "x4"]}
    found = guess({**columns, "joy": [0, 1, 0, 1], "anger": [1, 0, 0, 1]}, columns)
    assert (found.id, found.text, found.labels) == (name, "text", ("joy", "anger"))


@pytest.mark.parametrize(
    "name",
    [
        "text",
        "Text",
        "comment_text",
        "tweet",
        "Tweet",
        "tweet_text",
        "content",
        "sentence",
        "body",
        "review",
        "full_text",
    ],
)
def test_a_text_is_told_by_its_name_before_a_longer_column(name: str) -> None:
    columns = {
        "id": [1, 2, 3, 4],
        "source_url": [f"https://example.com/a-very-long-address/of/many/parts?number={n}" for n in range(4)],
        "user_description": ["somebody who likes to write long things about himself"] * 4,
        name: ["so so", "well", "oh no", "fine by me"],
    }
    assert guess({**columns, "joy": [0, 1, 0, 1]}, columns).text == name


def test_without_telling_names_the_content_tells() -> None:
    columns = {"a": ["u1", "u1", "u2", "u3"], "b": ["n7", "n8", "n9", "n6"], "c": SENTENCES, "d": [0.5, 0.25, 0.125, 1]}
    found = guess({**columns, "e": [0, 1, 1, 0]}, columns)
    assert (found.id, found.text, found.labels) == ("b", "c", ("e",))


def test_words_are_counted_in_languages_without_blanks_and_not_in_addresses() -> None:
    assert mean_words(pd.Series(["今天天气很好"])) == 3
    assert mean_words(pd.Series(["see https://example.com/a/b/c now", ""])) == 1
    assert mean_words(pd.Series(["1 2 3", "4"])) == mean_words(pd.Series([], dtype=str)) == 0
    columns = {"Id": [1, 2], "url": ["http://a.b/c", "http://a.b/d"], "内容": ["今天天气很好", "我不喜欢这个电影"]}
    assert guess({**columns, "喜": [1, 0]}, columns).text == "内容"


@pytest.mark.parametrize("index", ["", "Unnamed: 0", "index"])
def test_a_saved_index_is_the_id_only_where_there_is_nothing_better(index: str) -> None:
    columns = {index: [0, 1, 2, 3], "text": SENTENCES}
    alone = guess({**columns, "joy": [0, 1, 0, 1]}, columns)
    assert (alone.id, alone.labels) == (index, ("joy",))
    assert "saved index" in alone.reasons["id"]
    beside = {**columns, "code": ["d", "c", "b", "a"]}
    found = guess({**beside, "joy": [0, 1, 0, 1]}, beside)
    assert (found.id, found.labels) == ("code", ("joy",))


def test_a_saved_index_of_two_rows_is_no_label() -> None:
    columns = {"": [0, 1], "id": ["a", "b"], "text": ["so so", "oh no"]}
    assert guess({**columns, "joy": [1, 0]}, columns).labels == ("joy",)


def test_the_published_columns_of_goemotions() -> None:
    """Several people rated each comment; only parent_id happens to be unique here."""
    rows = 40
    columns = {
        "text": [f"{SENTENCES[n % 4]}, {'so ' * (n % 5)}it goes" for n in range(rows)],
        "id": [f"eew{n // 2}" for n in range(rows)],
        "author": [f"author {n % 7}" for n in range(rows)],
        "subreddit": ["nrl", "funny"] * (rows // 2),
        "link_id": [f"t3_{n // 3}" for n in range(rows)],
        "parent_id": [f"t1_{n}" for n in range(rows)],
        "created_utc": [1548381039.0 + n for n in range(rows)],
        "rater_id": [n % 2 for n in range(rows)],
        "example_very_unclear": [n % 9 == 0 for n in range(rows)],
        "admiration": [n % 2 for n in range(rows)],
        "grief": [0] * rows,
        "joy": [int(n % 3 == 0) for n in range(rows)],
    }
    found = guess(columns)
    assert (found.id, found.text, found.labels) == ("id", "text", ("admiration", "grief", "joy"))
    assert "values are there twice" in found.reasons["id"]
    assert set(found.left_out) == set(columns) - {"id", "text", "admiration", "grief", "joy"}
    assert "another way" in found.left_out["example_very_unclear"]


def test_a_column_that_test_has_too_is_no_label() -> None:
    columns = {"id": [1, 2, 3], "text": ["a b", "c d", "e f"], "is_reply": [0, 1, 0]}
    found = guess({**columns, "joy": [0, 1, 1]}, columns)
    assert (found.labels, found.left_out) == (("joy",), {"is_reply": "in test too"})


@pytest.mark.parametrize("cell", ["NONE", "0", ""])
def test_label_columns_that_stand_empty_in_test_are_labels(cell: str) -> None:
    columns = {"id": [1, 2], "text": ["a b", "c d"]}
    found = guess({**columns, "joy": [0, 1]}, {**columns, "joy": [cell, cell]})
    assert (found.labels, found.left_out) == (("joy",), {})


def test_a_test_file_with_its_labels_leaves_them_labels() -> None:
    columns = {"id": [1, 2], "text": ["a b", "c d"], "joy": [0, 1]}
    assert guess(columns, columns).labels == ("joy",)


def test_the_sample_decides_on_labels_and_their_order() -> None:
    train = {"id": [1, 2], "text": ["a b", "c d"], "joy": [0, 1], "severity": [0, 1], "anger": ["yes", "no"]}
    found = guess(train, {"id": [3, 4], "text": ["e f", "g h"]}, {"id": [3, 4], "anger": [0, 0], "joy": [0, 0]})
    assert (found.labels, found.left_out) == (("anger", "joy"), {"severity": "not in the sample submission"})


def test_a_sample_with_a_label_that_train_lacks_says_so() -> None:
    found = guess({"id": [1, 2], "text": ["a b", "c d"], "joy": [0, 1]}, None, {"id": [3], "joy": [0], "trust": [0]})
    assert found.labels == ("joy", "trust")
    assert "train has no trust" in found.reasons["labels"]


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        (
            ["joy|love", "anger", "joy", "anger|joy"],
            "emotions seems to hold several labels in one cell, parted by a bar",
        ),
        (["[0, 1]", "[2]", "[1]", "[0]"], "emotions seems to hold a list of labels"),
        (["joy", "anger", "joy", "anger"], "emotions seems to hold one class per row"),
    ],
)
@pytest.mark.parametrize("with_sample", [True, False])
def test_labels_in_another_form_are_left_to_fill_in_with_what_makes_them(
    cells: list[str], what: str, with_sample: bool
) -> None:
    columns = {"id": [1, 2, 3, 4], "lang": ["en", "de", "en", "de"], "text": SENTENCES}
    sample = {"id": [1, 2, 3, 4], "joy": [0] * 4} if with_sample else None
    found = guess({**columns, "emotions": cells}, columns, sample)
    if what.endswith("row") and with_sample:
        return  # lang may be meant as well as emotions
    assert found.labels == ()
    assert found.reasons["labels"].startswith(what)
    assert found.to_make_labels is not None and "train['emotions']" in found.to_make_labels


def test_a_label_with_other_values_says_which() -> None:
    columns = {"id": [1, 2, 3, 4], "text": SENTENCES}
    found = guess({**columns, "joy": [0, 0, 1, 3]}, columns, {"id": [1, 2, 3, 4], "joy": [0] * 4})
    assert found.labels == ()
    assert found.reasons["labels"] == "joy holds other values than 0 and 1 in train: '3'"


def test_what_cannot_be_told_is_left_open_with_the_reason() -> None:
    found = guess({"a": ["x", "x"], "joy": [0, 1]}, {"b": ["y", "z"]})
    assert (found.id, found.text) == (None, None)
    assert found.reasons["id"] == "no column is in all files"
    assert found.reasons["text"] == "train and test share no further column"
    found = guess({"id": [1, 2], "score": [3, 4], "joy": [0, 1]}, {"id": [3, 4], "score": [3, 4]})
    assert (found.id, found.text) == ("id", None)
    assert found.reasons["text"] == "none of score is called like a text or holds sentences"


def test_other_long_columns_are_said() -> None:
    columns = {
        "id": [1, 2],
        "text": ["a b c d e", "c d e f g"],
        "title": ["one two three four", "five six seven eight"],
    }
    assert "words are in title too" in guess({**columns, "joy": [0, 1]}, columns).reasons["text"]


def test_a_sample_alone_and_a_test_file_alone() -> None:
    alone = guess(None, None, {"id": [1, 2], "joy": [0, 0]})
    assert (alone.id, alone.text, alone.labels) == ("id", None, ("joy",))
    alone = guess(None, {"id": [1, 2], "text": ["a b", "c d"]})
    assert (alone.id, alone.text, alone.labels) == ("id", "text", ())
