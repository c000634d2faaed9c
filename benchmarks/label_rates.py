"""How often the intervals of the test set's label rates hold the true rates.

    python benchmarks/label_rates.py --train train.csv --seen 4000 --aside 3600 [--rehearsals 30] [--labels 3]

A rehearsal draws `--seen` training rows and `--aside` others at random, trains a linear model and an NB-SVM on words in
five folds, predicts the rows aside by the mean of the five, and hands labels, out-of-fold and test probabilities to
`estimate_rates` as `compete stack` does. The rows aside are used as they are (half of them, by chance), and with one
label's rate times 0.5 and times 2: rows with it, or rows without it, are left out by chance. All labels are asked for.
The ids and texts are the first two columns of the file, every other column is a label; --labels takes the first few.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compete.base_models.families import FitContext
from compete.base_models.linear.family import Linear
from compete.base_models.linear.settings import LinearSettings
from compete.competition.folds import assign_folds
from compete.competition.near_identical import near_identical_groups
from compete.stacking.ensemble.label_rates import estimate_rates
from rows import Rows, read_rows

Cells = NDArray[np.float32]
Labels = NDArray[np.int8]
FOLDS = 5
WEIGHTINGS: tuple[Literal["tfidf", "nbsvm"], ...] = ("tfidf", "nbsvm")


@dataclass
class Count:
    """Of one kind of case: how often a rate was told, held by its interval; the widths of the intervals."""

    asked: int = 0
    told: int = 0
    held: int = 0
    widths: list[float] = field(default_factory=list)

    def row(self, kind: str) -> str:
        """A row of the Markdown table."""
        held = f"{self.held / self.told:.3f}" if self.told else "-"
        width = f"{np.median(self.widths):.3f}" if self.widths else "-"
        return f"| {kind} | {self.asked} | {self.told / self.asked:.2f} | {held} | {width} |"


def predictions(rows: Rows, n_seen: int, seed: int) -> tuple[list[Cells], list[Cells]]:
    """OOF of the first rows and the mean of the folds' predictions of the others, a matrix per model."""
    seen, aside, labels = rows.texts[:n_seen], rows.texts[n_seen:], rows.labels[:n_seen]
    folds = assign_folds(near_identical_groups(seen), labels, FOLDS, seed)
    oofs, tests = [], []
    for weighting in WEIGHTINGS:
        oof, test = np.empty(labels.shape, dtype=np.float32), np.zeros((len(aside), labels.shape[1]))
        for fold in range(FOLDS):
            others, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            family = Linear(LinearSettings(char_ngrams=(), weighting=weighting))
            context = FitContext(labels=rows.names, seed=fold, threads=1)
            model = family.fit([seen[row] for row in others], labels[others], context)
            oof[held_out] = model.predict_proba([seen[row] for row in held_out])
            test += model.predict_proba(aside)
        oofs.append(oof)
        tests.append((test / FOLDS).astype(np.float32))
    return oofs, tests


def cases(truth: Labels, random: np.random.Generator) -> Iterator[tuple[str, NDArray[np.intp], int | None]]:
    """Kind of test set, its rows, and the label whose rate was changed."""
    yield "as it is", random.choice(len(truth), len(truth) // 2, replace=False), None
    for label in range(truth.shape[1]):
        with_it, without = np.flatnonzero(truth[:, label] == 1), np.flatnonzero(truth[:, label] == 0)
        rate = len(with_it) / len(truth)
        if len(with_it):
            left = random.choice(with_it, round(len(without) * rate / 2 / (1 - rate / 2)), replace=False)
            yield "times 0.5", np.concatenate([left, without]), label
        if 0 < rate < 0.45:
            left = random.choice(without, round(len(with_it) * (1 - 2 * rate) / (2 * rate)), replace=False)
            yield "times 2", np.concatenate([with_it, left]), label


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--seen", type=int, default=4000)
    parser.add_argument("--aside", type=int, default=3600)
    parser.add_argument("--rehearsals", type=int, default=30)
    parser.add_argument("--labels", type=int, help="only the first so many labels")
    options = parser.parse_args()
    counts: dict[str, Count] = {}
    for number in range(options.rehearsals):
        rows = read_rows(options.train, options.seen + options.aside, seed=1000 + number)
        rows = Rows(rows.texts, rows.labels[:, : options.labels], rows.names[: options.labels])
        known, truth = rows.labels[: options.seen], rows.labels[options.seen :]
        oofs, tests = predictions(rows, options.seen, number)
        for kind, chosen, changed in cases(truth, np.random.default_rng(number)):
            found = estimate_rates(known, np.mean(oofs, axis=0), np.mean([test[chosen] for test in tests], axis=0))
            true = truth[chosen].mean(axis=0)
            for label, told in enumerate(found.told):
                which = kind if changed is None else f"one label {kind}: {'it' if label == changed else 'the others'}"
                count = counts.setdefault(which, Count())
                count.asked += 1
                if told:
                    count.told += 1
                    count.held += int(found.low[label] <= true[label] <= found.high[label])
                    count.widths.append(found.high[label] - found.low[label])
        print(f"rehearsal {number + 1} of {options.rehearsals}", flush=True)
    print("\n| test set | rates asked for | told | held by the interval | median width |\n|---|---|---|---|---|")
    for kind, count in sorted(counts.items()):
        print(count.row(kind))


if __name__ == "__main__":
    main()
