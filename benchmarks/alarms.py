"""How often the alarms of `compete stack` accuse honest models, and how often they find a planted leak.

    python benchmarks/alarms.py [--made-up 300]
    python benchmarks/alarms.py --train train.csv [--rows 4000] [--aside 2000] [--draws 10]

Without a file, workspaces are made up: 3, 11, 28 or 100 labels, 2,000 to 50,000 rows, 2 to 6 models of unlike strength
(AUC 0.55 to 0.95), under-confident to over-confident; a test row is the mean of five models, as in a workspace.
With a file (id, text, a column per label), rows are drawn at random and five honest models are trained on words in five
folds: logistic regression, naive Bayes, a decision tree, a random forest, and nearest neighbours.

Then each leak is planted in one of the models: it is replaced by one that saw all training rows (with a file: a
decision tree, a random forest, the nearest neighbour, target encoding of words; made up: probabilities that know the
label), it leaks one fold or one label, or has columns swapped or test rows in another order.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete.competition.folds import assign_folds
from compete.competition.near_identical import near_identical_groups
from compete.logits import logits, sigmoid
from compete.stacking.ensemble.alarms import find_alarms
from rows import read_rows

Cells = NDArray[np.float32]
Labels = NDArray[np.int8]
FOLDS = 5


@dataclass(frozen=True)
class Played:
    """Base models of a workspace: oof (n_models, n_rows, n_labels), test (n_models, n_test, n_labels)."""

    oof: Cells
    test: Cells
    labels: Labels
    folds: NDArray[np.int16]

    def accused(self) -> list[str]:
        """What is said, and of which model."""
        names = [f"m{number}" for number in range(len(self.oof))]
        label_names = [f"l{number}" for number in range(self.labels.shape[1])]
        found = find_alarms(names, self.oof, self.test, self.labels, self.folds, label_names)
        return [str(alarm) for alarm in found]

    def with_model(self, number: int, oof: NDArray[Any], test: NDArray[Any]) -> Played:
        """The same with another model in place of one."""
        oofs, tests = self.oof.copy(), self.test.copy()
        oofs[number], tests[number] = oof, test
        return replace(self, oof=oofs, test=tests)


def made_up(seed: int) -> Played:
    """An honest workspace, every one of another shape."""
    random = np.random.default_rng(seed)
    n_labels = int(random.choice([3, 11, 28, 100], p=[0.3, 0.4, 0.2, 0.1]))
    n_rows = int(random.choice([2000, 8000, 50_000], p=[0.55, 0.4, 0.05]))
    rates = np.exp(random.uniform(np.log(0.01), np.log(0.5), size=n_labels))
    n_models = int(random.integers(2, 7))
    sets = [(random.random((n, n_labels)) < rates).astype(np.int8) for n in (n_rows, max(500, n_rows // 3))]
    hard = [random.normal(size=labels.shape) for labels in sets]
    cells: list[list[Cells]] = [[], []]
    for _ in range(n_models):
        knows, own, slope = random.uniform(0.2, 3.0), random.uniform(0.3, 1.5), np.exp(random.normal(scale=0.7))
        for which, models in enumerate((1, FOLDS)):
            centred = knows * (sets[which] - 0.5) + hard[which]
            drawn = np.zeros(centred.shape)
            for _ in range(models):
                drawn += sigmoid(slope * (centred + own * random.normal(size=centred.shape) + np.log(rates)))
            cells[which].append((drawn / models).astype(np.float32))
    folds = random.permutation(n_rows) % FOLDS
    return Played(np.stack(cells[0]), np.stack(cells[1]), sets[0], folds.astype(np.int16))


def of_texts(path: Path, n_rows: int, n_aside: int, seed: int) -> tuple[Played, dict[str, tuple[Cells, Cells]]]:
    """Honest models of real texts; and models that saw all training rows, by name: their OOF and test probabilities."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.tree import DecisionTreeClassifier

    rows = read_rows(path, n_rows + n_aside, seed)
    labels = rows.labels[:n_rows]
    kept = labels.sum(axis=0) >= 2 * FOLDS
    labels, texts, aside = labels[:, kept], rows.texts[:n_rows], rows.texts[n_rows:]
    folds = assign_folds(near_identical_groups(texts), labels, FOLDS, seed)
    kinds: dict[str, Any] = {
        "logistic": OneVsRestClassifier(LogisticRegression(C=3.0)),
        "naive Bayes": OneVsRestClassifier(MultinomialNB(alpha=0.1)),
        "tree": DecisionTreeClassifier(min_samples_leaf=1, random_state=seed),
        "forest": RandomForestClassifier(50, min_samples_leaf=1, random_state=seed),
        "nearest": KNeighborsClassifier(1),
        "20 nearest": KNeighborsClassifier(20),
    }

    def fitted(name: str, known: NDArray[np.intp], asked: list[list[str]]) -> list[Cells]:
        words = TfidfVectorizer(min_df=2, sublinear_tf=True)
        model = kinds[name].fit(words.fit_transform([texts[row] for row in known]), labels[known])
        given = [model.predict_proba(words.transform(each)) for each in asked]
        return [
            np.column_stack([p[:, 1] for p in g]).astype(np.float32) if isinstance(g, list) else g.astype(np.float32)
            for g in given
        ]

    oofs, tests = [], []
    for name in ("logistic", "naive Bayes", "tree", "forest", "20 nearest"):
        oof, test = np.empty(labels.shape, dtype=np.float32), np.zeros((len(aside), labels.shape[1]))
        for fold in range(FOLDS):
            held_out = np.flatnonzero(folds == fold)
            of_fold, of_test = fitted(name, np.flatnonzero(folds != fold), [[texts[row] for row in held_out], aside])
            oof[held_out] = of_fold
            test += of_test / FOLDS
        oofs.append(oof)
        tests.append(test.astype(np.float32))
    everything = np.arange(n_rows)
    leaks: dict[str, tuple[Cells, Cells]] = {}
    for name in ("tree", "forest", "nearest"):
        of_seen, of_aside = fitted(name, everything, [texts, aside])
        leaks[f"{name} that saw all rows"] = (of_seen, of_aside)
    leaks["target encoding over all rows"] = _target_encoding(texts, aside, labels)
    return Played(np.stack(oofs), np.stack(tests), labels, folds), leaks


def _target_encoding(texts: list[str], aside: list[str], labels: Labels) -> tuple[Cells, Cells]:
    """The mean over a text's words of their label rates, counted on all rows."""
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(binary=True)
    X = words.fit_transform(texts)
    rates = (X.T @ labels + labels.mean(axis=0)) / (np.asarray(X.sum(axis=0)).T + 1)
    return tuple(  # type: ignore[return-value]
        np.asarray((M @ rates) / np.maximum(np.asarray(M.sum(axis=1)), 1), dtype=np.float32)
        for M in (X, words.transform(aside))
    )


def planted(played: Played, random: np.random.Generator) -> Iterator[tuple[str, Played]]:
    """Damage of the last model, kind by kind."""
    number = len(played.oof) - 1
    oof, test, labels = played.oof[number], played.test[number], played.labels
    knowing = sigmoid(logits(oof) + 8 * (labels - 0.5)).astype(np.float32)
    yield "knows every label", played.with_model(number, knowing, test)
    fold = (played.folds == 2)[:, None]
    yield "knows the labels of one fold", played.with_model(number, np.where(fold, knowing, oof), test)
    common = int(np.argmin(np.abs(labels.mean(axis=0) - 0.3)))
    one = np.arange(labels.shape[1]) == common
    yield "knows one label", played.with_model(number, np.where(one, knowing, oof), test)
    two = np.argsort(-labels.mean(axis=0))[:2]
    order = np.arange(labels.shape[1])
    order[two] = order[two[::-1]]
    yield "two frequent columns swapped", played.with_model(number, oof[:, order], test)
    yield "two frequent columns swapped in the test set", played.with_model(number, oof, test[:, order])
    yield "test rows in another order", played.with_model(number, oof, test[random.permutation(len(test))])


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--made-up", type=int, default=300)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--aside", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()
    counts: dict[str, list[bool]] = {}
    for seed in range(options.draws if options.train else options.made_up):
        leaks: dict[str, tuple[Cells, Cells]] = {}
        if options.train:
            played, leaks = of_texts(options.train, options.rows, options.aside, seed)
        else:
            played = made_up(seed)
        accused = played.accused()
        if accused:
            shape = f"{played.labels.shape[1]} labels, {len(played.labels)} rows"
            print(f"honest and accused, seed {seed}, {shape}: {accused}", flush=True)
        counts.setdefault("honest", []).append(bool(accused))
        last = f"m{len(played.oof) - 1}:"
        cases = list(planted(played, np.random.default_rng(seed)))
        cases += [(name, played.with_model(len(played.oof) - 1, *leak)) for name, leak in leaks.items()]
        if options.train or seed % 5 == 0:
            for kind, damaged in cases:
                counts.setdefault(kind, []).append(any(line.startswith(last) for line in damaged.accused()))
    print("\n| workspace | accused | of |\n|---|---|---|")
    for kind, found in counts.items():
        print(f"| {kind} | {sum(found)} | {len(found)} |")


if __name__ == "__main__":
    main()
