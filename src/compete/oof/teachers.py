"""What the teachers of a student say of rows without labels: of fold k only their models of fold k are asked.

Pseudo-labels that models of all folds made are the known way to a score that promises too much (QUEST's first place saw
0.414 become 0.445 in validation, and nothing on the leaderboard; made fold by fold 0.422, which held). There is no way
to ask for them here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete import atomic
from compete.base_models.pseudo_labels import PseudoLabels, SoftRows, soft_rows
from compete.base_models.recipes import Recipe, has_recipe, load_recipe
from compete.competition.planned import Planned
from compete.declarations import unknown_name
from compete.errors import StoreError, UserError
from compete.oof import store
from compete.oof.kept import load_kept
from compete.oof.provenance import Seen, refuse_leak, seen_by_part
from compete.oof.state import ModelState, State, model_state, recipes_in_force
from compete.oof.unlabelled import has_test_texts, unlabelled_texts


@dataclass(frozen=True)
class Taught:
    """What a student of one fold learns besides labels."""

    rows: SoftRows
    seen: Seen
    """By the teachers, and so by the student."""
    hashes: Mapping[str, str]
    """Of the teachers' parts, by name: a student of others is stale."""
    unlabelled: str = ""
    """Hash of the file of the rows, where they are not the test set."""

    def record(self) -> dict[str, Any]:
        """What of it a part says."""
        return {"taught_by": dict(self.hashes), **({"unlabelled": self.unlabelled} if self.unlabelled else {})}


def check_teachers(planned: Planned, recipe: Recipe, folds: Sequence[int], later: Collection[str] = ()) -> None:
    """Raise UserError unless every teacher can be asked of these folds.

    later: teachers that are trained before the recipe is, and need not be there yet.
    """
    declared = recipe.declaration.pseudo_labels
    if declared is None:
        return
    _refuse_family(recipe)
    for teacher in declared.teachers:
        state = _teacher(planned, recipe, teacher)
        lacking = [fold for fold in folds if state.parts[fold].state is not State.FRESH]
        if lacking and teacher not in later:
            _refuse_lacking(recipe, state, lacking)
    if not _texts(planned, recipe, declared):
        raise UserError(f"{recipe.shown}: pseudo_labels.rows: {declared.rows} has no rows to learn from")


def _refuse_lacking(recipe: Recipe, state: ModelState, folds: Sequence[int]) -> None:
    """Raise UserError for folds of a teacher that cannot be asked; says what is wrong with the first."""
    part = state.parts[folds[0]]
    what = "not trained" if part.state is State.MISSING else str(part.state)
    why = f" ({'; '.join(part.reasons)})" if part.reasons else ""
    # Of a model that is whole no fold is trained again unless it is asked for.
    force = " --force" if State.FRESH is state.whole.state or part.state is State.DAMAGED else ""
    named = f"fold {folds[0]} of {state.name} is" if len(folds) == 1 else f"folds {_listed(folds)} of {state.name} are"
    raise UserError(
        f"{recipe.shown}: pseudo_labels.teachers: {named} {what}{why}: `compete train-base {state.name}{force}` first"
    )


def in_waves(recipes: Sequence[Recipe]) -> list[list[Recipe]]:
    """Recipes in the order in which they can be trained: a student in a later wave than its teachers.

    Teachers that are not among them change nothing. Raises UserError for students that teach each other.
    """
    waves, left = list[list[Recipe]](), list(recipes)
    while left:
        waiting = {recipe.name for recipe in left}
        wave = [recipe for recipe in left if waiting.isdisjoint(teachers_of(recipe))]
        if not wave:
            circle = _circle({recipe.name: recipe for recipe in left})
            raise UserError(
                f"base_models/{circle[0]}.toml: pseudo_labels.teachers: {' learns from '.join(circle)}: none of them "
                "can be trained before the others. Take one of the teachers out"
            )
        waves.append(wave)
        left = [recipe for recipe in left if recipe not in wave]
    return waves


def teachers_of(recipe: Recipe) -> tuple[str, ...]:
    """Names; none for a recipe without [pseudo_labels]."""
    declared = recipe.declaration.pseudo_labels
    return () if declared is None else declared.teachers


def untaught(planned: Planned, recipe: Recipe, folds: Sequence[int]) -> list[str]:
    """Teachers that lack one of these folds."""
    states = {teacher: _teacher(planned, recipe, teacher) for teacher in teachers_of(recipe)}
    return [t for t, state in states.items() if any(state.parts[fold].state is not State.FRESH for fold in folds)]


def _circle(waiting: Mapping[str, Recipe]) -> list[str]:
    """Names along a circle of students, the first again at the end; every recipe waits for another one."""
    path = [min(waiting)]
    while path[-1] not in path[:-1]:
        path.append(next(teacher for teacher in teachers_of(waiting[path[-1]]) if teacher in waiting))
    return path[path.index(path[-1]) :]


def taught(planned: Planned, recipe: Recipe, fold: int, threads: int) -> Taught | None:
    """What the teachers' models of `fold` say; None for a recipe without teachers."""
    declared = recipe.declaration.pseudo_labels
    if declared is None:
        return None
    check_teachers(planned, recipe, [fold])
    competition, learnt = planned.competition, planned.learnt
    texts, on_test = _texts(planned, recipe, declared), declared.rows == "test"
    said, seen, hashes = [], [], {}
    for teacher in declared.teachers:
        part = planned.workspace.base_model(teacher).part(fold)
        record = store.read_record(part)
        knows = seen_by_part(record, fold, planned.plan.k)
        refuse_leak(knows, fold, f"teacher {teacher}")
        seen.append(knows)
        hashes[teacher] = store.hash_of(record, part.oof)
        said.append(_said(planned, teacher, fold, texts, threads, on_test=on_test))
        if store.read_record(part) != record:
            raise StoreError(f"teacher {teacher} was trained again while it was asked: run the command again")
    targets = np.stack(said).mean(axis=0, dtype=np.float64)[:, learnt.mask].astype(np.float32)
    own = Seen(test_texts=on_test or has_test_texts(competition, texts), through=declared.teachers)
    unlabelled = "" if on_test else atomic.sha256_file(competition.workspace.root / declared.rows)
    return Taught(soft_rows(declared, texts, targets, competition.task.kind), own.joined(seen), hashes, unlabelled)


def _texts(planned: Planned, recipe: Recipe, declared: PseudoLabels) -> list[str]:
    """Of the rows that teachers are asked of."""
    competition = planned.competition
    if declared.rows == "test":
        return list(competition.test_texts)
    return unlabelled_texts(competition, declared.rows, f"{recipe.shown}: pseudo_labels.rows:", '"test", or ')


def _said(
    planned: Planned, teacher: str, fold: int, texts: Sequence[str], threads: int, *, on_test: bool
) -> NDArray[np.float32]:
    """Predictions (len(texts), n_labels) of the teacher's model of this fold."""
    workspace, competition = planned.workspace, planned.competition
    if on_test:
        return store.read_part(workspace.base_model(teacher).part(fold), planned.plan, competition.shape).test
    recipe = load_recipe(workspace, teacher).of_fold(fold)
    identity = recipe.identity_on(planned.identity)
    model = load_kept(workspace, recipe, fold, planned.learnt_task, threads, identity)
    return planned.learnt.whole(model.predict_proba(texts))


def _teacher(planned: Planned, recipe: Recipe, teacher: str) -> ModelState:
    """The teacher's state; raises UserError for what can be no teacher."""
    workspace = planned.workspace
    where = f"{recipe.shown}: pseudo_labels.teachers:"
    if workspace.stack_recipe(teacher).is_file():
        raise UserError(
            f"{where} {teacher} is a stack, whose weights and thresholds were fitted on the rows of all folds: what it "
            "says of any row has seen every fold's labels. Name its base models; their plain mean is taken"
        )
    if teacher == recipe.name:
        raise UserError(f"{where} {teacher} cannot be its own teacher")
    folder = workspace.base_model(teacher)
    if not has_recipe(workspace, teacher):
        if folder.record.is_file() and store.read_record(folder).get("kind") == "imported":
            raise UserError(
                f"{where} {teacher} was imported: what it says of the test set comes of all folds together, and has "
                "seen every fold's labels. Name models that are trained here"
            )
        known = [name for name in recipes_in_force(workspace) if name != recipe.name]
        raise UserError(f"{where} no recipe base_models/{teacher}.toml; {unknown_name(teacher, known)}")
    own = load_recipe(workspace, teacher)
    declared = recipe.declaration.pseudo_labels
    if declared is not None and declared.rows != "test" and own.needs.features and planned.competition.train_features:
        raise UserError(
            f"{where} {teacher} reads the columns of [data] features, and {declared.rows} gives texts alone: "
            'take rows = "test", or another teacher'
        )
    return model_state(workspace, teacher, own, planned.identity, planned.plan.k)


def _refuse_family(recipe: Recipe) -> None:
    family = recipe.ready().family
    if not getattr(family, "learns_soft_rows", False):
        raise UserError(
            f"{recipe.shown}: pseudo_labels: family {recipe.declaration.family} does not learn from soft targets; "
            "linear, ffnn, sequence_classifier and embeddings do"
        )
    if recipe.needs.features:
        raise UserError(f"{recipe.shown}: pseudo_labels: not for a family that reads the columns of [data] features")
    head = getattr(recipe.settings, "head", "linear")
    if head != "linear":
        raise UserError(
            f'{recipe.shown}: pseudo_labels: head = "{head}" does not learn from soft targets; "linear" does'
        )


def _listed(folds: Sequence[int]) -> str:
    return ", ".join(map(str, folds))
