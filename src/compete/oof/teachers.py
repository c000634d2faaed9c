"""What the teachers of a student say of rows without labels: of fold k only their models of fold k are asked.

Pseudo-labels that models of all folds made are the known way to a score that promises too much (QUEST's first place saw
0.414 become 0.445 in validation, and nothing on the leaderboard; made fold by fold 0.422, which held). There is no way
to ask for them here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compete.base_models.pseudo_labels import PseudoLabels, SoftRows, soft_rows
from compete.base_models.recipes import Recipe, has_recipe, load_recipe
from compete.competition.planned import Planned
from compete.competition.reading import read_table
from compete.declarations import unknown_name
from compete.errors import UserError
from compete.oof import store
from compete.oof.kept import load_kept
from compete.oof.provenance import Seen, refuse_leak, seen_by_part
from compete.oof.state import ModelState, State, model_state, recipes_in_force


@dataclass(frozen=True)
class Taught:
    """What a student of one fold learns besides labels."""

    rows: SoftRows
    seen: Seen
    """By the teachers, and so by the student."""
    hashes: Mapping[str, str]
    """Of the teachers' parts, by name: a student of others is stale."""


def check_teachers(planned: Planned, recipe: Recipe, folds: Sequence[int]) -> None:
    """Raise UserError unless every teacher can be asked of these folds."""
    declared = recipe.declaration.pseudo_labels
    if declared is None:
        return
    _refuse_family(recipe)
    for teacher in declared.teachers:
        state = _teacher(planned, recipe, teacher)
        missing = [fold for fold in folds if state.parts[fold].state is not State.FRESH]
        if missing:
            why = f" ({'; '.join(state.reasons)})" if state.state is State.STALE else ""
            named = f"fold{'s' * (len(missing) > 1)} {', '.join(map(str, missing))}"
            raise UserError(
                f"{_shown(recipe)}: pseudo_labels.teachers: {named} of {teacher} "
                f"{'is stale' if state.state is State.STALE else 'is not trained'}{why}: "
                f"`compete train-base {teacher}` first"
            )
    if declared.rows != "test":
        _unlabelled(planned, recipe, declared)


def taught(planned: Planned, recipe: Recipe, fold: int, threads: int) -> Taught | None:
    """What the teachers' models of `fold` say; None for a recipe without teachers."""
    declared = recipe.declaration.pseudo_labels
    if declared is None:
        return None
    check_teachers(planned, recipe, [fold])
    competition, learnt = planned.competition, planned.learnt
    texts = competition.test_texts if declared.rows == "test" else _unlabelled(planned, recipe, declared)
    said, seen, hashes = [], [], {}
    for teacher in declared.teachers:
        part = planned.workspace.base_model(teacher).part(fold)
        record = store.read_record(part)
        knows = seen_by_part(record, fold, planned.plan.k)
        refuse_leak(knows, fold, f"teacher {teacher}")
        seen.append(knows)
        hashes[teacher] = store.hash_of(record, part.oof)
        said.append(_said(planned, teacher, fold, texts, threads, on_test=declared.rows == "test"))
    targets = np.stack(said).mean(axis=0, dtype=np.float64)[:, learnt.mask].astype(np.float32)
    own = Seen(test_texts=declared.rows == "test", through=declared.teachers)
    return Taught(soft_rows(declared, texts, targets, competition.task.kind), own.joined(seen), hashes)


def _said(
    planned: Planned, teacher: str, fold: int, texts: Sequence[str], threads: int, *, on_test: bool
) -> NDArray[np.float32]:
    """Predictions (len(texts), n_labels) of the teacher's model of this fold."""
    workspace, competition = planned.workspace, planned.competition
    if on_test:
        return store.read_part(workspace.base_model(teacher).part(fold), planned.plan, competition.shape).test
    recipe = load_recipe(workspace, teacher)
    identity = recipe.identity_on(planned.identity)
    model = load_kept(workspace, recipe, fold, planned.learnt_task, threads, identity)
    return planned.learnt.whole(model.predict_proba(texts))


def _teacher(planned: Planned, recipe: Recipe, teacher: str) -> ModelState:
    """The teacher's state; raises UserError for what can be no teacher."""
    workspace = planned.workspace
    where = f"{_shown(recipe)}: pseudo_labels.teachers:"
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
    return model_state(workspace, teacher, load_recipe(workspace, teacher), planned.identity, planned.plan.k)


def _unlabelled(planned: Planned, recipe: Recipe, declared: PseudoLabels) -> list[str]:
    """Texts of the rows; raises UserError for a file that is not there, or that brings labels along."""
    competition = planned.competition
    path = competition.workspace.root / declared.rows
    where = f"{_shown(recipe)}: pseudo_labels.rows:"
    if not path.is_file():
        raise UserError(f'{where} {declared.rows} does not exist; take "test", or a file of rows without labels')
    data = competition.declaration.data
    table = read_table(path, data.separator, data.quoting, data.encoding)
    labels = [column for column in competition.label_columns if column in table.columns]
    if labels:
        raise UserError(
            f"{where} {declared.rows} has labels ({', '.join(labels[:3])}{', ...' * (len(labels) > 3)}), which "
            "teachers would be asked for in their place. Learn from them with [[pretrain_on]], or leave the columns out"
        )
    wanted = competition.declaration.text_columns
    absent = [name for name in wanted.names if name not in table.columns]
    if absent:
        raise UserError(f"{where} {declared.rows} has no column {', '.join(absent)}, which the text is made of")
    return wanted.texts({name: table[name].tolist() for name in wanted.names})


def _refuse_family(recipe: Recipe) -> None:
    family = recipe.ready().family
    if not getattr(family, "learns_soft_rows", False):
        raise UserError(
            f"{_shown(recipe)}: pseudo_labels: family {recipe.declaration.family} does not learn from soft targets; "
            "linear, ffnn, sequence_classifier and embeddings do"
        )
    if recipe.needs.features:
        raise UserError(f"{_shown(recipe)}: pseudo_labels: not for a family that reads the columns of [data] features")


def _shown(recipe: Recipe) -> str:
    return f"base_models/{recipe.path.name}"
