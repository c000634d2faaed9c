"""What it costs that thresholds are learnt on single models' OOF and used on the mean of K models.

    python benchmarks/fold_means.py --train train.csv [--aside 3] [--models linear nbsvm ffnn]

A fifth of the rows is set aside and predicted as a test set is: by the mean of the K models that made the OOF of the
rest. Thresholds are learnt on that OOF and used on the fifth in several ways:

    one model       every fold's model alone (the mean of K scores): what the thresholds were learnt for
    mean            the mean of the K probabilities, as it is
    logit mean      the mean of the K logits
    rescaled        the mean's logits, spread about their median as far as the OOF's are
    quantiles       cut where the same share of rows is predicted as in the OOF

The sixth column is the highest score that thresholds fitted on the fifth itself would reach.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compete.base_models.families import FitContext
from compete.base_models.recipes import load_recipe
from compete.competition.folds import assign_folds
from compete.competition.metrics import METRICS
from compete.competition.near_identical import near_identical_groups
from compete.competition.workspace import Workspace
from compete.logits import logits, sigmoid
from compete.stacking.ensemble.cross_fitting import repeated_folds
from compete.stacking.ensemble.thresholds import cross_fitted_f1_threshold, decide, fit_thresholds
from rows import Rows, read_rows

F1 = METRICS["f1_macro"]
Floats = NDArray[np.float64]
WAYS = ("one model", "mean", "logit mean", "rescaled", "quantiles", "fitted there")


def predictions(
    name: str, rows: Rows, seen: NDArray[np.intp], aside: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """OOF of the rows `seen`, their folds, and probabilities (K, n_aside, n_labels) of the rest."""
    recipe = load_recipe(Workspace(Path(__file__).parent.parent, size="laptop"), name)
    texts, labels = [rows.texts[row] for row in seen], rows.labels[seen]
    folds = assign_folds(near_identical_groups(texts), labels, 5, 42)
    oof, new = np.empty(labels.shape), []
    for fold in range(5):
        context = FitContext(labels=rows.names, seed=fold, threads=1)
        others, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        model = recipe.build().fit([texts[row] for row in others], labels[others], context)
        oof[held_out] = model.predict_proba([texts[row] for row in held_out])
        new.append(model.predict_proba([rows.texts[row] for row in aside]))
    return oof, folds.astype(np.float64), np.asarray(new, dtype=np.float64)


def scores(labels: NDArray[np.int8], folds: Floats, oof: Floats, truth: NDArray[np.int8], new: Floats) -> list[float]:
    """Macro-F1 of the rows set aside in every one of WAYS."""
    plan = folds.astype(np.int16)
    cuts = np.array([cross_fitted_f1_threshold(labels[:, i], oof[:, i], plan) for i in range(labels.shape[1])])
    mean = new.mean(axis=0)

    def score(probabilities: Floats, thresholds: Floats = cuts) -> float:
        return F1.compute(truth, decide(probabilities, thresholds))

    shares = decide(oof, cuts).mean(axis=0)
    quantiles = np.array([np.quantile(mean[:, i], 1 - share) for i, share in enumerate(shares)])
    return [
        float(np.mean([score(model) for model in new])),
        score(mean),
        score(sigmoid(logits(new).mean(axis=0))),
        score(rescaled(mean, oof)),
        score(mean, quantiles),
        score(mean, fit_thresholds(F1, truth, mean)),
    ]


def rescaled(mean: Floats, oof: Floats) -> Floats:
    """The mean's logits, spread about their median as far as the logits of the OOF (by quartiles)."""
    new, old = logits(mean).astype(np.float64), logits(oof).astype(np.float64)
    middle = np.median(new, axis=0)
    spread = [np.subtract(*np.quantile(z, [0.75, 0.25], axis=0)) for z in (old, new)]
    return sigmoid(middle + (new - middle) * spread[0] / np.maximum(spread[1], 1e-6))


def main() -> None:
    """Print a Markdown row per model and, last, their mean (a stack of the plain mean)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--aside", type=int, default=3, help="fifths that are set aside, one after the other")
    parser.add_argument("--models", nargs="+", default=["linear", "nbsvm", "ffnn"])
    options = parser.parse_args()
    rows = read_rows(options.train, 10**9)
    groups = near_identical_groups(rows.texts)
    fifths = repeated_folds((np.arange(len(groups)) % 5).astype(np.int16), rows.labels, groups, 2, seed=7)[1]
    found: dict[str, list[list[float]]] = {}
    for fifth in range(options.aside):
        seen, aside = np.flatnonzero(fifths != fifth), np.flatnonzero(fifths == fifth)
        made = {name: predictions(name, rows, seen, aside) for name in options.models}
        folds = next(iter(made.values()))[1]
        mean = (np.mean([m[0] for m in made.values()], axis=0), folds, np.mean([m[2] for m in made.values()], axis=0))
        for name, (oof, plan, new) in {**made, "stack mean": mean}.items():
            found.setdefault(name, []).append(scores(rows.labels[seen], plan, oof, rows.labels[aside], new))
            print(fifth, name, json.dumps(found[name][-1]), flush=True)
    print(f"\n| | {' | '.join(WAYS)} |\n|---|{'---|' * len(WAYS)}")
    for name, each in found.items():
        print(f"| {name} | {' | '.join(f'{value:.4f}' for value in np.mean(each, axis=0))} |")


if __name__ == "__main__":
    main()
