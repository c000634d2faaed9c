"""Small made-up competitions, one of every task: rows with a signal in the words, cheap models, a solution."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from compete.competition.task import TaskName
from compete.competition.workspace import Workspace
from support.lived_in import build_stacks, reveal, send, train_models

CLASSES = ("calm", "cross", "glad", "sad")
_RATES = (0.4, 0.3, 0.2, 0.1)
_WORDS = {
    "calm": ("quiet", "steady"),
    "cross": ("furious", "rotten"),
    "glad": ("sunny", "happy"),
    "sad": ("grey", "alone"),
    "up": ("great", "lovely", "splendid"),
    "down": ("awful", "dire", "horrid"),
    "fast": ("rush", "storm", "run"),
    "slow": ("rest", "tea", "nap"),
}
_POLES = (("up", "down"), ("fast", "slow"))
Row = dict[str, str]


@dataclass(frozen=True)
class Case:
    """A competition: its task, what is predicted, and what a submission shows."""

    task: TaskName
    columns: tuple[str, ...]
    """The label columns of train."""
    sample: tuple[str, ...]
    """The columns of the sample submission besides the id."""
    blank: str
    """What stands in a cell of it."""
    stacks: tuple[str, ...] = ("mean", "blend", "logistic", "lightgbm", "second_level")
    declared: str = ""
    """More of competition.toml, above its tables."""


NUMBER_STACKS = ("mean", "blend", "ridge", "nnls", "lightgbm", "second_level")
CASES: dict[str, Case] = {
    "multilabel": Case("multilabel", ("calm", "glad", "sad"), ("calm", "glad", "sad"), "0"),
    "binary": Case("binary", ("glad",), ("glad",), "0.5"),
    "multiclass": Case("multiclass", ("mood",), ("mood",), "calm"),
    "multiclass_probabilities": Case(
        "multiclass", ("mood",), CLASSES, "0.25", declared='metric = "multiclass_log_loss"\n'
    ),
    "regression": Case("regression", ("mood",), ("mood",), "0.12", NUMBER_STACKS),
    "regression_two": Case(
        "regression", ("mood", "pace"), ("mood", "pace"), "0.12", NUMBER_STACKS, 'metric = "pearson"\n'
    ),
    "ordinal": Case("ordinal", ("mood",), ("mood",), "0", NUMBER_STACKS),
    "ordinal_two": Case("ordinal", ("mood", "pace"), ("mood", "pace"), "0.12", NUMBER_STACKS, 'metric = "pearson"\n'),
}

_RECIPES = {
    "mean": 'method = "mean"',
    "blend": 'method = "blend"',
    "logistic": 'method = "logistic"\nC = [0.05, 0.5]',
    "ridge": 'method = "ridge"',
    "nnls": 'method = "nnls"',
    "lightgbm": 'method = "lightgbm"\nrow_features = true\n[trees]\nmax_trees = 20',
}
_DECLARATION = """\
name = "{name}"
task = "{task}"
{declared}
[data]
train = "train.csv"
test = "test.csv"
sample_submission = "sample.csv"
id = "id"
text = "text"

[folds]
k = 3
seed = 7

[submission]
solution = "solution.csv"
"""


def task_workspace(root: Path, name: str, train: int = 300, test: int = 120) -> Workspace:
    """The competition of that name in CASES, with `linear`, `nbsvm` and stack recipes; nothing is trained."""
    case = CASES[name]
    rows, of_test = _rows(case, train, 1, "a"), _rows(case, test, 2, "b")
    _write(root / "train.csv", rows)
    _write(root / "test.csv", [{"id": row["id"], "text": row["text"]} for row in of_test])
    _write(root / "sample.csv", [{"id": row["id"], **dict.fromkeys(case.sample, case.blank)} for row in of_test])
    usages = ("Public", "Private")
    _write(
        root / "solution.csv",
        [{k: v for k, v in row.items() if k != "text"} | {"Usage": usages[i % 2]} for i, row in enumerate(of_test)],
    )
    declaration = _DECLARATION.format(name=name, task=case.task, declared=case.declared)
    (root / "competition.toml").write_text(declaration, encoding="utf-8")
    models = {
        "linear": "word_ngrams = [1, 1]\nchar_ngrams = []\n",
        "nbsvm": 'weighting = "nbsvm"\nword_ngrams = [1, 2]\nchar_ngrams = []\nC = 0.3\n',
    }
    for folder in ("base_models", "stacking"):
        (root / folder).mkdir()
    for model, settings in models.items():
        (root / "base_models" / f"{model}.toml").write_text(f'family = "linear"\n[settings]\n{settings}', "utf-8")
    learner = "ridge" if "ridge" in case.stacks else "logistic"
    recipes = {**_RECIPES, "second_level": f'method = "blend"\nstacks = ["blend", "{learner}"]'}
    for stack in case.stacks:
        (root / "stacking" / f"{stack}.toml").write_text(recipes[stack] + "\n", encoding="utf-8")
    return Workspace(root.resolve())


def played(workspace: Workspace) -> Workspace:
    """Trained, stacked, each base model left out once, three submissions sent, private scores revealed."""
    train_models(workspace)
    build_stacks(workspace, leave_one_out=True)
    send(workspace, ["mean", "linear", "nbsvm"])
    reveal(workspace)
    return workspace


def _rows(case: Case, count: int, seed: int, prefix: str) -> list[Row]:
    random = Random(seed)
    rows = []
    for number in range(count):
        words, cells = _row(case, random)
        words += [f"w{random.randrange(120)}" for _ in range(5)]
        random.shuffle(words)
        rows.append({"id": f"{prefix}{number:04d}", "text": " ".join(words), **cells})
    return rows


def _row(case: Case, random: Random) -> tuple[list[str], Row]:
    """Words and label cells of a row; one cue in six is wrong or missing."""
    if case.task == "multiclass":
        truth = random.choices(CLASSES, _RATES)[0]
        told = [truth if random.random() < 0.8 else random.choice(CLASSES) for _ in range(2)]
        return [random.choice(_WORDS[each]) for each in told], {"mood": truth}
    if case.task in ("multilabel", "binary"):
        labels = {name: random.random() < 0.35 for name in case.columns}
        shown = [name for name, on in labels.items() if on != (random.random() < 0.15)]
        return [random.choice(_WORDS[name]) for name in shown], {name: str(int(on)) for name, on in labels.items()}
    words, cells = [], {}
    for column, poles in zip(case.columns, _POLES, strict=False):
        level = random.uniform(-1, 1)
        words += [random.choice(_WORDS[poles[int(random.random() > (1 + level) / 2)]]) for _ in range(4)]
        cells[column] = f"{20 + 10 * level:.2f}" if case.task == "regression" else str(round(2 * level))
    return words, cells


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
