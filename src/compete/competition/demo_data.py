"""A synthetic competition to try compete on: made-up posts with the labels of SemEval-2018 task 1 E-c.

Every run writes the same bytes, on every platform and Python version: the standard library only, no iteration
over sets, and of the generator nothing but `random()`, the one method whose sequence Python promises to keep.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

from compete import atomic
from compete.competition.demo_phrases import (
    AFFIRMED,
    CONTRASTED,
    EMOJI,
    FEELINGS,
    HASHTAGS,
    LABEL_SETS,
    LABELS,
    LOVELY,
    MISHAPS,
    NAMES,
    NEGATED,
    NEUTRAL,
    OPENERS,
    PHRASES,
    PLAIN_HASHTAGS,
    SARCASM,
    TOPICS,
)
from compete.errors import UserError

T = TypeVar("T")

TRAIN_ROWS = 1200
TEST_ROWS = 500
NEAR_DUPLICATES = 33  # 1.9 % of all rows
ID_COLUMN = "id"
TEXT_COLUMN = "synthetic_post"

# Shares of labels or of posts, tuned so that TF-IDF with logistic regression reaches a macro-F1 of about 0.6:
# far from chance and far from perfect, with negations and contrasts left for models that know word order.
_CUED = 0.88
_CUED_RARE = 0.82
_RARE = ("surprise", "trust", "pessimism", "anticipation")
_MISLED = 0.35
_MARKED = 0.6
_MULTI_LINE = 0.03
# How some feelings are written, which models of lower-cased words cannot see: a share of the posts with the label, of
# the first of them where a post has several, and of all others.
_VOICES = {"surprise": 0.7, "pessimism": 0.75, "trust": 0.7, "anger": 0.6}
_VOICED_OTHERWISE = 0.12

_ABOUT = """\
# About these files

The posts are synthetic: `compete demo-data` generated them (seed {seed}) from hand-written templates and word
lists. They are no real person's words, and the @names and links are made up.

The labels imitate SemEval-2018 task 1 E-c (English): how often each of the eleven emotions occurs (joy and
anger in about 37 % of the posts, surprise and trust in 5 %, no emotion in 3 %), and which occur together. How
words relate to labels is invented, so a score on this data says nothing about scores on the real task.

- `train.csv`: {train} labelled posts
- `test.csv`: {test} posts to predict
- `sample_submission.csv`: the format of a submission
- `solution.csv`: the labels of the test posts, for a local leaderboard; no model may see it
"""


@dataclass(frozen=True)
class Post:
    """One synthetic post and the labels it has, in the order of LABELS."""

    text: str
    labels: tuple[str, ...]

    def flags(self) -> list[str]:
        """One "0" or "1" per label."""
        return [str(int(label in self.labels)) for label in LABELS]


def write_demo_data(folder: Path, seed: int = 2018) -> list[Path]:
    """Write train, test, sample submission, solution and ABOUT.md into `folder`; return their paths.

    The same seed writes the same bytes everywhere. Raises UserError, before anything is written, if one of
    the files is already there with other content.
    """
    contents = {folder / name: text.encode("utf-8") for name, text in _files(seed).items()}
    _refuse_to_overwrite(folder, contents)
    for path, content in contents.items():
        if not path.exists():  # else it has the same content, as was just checked
            atomic.write_bytes(path, content)
    return list(contents)


def _refuse_to_overwrite(folder: Path, contents: dict[Path, bytes]) -> None:
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise UserError(f"{place} is a file, so no demo data can be written to {folder}: choose another folder")
    for path, content in contents.items():
        if path.exists() and not (path.is_file() and path.read_bytes() == content):
            raise UserError(
                f"{path} is already there and is not this demo data. Nothing was written: "
                "choose an empty folder, or move that file away."
            )


def _files(seed: int) -> dict[str, str]:
    """Name and text of every file."""
    rng = Random(seed)
    posts = _posts(rng)
    train = [(f"demo-train-{n:04d}", post) for n, post in enumerate(posts[:TRAIN_ROWS], start=1)]
    test = [(f"demo-test-{n:04d}", post) for n, post in enumerate(posts[TRAIN_ROWS:], start=1)]
    zeros = ["0"] * len(LABELS)
    solution = [[key, *post.flags(), _choose(rng, ("Public", "Private"))] for key, post in test]
    return {
        "train.csv": _csv([ID_COLUMN, TEXT_COLUMN, *LABELS], ([key, p.text, *p.flags()] for key, p in train)),
        "test.csv": _csv([ID_COLUMN, TEXT_COLUMN], ([key, p.text] for key, p in test)),
        "sample_submission.csv": _csv([ID_COLUMN, *LABELS], ([key, *zeros] for key, _ in test)),
        "solution.csv": _csv([ID_COLUMN, *LABELS, "Usage"], solution),
        "ABOUT.md": _ABOUT.format(seed=seed, train=TRAIN_ROWS, test=TEST_ROWS),
    }


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def _posts(rng: Random) -> list[Post]:
    """Train and test posts in random order: distinct ones, and near duplicates of some of them."""
    posts: dict[str, Post] = {}
    for labels in _label_sets(rng, TRAIN_ROWS + TEST_ROWS - NEAR_DUPLICATES):
        body = _body(rng, labels)
        while body.casefold() in posts:  # only the planted near duplicates may be alike
            body = _body(rng, labels)
        posts[body.casefold()] = Post(_addressed(rng, body), labels)
    distinct = list(posts.values())
    copies = [_near_duplicate(rng, post) for post in _shuffled(rng, distinct)[:NEAR_DUPLICATES]]
    return _shuffled(rng, distinct + copies)


def _label_sets(rng: Random, rows: int) -> list[tuple[str, ...]]:
    """Label sets by systematic sampling: every set gets its share of the rows, rounded up or down."""
    total = sum(weight for _, weight in LABEL_SETS)
    wheel = [tuple(names.split()) for names, weight in LABEL_SETS for _ in range(weight)]
    start = rng.random()
    return _shuffled(rng, [wheel[int((n + start) * total / rows) % total] for n in range(rows)])


def _body(rng: Random, labels: tuple[str, ...]) -> str:
    """A post without mention and link: cues of most of its labels, at times a false one, neutral parts."""
    fragments, marks = _cues(rng, labels)
    if rng.random() < _MISLED:
        fragments.append(_misleading(rng, labels))
    if not fragments or (len(fragments) < 3 and rng.random() < 0.35):
        fragments.append(_filled(rng, _choose(rng, NEUTRAL)))
    if rng.random() < 0.1:
        marks.append(_choose(rng, PLAIN_HASHTAGS))
    fragments = _about_one_topic(rng, _shuffled(rng, fragments))
    return " ".join([_voiced(rng, _misspelt(rng, _joined(rng, fragments)), labels), *_shuffled(rng, marks)])


def _cues(rng: Random, labels: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """At most two fragments, and the hashtags and emoji; a label can be left without any."""
    fragments: list[str] = []
    marks: list[str] = []
    for label in _shuffled(rng, labels):
        if rng.random() >= (_CUED_RARE if label in _RARE else _CUED):
            continue
        if len(fragments) < 2 and rng.random() < 0.75:
            fragments.append(_cue(rng, label, labels))
        else:
            marks.append(_mark(rng, label))
    if labels and rng.random() < _MARKED:
        marks.append(_mark(rng, _choose(rng, labels)))
    return fragments, list(dict.fromkeys(marks))


def _about_one_topic(rng: Random, fragments: list[str]) -> list[str]:
    """The topic filled in where it comes first; later it is mostly "it", as people write."""
    topic = _choose(rng, TOPICS)
    named: list[str] = []
    for fragment in fragments:
        known = any(topic in part for part in named)
        named.append(fragment.replace("{topic}", "it" if known and rng.random() < 0.7 else topic))
    return named


def _cue(rng: Random, label: str, labels: tuple[str, ...]) -> str:
    """A fragment that says that the label is there."""
    kind = rng.random()
    if kind < 0.45:
        return _filled(rng, _choose(rng, PHRASES[label]))
    template = _choose(rng, AFFIRMED if kind < 0.75 else CONTRASTED)
    return _filled(rng, template, feeling=label, wrong=_absent(rng, labels))


def _mark(rng: Random, label: str) -> str:
    return _choose(rng, _choose(rng, (HASHTAGS, EMOJI))[label])


def _misleading(rng: Random, labels: tuple[str, ...]) -> str:
    """A fragment with words of a label that the row does not have."""
    unkind = "joy" not in labels and ("anger" in labels or "disgust" in labels)
    if unkind and rng.random() < 0.35:
        return _filled(rng, _choose(rng, SARCASM))
    wrong = _absent(rng, labels)
    if rng.random() < 0.08:
        return f"{_filled(rng, _choose(rng, NEUTRAL))} {_mark(rng, wrong)}"
    return _filled(rng, _choose(rng, NEGATED), wrong=wrong)


def _absent(rng: Random, labels: tuple[str, ...]) -> str:
    """A label that the row does not have; the frequent labels more often than the rare ones."""
    while True:
        names = _choose(rng, LABEL_SETS)[0].split()
        candidates = [name for name in names if name not in labels]
        if candidates:
            return _choose(rng, candidates)


def _filled(rng: Random, template: str, feeling: str = "joy", wrong: str = "joy") -> str:
    """The template with every slot filled but the topic, which is the whole post's."""
    return template.format(
        topic="{topic}",
        feeling=_choose(rng, FEELINGS[feeling]),
        wrong=_choose(rng, FEELINGS[wrong]),
        lovely=_choose(rng, LOVELY),
        mishap=_choose(rng, MISHAPS),
    )


def _joined(rng: Random, fragments: list[str]) -> str:
    if rng.random() < 0.3:
        fragments = [f"{_choose(rng, OPENERS)} {fragments[0]}", *fragments[1:]]
    separator = _choose(rng, (". ", ". ", "! ", ", ", " ... ", " - ", " and "))
    if rng.random() < _MULTI_LINE:
        separator = "\n"
    if rng.random() < 0.8:
        new_sentence = separator in (". ", "! ", "\n")
        fragments = [_capital(part) if n == 0 or new_sentence else part for n, part in enumerate(fragments)]
    text = separator.join(fragments)
    # Without commas: a line that looks like a whole row is taken for a broken quote when it is read.
    return text.replace(",", "") if "\n" in text else text


def _voiced(rng: Random, text: str, labels: tuple[str, ...]) -> str:
    """The text as people write it who feel like this: shouting, too tired for capitals, Choosing Their Words."""
    voice = next((label for label in _VOICES if label in labels and rng.random() < _VOICES[label]), None)
    if voice is None and rng.random() < _VOICED_OTHERWISE:
        voice = _choose(rng, tuple(_VOICES))
    match voice:
        case "surprise":
            return text.upper()
        case "pessimism":
            return text.lower()
        case "trust":
            return " ".join(_capital(word) for word in text.split(" ")) if "\n" not in text else text
        case "anger":
            words = text.split(" ")
            start = _choose(rng, range(len(words)))
            return " ".join([*words[:start], *(word.upper() for word in words[start : start + 3]), *words[start + 3 :]])
    return text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _misspelt(rng: Random, text: str) -> str:
    """The text with an elongated, misspelt or shouted word now and then."""
    changes: tuple[tuple[float, Callable[[Random, str], str]], ...] = (
        (0.15, _elongated),
        (0.12, _transposed),
    )
    for share, change in changes:
        words = text.split(" ")
        places = [n for n, word in enumerate(words) if len(word) > 3 and word.isalpha()]
        if places and rng.random() < share:
            place = _choose(rng, places)
            words[place] = change(rng, words[place])
            text = " ".join(words)
    return text


def _elongated(rng: Random, word: str) -> str:
    return word + word[-1] * _choose(rng, (2, 3, 4))


def _transposed(rng: Random, word: str) -> str:
    place = _choose(rng, range(1, len(word) - 1))
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _addressed(rng: Random, body: str) -> str:
    """The body with mentions before and a link after it, or neither."""
    mentions = [_mention(rng) for share in (0.3, 0.05) if rng.random() < share]
    links = [_link(rng)] if rng.random() < 0.1 else []
    return " ".join([*mentions, body, *links])


def _mention(rng: Random) -> str:
    return f"@{_choose(rng, NAMES)}_{_choose(rng, range(1, 400))}"


def _link(rng: Random) -> str:
    return f"https://example.com/{_choose(rng, range(10_000, 100_000))}"


def _near_duplicate(rng: Random, post: Post) -> Post:
    """The post again with another mention, link or case; one in ten was labelled a little differently."""
    shouted = post.text.upper() if post.text != post.text.upper() else post.text.lower()
    text = _choose(rng, (f"{_mention(rng)} {post.text}", f"{post.text} {_link(rng)}", shouted))
    forgets_one = len(post.labels) > 1 and rng.random() < 0.1
    return Post(text, post.labels[:-1] if forgets_one else post.labels)


def _choose(rng: Random, options: Sequence[T]) -> T:
    return options[int(rng.random() * len(options))]


def _shuffled(rng: Random, items: Sequence[T]) -> list[T]:
    keyed = sorted((rng.random(), place) for place in range(len(items)))
    return [items[place] for _, place in keyed]
