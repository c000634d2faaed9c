"""The published (validation, public) pairs of ten models as a ledger, with the public range that noise alone explains.

    python benchmarks/published_gaps.py --oofs benchmarks/oofs --train train.csv > docs/published_submissions.csv

Validation was one fold (or 30 %) of 7,724 rows, the public score half of 3,259. Out-of-fold decisions of a model of
this project that scores alike are resampled at both sizes: the range is validation ± 1.96 standard errors of the gap.
Settings and thresholds that were chosen on the validation rows make validation too good, which no range here knows.
"""

from __future__ import annotations

import argparse
import math
import sys
import tomllib
from pathlib import Path

import numpy as np

from compete.competition.metrics import METRICS
from compete.stacking.ensemble.cross_fitting import as_it_is
from compete.stacking.ensemble.evaluation import decide_by_fold
from compete.stacking.ensemble.resampling import resampled_scores
from compete.submissions.ledger import UNKNOWN, Entry, NewSubmission, Outcome
from compete.submissions.ledger_csv import to_csv
from stackers import read

F1 = METRICS["f1_macro"]
RECIPES = Path(__file__).parent.parent / "base_models"
PUBLIC_ROWS = round(0.5 * 3_259)
ROWS = 7_724
# How the report validated: rows of the validation set, by recipe.
HELD_OUT = {"ffnn": 0.3, "roberta_base": 0.3, "stella_en_1_5b_v5": 1 / 15, "llama_3_2_3b_instruct": 1 / 3}


def main() -> None:
    """Print the ledger as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oofs", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    options = parser.parse_args()
    data = read(options.oofs, options.train)
    stood_in = {}
    for name, oof in zip(data.models, data.oof, strict=True):
        decided = decide_by_fold(F1, data.labels, as_it_is(oof, data.folds), "cross_fitted")[0]
        # of one row: so many rows divide the variance
        deviation = float(np.std(resampled_scores(F1, data.labels, [decided])[0])) * math.sqrt(len(data.labels))
        stood_in[name] = (F1.compute(data.labels, decided), deviation)
    entries: list[Entry] = []
    for path in sorted(RECIPES.glob("*.toml")):
        scores = tomllib.loads(path.read_text(encoding="utf-8")).get("published", {})
        if "kaggle_public" not in scores:
            continue
        validation, public = scores["validation"], scores["kaggle_public"]
        deviation = min(stood_in.values(), key=lambda found: abs(found[0] - public))[1]
        held_out = round(ROWS * HELD_OUT.get(path.stem, 0.1))
        error = 1.96 * deviation * math.sqrt(1 / held_out + 1 / PUBLIC_ROWS)
        sent = NewSubmission(
            target="published",
            file="",
            content="",
            source=path.stem,
            metric="f1_macro",
            validation=validation,
            fold_plan="",
            probabilities="",
            message=f"validated on {held_out} rows",
            public_low=round(validation - error, 4),
            public_high=round(validation + error, 4),
        )
        outcome = Outcome("scored", None, public)
        entries.append(Entry(len(entries) + 1, UNKNOWN, sent, outcome, UNKNOWN))
    sys.stdout.write(to_csv(entries))


if __name__ == "__main__":
    main()
