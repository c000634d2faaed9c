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
    ("cells", "task", "separator", "why"),
    [
        (["joy|love", "anger", "joy", ""], "multilabel", "|", "several labels in one cell, parted by a bar"),
        (["[0, 1]", "[2]", "[1]", "[0]"], "multilabel", "json", "a list of labels"),
        (['["joy", "love"]', '["joy"]', "[]", "[]"], "multilabel", "json", "a list of labels"),
        (["joy", "anger", "joy", "anger"], "multiclass", None, "one class per row"),
        (["1", "0", "1", "0"], "binary", None, "0 or 1 in one column"),
        (["spam", "ham", "ham", "spam"], "multiclass", None, "one class per row"),
        (["0.5", "0.25", "0.5", "1"], "regression", None, "numbers with fractions, 3 different ones"),
        (["4", "0", "4", "0"], "multiclass", None, "two classes, 0, 4"),
        (
            ["-1", "0", "1", "0"] * 4,
            "ordinal",
            None,
            'few whole grades, -1, 0, 1; another reading is task = "regression"',
        ),
        (["1", "5", "6", "1"] * 4, "multiclass", None, "few whole numbers with gaps between them, 1, 5, 6"),
        ([str(n) for n in range(40)], "regression", None, "whole numbers, 40 different ones"),
    ],
)
@pytest.mark.parametrize("with_sample", [True, False])
def test_one_column_tells_the_task(
    cells: list[str], task: str, separator: str | None, why: str, with_sample: bool
) -> None:
    rows = len(cells)
    columns = {
        "id": [f"a{n}" for n in range(rows)],
        "lang": ["en", "de"] * (rows // 2),
        "text": SENTENCES * (rows // 4),
    }
    sample = {"id": columns["id"], "emotions": [cells[0]] * rows} if with_sample else None
    found = guess({**columns, "emotions": cells}, columns, sample)
    assert (found.labels, found.task, found.separator) == (("emotions",), task, separator)
    assert why in found.reasons["task"]
    assert found.to_make_labels is None


@pytest.mark.parametrize(
    ("cells", "task", "why"),
    [
        ({"x": ["0.5", "1", "0", "0"], "y": ["0", "1", "0", "1"]}, "regression", "2 columns of numbers with fractions"),
        (
            {"x": ["0", "1", "2", "3"] * 4, "y": ["0"] * 16},
            "ordinal",
            "few whole grades, 0, 1, 2, 3; another reading is",
        ),
        ({"x": [str(n) for n in range(16)], "y": ["0"] * 16}, "regression", "2 columns of whole numbers, 16 different"),
        ({"x": ["0", "1"], "y": ["1", "1"]}, "multilabel", ""),
        ({"x": ["0", "1"], "y": ["1", "0"]}, "multilabel", 'exactly one of them, so task = "multiclass" would fit too'),
    ],
)
def test_several_columns_tell_the_task(cells: dict[str, list[str]], task: str, why: str) -> None:
    rows = len(cells["x"])
    columns = {"id": [f"a{n}" for n in range(rows)], "text": (SENTENCES * 4)[:rows]}
    found = guess({**columns, **cells}, columns, {"id": columns["id"], **{name: ["0"] * rows for name in cells}})
    assert (found.labels, found.task) == (("x", "y"), task)
    assert why in found.reasons.get("task", "")


def test_without_a_sample_the_numbers_that_test_lacks_are_predicted() -> None:
    columns = {"id": [1, 2, 3, 4], "text": SENTENCES, "length": [11, 22, 33, 44]}
    found = guess({**columns, "x": ["0.5", "1.5", "2", "9"], "y": ["4", "1", "7", "2"]}, columns)
    assert (found.labels, found.task) == (("x", "y"), "regression")
    assert found.left_out == {"length": "in test too"}


def test_a_few_odd_cells_make_no_grades_of_labels() -> None:
    cells = ["0", "1"] * 100
    columns = {"id": range(200), "text": SENTENCES * 50}
    few, more = [*cells[:-1], "2"], [*cells[:-8], *["2"] * 8]
    for odd, task in ((few, None), (more, "ordinal")):
        found = guess({**columns, "joy": odd}, columns, {"id": range(200), "joy": [0] * 200})
        assert found.task == task


@pytest.mark.parametrize(
    ("cells", "named", "task", "separator"),
    [
        (["EAP", "HPL", "MWS", "HPL"], ["HPL", "EAP", "MWS"], "multiclass", None),
        (["EAP HPL", "HPL", "MWS", "HPL"], ["HPL", "EAP HPL", "MWS"], "multiclass", None),
        (["EAP|HPL", "HPL", "MWS", "HPL"], ["HPL", "EAP", "MWS"], "multilabel", "|"),
    ],
)
def test_the_columns_of_the_sample_are_the_classes_of_a_column_of_train(
    cells: list[str], named: list[str], task: str, separator: str | None
) -> None:
    columns = {"id": [1, 2, 3, 4], "text": SENTENCES}
    sample = {"id": [1, 2, 3, 4], **{name: ["0.3"] * 4 for name in named}}
    found = guess({**columns, "author": cells, "publisher": ["a", "b", "a", "b"]}, columns, sample)
    assert (found.labels, found.task, found.separator) == (("author",), task, separator)
    assert found.left_out == {"publisher": "not what is predicted"}


def test_the_only_column_that_test_lacks_is_predicted_whatever_the_sample_calls_it() -> None:
    columns = {"id": [1, 2, 3, 4], "text": SENTENCES, "lang": ["en", "de", "en", "de"]}
    found = guess({**columns, "mood": ["good", "bad"] * 2}, columns, {"id": [1, 2, 3, 4], "prediction": ["bad"] * 4})
    assert (found.labels, found.task, found.left_out) == (("mood",), "multiclass", {"lang": "in test too"})


def test_of_two_columns_of_classes_nobody_can_tell() -> None:
    columns = {"id": [1, 2, 3, 4], "text": SENTENCES}
    found = guess({**columns, "mood": ["good", "bad"] * 2, "topic": ["art", "war"] * 2}, columns)
    assert (found.labels, found.task) == ((), None)
    assert found.reasons["labels"].startswith("mood seems to hold one class per row")
    assert found.to_make_labels is not None and 'task = "multiclass" reads it as it is' in found.to_make_labels


def test_a_title_and_a_body_make_a_template_and_never_a_pair() -> None:
    columns = {"id": [1, 2, 3, 4], "body": SENTENCES, "title": ["so it is"] * 4, "url": ["a b c d e"] * 4}
    found = guess({**columns, "mood": ["good", "bad"] * 2}, columns)
    assert found.text == "{title}\n{body}"
    assert "puts body and title together" in found.reasons["text"]
    assert guess({**columns, "joy": [0, 1, 0, 1], "fear": [1, 1, 0, 1]}, columns).text == "body"  # as it was


def test_what_may_be_asked_of_the_text_is_said() -> None:
    columns = {"id": [1, 2, 3, 4], "text": SENTENCES, "emotion": ["joy", "anger"] * 2, "year": ["1999", "2001"] * 2}
    found = guess({**columns, "strength": ["0.5", "0.25", "0.75", "0.1"]}, columns)
    assert (found.text, found.task) == ("text", "regression")
    assert found.reasons["text"].endswith('; emotion is in test too: text = "{emotion}: {text}" would read both')


@pytest.mark.parametrize("cells", [["[1 0]", "[0 1]", "[1 1]", "[0 0]"], ["['joy' 'love']", "['joy']", "[]", "[]"]])
def test_where_no_setting_helps_the_line_of_pandas_is_told(cells: list[str]) -> None:
    columns = {"id": [1, 2, 3, 4], "text": SENTENCES}
    found = guess({**columns, "emotions": cells}, columns)
    assert (found.labels, found.task) == ((), None)
    assert found.reasons["labels"].startswith("emotions seems to hold a list of")
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
