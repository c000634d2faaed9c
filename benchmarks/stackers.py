"""Stackers side by side on the same out-of-fold probabilities, scored on rows that none of them saw.

    python benchmarks/stackers.py --oofs benchmarks/oofs --train train.csv [--splits 10]
    python benchmarks/stackers.py --oofs benchmarks/oofs --train train.csv --coverage 100
    python benchmarks/stackers.py ... --stacks mean blend nelder_mead    # these alone, of shipped ones and of OTHERS
    python benchmarks/stackers.py ... --autogluon PYTHON    # an environment that has autogluon.tabular

A fifth of the rows is set aside, near-identical texts together; five splits set every row aside once. Every stacker
sees the rest, says what it expects of new rows, and is scored on the fifth. OOFs are folders with an oof.parquet of ids
and probabilities, all made under the fold plan that the rows, K = 5 and seed 42 give.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from compete.base_models.row_features import row_features
from compete.competition.folds import assign_folds
from compete.competition.metrics import METRICS, Labels
from compete.competition.near_identical import near_identical_groups
from compete.competition.reading import read_table
from compete.execution.local import usable_cores
from compete.stacking.choosing import choose
from compete.stacking.ensemble.cross_fitting import repeated_folds
from compete.stacking.ensemble.resampling import interval, resampled_scores
from compete.stacking.ensemble.thresholds import decide, fit_thresholds
from compete.stacking.fitting import Materials, Workbench
from compete.stacking.row_inputs import RowInputs
from compete.stacking.stack_recipes import StackDeclaration, StackRecipe

F1 = METRICS["f1_macro"]
RECIPES = Path(__file__).parent.parent / "stacking"
# Methods that no shipped recipe has.
OTHERS: dict[str, dict[str, Any]] = {
    "mean of ranks": {"method": "mean", "ranks": True},
    "nelder_mead": {"method": "nelder_mead"},
    "ridge": {"method": "ridge"},
}
Probabilities = NDArray[np.float32]


class Answer(NamedTuple):
    """Decisions for the rows that were set aside, and the score that the stacker expects there."""

    decisions: NDArray[np.int8]
    expected: float


class Contender(NamedTuple):
    """A recipe with its honest score, and with that of resampled rows."""

    recipe: StackRecipe
    honest: float
    draws: NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """Rows with every model's out-of-fold probabilities of them."""

    models: list[str]
    oof: Probabilities
    labels: Labels
    folds: NDArray[np.int16]
    groups: NDArray[np.intp]
    rows: NDArray[np.float32]

    def split(self, aside: NDArray[np.bool_]) -> Split:
        seen = ~aside
        groups = np.unique(self.groups[seen], return_inverse=True)[1]
        seen_rows = (self.oof[:, seen], self.labels[seen], self.folds[seen], groups, self.rows[seen])
        return Split(self.models, *seen_rows, self.oof[:, aside], self.rows[aside])


@dataclass(frozen=True)
class Split(Data):
    """Rows that a stacker sees, and rows set aside that it is scored on."""

    aside: Probabilities
    aside_rows: NDArray[np.float32]


def read(oofs: Path, train: Path) -> Data:
    """Every model in `oofs`, in the order of the training rows."""
    table = read_table(train)
    texts, labels = table.iloc[:, 1].tolist(), table.iloc[:, 2:].to_numpy().astype(np.int8)
    models, found = [], []
    for path in sorted(oofs.glob("*/oof.parquet")):
        model = pd.read_parquet(path).set_index("id")
        if not set(table.iloc[:, 0]) <= set(model.index):
            print(f"{path.parent.name} lacks rows (a single fold?): left out")
            continue
        models.append(path.parent.name)
        found.append(model.loc[table.iloc[:, 0], list(table.columns[2:])].to_numpy(dtype=np.float32))
    folds = assign_folds(near_identical_groups(texts), labels, 5, 42)
    return Data(models, np.stack(found), labels, folds, near_identical_groups(texts), row_features(texts))


def splits(data: Data, count: int) -> Iterator[tuple[NDArray[np.bool_], Split]]:
    """`count` splits; five in a row set every row aside once."""
    shape = (np.arange(len(data.labels)) % 5).astype(np.int16)
    plans = repeated_folds(shape, data.labels, data.groups, (count + 4) // 5 + 1, seed=7)[1:]
    for number in range(count):
        aside = plans[number // 5] == number % 5
        yield aside, data.split(aside)


def shipped() -> dict[str, StackRecipe]:
    """The recipes in stacking/, simple ones first."""
    import tomllib

    recipes = []
    for path in RECIPES.glob("*.toml"):
        declared = StackDeclaration.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        recipes.append(StackRecipe(path.stem, declared))
    return {recipe.name: recipe for recipe in sorted(recipes, key=lambda recipe: recipe.simplicity())}


def ours(split: Split, recipes: dict[str, StackRecipe]) -> dict[str, Answer]:
    """`compete stack`: each recipe, and "chosen", the one that it takes of those that are shipped."""
    plans = repeated_folds(split.folds, split.labels, split.groups, 3, seed=42)
    materials = Materials(dict(zip(split.models, split.oof, strict=True)), split.labels, plans, RowInputs(split.rows))
    bench = Workbench(materials, recipes, F1)
    aside = dict(zip(split.models, split.aside, strict=True))
    answers, contenders = {}, []
    for name, recipe in recipes.items():
        fitted, evaluation = bench.fitted(name), bench.evaluate(name)
        decisions = evaluation.decision.decide(fitted.predict_proba(aside, RowInputs(split.aside_rows)))
        answers[name] = Answer(decisions, evaluation.honest)
        if name not in OTHERS:
            contenders.append(Contender(recipe, evaluation.honest, evaluation.draws))
    answers["chosen"] = answers[choose(F1, contenders).recipe.name]
    return answers


def best_single(split: Split) -> Answer:
    """The best base model, thresholds and choice on the rows it is told to be best on."""
    scores = [in_sample(split.labels, model)[1] for model in split.oof]
    best = int(np.argmax(scores))
    thresholds, score = in_sample(split.labels, split.oof[best])
    return Answer(decide(split.aside[best], thresholds), score)


def in_sample(labels: Labels, probabilities: NDArray[Any]) -> tuple[NDArray[np.float64], float]:
    """Thresholds, and the score on the rows that they were fitted on."""
    thresholds = fit_thresholds(F1, labels, probabilities)
    return thresholds, F1.compute(labels, decide(probabilities, thresholds))


def scikit_learn(split: Split) -> tuple[Answer, Answer]:
    """What StackingClassifier does, label by label: LogisticRegression over all probabilities, cross-validated.

    Once cut at 0.5, once at thresholds fitted and scored on the same cross-validated probabilities.
    """
    X, aside = (cells.transpose(1, 0, 2).reshape(cells.shape[1], -1) for cells in (split.oof, split.aside))
    seen, new = np.empty(split.labels.shape), np.empty((len(aside), split.labels.shape[1]))
    for label in range(split.labels.shape[1]):
        y = split.labels[:, label]
        seen[:, label] = cross_val_predict(LogisticRegression(max_iter=1000), X, y, method="predict_proba", cv=5)[:, 1]
        new[:, label] = LogisticRegression(max_iter=1000).fit(X, y).predict_proba(aside)[:, 1]
    halves = np.full(split.labels.shape[1], 0.5)
    thresholds, score = in_sample(split.labels, seen)
    return (
        Answer(decide(new, halves), F1.compute(split.labels, decide(seen, halves))),
        Answer(decide(new, thresholds), score),
    )


def hill_climbing(split: Split) -> Answer:
    """As in public notebooks: from the best model on, add the model and weight with the best macro-F1, thresholds
    fitted on the same rows each time, until nothing helps.
    """
    best = int(np.argmax([in_sample(split.labels, model)[1] for model in split.oof]))
    mix, aside = split.oof[best], split.aside[best]
    score = in_sample(split.labels, mix)[1]
    while True:
        tried = [
            (in_sample(split.labels, (1 - w) * mix + w * model)[1], number, w)
            for number, model in enumerate(split.oof)
            for w in np.arange(0.05, 0.55, 0.05)
        ]
        found, number, w = max(tried)
        if found <= score + 1e-5:
            break
        score = found
        mix, aside = (1 - w) * mix + w * split.oof[number], (1 - w) * aside + w * split.aside[number]
    thresholds, score = in_sample(split.labels, mix)
    return Answer(decide(aside, thresholds), score)


def autogluon(split: Split, python: str) -> Answer:
    """AutoGluon's weighted ensemble over the base models, label by label, in its own environment; threshold 0.5 or its
    own calibration, whichever it takes.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "in.npz", oof=split.oof, labels=split.labels, aside=split.aside)
        script = str(Path(__file__).parent / "autogluon_ensemble.py")
        subprocess.run([python, script, folder], check=True, capture_output=True)
        found = np.load(Path(folder) / "out.npz")
        return Answer(found["decisions"].astype(np.int8), float(found["expected"]))


def compare(data: Data, count: int, recipes: dict[str, StackRecipe], python: str | None) -> None:
    """Print a Markdown table: score on rows set aside, what was expected, and the error of the expectation."""
    real: dict[str, list[float]] = {}
    expected: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}

    def note(name: str, answer: Answer, truth: Labels, took: float) -> None:
        real.setdefault(name, []).append(F1.compute(truth, answer.decisions))
        expected.setdefault(name, []).append(answer.expected)
        seconds.setdefault(name, []).append(took)

    for number, (aside, split) in enumerate(splits(data, count)):
        truth = data.labels[aside]
        answers, took = timed(lambda split=split: ours(split, recipes))  # type: ignore[misc]
        for name in ["chosen", *recipes]:
            note(f"compete, {name}", answers[name], truth, took if name == "chosen" else np.nan)
        (half, cut), took = timed(lambda split=split: scikit_learn(split))  # type: ignore[misc]
        note("LogisticRegression per label, 0.5", half, truth, took)
        note("the same, thresholds in sample", cut, truth, took)
        for name, stacker in {"hill climbing": hill_climbing, "best base model": best_single}.items():
            answer, took = timed(lambda split=split, stacker=stacker: stacker(split))  # type: ignore[misc]
            note(name, answer, truth, took)
        if python:
            answer, took = timed(lambda split=split: autogluon(split, python))  # type: ignore[misc]
            note("AutoGluon weighted ensemble", answer, truth, took)
        print(f"split {number + 1}/{count}", flush=True)
    ours_real = np.array(real["compete, chosen"])
    print(f"\n{len(data.models)} base models ({', '.join(data.models)}), {count} splits; {machine()}\n")
    print("| stacker | score set aside | behind ours, s.e. | expected | error of expectation | s |")
    print("|---|---|---|---|---|---|")
    for name in real:
        scores, said = np.array(real[name]), np.array(expected[name])
        behind = ours_real - scores
        error = float(np.abs(said - scores).mean())
        print(
            f"| {name} | {scores.mean():.4f} | {behind.mean():+.4f} ± {behind.std(ddof=1) / np.sqrt(count):.4f} | "
            f"{said.mean():.4f} | {error:.4f} (bias {np.mean(said - scores):+.4f}) | {np.mean(seconds[name]):.1f} |"
        )


def coverage(data: Data, count: int) -> None:
    """How often the range that the honest score promises for so many new rows holds the score there."""
    recipe = shipped()["blend"]
    held, narrow, errors = 0, 0, []
    for number, (aside, split) in enumerate(splits(data, count)):
        plans = repeated_folds(split.folds, split.labels, split.groups, 3, seed=42)
        materials = Materials(dict(zip(split.models, split.oof, strict=True)), split.labels, plans)
        bench = Workbench(materials, {recipe.name: recipe}, F1)
        fitted = bench.fitted(recipe.name)
        found = bench.evaluate(recipe.name)
        draws = resampled_scores(F1, split.labels, found.predicted, new_rows=int(aside.sum())).mean(axis=0)
        low, high = interval(draws)
        new = fitted.predict_proba(dict(zip(split.models, split.aside, strict=True)))
        real = F1.compute(data.labels[aside], found.decision.decide(new))
        held += low <= real <= high
        narrow += found.interval[0] <= real <= found.interval[1]
        errors.append(real - found.honest)
        print(f"{number + 1}: {low:.4f} to {high:.4f}, {real:.4f}; {held} held", flush=True)
    print(
        f"\n{held} of {count} ranges for {int(aside.sum())} new rows hold the score set aside (95 are promised); "
        f"the interval of the honest score itself, which speaks of infinitely many rows, holds {narrow}; real minus "
        f"honest {np.mean(errors):+.4f}, standard deviation {np.std(errors):.4f}; {machine()}"
    )


Result = TypeVar("Result")


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def machine() -> str:
    return f"{platform.machine()}, {usable_cores()} cores, numpy {np.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oofs", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--coverage", type=int, default=0, metavar="SPLITS")
    known = shipped() | {name: StackRecipe(name, StackDeclaration.model_validate(d)) for name, d in OTHERS.items()}
    parser.add_argument("--stacks", nargs="+", metavar="NAME", choices=known, default=list(shipped()))
    parser.add_argument("--autogluon", metavar="PYTHON")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    data = read(options.oofs, options.train)
    if options.coverage:
        coverage(data, options.coverage)
    else:
        compare(data, options.splits, {name: known[name] for name in options.stacks}, options.autogluon)


if __name__ == "__main__":
    main()
