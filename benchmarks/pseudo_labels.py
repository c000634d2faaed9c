"""Pseudo-labels done rightly and wrongly: what each promises, and what rows set aside say.

    python benchmarks/pseudo_labels.py WORKSPACE RECIPE [--repeats 5] [--weight 1] [--picture FILE]

In every repeat a quarter of the training rows is set aside: its texts are the rows without labels, its labels score in
the end and are seen by nothing before. Of the rest the recipe's family is trained per fold without pseudo-labels; with
those of the same fold's model (as compete makes them); and with the mean of all folds' models, which is how it is
often done, and leaks: a student then learns from what has seen the rows that it is scored on. Teacher and student are
of the same family and settings. Promise: the honest score of the out-of-fold predictions. Kept: the score of the mean
of the folds' models on the rows set aside, decided as fitted on the others.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from compete.base_models.families import FitContext
from compete.base_models.pseudo_labels import PseudoLabels, soft_rows
from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.data import Competition, load_competition
from compete.competition.folds import assign_folds
from compete.competition.workspace import Workspace
from compete.stacking.ensemble.cross_fitting import as_it_is
from compete.stacking.ensemble.evaluation import evaluate
from stackers import machine

WAYS = ("without", "fold by fold", "all folds")
K = 5
ASIDE = 4  # one part of so many
Predictions = tuple[NDArray[np.float32], list[NDArray[np.float32]]]


def main() -> None:
    """Print a Markdown table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    workspace = Workspace(options.workspace.resolve())
    competition, recipe = load_competition(workspace), load_recipe(workspace, options.recipe).ready()
    declared = PseudoLabels(teachers=(recipe.name,), weight=options.weight)
    each = np.array([repeat(competition, recipe, declared, number) for number in range(options.repeats)])
    print(f"{competition.declaration.name}, {recipe.name}, weight {options.weight:g}; {machine()}\n")
    print(
        "| pseudo-labels | promised | kept | promised - kept | gain promised | gain kept |\n|---|---|---|---|---|---|"
    )
    means, errors = each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(len(each))
    for way, (promised, kept) in zip(WAYS, means, strict=True):
        gains = f"{promised - means[0, 0]:+.4f} | {kept - means[0, 1]:+.4f}"
        print(f"| {way} | {promised:.4f} | {kept:.4f} | {promised - kept:+.4f} | {gains} |")
    over = (each[:, :, 0] - each[:, :, 1]) - (each[:, :1, 0] - each[:, :1, 1])
    print(f"\npromised - kept, over that without, standard error of {len(each)} repeats:", end=" ")
    print(
        ", ".join(
            f"{w} {m:+.4f} ({s:.4f})"
            for w, m, s in zip(WAYS, over.mean(0), over.std(0, ddof=1) / np.sqrt(len(over)), strict=True)
        )
    )
    if options.picture:
        draw(means, errors, competition.metric.title, options.picture)


def repeat(competition: Competition, recipe: Recipe, declared: PseudoLabels, seed: int) -> NDArray[np.float64]:
    """(way, promised and kept) of one choice of rows set aside."""
    parts = assign_folds(competition.groups, competition.strata, ASIDE, seed)
    aside, rest = np.flatnonzero(parts == 0), np.flatnonzero(parts != 0)
    _, groups = np.unique(competition.groups[rest], return_inverse=True)
    folds = assign_folds(groups, competition.strata[rest], K, seed)
    texts = [competition.train_texts[row] for row in rest]
    unknown = [competition.train_texts[row] for row in aside]
    targets, kind = competition.train_targets[rest], competition.task.kind

    def context(fold: int) -> FitContext:
        task = competition.task
        cache = competition.workspace.frozen_features
        return FitContext(task.outputs, 1000 * seed + fold, task.name, task.grades, features=cache)

    def trained(said: list[NDArray[np.float32]] | None) -> Predictions:
        """Out-of-fold predictions, and those of every fold's model of the rows set aside."""
        oof, of_aside = np.empty((len(rest), len(competition.labels)), dtype=np.float32), []
        for fold in range(K):
            others, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            soft = None if said is None else soft_rows(declared, unknown, said[fold], kind)
            told = replace(context(fold), soft=soft)
            model = recipe.build().fit([texts[row] for row in others], targets[others], told)
            oof[held_out] = model.predict_proba([texts[row] for row in held_out])
            of_aside.append(model.predict_proba(unknown))
        return oof, of_aside

    plain = trained(None)
    together: NDArray[np.float32] = np.stack(plain[1]).mean(axis=0, dtype=np.float32)
    found = [plain, trained(plain[1]), trained([together] * K)]
    metric, truth = competition.metric, competition.train_targets[aside]
    scores = []
    for oof, of_aside in found:
        told = evaluate(metric, targets, [as_it_is(oof, folds)], oof)
        mean: NDArray[np.float64] = np.stack(of_aside).mean(axis=0, dtype=np.float64)
        scores.append((told.honest, metric.compute(truth, told.decision.decide(mean) if metric.decides else mean)))
    print(
        f"{seed}: " + ", ".join(f"{way} {p:.4f} {k:.4f}" for way, (p, k) in zip(WAYS, scores, strict=True)), flush=True
    )
    return np.array(scores)


def draw(means: NDArray[np.float64], errors: NDArray[np.float64], metric: str, path: Path) -> None:
    """Promised and kept, a pair for every way."""
    figure, axes = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
    places = np.arange(len(WAYS))[::-1]
    for column, (name, marker, colour) in enumerate((("promised", "o", "#b35806"), ("kept", "s", "#3b6ea5"))):
        shift = 0.1 if column == 0 else -0.1
        axes.errorbar(means[:, column], places + shift, xerr=errors[:, column], fmt=marker, color=colour, label=name)
    axes.set_yticks(places, WAYS)
    axes.set_ylim(-0.5, len(WAYS) - 0.5)
    axes.set_xlabel(f"{metric}; bars: standard error over the repeats")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="best", frameon=False)
    figure.savefig(path.with_suffix(".png"), dpi=150)
    figure.savefig(path.with_suffix(".svg"))


if __name__ == "__main__":
    main()
