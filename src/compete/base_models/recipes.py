"""Recipes: one TOML file per base model, read into a validated family and its settings.

What is in force is [settings], changed by [tasks.TASK] in that task, changed by [laptop] or [miniature] for those
sizes, changed by [published.settings] for the model NAME_as_published; and in one fold by [settings_of_fold.FOLD].

Reading a recipe runs no code of the workspace: a user's own family is known by its file's name and hash and by the
settings as they are written. Its file is imported by `Recipe.ready`, for what trains or predicts.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from compete import atomic
from compete.base_models.families import Family, Needs, completed, needs_by_name
from compete.base_models.pretraining import FAMILIES as PRETRAINED
from compete.base_models.pretraining import Step
from compete.base_models.pseudo_labels import PseudoLabels
from compete.base_models.task_settings import left_out_of_identity
from compete.competition.declaration import CompetitionDeclaration, read_declaration
from compete.competition.names import NAME_RULE, is_model_name, stays_inside
from compete.competition.row_fingerprints import without_features
from compete.competition.task import TaskName
from compete.competition.workspace import Workspace
from compete.declarations import Declaration, Problem, read_toml, refuse, unknown_name, validate
from compete.errors import DeclarationError, UserError
from compete.printable import on_one_line
from compete.printable import shown as quoted
from compete.users_code import import_file

# A family's module is imported only when a recipe names it.
FAMILIES = {
    "linear": "compete.base_models.linear.family:Linear",
    "lightgbm": "compete.base_models.boosted.family:Boosted",
    "ffnn": "compete.base_models.ffnn.family:FeedForward",
    "sequence_classifier": "compete.base_models.classifier.family:SequenceClassifier",
    "embeddings": "compete.base_models.embeddings.family:Embeddings",
    "label_generator": "compete.base_models.generator.family:LabelGenerator",
}

AS_PUBLISHED = "_as_published"
_PUBLISHED = "published.settings"
_OF_FOLD = "settings_of_fold"
# What decides which files a model starts from: the same in every fold, and nothing to search.
FIXED = ("checkpoint", "revision", "remote_code")


class Published(Declaration):
    """[published]: how the model was trained and scored where the recipe comes from; scores are macro-F1.

    The one place for what was published: tables, logs and `compete reproduce` read it here.
    """

    model: int | None = Field(default=None, ge=1, description="its number there")

    validation: float | None = Field(default=None, ge=0, le=1, description="the score on the rows it was validated on")
    kaggle_public: float | None = Field(default=None, ge=0, le=1, description="its score on the public leaderboard")
    split: str = Field(default="", description="how those rows were chosen, in words")
    folds: int | None = Field(
        default=None, ge=2, le=50, description="of so many stratified folds the last was the validation rows"
    )
    held_out: float | None = Field(
        default=None, gt=0, lt=1, description="in place of folds: share of the rows, drawn by chance, that were"
    )
    thresholds: str = Field(default="", description="what was cut where, in words")
    threshold: float | Literal["per label"] = Field(
        default=0.5, description='where labels were cut; "per label": where that scored best on the validation rows'
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="changes to [settings]")


class Architecture(Declaration):
    """[architectures."CHECKPOINT"]: what its repository says of it, so that `compete plan` needs no network."""

    config: dict[str, Any] = Field(description="of config.json, what fixes the shape; model_type among it")
    parameters: int = Field(gt=0, description="published number of parameters")
    download_gb: float = Field(gt=0, description="size of its weight files, 10^9 bytes")
    gated: bool = Field(default=False, description="a licence has to be accepted with an account")


class Tuned(Declaration):
    """[tuned]: whose settings were searched to make this recipe, and on which rows; `compete tune` writes it."""

    of: str = Field(description="the recipe that was tuned")
    base: str = Field(
        default="", description="hash of that recipe then; without it nobody asks whether it was edited since"
    )
    folds: list[int] = Field(
        default_factory=list, description="folds whose labels chose the settings, and so flatter their own score"
    )
    nested: bool = Field(
        default=False, description="every fold has settings of its own, chosen by the labels of the other folds"
    )
    promise: float | None = Field(
        default=None, description="score of the best trial on its validation rows (nested: mean over folds)"
    )

    def folds_seen(self, fold: int, k: int) -> frozenset[int]:
        """Folds, of `k`, whose labels chose the settings that `fold` is trained with."""
        return frozenset(range(k)) - {fold} if self.nested else frozenset(self.folds)


class RecipeDeclaration(Declaration):
    """A recipe as it is written; `settings` is validated by the family."""

    family: str = Field(description='a built-in family, or "file.py:ClassName" in the workspace')
    description: str = Field(default="", description="what the model is, for its readers")
    seed: int = Field(default=42, ge=0, lt=2**32, description="of everything random; every fold gets its own from it")
    outside_all: bool = Field(default=False, description="true: only trained when named, not by --all")
    settings: dict[str, Any] = Field(default_factory=dict, description="what the family is told, by its own schema")
    tasks: dict[TaskName, dict[str, Any]] = Field(
        default_factory=dict, description="changes to [settings] in a task, as [tasks.ordinal]"
    )
    laptop: dict[str, Any] = Field(default_factory=dict, description="changes to [settings] at size laptop")
    miniature: dict[str, Any] = Field(default_factory=dict, description="changes to [settings] at size miniature")
    pretrain_on: list[Step] = Field(
        default_factory=list,
        description="labelled rows of other workspaces, or texts, that the checkpoint is trained on first",
    )
    seeds: int = Field(
        default=1, ge=1, le=20, description="trainings of every fold that differ in their seed; their mean is the model"
    )
    pseudo_labels: PseudoLabels | None = Field(
        default=None, description="rows without labels that other base models' predictions are learnt from"
    )
    settings_of_fold: dict[int, dict[str, Any]] = Field(
        default_factory=dict, description="changes to the settings in one fold alone, as [settings_of_fold.0]"
    )
    tune: dict[str, Any] = Field(
        default_factory=dict, description="what `compete tune` searches, by setting; no result depends on it"
    )
    tuned: Tuned | None = Field(default=None, description="how `compete tune` made this recipe")
    published: Published | None = Field(default=None, description="how the model was published, for --as-published")
    architectures: dict[str, Architecture] = Field(
        default_factory=dict, description="what the checkpoints are, by name, for `compete plan`"
    )


class AsWritten(BaseModel):
    """Settings of a user's own family before its file is imported: as the recipe has them, not validated."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class OwnFamily:
    """A class in a Python file of the workspace."""

    file: Path
    shown: str
    """The file as the recipe names it."""
    attribute: str
    """Name of the class."""
    sha256: str
    """Of the file, shortened."""

    def load(self) -> type[Family]:
        """Import the file, which runs it; raises UserError if it holds no family of that name."""
        module = import_file(self.file, self.shown)
        family = vars(module).get(self.attribute)
        if not isinstance(family, type) or not callable(getattr(family, "fit", None)):
            raise UserError(f"{self.shown} has no class {self.attribute!r} with a method `fit`")
        settings = getattr(family, "Settings", None)
        if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
            raise UserError(f"class {self.attribute!r} in {self.shown} has no pydantic model `Settings`")
        return completed(family)


@dataclass(frozen=True)
class Recipe:
    """A base model: its name, its family and its resolved settings."""

    name: str
    path: Path
    declaration: RecipeDeclaration
    family: type[Family] | None
    """None for a user's own that is not imported yet."""
    settings: BaseModel
    needs: Needs
    own: OwnFamily | None = None
    """Where the family is a user's own."""
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The tables that changed [settings], by name."""
    size: str = "full"
    """The size whose table changed the settings, "full" where none did."""
    folder: Path | None = None
    """The local folder that holds the checkpoint; None for one that is fetched."""
    absent: str = ""
    """The folder that [checkpoints] names and this machine does not have."""
    remote_code_allowed: bool = False
    task: TaskName = "multilabel"
    """Of the competition: which settings mean something."""
    unfit: str = ""
    """Why the family is not for this task; empty where it is."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Published settings that mean nothing in this task, and why: the model is trained without them."""

    def ready(self) -> Recipe:
        """The recipe with its family imported and its settings validated: what trains and predicts.

        Runs the workspace's file of a user's own family; raises DeclarationError for what is wrong with it.
        """
        if self.own is None or self.family is not None:
            return self
        shown = Path(self.path.parent.name, self.path.name)
        try:
            family = self.own.load()
        except UserError as error:
            refuse(shown, [Problem("family", str(error))])
            raise  # not reached, since `refuse` raises for any problem
        settings = _validated(family, self.declaration.settings, self.changes, shown, self.task)
        # What it needs may stand in its defaults, or in a method of its own. `folder` stays: what results were made
        # from is told without importing the file.
        needs = family.needs(settings)
        allowed = self.remote_code_allowed or needs.is_miniature
        unfit = _unfit(family, settings, self.task)
        return replace(self, family=family, settings=settings, needs=needs, remote_code_allowed=allowed, unfit=unfit)

    def of_fold(self, fold: int) -> Recipe:
        """The recipe that this fold is trained with: itself, unless it has settings for the fold."""
        own = self.declaration.settings_of_fold
        if not own:
            return self
        plain = replace(self, declaration=self.declaration.model_copy(update={_OF_FOLD: {}}))
        return plain.changed(f"{_OF_FOLD}.{fold}", own[fold]) if fold in own else plain

    def changed(self, table: str, change: Mapping[str, Any]) -> Recipe:
        """The recipe with other settings, as if the file had that table; raises DeclarationError for wrong ones."""
        changes = {**self.changes, table: change}
        if self.family is None:  # of a user's own that is not imported: as written
            settings: BaseModel = AsWritten.model_validate(_merged(self.declaration.settings, changes))
            return replace(self, changes=changes, settings=settings, needs=needs_by_name(settings))
        shown = Path(self.path.parent.name, self.path.name)
        settings = _validated(self.family, self.declaration.settings, changes, shown, self.task)
        return replace(
            self,
            changes=changes,
            settings=settings,
            needs=self.family.needs(settings),
            unfit=_unfit(self.family, settings, self.task),
        )

    def build(self, **changes: Any) -> Family:
        """The family with this recipe's settings, its checkpoint where it lies on this machine.

        changes: of settings, for a trial. Whatever trains, probes, checks or predicts comes by here: raises UserError
        as `refuse_unopenable` does.
        """
        recipe = self.ready()
        recipe.refuse_unopenable()
        assert recipe.family is not None
        here = {"checkpoint": str(recipe.folder)} if recipe.folder is not None else {}
        return recipe.family(recipe.settings.model_copy(update={**here, **changes}))

    def imports(self) -> tuple[str, ...]:
        """Modules that training and loading are going to need, for a process that imports them ahead.

        None of a user's own family: its file is run in its jobs alone.
        """
        return () if self.own is not None or self.family is None else self.family.imports

    @property
    def shown(self) -> str:
        """Its file as messages name it."""
        return f"base_models/{self.path.name}"

    @property
    def in_all(self) -> bool:
        """Whether `--all` trains it where competition.toml names no models."""
        return not self.declaration.outside_all and not self.unfit

    @property
    def untrusted(self) -> bool:
        """Whether the checkpoint runs code of its repository, and nobody allowed it."""
        return self.needs.remote_code and not self.remote_code_allowed

    def refuse_unopenable(self) -> None:
        """Raise UserError if it is `unfit` or `untrusted`, or its checkpoint is not where [checkpoints] says."""
        if self.unfit:
            raise UserError(f"base_models/{self.name.removesuffix(AS_PUBLISHED)}.toml: {self.unfit}")
        if self.absent:
            raise UserError(
                f"competition.toml: checkpoints.{self.needs.checkpoint}: the folder {self.absent} does not exist. Put "
                "the checkpoint there, or name the folder that holds it; without the line it is fetched from the hub"
            )
        if self.untrusted:
            base = self.name.removesuffix(AS_PUBLISHED)
            raise UserError(
                f"base_models/{base}.toml: {self.needs.checkpoint} runs Python code from its own "
                f"repository. To allow it, write remote_code = [{base!r}] under [training] in competition.toml; "
                f"to do without the model, list the others under [training] models."
            )

    def identity(self) -> dict[str, str]:
        """Everything in the recipe that its probabilities depend on, by name.

        Of its checkpoint the name alone: what that is, its files say (`checkpoint_files`). Defaults are resolved; those
        of a user's own family are in its file, whose hash is part of this.
        """
        return {
            "family": self.declaration.family,
            **self._family_identity(),
            "seed": str(self.declaration.seed),
            **self._pretraining_identity(),
            **({"seeds": str(self.declaration.seeds)} if self.declaration.seeds > 1 else {}),
            **self._pseudo_labels_identity(),
            **self._folds_identity(),
            **({"size": self.size} if self.size != "full" else {}),
        }

    def _folds_identity(self) -> dict[str, str]:
        """Of a whole model whose folds have settings of their own; a fold's own identity has them as settings."""
        own = self.declaration.settings_of_fold
        return {f"{_OF_FOLD}.{fold}.{key}": str(value) for fold in sorted(own) for key, value in own[fold].items()}

    def _pretraining_identity(self) -> dict[str, str]:
        """How many steps, and what each is told; what its rows are, its file says (`oof/state`)."""
        steps = self.declaration.pretrain_on
        texts = {f"pretrain_on.{n}.texts": ", ".join(step.texts) for n, step in enumerate(steps) if step.texts}
        told = {
            f"pretrain_on.{number}.{key}": str(value)
            for number, step in enumerate(steps)
            for key, value in sorted(step.settings.items())
        }
        return {**({"pretrain_on": str(len(steps))} if steps else {}), **texts, **told}

    def _pseudo_labels_identity(self) -> dict[str, str]:
        declared = self.declaration.pseudo_labels
        told = {} if declared is None else declared.model_dump(mode="json")
        return {f"pseudo_labels.{key}": str(value) for key, value in told.items()}

    def identity_on(self, rows: Mapping[str, str]) -> dict[str, str]:
        """The identity of its results; rows: that of the rows under their fold plan, by name."""
        return {**self.looked_at(rows), **self.identity()}

    def looked_at(self, identity: Mapping[str, str]) -> dict[str, str]:
        """Of an identity what it looks at: [data] features only where its family asks for them.

        Whether a user's own does, only running its file would tell: it may.
        """
        features = self.own is not None or self.needs.features
        return dict(identity) if features else without_features(identity)

    def _family_identity(self) -> dict[str, str]:
        if self.own is not None:
            settings = _merged(self.declaration.settings, self.changes)
            version = {"family source": self.own.sha256}
        else:
            left_out = left_out_of_identity(self.settings, self.task)
            settings = self.settings.model_dump(mode="json", exclude=set(left_out))
            assert self.family is not None  # only a user's own waits to be imported
            version = {"family version": str(self.family.version)}
        return {**version, **{f"settings.{key}": str(value) for key, value in without_place(settings).items()}}


def varied(recipe: Recipe, table: str, change: Mapping[str, Any]) -> Recipe:
    """The recipe with other settings; its file stays as it is. table: what messages call the change.

    Raises DeclarationError where the family has no such setting, or refuses the value.
    """
    ready = recipe.ready()
    assert ready.family is not None
    changes = {**ready.changes, table: change}
    shown = Path(recipe.path.parent.name, recipe.path.name)
    settings = _validated(ready.family, ready.declaration.settings, changes, shown, ready.task)
    unfit = _unfit(ready.family, settings, ready.task)
    return replace(ready, settings=settings, changes=changes, needs=ready.family.needs(settings), unfit=unfit)


def without_place(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as results store them: of a checkpoint that is a folder, its name and not where it lies."""
    checkpoint = settings.get("checkpoint")
    if isinstance(checkpoint, str) and checkpoint.startswith(("/", ".", "~")):
        return {**settings, "checkpoint": Path(checkpoint).name}
    return dict(settings)


def recipe_names(workspace: Workspace) -> list[str]:
    """Names of all recipes in base_models/, sorted; hidden files, as editors and systems leave them, are none."""
    files = (path for path in workspace.recipes.glob("*.toml") if path.is_file())
    return sorted(path.stem for path in files if not path.name.startswith("."))


def load_recipe(workspace: Workspace, name: str) -> Recipe:
    """Read base_models/NAME.toml at the competition's size; NAME_as_published means its published settings.

    Raises DeclarationError that lists every problem of the file.
    """
    return _load(workspace, name, read_declaration(workspace))


def load_recipes(workspace: Workspace, names: Sequence[str]) -> list[Recipe]:
    """Several recipes; the problems of all their files are reported together."""
    competition = read_declaration(workspace)
    return _all_or_every_problem(partial(_load, workspace, name, competition) for name in names)


def ready_recipes(recipes: Sequence[Recipe]) -> list[Recipe]:
    """Recipes that can be trained; the problems of all users' families are reported together."""
    return _all_or_every_problem(recipe.ready for recipe in recipes)


def _all_or_every_problem(calls: Iterable[Callable[[], Recipe]]) -> list[Recipe]:
    """What the calls return; raises one DeclarationError with the messages of all that fail."""
    recipes, errors = [], []
    for call in calls:
        try:
            recipes.append(call())
        except UserError as error:
            errors.append(str(error))
    if errors:
        raise DeclarationError("\n".join(dict.fromkeys(errors)))
    return recipes


def has_recipe(workspace: Workspace, name: str) -> bool:
    """Whether `name` is a recipe's file, or the published settings of one."""
    known = recipe_names(workspace)
    return name in known or (name.endswith(AS_PUBLISHED) and name.removesuffix(AS_PUBLISHED) in known)


def _load(workspace: Workspace, name: str, competition: CompetitionDeclaration) -> Recipe:
    known = recipe_names(workspace)
    base = name if name in known else name.removesuffix(AS_PUBLISHED)
    if base in known and not is_model_name(name):
        file = on_one_line(f"base_models/{base}.toml")
        raise DeclarationError(f"{file}: {quoted(name)} cannot be a model's name ({NAME_RULE}); rename the file")
    path = workspace.recipe(base)
    shown = Path(workspace.shown(path))
    if base not in known:
        raise UserError(f"no recipe base_models/{name}.toml; {unknown_name(name, known)}")
    if workspace.stack_recipe(base).is_file():
        raise DeclarationError(f"{shown}: stacking/{path.name} has the same name; rename one of them")
    raw = read_toml(path)
    declaration, problems = validate(RecipeDeclaration, raw)
    family: type[Family] | None = None
    own = None
    if isinstance(raw.get("family"), str):
        family, own, family_problems = _find_family(workspace, raw["family"])
        problems += family_problems
    # Before the size's changes: mistakes in [settings] are told together with those in the rest of the file.
    if family is not None and isinstance(raw.get("settings", {}), dict):
        _, found = _of_family(family, raw.get("settings", {}), "settings", competition.task)
        problems += found
    if declaration is not None and declaration.pretrain_on and declaration.family not in PRETRAINED:
        problems.append(Problem("pretrain_on", f"is for the families {' and '.join(PRETRAINED)}"))
    refuse(shown, problems)
    assert declaration is not None
    changes = _changes(declaration, competition.task, competition.size, as_published=name != base, shown=shown)
    changes, skipped = _without_meaningless(family, declaration.settings, changes, competition.task)
    settings: BaseModel = AsWritten.model_validate(_merged(declaration.settings, changes))
    if family is not None:
        settings = _validated(family, declaration.settings, changes, shown, competition.task)
        needs, unfit = family.needs(settings), _unfit(family, settings, competition.task)
    else:  # as written: the class is not imported to be asked
        needs, unfit = needs_by_name(settings), ""
    folder = _local_folder(workspace, needs.checkpoint, competition.checkpoints)
    recipe = Recipe(
        name,
        path,
        declaration,
        family,
        settings,
        needs,
        own,
        changes,
        # A size that changes nothing is no part of the identity: what was trained at the full size stays fresh.
        size=competition.size if competition.size in changes else "full",
        folder=folder,
        absent="" if folder is not None else competition.checkpoints.get(needs.checkpoint, ""),
        # A miniature's code is compete's own.
        remote_code_allowed=base in competition.training.remote_code or needs.is_miniature,
        task=competition.task,
        unfit=unfit,
        skipped=skipped,
    )
    refuse(shown, _fixed_in_folds(declaration))
    for fold in declaration.settings_of_fold:
        recipe.of_fold(fold)
    return recipe


def _fixed_in_folds(declaration: RecipeDeclaration) -> list[Problem]:
    return [
        Problem(f"{_OF_FOLD}.{fold}.{key}", "is the same in every fold; leave it out")
        for fold, change in declaration.settings_of_fold.items()
        for key in FIXED
        if key in change
    ]


def _without_meaningless(
    family: type[Family] | None,
    settings: Mapping[str, Any],
    changes: dict[str, Mapping[str, Any]],
    task: TaskName,
) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
    """The changes without those published settings that the family refuses in this task; which these are, and why.

    What was published was so of one task: in another its other settings still mean something. What a user wrote as
    [settings] is refused instead, see `_validated`.
    """
    skipped: dict[str, str] = {}
    while family is not None and changes.get(_PUBLISHED):
        validated, _ = validate(family.Settings, _merged(settings, changes))
        problems = [] if validated is None else family.refused(validated, task)
        refused = {each.key: each.message for each in problems if each.key in changes[_PUBLISHED]}
        if not refused:
            break
        skipped |= refused
        left = {key: value for key, value in changes[_PUBLISHED].items() if key not in refused}
        changes = {**changes, _PUBLISHED: left}
    return changes, skipped


def _validated(
    family: type[Family],
    settings: Mapping[str, Any],
    changes: Mapping[str, Mapping[str, Any]],
    shown: Path,
    task: TaskName,
) -> BaseModel:
    """The family's settings after every change; raises DeclarationError that names the table with the mistake."""
    resolved, validated = dict(settings), None
    for table, change in {"settings": {}, **changes}.items():
        resolved = _changed(resolved, change)
        validated, problems = _of_family(family, resolved, table, task)
        refuse(shown, problems)
    assert validated is not None
    settled: BaseModel = family.settled(validated, task)
    return settled


def _of_family(
    family: type[Family], raw: Mapping[str, Any], table: str, task: TaskName
) -> tuple[BaseModel | None, list[Problem]]:
    """Settings as the family takes them in this task, or what is wrong with them, under the table's name."""
    validated, problems = validate(family.Settings, raw, prefix=f"{table}.")
    if validated is None or (problems := _unread_settings(family.Settings, raw)):
        return None, problems
    refused = family.refused(validated, task)
    return validated, [Problem(f"{table}.{it.key}", it.message) for it in refused if it.key]


def _unfit(family: type[Family], settings: BaseModel, task: TaskName) -> str:
    """Why the family itself is not for the task. Told when the recipe is to be trained, not when all are read: a
    workspace may hold recipes that its task has no use for."""
    return "; ".join(problem.message for problem in family.refused(settings, task) if not problem.key)


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """`settings` after every change, in the order in which they apply."""
    resolved = dict(settings)
    for change in changes.values():
        resolved = _changed(resolved, change)
    return resolved


def _changes(
    declaration: RecipeDeclaration, task: TaskName, size: str, *, as_published: bool, shown: Path
) -> dict[str, Mapping[str, Any]]:
    """The tables that change [settings], by name, in the order in which they apply."""
    sizes = {"laptop": declaration.laptop, "miniature": declaration.miniature}
    of_task = declaration.tasks.get(task)
    in_force: dict[str, Mapping[str, Any]] = {f"tasks.{task}": of_task} if of_task else {}
    in_force |= {size: sizes[size]} if sizes.get(size) else {}
    if as_published:
        if declaration.published is None:
            raise DeclarationError(f"{shown}: has no [published] settings to train with")
        if "checkpoint" in declaration.published.settings:
            raise DeclarationError(f"{shown}: published.settings.checkpoint would undo the size; leave it out")
        in_force[_PUBLISHED] = declaration.published.settings
    return in_force


def _changed(settings: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` with `change` laid over it, tables inside tables too."""
    merged = dict(settings)
    for key, value in change.items():
        inner = merged.get(key)
        merged[key] = _changed(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _local_folder(workspace: Workspace, checkpoint: str, folders: Mapping[str, str]) -> Path | None:
    """Where the checkpoint lies on this machine: as [checkpoints] says, or because its name is a folder."""
    folder = workspace.root / folders.get(checkpoint, checkpoint)
    return folder if checkpoint and folder.is_dir() else None


def _find_family(workspace: Workspace, name: str) -> tuple[type[Family] | None, OwnFamily | None, list[Problem]]:
    """The built-in class that a recipe names, or the user's own, not imported; and what is wrong with the name."""
    if name in FAMILIES:
        module, attribute = FAMILIES[name].split(":")
        return vars(importlib.import_module(module))[attribute], None, []
    file_name, separator, attribute = name.rpartition(":")
    if not separator or not file_name.endswith(".py"):
        known = unknown_name(name, FAMILIES)
        return (
            None,
            None,
            [Problem("family", f'{name!r} is unknown; {known}, or your own class as "file.py:ClassName"')],
        )
    if not stays_inside(file_name):  # what runs lies where it can be looked at, and travels with the workspace
        what = f"the file {quoted(file_name)} lies outside the workspace"
        return None, None, [Problem("family", f"{what}: put it into the workspace, and name it from there")]
    path = workspace.root / file_name
    if not path.is_file():
        return None, None, [Problem("family", f"the file {file_name} does not exist in the workspace")]
    return None, OwnFamily(path, file_name, attribute, atomic.sha256_file(path)[:16]), []


def _unread_settings(model: type[BaseModel], raw: Mapping[str, Any]) -> list[Problem]:
    """Settings that a user's own model would pass over in silence, as pydantic does by default."""
    if model.model_config.get("extra") in ("allow", "forbid"):
        return []
    known = {name for key, field in model.model_fields.items() for name in (key, field.alias) if name}
    unread = [key for key in raw if key not in known]
    return [Problem(f"settings.{key}", f"unknown key; {unknown_name(key, known)}") for key in unread]
