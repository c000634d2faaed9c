"""Seconds, peak memory and size of `compete report` for many models, labels and rows.

    python benchmarks/report.py                      # 20 base models, 28 labels, 100,000 training and test rows
    python benchmarks/report.py --models 5 --labels 11 --rows 10000 --keep FOLDER

The workspace is made up: texts of random words, a hidden propensity per row and label that every base model sees
through noise of its own, curves of ten epochs for each. Scores are computed before, as `compete stack` leaves them;
`--cold` has the report compute them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from compete.competition.data import load_competition
from compete.competition.folds import FoldPlan, made_from, save_plan
from compete.competition.planned import Planned
from compete.competition.row_fingerprints import remember_sources
from compete.competition.workspace import ResultFolder, Workspace
from compete.execution.local import usable_cores
from compete.fingerprints import digest
from compete.oof import store
from compete.oof.job import made_by
from stack import made_up

K, EPOCHS = 5, 10
DECLARATION = """\
name = "made up"

[data]
train = "train.csv"
test = "test.csv"
id = "id"
text = "text"
"""


def make_workspace(root: Path, n_models: int, n_labels: int, n_rows: int) -> None:
    """A workspace with whole base models and a stack recipe, not yet built."""
    oof, labels = made_up(n_models, n_labels, n_rows)
    test, _ = made_up(n_models, n_labels, n_rows)
    random = np.random.default_rng(3)
    words = np.array([f"word{number}" for number in range(5000)])
    texts = [" ".join(row) for row in words[random.integers(len(words), size=(2 * n_rows, 14))]]
    ids = [f"row{number:07d}" for number in range(2 * n_rows)]
    train = pd.DataFrame({"id": ids[:n_rows], "text": texts[:n_rows]})
    names = [f"label_{number:02d}" for number in range(n_labels)]
    train.join(pd.DataFrame(labels, columns=names)).to_csv(root / "train.csv", index=False)
    pd.DataFrame({"id": ids[n_rows:], "text": texts[n_rows:]}).to_csv(root / "test.csv", index=False)
    (root / "competition.toml").write_text(DECLARATION, encoding="utf-8")
    (root / "base_models").mkdir()
    (root / "stacking").mkdir()
    (root / "stacking" / "mean.toml").write_text('method = "mean"\n', encoding="utf-8")
    competition = load_competition(Workspace(root))
    folds = (random.permutation(n_rows) % K).astype(np.int16)
    origin = made_from(competition.fingerprints, competition.declaration.folds)
    fingerprint = digest([folds.tobytes(), *(f"{name}={value}" for name, value in sorted(origin.items()))])
    plan = FoldPlan(folds, K, origin, fingerprint)
    save_plan(competition, plan)
    remember_sources(competition)
    workspace, planned = competition.workspace, Planned(competition, plan)
    for number in range(n_models):
        folder = workspace.base_model(f"model_{number:02d}")
        record = {
            "kind": "imported",
            "model": folder.name,
            "identity": planned.identity,
            "made_by": made_by(),
        }
        store.write_model(folder, store.Predictions(oof[number], test[number]), competition.shape, record)
        _write_curves(folder)


def _write_curves(folder: ResultFolder) -> None:
    rows = [{"epoch": e, "train_loss": 0.5 / e, "validation_loss": 0.4 + abs(e - 4) / 50} for e in range(1, EPOCHS + 1)]
    for fold in range(K):
        folder.part(fold).path.mkdir()
        folder.part(fold).curves.write_text(json.dumps(rows), encoding="utf-8")


def compete(root: Path, *arguments: str) -> float:
    """Seconds of one command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "compete.cli.main", *arguments], cwd=root, check=True, stdout=sys.stderr)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--labels", type=int, default=28)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--cold", action="store_true", help="let the report compute the scores")
    parser.add_argument("--keep", type=Path, help="make the workspace in this new folder and leave it there")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {usable_cores()} of {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or Path(temporary)
        root.mkdir(parents=True, exist_ok=True)
        make_workspace(root, options.models, options.labels, options.rows)
        compete(root, "stack", "mean")
        compete(root, "status")
        if options.cold:
            for path in (root / "oof").glob("*/scores.json"):
                path.unlink()
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        seconds = compete(root, "report")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        page, figures = root / "report" / "index.html", list((root / "report" / "figures").iterdir())
        print(f"{options.models} models x {options.labels} labels x {options.rows:,} rows: {seconds:.1f} s")
        print(f"page {page.stat().st_size / 1e6:.2f} MB; {len(figures)} files of figures, ", end="")
        print(f"{sum(path.stat().st_size for path in figures) / 1e6:.1f} MB; ", end="")
        print(f"peak memory {max(before, peak) / 1024:.0f} MiB (the largest of these commands)")


if __name__ == "__main__":
    main()
