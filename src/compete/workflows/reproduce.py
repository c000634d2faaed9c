"""Published models trained and validated again as they were, each under its own split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from compete import atomic
from compete.base_models.recipes import AS_PUBLISHED, Recipe, load_recipes, recipe_names
from compete.competition.column_names import free_name
from compete.competition.data import Competition
from compete.competition.workspace import Workspace
from compete.declarations import unknown_name
from compete.errors import CompeteError, DiskFullError, JobsFailedError, UserError
from compete.experiments.reproduction import Reproduced, keep, kept, score, split_as_published
from compete.experiments.run_log import Run, note_runs
from compete.oof import store
from compete.oof.fold_plan import under_stored_plan
from compete.oof.lock import held
from compete.planning.local_checkpoints import is_on_machine
from compete.workflows.held_out import as_csv, declaration_of_rows, rows_as_written
from compete.workflows.session import Say, load, silent, stopping_said
from compete.workflows.train import train_base
from compete.workflows.watching import Watch, unwatched

if TYPE_CHECKING:
    import pandas as pd

# The test set plays no part: a job predicts one all the same, and this many rows of it cost nothing.
_TEST_ROWS = 20


@dataclass(frozen=True)
class Reproduction:
    """One published model, and what came of training it again."""

    name: str
    recipe: Recipe
    size: str
    found: Reproduced | None
    why: str = ""
    """Why it was not trained; empty where it was."""
    state: Literal["done", "failed", "absent"] = "done"
    """absent: its checkpoint is not on this machine, and nobody named it."""


@dataclass(frozen=True)
class Reproductions:
    """The published models in the order of the report."""

    models: list[Reproduction] = field(repr=False)

    @property
    def table(self) -> pd.DataFrame:
        """A row per model: published validation and Kaggle score, the same validation again, the honest score."""
        from compete.reporting.frames import reproduction_frame

        return reproduction_frame(self.models)

    @property
    def failed(self) -> JobsFailedError | None:
        """What to raise when all of it is said."""
        lines = [f"  {each.name}: {each.why}" for each in self.models if each.state == "failed"]
        count = f"{len(lines)} of {len(self.models)} models could not be trained"
        return JobsFailedError("\n".join([count, *lines])) if lines else None


def reproduce(
    workspace: Workspace,
    names: Sequence[str] = (),
    *,
    workers: int | None = None,
    threads: int | None = None,
    say: Say = silent,
    watch: Watch = unwatched,
) -> Reproductions:
    """The named recipes, or every one that says how it was published and whose checkpoint is on this machine.

    Each is trained once, without its validation rows, in reproduction/ at the competition's size; what is there already
    is not trained again. A model that fails fails alone. Raises UserError where no recipe can be trained so.
    """
    with stopping_said(say):
        competition = load(workspace, say)
        if competition.task.kind != "labels":
            raise UserError(
                f"the published models predict labels, and this competition's task is {competition.task.name}"
            )
        size, recipes = competition.declaration.size, _recipes(workspace, names)

        def waiting() -> None:
            say(f"another command trains published models at size {size}: waiting until it has ended (Ctrl-C gives up)")

        with held(workspace.reproduction_lock(size), waiting):
            models = []
            for recipe in recipes:
                name = recipe.name.removesuffix(AS_PUBLISHED)
                if not names and not _is_here(recipe):
                    why = f"{recipe.needs.checkpoint} is not on this machine: `compete reproduce {name}` asks for it"
                    models.append(Reproduction(name, recipe, size, None, why, "absent"))
                else:
                    models.append(_reproduced(competition, recipe, name, workers, threads, say, watch))
                if models[-1].why:
                    say(f"{name}: {models[-1].why}")
    return Reproductions(models)


def _recipes(workspace: Workspace, names: Sequence[str]) -> list[Recipe]:
    """Those with a split that was published, in the order of the report, as they were published."""
    known = recipe_names(workspace)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(
            "\n".join(f"no recipe base_models/{each}.toml; {unknown_name(each, known)}" for each in unknown)
        )
    loaded = load_recipes(workspace, list(dict.fromkeys(names)) or known)
    published = [recipe for recipe in loaded if _has_split(recipe)]
    lacking = [recipe.name for recipe in loaded if not _has_split(recipe)]
    if names and lacking:
        raise UserError(
            f"base_models/{lacking[0]}.toml: [published] names no split to train under (folds, or held_out): "
            "`compete reproduce` is for recipes that say how they were published"
        )
    if not published:
        raise UserError("no recipe in base_models/ says how it was published ([published] with folds, or held_out)")
    found = load_recipes(workspace, [recipe.name + AS_PUBLISHED for recipe in published])
    return sorted(found, key=lambda recipe: (_number(recipe), recipe.name))


def _has_split(recipe: Recipe) -> bool:
    told = recipe.declaration.published
    return told is not None and (told.folds is not None or told.held_out is not None)


def _number(recipe: Recipe) -> float:
    told = recipe.declaration.published
    return float("inf") if told is None or told.model is None else told.model


def _is_here(recipe: Recipe) -> bool:
    return not recipe.needs.checkpoint or recipe.needs.is_miniature or is_on_machine(recipe)


def _reproduced(
    competition: Competition,
    recipe: Recipe,
    name: str,
    workers: int | None,
    threads: int | None,
    say: Say,
    watch: Watch,
) -> Reproduction:
    """One model, trained if it is not there already; whatever goes wrong with it is its own."""
    size = competition.declaration.size
    try:
        recipe.refuse_unopenable()
        own = _laid_out(competition, recipe, name)
        last = _folds_of(competition, recipe)[1]
        trained = train_base(
            own,
            [name],
            folds=[last],
            as_published=True,
            replace_stale=True,
            workers=1 if workers is None else workers,  # of one job: all cores
            threads=threads,
            parity=False,
            say=_about(name, say),
            watch=watch,
        )
        if trained.failed is not None:
            return Reproduction(name, recipe, size, None, str(trained.failed), "failed")
        if trained.left:
            return Reproduction(name, recipe, size, None, "there was no time for it", "failed")
        found = _scored(competition, own, recipe, last)
    except DiskFullError:
        raise  # the others could not be written either
    except CompeteError as error:
        return Reproduction(name, recipe, size, None, str(error), "failed")
    if kept(own.reproduced) != found:
        keep(own.reproduced, found)
        note_runs(competition.workspace, [_run(name, recipe, found)], say)
    return Reproduction(name, recipe, size, found)


def _about(name: str, say: Say) -> Say:
    """Says only what is of the training; of the rows everything was said."""
    return lambda sentence: None if sentence.startswith("warning: ") else say(f"{name}: {sentence}")


def _folds_of(competition: Competition, recipe: Recipe) -> tuple[np.ndarray[tuple[int], np.dtype[np.int16]], int]:
    """The published split, (n_rows,), and the number of the fold that is held out."""
    published = recipe.declaration.published
    assert published is not None  # it was chosen for that
    folds = split_as_published(published, competition.train_targets)
    return folds, int(folds.max())


def _laid_out(competition: Competition, recipe: Recipe, name: str) -> Workspace:
    """reproduction/SIZE/NAME: a workspace of the same rows, whose fold plan is the published split.

    What lies there and is the same is left as it is, so that what was trained stays.
    """
    own = competition.workspace.reproduction(competition.declaration.size, name)
    table = rows_as_written(competition)
    column = free_name("published_fold", table.columns)
    in_test = [competition.declaration.data.id, *competition.test_columns.columns]
    test = competition.test_columns.reset_index(drop=True)
    test.insert(0, competition.declaration.data.id, np.array(competition.test_ids, dtype=object))
    table[column] = _folds_of(competition, recipe)[0]
    files = {
        own.root / "data" / "train.csv": as_csv(table),
        own.root / "data" / "test.csv": as_csv(test[in_test].head(_TEST_ROWS)),
        own.recipe(name): recipe.path.read_text(encoding="utf-8"),
    }
    family = recipe.declaration.family.rpartition(":")[0]
    metric = competition.declaration.own_metric
    for file in filter(None, (family, metric[0] if metric else "")):
        files[own.root / file] = (competition.workspace.root / file).read_text(encoding="utf-8")
    # Last: it makes the folder a workspace.
    files[own.declaration] = declaration_of_rows(competition, [recipe], {"column": column}, {})
    for path, text in files.items():
        if not _holds(path, text):
            atomic.write_text(path, text)
    return own


def _holds(path: Path, text: str) -> bool:
    try:
        return path.is_file() and path.read_bytes() == text.encode()
    except OSError:
        return False


def _scored(competition: Competition, own: Workspace, recipe: Recipe, last: int) -> Reproduced:
    from compete.competition.data import load_competition

    planned = under_stored_plan(load_competition(own))
    folder = own.base_model(recipe.name).part(last)
    record = store.read_record(folder)
    predicted = store.read_part(folder, planned.plan, planned.competition.shape).oof
    published, rows = recipe.declaration.published, planned.plan.rows(last)
    assert published is not None
    validation, honest, (low, high) = score(published, competition, rows, predicted)
    seconds = float(record["seconds"])
    return Reproduced(validation, honest, low, high, len(rows), seconds, dict(record["identity"]))


def _run(name: str, recipe: Recipe, found: Reproduced) -> Run:
    published = recipe.declaration.published
    return Run(
        "reproduce",
        "published model",
        name,
        metric="f1_macro",
        honest=found.honest,
        low=found.low,
        high=found.high,
        naive=found.validation,
        seconds=found.seconds,
        identity=found.identity,
        note="" if published is None else published.split,
    )
