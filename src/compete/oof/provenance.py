"""Provenance: which folds' labels something learnt has seen, directly or through others, and whether the test texts.

A row's out-of-fold prediction comes only from what has not seen its fold. Every part says in its record what it has
seen; who learns from others (pseudo-labels, a checkpoint that was trained before) has seen what they have.

Settings that were chosen by a fold's labels tell its model far less of them than training on them would: a number or
two. Such a fold is no leak, and its score is flattered all the same: it is told apart, as `tuned_on`, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from compete.errors import StoreError


class LeakError(StoreError):
    """A row would be predicted by what has seen its label."""


@dataclass(frozen=True)
class Seen:
    """What an artefact has seen."""

    folds: frozenset[int] = frozenset()
    """Whose labels, directly or through others."""
    test_texts: bool = False
    through: tuple[str, ...] = ()
    """What it learnt from besides labels: teachers, checkpoints trained before; in words."""
    tuned_on: frozenset[int] = frozenset()
    """Folds whose labels chose settings that it, or what it learnt from, was trained with (`compete tune`)."""

    @classmethod
    def all_but(cls, fold: int, k: int) -> Seen:
        """Of a model trained for one of `k` folds."""
        return cls(frozenset(range(k)) - {fold})

    def joined(self, others: Iterable[Seen]) -> Seen:
        """Of what learnt from others too."""
        each = (self, *others)
        through = dict.fromkeys(name for seen in each for name in seen.through)
        return Seen(
            frozenset().union(*(seen.folds for seen in each)),
            any(seen.test_texts for seen in each),
            tuple(through),
            frozenset().union(*(seen.tuned_on for seen in each)),
        )

    def record(self) -> dict[str, Any]:
        """As it is stored."""
        tuned = {"tuned_on": sorted(self.tuned_on)} if self.tuned_on else {}
        return {"folds": sorted(self.folds), "test_texts": self.test_texts, "through": list(self.through), **tuned}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Seen:
        """What `record` wrote; raises ValueError for anything else."""
        folds: Any = record.get("folds")
        tuned: Any = record.get("tuned_on", [])
        through = record.get("through", [])
        for name, numbers in {"folds": folds, "tuned_on": tuned}.items():
            if not isinstance(numbers, list) or not all(type(fold) is int and fold >= 0 for fold in numbers):
                raise ValueError(f"`{name}` should be a list of fold numbers")
        if not isinstance(record.get("test_texts"), bool) or not isinstance(through, list):
            raise ValueError("`test_texts` should be true or false, and `through` a list of names")
        return cls(frozenset(folds), record["test_texts"], tuple(map(str, through)), frozenset(tuned))


def seen_by_part(record: Mapping[str, Any], fold: int, k: int) -> Seen:
    """What one fold's part says it has seen; a part from before there was provenance saw the other folds alone.

    Raises ValueError for a record that says it in no way that is understood.
    """
    return Seen.read(record["seen"]) if "seen" in record else Seen.all_but(fold, k)


def leak_in(record: Mapping[str, Any]) -> str:
    """What is wrong with the provenance of a part.json or a manifest.json; empty where no row saw itself.

    A part says what its fold has seen; a manifest the same of every fold, in their order, and nothing where its maker
    did not tell.
    """
    told, name = record.get("seen"), str(record.get("model", "it"))
    if told is None:
        return ""
    try:
        by_fold = [(record["fold"], told)] if "fold" in record else list(enumerate(told))
        for fold, seen in by_fold:
            refuse_leak(Seen.read(seen), fold, f"{name} fold {fold}")
    except LeakError as leak:
        return str(leak)
    except (ValueError, AttributeError, TypeError) as error:
        return f"what {name} has seen cannot be told: {error}"
    return ""


def refuse_leak(seen: Seen, fold: int, what: str) -> None:
    """Raise LeakError if what has seen a fold's labels is to predict that fold's rows."""
    if fold not in seen.folds:
        return
    through = f", through {', '.join(seen.through)}" if seen.through else ""
    raise LeakError(
        f"{what} has seen the labels of fold {fold}{through}, and is to predict its rows: their score would promise "
        "what no other row keeps. Only what was learnt without a fold may predict it"
    )
