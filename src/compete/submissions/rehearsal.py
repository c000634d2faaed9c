"""A rehearsal: part of the training rows plays the test set, so that every promise can be held against the truth.

The rest of the rows makes a workspace of its own, in rehearsals/, with the same recipes, where everything is trained
anew: nothing in it saw a row that was held out. Submissions go to a local leaderboard under the daily limit, and at the
end the private scores are shown.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from compete import atomic
from compete.base_models.recipes import Recipe
from compete.competition.column_names import free_name
from compete.competition.data import Competition, load_competition
from compete.competition.folds import near_identical_groups
from compete.competition.metrics import Labels
from compete.competition.workspace import Workspace
from compete.errors import DataError, SubmissionError, UserError
from compete.oof.train import current_plan
from compete.stacking.building import build, choose, open_stacking, remember_choice
from compete.stacking.ensemble.cross_fitting import repeated_folds
from compete.stacking.recipes import StackRecipe, load_with_parts
from compete.stacking.scores import base_model_score
from compete.submissions.leaderboard.finalists import Finalists, choose_finalists
from compete.submissions.ledger import Entry
from compete.submissions.sending import Permissions, ledger_of, prepare, reveal_private, submit
from compete.submissions.sources import choose_source
from compete.submissions.targets import local_leaderboard

_PARTS = 50  # rows are held out in steps of a fiftieth


@dataclass(frozen=True)
class Rehearsal:
    """entries: what was submitted, private scores revealed; finalists: None where fewer than two could be compared."""

    workspace: Workspace
    entries: list[Entry]
    finalists: Finalists | None
    not_sent: list[str]


def rehearse(
    competition: Competition,
    recipes: Sequence[Recipe],
    stacks: Sequence[StackRecipe],
    train: Callable[[Competition], None],
    *,
    share: float = 0.2,
    seed: int = 0,
    say: Callable[[str], None] = lambda doing: None,
) -> Rehearsal:
    """Play the competition with `share` of its training rows as the test set.

    recipes: of base models, which `train` trains in the workspace it is given; stacks: to build over them. What is
    best by honest score is submitted first, until the daily limit is spent. Raises UserError if there is nothing to
    play with.
    """
    workspace, models = make_workspace(competition, recipes, share, seed), [recipe.name for recipe in recipes]
    played = load_competition(workspace)
    say(f"training {', '.join(models)} on {len(played.train_ids)} rows")
    train(played)
    names = _by_honest_score(played, models, _build(played, stacks, models, say))
    not_sent = _submit(played, names, say)
    entries = reveal_private(played, local_leaderboard(played))
    try:
        found = choose_finalists(played, entries)  # it does not look at private scores
    except UserError:
        found = None
    return Rehearsal(workspace, entries, found, not_sent)


def make_workspace(competition: Competition, recipes: Sequence[Recipe], share: float, seed: int) -> Workspace:
    """rehearsals/<seed>/: the workspace of the rows that are not held out; an older one of this seed is replaced."""
    held_out = _hold_out(competition, share, seed)
    root = competition.workspace.root / "rehearsals" / str(seed)
    shutil.rmtree(root, ignore_errors=True)
    for folder in (competition.workspace.recipes, competition.workspace.stack_recipes):
        for recipe in sorted(folder.glob("*.toml")):
            atomic.write_bytes(root / folder.name / recipe.name, recipe.read_bytes())
    for name in {recipe.declaration.family.rpartition(":")[0] for recipe in recipes} - {""}:  # of the user's own
        atomic.write_bytes(root / name, (competition.workspace.root / name).read_bytes())
    data = competition.declaration.data
    ids, texts = np.array(competition.train_ids, dtype=object), np.array(competition.train_texts, dtype=object)
    table = pd.DataFrame({data.id: ids, data.text: texts})
    labels = pd.DataFrame(competition.train_labels, columns=list(competition.labels))
    usage = np.zeros(len(ids), dtype=bool)
    rows, fraction = np.flatnonzero(held_out), competition.declaration.submission.public_fraction
    usage[rows] = _deal(np.arange(len(rows)), competition.train_labels[rows], fraction, seed + 1)
    _refuse_undefined(competition, held_out & usage, "public")
    _refuse_undefined(competition, held_out & ~usage, "private")
    solution = table[[data.id]].join(labels)
    solution[free_name("Usage", solution.columns)] = np.where(usage, "Public", "Private")
    for name, content in (
        ("train", table.join(labels)[~held_out]),
        ("test", table[held_out]),
        ("solution", solution[held_out]),
    ):
        atomic.write_text(
            root / "data" / f"{name}.csv", content.to_csv(index=False, quoting=csv.QUOTE_ALL, lineterminator="\n")
        )
    atomic.write_text(root / "competition.toml", "\n".join(_declaration(competition, recipes)) + "\n")
    return Workspace(root, competition.workspace.size)


def _hold_out(competition: Competition, share: float, seed: int) -> NDArray[np.bool_]:
    """Rows to hold out, (n_train,), with every label's share of them; near-identical texts stay together."""
    return _deal(near_identical_groups(competition.train_texts), competition.train_labels, share, seed)


def _deal(groups: NDArray[np.intp], labels: Labels, share: float, seed: int) -> NDArray[np.bool_]:
    """`share` of the rows (n_rows,), dealt out like folds; rows of a group together."""
    shape = (np.arange(len(groups)) % _PARTS).astype(np.int16)
    return np.asarray(repeated_folds(shape, labels, groups, 2, seed)[1] < max(1, round(_PARTS * share)))


def _refuse_undefined(competition: Competition, half: NDArray[np.bool_], name: str) -> None:
    """Raise UserError if the metric cannot score the half; before hours of training, not after."""
    labels = competition.train_labels[half]
    try:
        if not len(labels):
            raise DataError("there are no rows")
        competition.metric.compute(
            labels, labels.astype(np.float64) if competition.metric.thresholds is None else labels
        )
    except DataError as error:
        raise UserError(
            f"the {name} rows of the rehearsal cannot be scored ({error}): hold out more with --share"
        ) from None


def _declaration(competition: Competition, recipes: Sequence[Recipe]) -> list[str]:
    """The lines of the rehearsal's competition.toml; JSON's strings and lists are TOML's."""
    declared = competition.declaration
    folders = [(str(getattr(recipe.settings, "checkpoint", "")), recipe.folder) for recipe in recipes]
    checkpoints = {name: str(folder.resolve()) for name, folder in folders if folder is not None}
    sections: dict[str, dict[str, object]] = {
        "data": {
            "train": "data/train.csv",
            "test": "data/test.csv",
            "id": declared.data.id,
            "text": declared.data.text,
            "labels": list(competition.labels),
        },
        "folds": declared.folds.model_dump(),
        "training": {"models": [recipe.name for recipe in recipes], "remote_code": declared.training.remote_code},
        "checkpoints": {**checkpoints},
        "submission": {
            "solution": "data/solution.csv",
            "public_fraction": declared.submission.public_fraction,
            "daily_limit": declared.submission.daily_limit,
        },
    }
    lines = [f"{key} = {_toml(getattr(declared, key))}" for key in ("name", "metric", "size")]
    for title, keys in sections.items():
        lines += ["", f"[{title}]", *(f"{_toml(key)} = {_toml(value)}" for key, value in keys.items())]
    return lines


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _build(
    played: Competition, stacks: Sequence[StackRecipe], models: Sequence[str], say: Callable[[str], None]
) -> dict[str, float]:
    """Honest scores of the stacks, built over all models; none where there is a single model."""
    if len(models) < 2 or not stacks:
        return {}
    recipes = load_with_parts(played.workspace, [recipe.name for recipe in stacks])
    # The rows were looked at before they were divided: an alarm would say nothing new.
    stacking = open_stacking(played, current_plan(played), recipes, list(models), list(models))
    built = []
    for recipe in stacks:
        say(f"stack {recipe.name}")
        built.append(build(stacking, recipe.name))
    remember_choice(played.workspace, choose(played.metric, built))
    return {each.recipe.name: each.score.honest for each in built}


def _by_honest_score(played: Competition, models: Iterable[str], stacks: dict[str, float]) -> list[str]:
    plan = current_plan(played)
    scores = {name: base_model_score(played, plan, name).honest for name in models} | stacks
    return sorted(scores, key=lambda name: scores[name], reverse=played.metric.greater_is_better)


def _submit(played: Competition, names: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """Submit the best ones of a day; why others were not."""
    target, plan, refused = local_leaderboard(played), current_plan(played), []
    for name in names:
        say(f"submitting {name}")
        try:
            submit(
                played,
                prepare(played, plan, choose_source(played, plan, name), target.name),
                target,
                allowed=Permissions(constant=True),
            )
        except SubmissionError as error:
            refused.append(f"{name}: {error}")
    if not ledger_of(played.workspace).entries():
        raise SubmissionError("\n".join(refused))
    return refused


def summary(found: Rehearsal, competition: Competition) -> list[str]:
    """What the rehearsal showed, in sentences."""
    metric = competition.metric
    sign = 1 if metric.greater_is_better else -1
    held = [e for e in found.entries if _within(e.outcome.public, e.submission.public_low, e.submission.public_high)]
    private = [
        e for e in found.entries if _within(e.outcome.private, e.submission.private_low, e.submission.private_high)
    ]
    lines = [
        f"public scores in the range that was promised: {len(held)} of {len(found.entries)}; private: {len(private)}",
    ]
    best = max(found.entries, key=lambda e: sign * _private(e))
    if found.finalists is not None:
        both = [found.finalists.first.entry.number, found.finalists.second.entry.number]
        chosen = [e for e in found.entries if e.number in both]
        earned = max(chosen, key=lambda e: sign * _private(e))
        lines.append(
            f"finalists: {' and '.join(e.submission.source for e in chosen)} would have earned "
            f"{earned.outcome.private:.4f}; the best of all was {best.submission.source}, {best.outcome.private:.4f}"
        )
    return lines


def _private(entry: Entry) -> float:
    assert entry.outcome.private is not None  # a rehearsal ends with all of them revealed
    return entry.outcome.private


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    return value is not None and low is not None and high is not None and low <= value <= high
