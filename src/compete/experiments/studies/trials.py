"""What a study trains: arms that differ in one thing, each repeated; and which rows a repeat deals to which fold.

Of a study of folds, a repeat sets rows aside, the same for all arms, and deals the others anew. Of a study of
settings, a repeat is another seed, under the workspace's own fold plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compete.base_models.recipes import Recipe, varied
from compete.competition.data import Competition
from compete.competition.folds import assign_folds, in_one_fold, too_rare
from compete.errors import UserError
from compete.oof.fold_plan import under_stored_plan

Strategy = Literal["plain", "stratified", "grouped"]
STRATEGIES: dict[str, str] = {
    "plain": "rows dealt by chance alone",
    "stratified": "stratified by label, but near-identical texts and groups may be parted",
    "grouped": "stratified, near-identical texts and groups together: as `compete folds` deals",
}
ASIDE = -1
"""The fold of a row that is set aside."""
Folds = NDArray[np.int16]


@dataclass(frozen=True)
class Arm:
    """One of the things that are compared."""

    name: str
    """Of its files: letters, digits, _ and -."""
    title: str
    k: int | None = None
    """None: the workspace's own fold plan."""
    strategy: Strategy = "grouped"
    change: Mapping[str, Any] | None = None
    """Of the recipe's settings."""

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Trial:
    """An arm in one of its repeats: the trainings of all folds."""

    arm: Arm
    repeat: int
    aside: float = 0.0
    """Share of the rows that are set aside."""

    @property
    def name(self) -> str:
        return f"{self.arm.name}_r{self.repeat}"

    def part(self, fold: int) -> str:
        """Name of the training of one fold."""
        return f"{self.name}_f{fold}"

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe as the trial trains it: with the arm's settings and the repeat's seed."""
        changed = recipe if self.arm.change is None else varied(recipe, "study", self.arm.change)
        declaration = changed.declaration
        return replace(changed, declaration=declaration.model_copy(update={"seed": declaration.seed + self.repeat}))

    def record(self) -> dict[str, Any]:
        return {"arm": self.arm.record(), "repeat": self.repeat, "aside": self.aside}


def trial_from(record: Mapping[str, Any]) -> Trial:
    """The inverse of Trial.record."""
    return Trial(Arm(**record["arm"]), record["repeat"], record["aside"])


def dealt(competition: Competition, trial: Trial) -> Folds:
    """The fold of every training row, (n_train,); ASIDE for those that are set aside.

    Rows set aside are dealt like folds, whatever the arm's strategy: nothing alike is on both sides.
    """
    arm = trial.arm
    if arm.k is None:
        return under_stored_plan(competition).plan.folds
    seed = competition.declaration.folds.seed
    aside = set_aside(competition.groups, competition.strata, trial.aside, _seed(seed, trial.repeat))
    rows = np.flatnonzero(~aside)
    folds = np.full(len(aside), ASIDE, dtype=np.int16)
    folds[rows] = split(
        competition.groups[rows], competition.strata[rows], arm.k, arm.strategy, _seed(seed, trial.repeat, arm.k)
    )
    return folds


def set_aside(groups: NDArray[np.intp], strata: NDArray[np.int8], share: float, seed: int) -> NDArray[np.bool_]:
    """Which rows are set aside, (n_rows,): `share` of the groups, stratified; rows of a group together.

    groups: (n_rows,), numbers from 0; strata: 0/1 (n_rows, n_strata).
    """
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    union = np.zeros((int(groups.max()) + 1, strata.shape[1]), dtype=np.int8)
    np.maximum.at(union, groups, strata)
    if union.shape[1] == 1:
        union = np.hstack([union, 1 - union])
    splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    _, chosen = next(splitter.split(np.zeros((len(union), 1)), union))
    return np.isin(groups, chosen)


def split(groups: NDArray[np.intp], strata: NDArray[np.int8], k: int, strategy: Strategy, seed: int) -> Folds:
    """A fold from 0 to k - 1 for every row, (n_rows,), by the strategy; arguments as of `set_aside`."""
    if strategy == "grouped":
        return assign_folds(np.unique(groups, return_inverse=True)[1], strata, k, seed)
    if strategy == "stratified":
        return assign_folds(np.arange(len(groups)), strata, k, seed)
    return np.random.default_rng(seed).permutation(np.arange(len(groups)) % k).astype(np.int16)


def refuse_too_rare(competition: Competition, trial: Trial, folds: Folds) -> None:
    """Raise UserError if a label has fewer positive rows than there are folds, or all of them in one fold."""
    if not competition.task.gives_probabilities or trial.arm.k is None:
        return
    rows = np.flatnonzero(folds != ASIDE)
    groups, strata = competition.groups[rows], competition.strata[rows]
    rare = too_rare(groups, strata, trial.arm.k) | in_one_fold(folds[rows], strata)
    if rare.any():
        names = [
            f"{name!r} ({len(np.unique(groups[column == 1]))})"
            for name, column, is_rare in zip(competition.task.outputs, strata.T, rare, strict=True)
            if is_rare
        ]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise UserError(
            f"K = {trial.arm.k}, and every fold needs positive rows of its own of every label; of so many rows that "
            f"are not set aside and differ in text or group, too few have {', '.join(names[:5])}{more}. Lower --k, or "
            "set fewer rows aside"
        )


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
