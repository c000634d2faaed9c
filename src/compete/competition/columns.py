"""Which column is the id, which the text and which are predicted: by name, then by content, then by what test has.

Every guess comes with its reason, and what cannot be told is left open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from compete.competition.guessed_task import Guess, of_columns, of_sample, of_train, of_zeros_and_ones
from compete.competition.label_cells import Held, held, holds_labels, zeros_and_ones
from compete.competition.task import TaskName


def _each(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Last words of names that identify something, and what a row of a text competition may be called.
_ID_WORDS = {"id", "ids", "identifier", "uid", "guid", "uuid", "qid"}
_KEY_WORDS = {"key", "index", "number", "no", "nr", "num", "code"}
_ROW_WORDS = _each(
    "article case comment content doc document entry essay example excerpt headline instance item line message msg my "
    "news paragraph passage phrase post question record review row sample sentence snippet status submission test text "
    "train tweet unique unit utterance"
)
# Ids of something that many rows may belong to.
_OTHER_IDS = _each("annotator author conversation group link parent rater reply source thread topic user worker")
_TEXT_WORDS = _each(
    "abstract article body comment content description doc document essay excerpt message passage phrase post question "
    "review selftext sentence snippet status text tweet utterance"
)
_SHORT_TEXT_WORDS = {"headline", "subject", "summary", "title"}  # the text only where there is no longer one
_FILLING_WORDS = {"clean", "cleaned", "full", "my", "original", "raw", "the"}
_NO_TEXT_WORDS = _each(
    "author category client count created date device file hash href hashtags image label labels lang language len "
    "length link location name path place score source tag tags time topic type uri url user username"
) | (_ID_WORDS | _KEY_WORDS)
_NO_LABEL_WORDS = _ID_WORDS | {"fold", "index", "kfold", "split"}
_TIME_WORDS = {"created", "date", "time", "timestamp", "utc"}
_SAVED_INDEX = re.compile(r"(Unnamed: \d+|level_0|index)?")
_URL = re.compile(r"(https?://|www\.)\S+")
_LOOKED_AT = 1000  # rows from which the length of texts is told
_FEW = 20  # different words in a column by which something is asked of the text
_FEWEST_NAMED, _FEWEST_WORDS = 0.5, 2.0  # on average: in a text that is called so, and in one that is not


@dataclass(frozen=True)
class Columns:
    """What the columns of a competition's tables are for; id and text are None where they cannot be told."""

    id: str | None = None
    text: str | None = None
    """A column, or a template of several."""
    labels: tuple[str, ...] = ()
    task: TaskName | None = None
    separator: str | None = None
    """Of several labels in a cell."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Columns of train that are nothing, and why."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """A few words on id, text, labels and task each, whether they were told or not."""
    to_make_labels: str | None = None
    """What turns a column that holds labels in another way into label columns."""


def guess_columns(
    train: pd.DataFrame | None = None, test: pd.DataFrame | None = None, sample: pd.DataFrame | None = None
) -> Columns:
    """What the columns of the given tables of strings are for; at least one table must be given."""
    tables = [table for table in (train, test) if table is not None]
    everything = [*tables, *([] if sample is None else [sample])]
    # A sample with a row per id and output has another key.
    id_column, why_id = _id(everything if _shared(everything) else tables or everything)
    not_text = {id_column, *([] if sample is None else map(str, sample.columns))}
    texts, why_text = _text(tables, not_text) if tables else ([], "no file that has texts was given")
    text = texts[0] if texts else None
    others = [] if train is None else [str(name) for name in train.columns if name not in (id_column, text)]
    if sample is not None:
        labels, left_out, why_labels = _labels_of_sample(train, others, sample, id_column)
    else:
        labels, left_out, why_labels = _labels_of_train(train, others, test)
    guess = _guess(train, test, sample, labels, [name for name in others if name not in texts], id_column)
    if guess is not None and (guess.columns != labels or guess.task in ("regression", "ordinal")):
        labels, why_labels = guess.columns, _where_from(guess.columns, test, sample)
        left_out = {name: _why_not(name, test) for name in others if name not in (*labels, *texts)}
    if len(texts) > 1 and guess is not None and (guess.task, guess.separator) != ("multilabel", None):
        text = _template(texts, tables[0])
        why_text += f"; {text!r} puts {' and '.join(texts)} together"
    reasons = {"id": why_id, "text": why_text, "labels": str(why_labels)}
    if guess is not None and guess.why:
        reasons["task"] = guess.why
    to_make = why_labels.held.advice if isinstance(why_labels, _Otherwise) else None
    task, separator = (None, None) if guess is None else (guess.task, guess.separator)
    return Columns(id_column, text, labels, task, separator, left_out, reasons, to_make)


def _guess(
    train: pd.DataFrame | None,
    test: pd.DataFrame | None,
    sample: pd.DataFrame | None,
    labels: tuple[str, ...],
    others: Sequence[str],
    id_column: str | None,
) -> Guess | None:
    """The task, and what is predicted; labels: the columns of 0 and 1, if there are any."""
    if train is None:
        return None
    candidates = [name for name in others if not _NO_LABEL_WORDS & set(_words(name)) and not _saved_index(name)]
    named = [] if sample is None else [str(name) for name in sample.columns if name != id_column]
    if labels:
        # Columns of numbers among which some happen to hold 0 and 1 alone.
        numbers = set(labels) <= set(candidates) and not all(holds_labels(train[name]) for name in labels)
        return (of_columns(train, labels) if numbers else None) or of_zeros_and_ones(train, labels)
    return of_train(train, candidates, test) if sample is None else of_sample(train, candidates, test, named)


def _where_from(labels: Sequence[str], test: pd.DataFrame | None, sample: pd.DataFrame | None) -> str:
    if sample is not None and set(labels) <= set(map(str, sample.columns)):
        return "what the sample submission has besides the id"
    return "in train, and not in test" if test is not None else "the column of train that looks like it"


def _why_not(name: str, test: pd.DataFrame | None) -> str:
    return "in test too" if test is not None and name in test.columns else "not what is predicted"


def _template(texts: Sequence[str], table: pd.DataFrame) -> str:
    """Titles and the like first, then the others as the table has them."""
    order = {str(name): place for place, name in enumerate(table.columns)}
    titles_first = sorted(texts, key=lambda name: (not set(_words(name)) & _SHORT_TEXT_WORDS, order[name]))
    return "\n".join(f"{{{name}}}" for name in titles_first)


@dataclass(frozen=True)
class _Otherwise:
    """A column that holds labels, but not as 0 and 1."""

    name: str
    held: Held

    def __str__(self) -> str:
        return f"{self.name} seems to hold {self.held.what}"


def _shared(tables: Sequence[pd.DataFrame]) -> list[str]:
    return [str(name) for name in tables[-1].columns if all(name in table.columns for table in tables)]


def _words(name: str) -> list[str]:
    """commentID, comment_id and "Comment Id" are comment, id; tweetid is tweet, id too."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+", name)]
    return [part for word in words for part in _parted(word)]


def _parted(word: str) -> list[str]:
    return [word[:-2], "id"] if word.endswith("id") and word[:-2] in _ROW_WORDS else [word]


def _id(tables: Sequence[pd.DataFrame]) -> tuple[str | None, str]:
    """The id: the best name among the columns that all tables share, then the one whose values are all different."""
    shared = _shared(tables)
    if not shared:
        return None, "no column is in all files"
    unique = {name: all(table[name].is_unique for table in tables) for name in shared}
    ranks = {name: _id_rank(name, tables[0][name], unique[name]) for name in shared}
    best = min(shared, key=lambda name: (ranks[name], name.lower() != "id"))
    if ranks[best] == _NOTHING:
        return None, f"none of {', '.join(shared)} is called like an id or has another value in every row"
    return best, _ID_REASONS[ranks[best]]


_ID_REASONS = {
    0: "its name says so, and no value is there twice",
    1: "its name says so, and no value is there twice",
    2: "its name says so, but values are there twice: every row needs an id of its own",
    3: "no value is there twice",
    4: "no value is there twice",
    5: "the saved index, as there is nothing better",
}
_SAVED, _NOTHING = 5, 6


def _id_rank(name: str, values: pd.Series, unique: bool) -> int:
    """0: called like the id of a row; 1: like another id or key; 2: like the id of a row, but not unique; 3: like the
    id of what many rows may belong to; 4: each value once, and neither a text nor a measure; 5: a saved index."""
    if _SAVED_INDEX.fullmatch(name):
        return _SAVED if unique else _NOTHING
    *before, last = _words(name) or [""]
    if last in _ID_WORDS and set(before) <= _ROW_WORDS | _FILLING_WORDS:
        return 0 if unique else 2
    if not unique or not len(values):
        return _NOTHING
    if last in _ID_WORDS | _KEY_WORDS:
        return 3 if _OTHER_IDS & set(before) else 1
    looks = not values.str.contains(r"\s|^$|^-?\d*\.\d+$", regex=True).any()
    return 4 if looks and not _TIME_WORDS & {*before, last} else _NOTHING


def _text(tables: Sequence[pd.DataFrame], others: set[str | None]) -> tuple[list[str], str]:
    """The text: the best name, then most words, among the columns that train and test share; and others like it."""
    table, shared = tables[0], [name for name in _shared(tables) if name not in others]
    if not shared:
        return [], "train and test share no further column" if len(tables) > 1 else "there is no further column"
    words = {name: mean_words(table[name]) for name in shared}
    ranks = {name: _text_rank(name, words[name]) for name in shared}
    best = min(shared, key=lambda name: (ranks[name], name.lower() != "text", -words[name]))
    if ranks[best] == _NO_TEXT:
        return [], f"none of {', '.join(shared)} is called like a text or holds sentences"
    named = "its name says so" if ranks[best] < 3 else "it has the most words"
    rivals = [name for name in shared if name != best and ranks[name] < _NO_TEXT and words[name] >= 2 * _FEWEST_WORDS]
    also = f"; words are in {', '.join(rivals)} too" if rivals else ""
    also += _asked(table, [name for name in shared if ranks[name] == _NO_TEXT], best) if len(tables) > 1 else ""
    # What is called like a title is short; an address or a name of somebody is no text however long.
    alike = [name for name in shared if name != best and (name in rivals or ranks[name] == 2) and ranks[name] <= 3]
    alike = [name for name in alike if "{" not in name and "}" not in name]
    return [best, *alike], f"{named}, {words[best]:.1f} words on average{also}"


def _asked(table: pd.DataFrame, names: Sequence[str], text: str) -> str:
    """What can be done with columns of few words that test has too: something may be asked of the text by them."""
    found = [name for name in names if 1 < table[name].nunique() <= _FEW and not _all_numbers(table[name])]
    if not found:
        return ""
    return f'; {", ".join(found)} {_are(found)} in test too: text = "{{{found[0]}}}: {{{text}}}" would read both'


def _all_numbers(cells: pd.Series) -> bool:
    return bool(pd.to_numeric(cells, errors="coerce").notna().all())


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


_NO_TEXT = 5


def _text_rank(name: str, words: float) -> int:
    """0: called a text and nothing else; 1: called so; 2: like a title; 3: holds sentences; 4: does, though its name
    says something else."""
    called = set(_words(name))
    something_else = bool(called & _NO_TEXT_WORDS)
    if words >= _FEWEST_NAMED and not something_else:
        if called & _SHORT_TEXT_WORDS:
            return 2
        if called & _TEXT_WORDS:
            return 0 if called <= _TEXT_WORDS | _FILLING_WORDS else 1
    if words < _FEWEST_WORDS:
        return _NO_TEXT
    return 4 if something_else else 3


def mean_words(values: pd.Series) -> float:
    """Words per cell; addresses and numbers are none, and two characters of Chinese, Japanese or Thai count as one."""
    cells = values.head(_LOOKED_AT)
    if not len(cells):
        return 0.0
    return sum(map(_count_words, cells)) / len(cells)


def _count_words(cell: str) -> float:
    cell = _URL.sub(" ", cell)
    unspaced = re.sub(r"[\u2e80-\u9fff\u0e00-\u0eff]", "", cell)
    return len(re.findall(r"[^\W\d_]+", unspaced)) + (len(cell) - len(unspaced)) / 2


LabelColumns = tuple[tuple[str, ...], dict[str, str], str | _Otherwise]


def _labels_of_sample(
    train: pd.DataFrame | None, others: Sequence[str], sample: pd.DataFrame, id_column: str | None
) -> LabelColumns:
    """The columns of the sample submission, unless what train has under their names are no labels."""
    named = [str(name) for name in sample.columns if name != id_column and not _saved_index(str(name))]
    if train is None:
        return tuple(named), {}, "the columns of the sample submission"
    there = [name for name in named if name in train.columns]
    if not there:
        return (), {}, _way_on(train, others) or "train has none of the columns of the sample submission"
    no_labels = [name for name in there if not holds_labels(train[name])]
    if len(no_labels) == len(there):
        return (), {}, _way_on(train, no_labels) or _other_values(train[no_labels[0]], no_labels[0])
    left_out = {name: "not in the sample submission" for name in others if name not in named}
    missing = [name for name in named if name not in there]
    odd = f"; train has no {', '.join(missing)}" if missing else ""
    odd += f"; not 0 or 1 in every row of train: {', '.join(no_labels)}" if no_labels else ""
    return tuple(named), left_out, f"the columns of the sample submission{odd}"


def _labels_of_train(train: pd.DataFrame | None, others: Sequence[str], test: pd.DataFrame | None) -> LabelColumns:
    """The columns of train that hold 0 and 1 alone and that test does not have."""
    if train is None:
        return (), {}, "no training file was given"
    plain = [name for name in others if holds_labels(train[name]) and not _NO_LABEL_WORDS & set(_words(name))]
    plain = [name for name in plain if not _saved_index(name)]
    # A column of one value in test is a label that is to be filled in.
    in_test = [name for name in plain if test is not None and name in test.columns and test[name].nunique() > 1]
    in_test = [] if len(in_test) == len(plain) else in_test  # a test file with its labels
    labels = [name for name in plain if name not in in_test]
    numbers = [name for name in labels if train[name].str.contains(r"\d", regex=True).all()]
    # Of as many columns of numbers as of words, nobody can tell which are the labels.
    odd = [] if len(numbers) * 2 == len(labels) else _fewer(labels, numbers)
    left_out = {name: "not 0 or 1 in every row" for name in others if name not in plain}
    left_out |= dict.fromkeys(in_test, "in test too")
    left_out |= dict.fromkeys(odd, "written in another way than the other labels")
    labels = [name for name in labels if name not in odd]
    if labels:
        return tuple(labels), left_out, f"0 or 1 in every row of train{_in_test(labels, test)}"
    not_in_test = [name for name in others if test is None or name not in test.columns]
    return (), {}, _way_on(train, not_in_test) or "no column of train holds 0 and 1 alone"


def _in_test(labels: Sequence[str], test: pd.DataFrame | None) -> str:
    there = [] if test is None else [name for name in labels if name in test.columns]
    if not there:
        return "" if test is None else ", and not in test"
    return ", and without a value in test" if test is not None and test[there].nunique().max() <= 1 else ""


def _other_values(cells: pd.Series, name: str) -> str:
    others = list(dict.fromkeys(cells[zeros_and_ones(cells).isna()]))
    return f"{name} holds other values than 0 and 1 in train: {', '.join(map(repr, others[:3]))}"


def _fewer(labels: Sequence[str], some: Iterable[str]) -> list[str]:
    """The smaller part of the labels: `some`, or all others."""
    chosen = set(some)
    rest = [name for name in labels if name not in chosen]
    return list(chosen) if len(chosen) < len(rest) else rest


def _saved_index(name: str) -> bool:
    return _SAVED_INDEX.fullmatch(name) is not None


def _way_on(train: pd.DataFrame, names: Sequence[str]) -> _Otherwise | None:
    """The column that labels can be made of; one with several labels in a cell first."""
    found = [_Otherwise(name, thing) for name in names if (thing := held(train[name], name))]
    return next((each for each in found if each.held.several), next(iter(found), None))
