"""How often `compete study` calls a difference where there is none: studies of arms that are alike.

    python benchmarks/study_false_alarms.py --studies 100

Folds: two arms of five folds that differ in nothing but the seed that deals them, three or ten repeats. Settings: three
arms of a model whose training is left to chance, two seeds each, different streams in every arm. The rows are made up
anew in every study: few labels (4) or many (20), 2,000 rows, or 50,000. Models are real ones, ridge regressions of the
labels on random halves of 40 columns, fitted fold by fold; rows, decisions, scores and intervals are those of the
command. Texts are left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import METRICS
from compete.competition.task import Task
from compete.experiments.studies.parts import Part
from compete.experiments.studies.scoring import TrialScore, score_trial
from compete.experiments.studies.study import Study
from compete.experiments.studies.trials import ASIDE, Arm, Folds, set_aside, split
from compete.stacking.ensemble.resampling import resampled_scores

Floats = NDArray[np.float64]
COLUMNS, SHARE = 40, 0.2


class Rows:
    """Columns (n_rows, COLUMNS) and labels (n_rows, n_labels) of one made-up data set."""

    def __init__(self, n_rows: int, n_labels: int, seed: int) -> None:
        random = np.random.default_rng([seed, n_rows, n_labels])
        self.x = random.normal(size=(n_rows, COLUMNS))
        weights = random.normal(size=(COLUMNS, n_labels)) / COLUMNS**0.5
        rates = np.linspace(0.4, 0.05, n_labels)
        raw = self.x @ weights + random.normal(size=(n_rows, n_labels))
        self.y = (raw > [np.quantile(column, 1 - rate) for column, rate in zip(raw.T, rates, strict=True)]).astype(
            np.int8
        )
        self.task = Task("multilabel", tuple(f"l{i}" for i in range(n_labels)))
        self.metric = METRICS["f1_macro"].of(self.task)
        self.groups = np.arange(n_rows)

    def parts(self, folds: Folds, seed: int, columns: int) -> Iterator[Part]:
        """A model per fold, on chance columns and a chance sample of the rows that it may see."""
        for fold in range(int(folds.max()) + 1):
            random = np.random.default_rng([seed, fold])
            own = random.choice(COLUMNS, size=columns, replace=False)
            known = np.flatnonzero((folds != fold) & (folds != ASIDE))
            known = known if columns == COLUMNS else random.choice(known, size=len(known))
            asked = np.flatnonzero((folds == fold) | (folds == ASIDE))
            x = self.x[:, own]
            square = x[known].T @ x[known] + np.eye(columns)
            weights = np.linalg.solve(square, x[known].T @ (self.y[known] - self.y[known].mean(axis=0)))
            found = np.clip(self.y[known].mean(axis=0) + x[asked] @ weights, 0.001, 0.999)
            yield Part(asked, found.astype(np.float32), 1.0)


def of_folds(rows: Rows, repeats: int, seed: int) -> Study:
    arms = (Arm("a", "a", 5), Arm("b", "b", 5))
    scores: dict[str, list[TrialScore]] = {"a": [], "b": []}
    for repeat in range(repeats):
        aside = set_aside(rows.groups, rows.y, SHARE, 1000 * seed + repeat)
        for number, arm in enumerate(arms):
            folds = np.full(len(rows.y), ASIDE, dtype=np.int16)
            folds[~aside] = split(
                rows.groups[~aside], rows.y[~aside], 5, "grouped", 10_000 * seed + 100 * number + repeat
            )
            parts = list(rows.parts(folds, seed, COLUMNS))
            scores[arm.name].append(score_trial(rows.metric, rows.y, folds, parts)[0])
    return Study("alike", "folds", "ridge", rows.metric, rows.task.outputs, arms, scores, arms[0], SHARE)


def of_settings(rows: Rows, seeds: int, seed: int) -> Study:
    arms = tuple(Arm(name, name) for name in "abc")
    folds = split(rows.groups, rows.y, 5, "plain" if len(rows.y) > 10_000 else "grouped", seed)
    scores: dict[str, list[TrialScore]] = {}
    drawn: dict[str, Floats] = {}
    for number, arm in enumerate(arms):
        streams = [1_000_000 * seed + 1000 * number + each for each in range(seeds)]
        found = [score_trial(rows.metric, rows.y, folds, list(rows.parts(folds, s, COLUMNS // 2))) for s in streams]
        scores[arm.name] = [score for score, _ in found]
        drawn[arm.name] = resampled_scores(rows.metric, rows.y, [said for _, said in found]).mean(axis=0)
    return Study(
        "alike", "setting", "ridge", rows.metric, rows.task.outputs, arms, scores, arms[0], setting="x", drawn=drawn
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--large", type=int, default=10, help="studies of settings of 50,000 rows")
    asked = parser.parse_args()
    few, some = asked.studies, asked.studies // 2
    cases: list[tuple[str, int, int, int, Callable[[Rows, int, int], Study], int]] = [
        ("folds, 3 repeats", 2000, 4, few, of_folds, 3),
        ("settings, 2 seeds", 2000, 4, few, of_settings, 2),
        ("settings, 2 seeds", 2000, 20, some, of_settings, 2),
        ("folds, 3 repeats", 2000, 20, some, of_folds, 3),
        ("folds, 10 repeats", 2000, 4, some, of_folds, 10),
        ("settings, 2 seeds", 50_000, 4, asked.large, of_settings, 2),
    ]
    for title, n_rows, n_labels, studies, make, repeats in cases:
        start, alarms = time.process_time(), 0
        for seed in range(studies):
            study = make(Rows(n_rows, n_labels, seed), repeats, seed)
            alarms += any(each.difference.called for each in study.comparisons)
        seconds = time.process_time() - start
        what = f"{title}, {n_rows} rows, {n_labels} labels"
        print(f"{what}: {alarms} of {studies} studies call a difference ({seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
