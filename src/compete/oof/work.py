"""What is missing, having it trained, and putting the folds together."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from compete.base_models.recipes import (
    AS_PUBLISHED,
    Recipe,
    has_recipe,
    load_recipe,
    load_recipes,
    ready_recipes,
    recipe_names,
    without_place,
)
from compete.competition.data import Competition
from compete.competition.planned import Planned
from compete.competition.rare_labels import rare_sentence
from compete.competition.workspace import Workspace
from compete.declarations import unknown_name
from compete.errors import DiskFullError, JobsFailedError, StoreError, UserError
from compete.execution.deadline import Deadline
from compete.execution.devices import processor_memory
from compete.execution.executor import Executor
from compete.execution.jobs import Event, Failed, Finished, Job
from compete.execution.local import usable_cores
from compete.fingerprints import digest
from compete.oof import store
from compete.oof.fold_plan import edited, with_plan
from compete.oof.job import make_job
from compete.oof.kept import check_job, not_kept, waits_for_check
from compete.oof.lock import exclusive, held_folds
from compete.oof.needs import PRETRAINED_MEMORY
from compete.oof.priors import check_steps
from compete.oof.provenance import seen_by_part
from compete.oof.state import ModelState, State, changed_by_competition, model_state
from compete.oof.teachers import check_teachers


@dataclass(frozen=True)
class Work:
    """What one call of train-base is going to do."""

    planned: Planned
    recipes: list[Recipe]
    states: dict[str, ModelState]
    """Of every chosen recipe, before anything runs."""
    jobs: list[Job]
    """One per fold that is missing, stale or forced."""
    notices: list[str] = field(default_factory=list)
    """Sentences on what is trained again and why, and on labels that are not learnt."""

    def seconds_per_fold(self) -> dict[str, float]:
        """What a fold of each model took before, by model, where one is trained."""
        return {name: state.seconds / max(state.folds_done, 1) for name, state in self.states.items() if state.seconds}


def choose_recipes(competition: Competition, names: Sequence[str], *, as_published: bool = False) -> list[Recipe]:
    """The named recipes, or for no names all that `--all` means; `as_published` those that have such settings."""
    workspace = competition.workspace
    known = recipe_names(workspace)
    unknown = [n for n in names if not has_recipe(workspace, n)]
    if unknown:
        raise UserError("\n".join(f"no recipe base_models/{n}.toml; {unknown_name(n, known)}" for n in unknown))
    if not known:
        raise UserError("base_models/ holds no recipe: `compete init DIR` makes a workspace with recipes to start from")
    declared = competition.declaration.training.models
    chosen = list(dict.fromkeys(names)) or declared or known
    recipes = load_recipes(workspace, chosen)
    if not names and declared is None:
        recipes = [recipe for recipe in recipes if recipe.in_all]
    if not as_published:
        return ready_recipes(recipes)
    if not names:
        recipes = [recipe for recipe in recipes if recipe.declaration.published]
    if not recipes:
        raise UserError("--as-published: no recipe has [published] settings to train with")
    published = [recipe.name.removesuffix(AS_PUBLISHED) + AS_PUBLISHED for recipe in recipes]
    return ready_recipes(load_recipes(workspace, published))


def default_workers(recipes: Sequence[Recipe], gpus: Sequence[str]) -> int:
    """Jobs at once: one per GPU; without one, one per core as far as the memory goes for pretrained models."""
    if gpus:
        return len(gpus)
    if not any(recipe.needs.is_pretrained for recipe in recipes):
        return usable_cores()
    return max(1, min(usable_cores(), processor_memory() // PRETRAINED_MEMORY))


def find_work(
    competition: Competition,
    recipes: Sequence[Recipe],
    folds: Sequence[int] = (),
    *,
    force: bool = False,
    replace_stale: bool = False,
    threads: int = 1,
    parity: bool = True,
    now: Collection[str] | None = None,
) -> Work:
    """Decide which jobs to run; raises before anything is trained or replaced.

    now: of the recipes those whose jobs are wanted, where the others are done before or come after, as students do
    after their teachers (`teachers.in_waves`); what is wrong with them is told all the same.

    A recipe that was edited is trained again, and said. Stale because the competition was edited: only with
    `replace_stale`. Damaged or foreign files: only with `force`.
    """
    planned = with_plan(competition, replace_stale)
    plan, rows = planned.plan, planned.identity
    outside = [fold for fold in folds if not 0 <= fold < plan.k]
    if outside:
        raise UserError(f"--fold {outside[0]}: the fold plan has folds 0 to {plan.k - 1}")
    states = {r.name: model_state(competition.workspace, r.name, r, rows, plan.k) for r in recipes}
    _refuse_imported(states)
    if not force:
        _refuse_damaged(states)
    if not (force or replace_stale):
        _refuse_edited(states, rows, recipes)
    work = Work(planned, list(recipes), states, [])
    # What has no checkpoint first: it is quick, and while it trains the process that jobs are forked from imports torch
    # and transformers for the rest.
    for recipe in sorted(recipes, key=lambda recipe: bool(recipe.needs.checkpoint)):
        workspace, chosen = competition.workspace, folds or range(plan.k)
        todo = [f for f in chosen if force or needs_training(states[recipe.name], f)]
        due = [f for f in chosen if parity and f not in todo and waits_for_check(workspace, recipe.name, f)]
        if todo or due:  # a check opens the checkpoint, too
            recipe.refuse_unopenable()
        _refuse_folds(recipe, plan.k)
        if todo:
            refuse_edited_base(competition.workspace, recipe)
            later = set() if now is None or recipe.name in now else {each.name for each in recipes}
            check_teachers(planned, recipe, todo, later)
            check_steps(competition.workspace, recipe)
        if now is not None and recipe.name not in now:
            continue
        if todo and recipe.skipped:
            without = "; ".join(f"{key} {why.removesuffix('. Leave it out')}" for key, why in recipe.skipped.items())
            work.notices.append(f"{recipe.name} is trained without published settings that are not for it: {without}")
        work.jobs.extend(
            make_job(workspace, recipe, fold, recipe.of_fold(fold).identity_on(rows), threads, parity=parity)
            for fold in todo
        )
        work.jobs.extend(check_job(workspace, recipe, fold, threads) for fold in due)
        lost = {f: why for f in chosen if f not in todo and (why := not_kept(workspace, recipe.name, f))}
        work.notices.extend(
            f"{recipe.name} fold {fold} is trained and was not kept ({why}): `compete predict` needs "
            f"`compete train-base {recipe.name} --fold {fold} --force`"
            for fold, why in lost.items()
        )
        state = states[recipe.name]
        if todo and state.state is State.STALE:
            work.notices.append(f"{recipe.name} is stale and trained again: {'; '.join(state.reasons)}")
    if work.jobs and (rare := rare_sentence(planned.learnt, plan.k)) is not None:
        work.notices.append(rare)
    return work


def base_of_tuned(recipe: Recipe) -> str:
    """A hash of everything that results depend on in a recipe's file, at any size, by which an edit is told."""
    no_part = {"description", "outside_all", "tune", "tuned", "published", "architectures"}
    declared = recipe.declaration.model_dump(mode="json", exclude=no_part, exclude_defaults=True)
    return digest([json.dumps(declared, sort_keys=True), recipe.own.sha256 if recipe.own else ""])


def refuse_edited_base(workspace: Workspace, recipe: Recipe) -> None:
    """Raise UserError for a tuned recipe whose base says something else by now; one whose base is gone stands alone."""
    tuned = recipe.declaration.tuned
    if tuned is None or not tuned.base or not has_recipe(workspace, tuned.of):
        return
    if base_of_tuned(load_recipe(workspace, tuned.of)) != tuned.base:
        raise UserError(
            f"{recipe.shown}: base_models/{tuned.of}.toml was edited since it was tuned, and this recipe is made of "
            f"what it was before. `compete tune {tuned.of}` tunes what it is now; without the line `base` under "
            "[tuned] this recipe stands for itself"
        )


def _refuse_folds(recipe: Recipe, k: int) -> None:
    outside = [fold for fold in recipe.declaration.settings_of_fold if not 0 <= fold < k]
    if outside:
        raise UserError(f"{recipe.shown}: settings_of_fold.{outside[0]}: the fold plan has folds 0 to {k - 1}")


def needs_training(state: ModelState, fold: int) -> bool:
    return state.whole.state is not State.FRESH and state.parts[fold].state is not State.FRESH


class Pace:
    """How long a fold of each model takes at the most: in this run or, failing that, in earlier ones on average."""

    def __init__(self, work: Work) -> None:
        self._earlier = work.seconds_per_fold()
        self._now: dict[str, float] = {}

    def see(self, event: Event) -> None:
        if isinstance(event, Finished):
            model = event.job.payload["model"]
            self._now[model] = max(event.seconds, self._now.get(model, 0.0))

    def expected(self, job: Job) -> float | None:
        """Seconds; None where nothing is known."""
        model = job.payload["model"]
        return self._now.get(model, self._earlier.get(model))


def train(
    work: Work,
    executor: Executor,
    on_event: Callable[[Event], None] = lambda event: None,
    ends: float | None = None,
) -> list[str]:
    """Run the jobs, put every model together whose folds are all there; names of the models that are whole.

    ends: when everything has to have ended, on the clock of time.monotonic(); what there is no time for is left. A
    failed job fails alone. Raises JobsFailedError afterwards, or DiskFullError at once. The workspace's lock, which
    nobody may hold who calls this, is taken for putting together.
    """
    workspace, failures, done = work.planned.workspace, list[Failed](), 0
    pace = Pace(work)
    deadline = None if ends is None else Deadline(ends, pace.expected)
    with contextlib.closing(executor.run(work.jobs, deadline)) as events:
        for event in events:
            pace.see(event)
            on_event(event)
            if isinstance(event, Failed):
                # At once: whatever is still to be trained could not be written either.
                if event.error == DiskFullError.__name__:
                    raise DiskFullError(event.message)
                failures.append(event)
            elif isinstance(event, Finished):
                done += 1
                with exclusive(workspace, sweeping=False):  # jobs of this very command are writing
                    assemble_if_complete(work, event.job.payload["model"])
    with exclusive(workspace, sweeping=False):
        # A run that was killed between a model's last fold and its files is completed here.
        whole = [recipe.name for recipe in work.recipes if assemble_if_complete(work, recipe.name)]
        # After a failure the next run needs them again, and other commands may be at work with them.
        if not failures and not held_folds(workspace, apart_from=work.jobs):
            shutil.rmtree(workspace.hidden_states, ignore_errors=True)
    if failures:
        raise JobsFailedError(_failure_text(work, failures, done))
    return whole


def assemble_if_complete(work: Work, name: str) -> bool:
    """Write the model's own files once every fold is fresh; test probabilities are the mean over folds."""
    competition, plan, rows = work.planned.competition, work.planned.plan, work.planned.identity
    recipe = next(recipe for recipe in work.recipes if recipe.name == name)
    state = model_state(competition.workspace, name, recipe, rows, plan.k)
    if any(part.state is not State.FRESH for part in state.parts):
        return state.whole.state is State.FRESH
    records = [dict(part.record) for part in state.parts]
    # A fold that was trained again by force has the identity it had: only the hashes of its files tell.
    if state.whole.state is State.FRESH and state.whole.record["parts"] == [r["files"] for r in records]:
        return True
    folder, shape = competition.workspace.base_model(name), competition.shape
    oof = np.empty((len(shape.train_ids), len(shape.labels)), dtype=np.float32)
    test = np.zeros((len(shape.test_ids), len(shape.labels)), dtype=np.float64)
    for fold in range(plan.k):
        part = store.read_part(folder.part(fold), plan, shape)
        oof[plan.rows(fold)] = part.oof
        test += part.test
    probabilities = store.Predictions(oof, (test / plan.k).astype(np.float32))
    store.write_model(folder, probabilities, shape, _manifest(recipe, rows, records))
    return True


def _manifest(recipe: Recipe, rows: dict[str, str], records: Sequence[dict[str, object]]) -> dict[str, object]:
    return {
        "kind": "trained",
        "model": recipe.name,
        "identity": recipe.identity_on(rows),
        "settings": without_place(recipe.settings.model_dump(mode="json")),
        **({"settings_of_fold": of_fold} if (of_fold := recipe.declaration.settings_of_fold) else {}),
        "seconds": round(sum(float(str(record["seconds"])) for record in records), 3),
        "folds": [{key: record[key] for key in ("fold", "seconds", "threads")} for record in records],
        "parts": [record["files"] for record in records],
        **({"checkpoint": records[0]["checkpoint"]} if "checkpoint" in records[0] else {}),
        "seen": [seen_by_part(each, fold, len(records)).record() for fold, each in enumerate(records)],
        "made_by": _together([record["made_by"] for record in records]),
    }


def _together(made: Sequence[object]) -> dict[str, str]:
    """What made the folds; of several versions or machines each."""
    found: dict[str, list[str]] = {}
    for each in made:
        for name, value in each.items() if isinstance(each, Mapping) else ():
            found.setdefault(name, [])
            found[name] += [value] if value not in found[name] else []
    return {name: ", ".join(values) for name, values in found.items()}


def _refuse_imported(states: dict[str, ModelState]) -> None:
    for name, state in states.items():
        if state.kind == "imported":
            raise StoreError(
                f"oof/{name} was imported, and base_models/{name}.toml would train over it: rename the recipe, "
                f"or move oof/{name} away"
            )


def _refuse_damaged(states: dict[str, ModelState]) -> None:
    reasons = [reason for s in states.values() if s.state is State.DAMAGED for reason in s.reasons]
    if reasons:
        raise StoreError("\n".join(reasons))


def _refuse_edited(states: dict[str, ModelState], rows: dict[str, str], recipes: Sequence[Recipe]) -> None:
    changes = {
        recipe.name: changed_by_competition(states[recipe.name], recipe.looked_at(rows), recipe.size)
        for recipe in recipes
    }
    stale = [name for name, changed in changes.items() if changed]
    if stale:
        raise edited(list(dict.fromkeys(c for name in stale for c in changes[name])), stale)


def _failure_text(work: Work, failures: Sequence[Failed], done: int) -> str:
    # Folds of one model that fail alike are one line: the same mistake need not be read five times.
    alike: dict[tuple[str, str, str], list[Failed]] = {}
    for failure in failures:
        alike.setdefault((failure.job.payload["model"], failure.error, failure.message), []).append(failure)
    lines = []
    for (model, error, message), group in alike.items():
        folds = ", ".join(str(fold) for fold in sorted(failure.job.payload["fold"] for failure in group))
        log = work.planned.workspace.shown(group[0].job.log)
        lines.append(f"  {model} fold{'s' * (len(group) > 1)} {folds}: {error}: {message} (log: {log})")
    return f"{len(failures)} of {len(work.jobs)} jobs failed; {done} were finished and kept\n" + "\n".join(lines)
