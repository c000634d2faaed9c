"""How often the range that is promised for a public score holds it: rehearsals of a fast model on real rows.

    python benchmarks/rehearsals.py --train train.csv [--count 100]
    python benchmarks/rehearsals.py --like WORKSPACE [--count 100]   # of any task, declared as there

Every rehearsal holds out another fifth of the rows, trains five folds of a bag of words and three letters on the rest,
submits it, and shows the private score at the end, all by the code of `compete rehearse`.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from compete.competition.declaration import read_declaration
from compete.competition.reading import read_table
from compete.competition.workspace import Workspace
from compete.declarations import to_toml
from compete.execution.local import usable_cores
from compete.workflows.rehearse import rehearse

RECIPE = """family = "linear"
[settings]
word_ngrams = [1, 1]
char_ngrams = [3, 3]
min_df = 3
"""


def workspace_of(root: Path, table: Path) -> Workspace:
    """A workspace of the labelled rows; its test set is never looked at."""
    rows = read_table(table)
    rows.to_csv(root / "train.csv", index=False)
    test = pd.DataFrame({rows.columns[0]: ["none"], rows.columns[1]: ["a text that nobody scores"]})
    test.to_csv(root / "test.csv", index=False)
    (root / "base_models").mkdir()
    (root / "base_models" / "fast.toml").write_text(RECIPE, encoding="utf-8")
    (root / "competition.toml").write_text(
        f'name = "rehearsals"\n[data]\ntrain = "train.csv"\ntest = "test.csv"\nid = "{rows.columns[0]}"\n'
        f'text = "{rows.columns[1]}"\n[submission]\npublic_fraction = 0.5\n',
        encoding="utf-8",
    )
    return Workspace(root)


def workspace_like(root: Path, given: Workspace) -> Workspace:
    """A workspace of the labelled rows of another one, declared as there; the test set's first row stands for it."""
    declared = read_declaration(given)
    data = declared.data
    for role, files in (("train", data.train), ("test", data.test)):
        rows = read_table(given.root / files[0], data.separator, data.quoting, data.encoding)
        (rows if role == "train" else rows.head(1)).to_csv(root / f"{role}.csv", index=False)
    (root / "base_models").mkdir()
    (root / "base_models" / "fast.toml").write_text(RECIPE, encoding="utf-8")
    kept = data.model_dump(exclude={"train", "test", "sample_submission", "separator", "quoting", "encoding"})
    tables = {
        "data": {"train": "train.csv", "test": "test.csv", **kept},
        "folds": declared.folds.model_dump(),
        "submission": {"public_fraction": 0.5},
    }
    (root / "competition.toml").write_text(to_toml(declared.top, tables), encoding="utf-8")
    return Workspace(root)


def main() -> None:
    """Print a line per rehearsal, and how many ranges held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    rows = parser.add_mutually_exclusive_group(required=True)
    rows.add_argument("--train", type=Path)
    rows.add_argument("--like", type=Path)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    held, private_held, gaps = 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        workspace = (
            workspace_of(root, options.train) if options.train else workspace_like(root, Workspace(options.like))
        )
        for seed in range(options.count):
            (entry,) = rehearse(workspace, ["fast"], seed=seed, workers=0).entries
            sent, outcome = entry.submission, entry.outcome
            assert sent.public_low is not None and sent.public_high is not None and outcome.public is not None
            assert sent.private_low is not None and sent.private_high is not None and outcome.private is not None
            assert sent.validation is not None
            held += sent.public_low <= outcome.public <= sent.public_high
            private_held += sent.private_low <= outcome.private <= sent.private_high
            gaps.append(outcome.public - sent.validation)
            print(
                f"{seed}: honest {sent.validation:.4f}, public {outcome.public:.4f} in {sent.public_low:.4f} to "
                f"{sent.public_high:.4f}; {held} of {seed + 1} held",
                flush=True,
            )
    print(
        f"\n{held} of {options.count} ranges hold the public score, {private_held} the private one (95 are promised); "
        f"public minus honest {np.mean(gaps):+.4f}, standard deviation {np.std(gaps):.4f}; {platform.machine()}, "
        f"{usable_cores()} cores"
    )


if __name__ == "__main__":
    main()
