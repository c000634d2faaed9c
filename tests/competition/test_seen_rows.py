"""Rows that were nearly seen are counted, and nothing is said where there are none."""

from __future__ import annotations

import numpy as np

from compete.competition.folds import make_plan
from compete.competition.seen_rows import grouped_rows_in_test, rows_alike_in_test, rows_in_other_folds, seen_sentences
from support.small_files import DECLARATION, Load

TRAIN = "id,joy,text,anger,author,fold\n" + "".join(
    f"{n:02d},{n % 2},{text},{(n + 1) % 2},{author},{fold}\n"
    for n, (text, author, fold) in enumerate(
        [("so happy", "ann", 0), ("So  HAPPY", "bob", 1), ("grey day", "ann", 1), ("rain", "cy", 0), ("sun", "di", 1)]
    )
)
TEST = "id,text,author\n11,@you so happy,ann\n12,rotten,zoe\n13,SUN,bob\n"
SAMPLE = "id,joy,anger\n11,0,0\n12,0,0\n13,0,0\n"
LABELLED = DECLARATION.replace('text = "text"', 'text = "text"\nlabels = ["joy", "anger"]')


def sentences(load: Load, folds: str) -> list[str]:
    competition = load(f"{LABELLED}\n[folds]\nk = 2\n{folds}", train=TRAIN, test=TEST, sample=SAMPLE)
    return list(seen_sentences(competition, make_plan(competition)))


def test_test_rows_with_a_text_of_train_are_counted(load: Load) -> None:
    (said,) = sentences(load, "")
    assert said.startswith("2 of 3 test rows have nearly the text of a training row")


def test_test_rows_of_a_group_of_train_are_counted_where_test_says_its_groups(load: Load) -> None:
    _, said = sentences(load, 'groups = "author"')
    assert said.startswith("2 of 3 test rows are of a group (author) that training rows are of too")
    without = TEST.replace(",author", ",writer")
    competition = load(f'{LABELLED}\n[folds]\nk = 2\ngroups = "author"', train=TRAIN, test=without, sample=SAMPLE)
    assert grouped_rows_in_test(competition) == 0
    assert list(competition.test_columns.columns) == ["text"]


def test_rows_that_a_column_of_folds_parts_are_counted(load: Load) -> None:
    said = sentences(load, 'column = "fold"')
    assert said[1].startswith("2 of 5 rows have nearly the same text as a row of another fold: folds.column = 'fold'")
    said = sentences(load, 'column = "fold"\ngroups = "author"')
    assert said[-1].startswith("3 of 5 rows have nearly the same text as a row of another fold, or its group (author)")


def test_nothing_is_said_where_nothing_was_seen(load: Load) -> None:
    competition = load()
    assert rows_alike_in_test(competition) == grouped_rows_in_test(competition) == 0
    alone = np.array([0, 1, 2, 1, 0])
    assert rows_in_other_folds(alone, np.array([0, 1, 0, 1, 0], dtype=np.int16)).tolist() == [False] * 5
    parted = rows_in_other_folds(alone, np.array([0, 1, 0, 0, 0], dtype=np.int16))
    assert parted.tolist() == [False, True, False, True, False]
