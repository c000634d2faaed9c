"""The recipe that comes of a tuning: the base's, with the best settings in the tables that are in force.

It stands beside the base and never in its place. A file of its name that a tuning did not write, or that somebody
edited since, is left alone: that is said before anything is tried.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compete import atomic
from compete.base_models.recipes import Recipe, Tuned, has_recipe, load_recipe
from compete.competition.workspace import Workspace
from compete.declarations import nested_toml, read_toml
from compete.errors import StoreError, UserError
from compete.experiments.tuning.space import nested
from compete.experiments.tuning.stored import StudyRecord
from compete.oof.work import base_of_tuned
from compete.printable import on_one_line
from compete.score_text import score_text
from compete.stored_json import read_json

PLAIN, NESTED = "_tuned", "_tuned_nested"


def tuned_name(base: str, *, is_nested: bool) -> str:
    return base + (NESTED if is_nested else PLAIN)


def refuse_foreign(workspace: Workspace, base: str, name: str) -> None:
    """Raise UserError if the recipe could not be written: a file of its name is not what a tuning left there."""
    path = workspace.recipe(name)
    if workspace.stack_recipe(name).is_file():
        raise UserError(f"stacking/{path.name} has the name of what would be written: rename it")
    if not (path.exists() or path.is_symlink()):
        return
    known = _hashes(workspace.tuning(base).written).get(name)
    if path.is_symlink() or not path.is_file() or atomic.sha256_file(path) not in (known or []):
        why = "was edited since `compete tune` wrote it" if known else "is not a file that `compete tune` wrote"
        raise UserError(f"base_models/{path.name} {why}, and would be written over: rename it, or move it away")


@dataclass(frozen=True)
class Best:
    """What is written."""

    studies: Sequence[StudyRecord]
    """One; of a nested tuning one per fold."""
    tables: Sequence[tuple[str, ...]]
    """Of the recipe, in which the settings are put: those that are in force last, at the sizes that count."""
    command: str
    """How it was asked for."""

    @property
    def promise(self) -> float:
        """Score of the best trial on its validation rows, mean over the studies."""
        scores = [study.best.score for study in self.studies if study.best and study.best.score is not None]
        return sum(scores) / len(scores)

    @property
    def is_nested(self) -> bool:
        return self.studies[0].about.nested


def tables_in_force(recipe: Recipe) -> tuple[str, ...]:
    """The keys of the last table that changes [settings] in this task and at this size."""
    last = [*recipe.changes][-1] if recipe.changes else "settings"
    return tuple(last.split("."))


def write_tuned(workspace: Workspace, recipe: Recipe, best: Best) -> str:
    """Write the recipe, see that it says what was found, and remember its hash; its name."""
    name = tuned_name(recipe.name, is_nested=best.is_nested)
    refuse_foreign(workspace, recipe.name, name)
    raw = copy.deepcopy(read_toml(recipe.path))
    # What was published was another model's: nobody published these settings.
    for key in ("tune", "tuned", "settings_of_fold", "published"):
        raw.pop(key, None)
    found = [nested(study.best.settings) for study in best.studies if study.best is not None]
    if best.is_nested:
        folds = (str(study.about.folds[0]) for study in best.studies)
        raw["settings_of_fold"] = dict(zip(folds, found, strict=True))
    else:
        for table in best.tables:
            _lay_over(raw, table, found[0])
    raw["tuned"] = _tuned(recipe, best).model_dump(exclude_none=True)
    path, folder = workspace.recipe(name), workspace.tuning(recipe.name)
    content = f"{_comments(recipe, best)}\n{nested_toml(raw)}"
    earlier = path.read_bytes() if path.is_file() else None
    # The hashes of both first: whichever of them a killed process leaves is known to the next tuning.
    contents = [each for each in (earlier, content.encode("utf-8")) if each is not None]
    known = {**_hashes(folder.written), name: [hashlib.sha256(each).hexdigest() for each in contents]}
    atomic.write_json(folder.written, known)
    atomic.write_text(path, content)
    _check(workspace, name, best, earlier)
    return name


def _tuned(recipe: Recipe, best: Best) -> Tuned:
    about = best.studies[0].about
    seen = set().union(*({fold for fold in range(about.k) if fold != own} for own in about.folds))
    return Tuned(
        of=recipe.name,
        base=base_of_tuned(recipe),
        folds=[] if best.is_nested else sorted(seen),
        nested=best.is_nested,
        promise=best.promise,
    )


def _lay_over(raw: dict[str, Any], table: Sequence[str], change: Mapping[str, Any]) -> None:
    inner = raw
    for key in table:
        inner = inner.setdefault(key, {})
    _merge(inner, change)


def _merge(inner: dict[str, Any], change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(inner.get(key, {}), dict):
            _merge(inner.setdefault(key, {}), value)
        else:
            inner[key] = value


def _hashes(path: Path) -> dict[str, list[str]]:
    """What a tuning wrote, by the recipe's name: one hash, or that of the earlier content and of the new."""
    try:
        return {
            str(name): [str(value) for value in ([found] if isinstance(found, str) else found)]
            for name, found in read_json(path).items()
        }
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _comments(recipe: Recipe, best: Best) -> str:
    """What was searched, what was found, and what it has seen."""
    about = best.studies[0].about
    lines = [f"Made of base_models/{recipe.path.name} by `{best.command}`; written over when that is called again."]
    for study in best.studies:
        trial = study.best
        if trial is None:
            continue
        for_fold = f"Fold {study.about.folds[0]}: " if best.is_nested else ""
        shipped = study.as_shipped
        said = f"; the recipe's own settings: {score_text(shipped.score or 0.0)}" if shipped else ""
        states = [each.state for each in study.trials]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        lines.append(
            f"{for_fold}{len(study.trials)} trials ({counts}); best on validation rows: {about.metric} "
            f"{score_text(trial.score or 0.0)}, trial {trial.number}{said}."
        )
    lines.append("Searched:")
    lines += [f"  {name}: {text}" for name, text in about.space.items()]
    proxies = [f"{about.rows:g} of the rows"] if about.rows < 1 else []
    if not about.nested and len(about.folds) < about.k:
        proxies.append(f"{len(about.folds)} of {about.k} folds")
    if about.size != "full":
        proxies.append(f"size {about.size}")
    lines.append(f"Trials were trained on: {', '.join(proxies) or 'all that there is'}.")
    lines.append(
        "Every fold has the settings that the labels of the other folds chose, at every size: its score is as honest "
        "as the base's."
        if best.is_nested
        else "The settings were chosen by labels of the folds under [tuned], which the folds' own scores are flattered "
        "by; `compete tune --nested` does without."
    )
    return "\n".join(f"# {on_one_line(line)}" for line in lines)


def _check(workspace: Workspace, name: str, best: Best, earlier: bytes | None) -> None:
    """Raise StoreError, and put back what was there before, unless the file is read as what was meant."""
    try:
        written = load_recipe(workspace, name).ready()
        for study in best.studies:
            assert study.best is not None
            own = written.of_fold(study.about.folds[0]) if best.is_nested else written
            settings = own.settings.model_dump(mode="json")
            for setting, value in study.best.settings.items():
                inner: Any = settings
                for key in setting.split("."):
                    inner = inner[key]
                if inner != value:
                    raise StoreError(f"{setting} = {inner}, and {value} was found")
    except Exception as error:
        if earlier is None:
            workspace.recipe(name).unlink(missing_ok=True)
        else:
            atomic.write_bytes(workspace.recipe(name), earlier)
        raise StoreError(f"base_models/{name}.toml could not be written as it was meant: {error}") from error


def refuse_base(workspace: Workspace, recipe: Recipe) -> None:
    """Raise UserError for a recipe that is no base: what a tuning made, or what learns from others' predictions."""
    declared = recipe.declaration
    if declared.tuned is not None:
        raise UserError(
            f"{recipe.shown} was made by tuning {declared.tuned.of}: `compete tune {declared.tuned.of}` goes on with it"
            if has_recipe(workspace, declared.tuned.of)
            else f"{recipe.shown} was made by a tuning: take out [tuned] to make it a recipe of its own"
        )
    if declared.settings_of_fold:
        raise UserError(f"{recipe.shown}: has settings of its own for single folds, and cannot be tuned")
    if declared.pseudo_labels is not None:
        raise UserError(
            f"{recipe.shown}: [pseudo_labels]: its teachers have seen the rows that trials would be scored on. Tune it "
            "without the table, and put the best settings into it"
        )
