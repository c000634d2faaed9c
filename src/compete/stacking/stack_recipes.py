"""Stack recipes: one TOML file in stacking/ per stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from compete.competition.metrics import Metric
from compete.competition.rule_names import RuleName
from compete.competition.task import Kind, are_probabilities
from compete.competition.workspace import Workspace
from compete.declarations import Declaration, Problem, read_toml, refuse, unknown_name, validate
from compete.errors import DeclarationError, UserError
from compete.stacking.ensemble.blend import Blend, SelectBy
from compete.stacking.ensemble.boosting import ClassTrees, LightGBM, NumberTrees
from compete.stacking.ensemble.class_learners import CalibratedClasses, Multinomial
from compete.stacking.ensemble.decision_rules import default_rule, rules_for
from compete.stacking.ensemble.meta_learners import Calibrated, Logistic, Mean, MetaLearner, PassingConstants
from compete.stacking.ensemble.nelder_mead import NelderMead
from compete.stacking.ensemble.number_learners import NonNegative, Ridge
from compete.stacking.ensemble.rank_means import RankedProbabilities, RankMean
from compete.stacking.ensemble.ridge import ProbabilityRidge

Penalty = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Method = Literal["mean", "blend", "nelder_mead", "logistic", "ridge", "nnls", "lightgbm"]
_ONLY = {
    "C": ("logistic",),
    "alpha": ("ridge",),
    "ranks": ("mean",),
    "per": ("blend", "nelder_mead"),
    "negative": ("blend", "nelder_mead"),
    "select_by": ("blend", "nelder_mead"),
    "row_features": ("lightgbm",),
    "features": ("lightgbm",),
    "trees": ("lightgbm",),
}
# Of stacks that score alike, the one that is fitted least is preferred.
_SIMPLICITY = ("mean", "blend", "nelder_mead", "nnls", "logistic", "ridge", "lightgbm")
# Kinds of outputs that a method is for; the others are for all.
_FOR = {"logistic": ("labels", "classes"), "nnls": ("numbers", "grades")}
_SELECT: dict[Kind, tuple[SelectBy, ...]] = {
    "labels": ("f1", "log_loss", "metric"),
    "classes": ("log_loss", "metric"),
    "numbers": ("metric",),
    "grades": ("metric",),
}
_CALIBRATIONS = {"labels": ("platt", "temperature"), "classes": ("temperature", "vector")}
# Scores that look at the order of rows alone, so that ranks will do for predictions.
_OF_RANKS = ("roc_auc", "roc_auc_macro", "roc_auc_weighted", "average_precision", "average_precision_macro", "spearman")


class Trees(Declaration):
    """[trees] of method = "lightgbm"."""

    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="what a tree adds, as a share of what it found; default: 0.1, of 20,000 rows and more 0.2",
    )
    num_leaves: int = Field(default=6, ge=2, description="most leaves of a tree")
    min_data_in_leaf: int = Field(default=40, ge=1, description="fewest rows of a leaf")
    feature_fraction: float = Field(default=0.5, gt=0, le=1, description="share of the features that a tree may use")
    lambda_l2: float = Field(default=10.0, ge=0, description="L2 penalty on what a leaf adds")
    max_trees: int = Field(default=150, ge=1, description="fewer are grown where an inner slice says so")
    seed: int = Field(default=0, description="of the inner slice and of the features of each tree")


class StackDeclaration(Declaration):
    """stacking/NAME.toml."""

    method: Method = Field(
        description="how base models are combined; logistic: of labels and classes, nnls: of numbers and grades"
    )
    description: str = Field(default="", description="what the stack is, for its readers")
    models: list[str] | None = Field(
        default=None, min_length=1, description="base models to stack; default: every one that is trained"
    )
    stacks: list[str] | None = Field(
        default=None, min_length=2, description="mean or blend: other stacks, to combine instead of base models"
    )
    C: list[Penalty] = Field(
        default=[0.005, 0.05, 0.5],
        min_length=1,
        description="logistic: inverse strength of the L2 penalty; of several the best is chosen inside",
    )
    alpha: list[Penalty] = Field(
        default=[1.0, 10.0, 100.0],
        min_length=1,
        description="ridge: strength of the L2 penalty; of several the best is chosen inside",
    )
    ranks: bool = Field(
        default=False,
        description="mean: of the models' ranks, for metrics of the rows' order alone and for decisions of labels",
    )
    negative: bool = Field(
        default=False, description="blend, nelder_mead: a model may also be taken away, with a negative weight"
    )
    per: Literal["competition", "label"] = Field(
        default="competition", description="blend, nelder_mead: what has its own weights"
    )
    select_by: SelectBy | None = Field(
        default=None,
        description='blend, nelder_mead: what weights must raise; default: "f1" for f1_macro of labels, "metric" for '
        'numbers and grades, and in nelder_mead where the metric scores probabilities; else "log_loss"',
    )
    row_features: bool = Field(default=False, description="lightgbm: also what can be counted in the texts")
    features: bool = Field(default=False, description="lightgbm: also the columns that [data] features declares")
    trees: Trees = Field(default=Trees(), description="lightgbm: size and number of its trees")
    calibration: Literal["none", "platt", "temperature", "vector"] = Field(
        default="none",
        description="of every base model, before they are combined; platt is for labels, vector for classes",
    )
    thresholds: RuleName | None = Field(default=None, description="how decisions are made; default: by the metric")
    label_shift: bool = Field(
        default=False,
        description="correct the test probabilities for label rates that are surely other in the test set",
    )

    @field_validator("C", "alpha", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, int | float | str) else list(value)


@dataclass(frozen=True)
class StackRecipe:
    """A stack that can be fitted."""

    name: str
    declaration: StackDeclaration

    def candidates(self, metric: Metric) -> list[MetaLearner]:
        """Meta-learners of which the one with the lowest loss is taken, chosen inside.

        Raises UserError for what has no meaning in the metric's task.
        """
        self._refuse_other_tasks(metric)
        if metric.kind == "labels":
            return self._of_labels(metric)
        if metric.kind == "classes":
            learners = self._of_classes(metric)
            if self.declaration.calibration == "none":
                return learners
            vector = self.declaration.calibration == "vector"
            return [CalibratedClasses(learner, vector) for learner in learners]
        return self._of_numbers(metric)

    def _of_labels(self, metric: Metric) -> list[MetaLearner]:
        declared = self.declaration
        learners: list[MetaLearner]
        if declared.method == "mean":
            learners = [self._mean(metric)]
        elif declared.method in ("blend", "nelder_mead"):
            learners = [self._weighted(metric)]
        elif declared.method == "ridge":
            learners = [ProbabilityRidge(alpha) for alpha in declared.alpha]
        elif declared.method == "lightgbm":
            learners = [LightGBM(**declared.trees.model_dump())]
        else:
            learners = [Logistic(C) for C in declared.C]
        if declared.calibration in ("platt", "temperature"):
            learners = [Calibrated(learner, declared.calibration) for learner in learners]
        elif declared.method in ("mean", "blend", "nelder_mead"):  # a weighted mean of constants is that constant
            return learners
        return [PassingConstants(learner) for learner in learners]

    def _of_classes(self, metric: Metric) -> list[MetaLearner]:
        declared = self.declaration
        if declared.method == "mean":
            return [Mean()]
        if declared.method in ("blend", "nelder_mead"):
            return [self._weighted(metric)]
        if declared.method == "ridge":
            return [ProbabilityRidge(alpha, classes=True) for alpha in declared.alpha]
        if declared.method == "lightgbm":
            return [ClassTrees(LightGBM(**declared.trees.model_dump()))]
        return [Multinomial(C) for C in declared.C]

    def _of_numbers(self, metric: Metric) -> list[MetaLearner]:
        declared = self.declaration
        if declared.method == "mean":
            return [self._mean(metric)]
        if declared.method in ("blend", "nelder_mead"):
            return [self._weighted(metric)]
        if declared.method == "lightgbm":
            return [NumberTrees(LightGBM(**declared.trees.model_dump()))]
        return [NonNegative()] if declared.method == "nnls" else [Ridge(alpha) for alpha in declared.alpha]

    def _mean(self, metric: Metric) -> MetaLearner:
        if not self.declaration.ranks:
            return Mean()
        return RankedProbabilities() if metric.decides else RankMean()

    def _weighted(self, metric: Metric) -> MetaLearner:
        declared = self.declaration
        select_by = declared.select_by or self._select_by(metric)
        blend = Blend(select_by, per_label=declared.per == "label", negative=declared.negative, metric=metric)
        return NelderMead(blend) if declared.method == "nelder_mead" else blend

    def _select_by(self, metric: Metric) -> SelectBy:
        """What weights must raise where the recipe says nothing."""
        if not are_probabilities(metric.kind):
            return "metric"
        if metric.kind == "labels" and metric.name == "f1_macro":
            return "f1"
        # Decisions without their thresholds or offsets would tell little of the weights.
        return "metric" if self.declaration.method == "nelder_mead" and not metric.decides else "log_loss"

    def suits(self, kind: Kind) -> bool:
        """Whether its method is for outputs of that kind."""
        return kind in _FOR.get(self.declaration.method, (kind,))

    def _refuse_other_tasks(self, metric: Metric) -> None:
        declared, kind = self.declaration, metric.kind
        calibrations = _CALIBRATIONS.get(kind, ())
        wrong = None
        if not self.suits(kind):
            wrong = f'method = "{declared.method}" is for {" and ".join(_FOR[declared.method])}'
        elif declared.calibration not in ("none", *calibrations):
            known = " and ".join(calibrations) or "none"
            wrong = f'calibration = "{declared.calibration}" has no meaning here; there is {known}'
        elif declared.ranks and kind == "classes":
            wrong = "ranks = true would give classes sums other than 1"
        elif declared.ranks and metric.name not in _OF_RANKS and not (kind == "labels" and metric.decides):
            wrong = (
                "ranks = true is for metrics that look at the order of rows alone and for decisions of labels, and "
                f"{metric.title} is neither"
            )
        elif declared.select_by is not None and declared.select_by not in _SELECT[kind]:
            wrong = f'select_by = "{declared.select_by}" has no meaning here; there is {" and ".join(_SELECT[kind])}'
        elif kind == "classes" and declared.per == "label":
            wrong = 'per = "label" would give classes sums other than 1'
        elif declared.label_shift and not are_probabilities(kind):
            wrong = "label_shift is for labels and classes"
        if wrong:
            raise UserError(f"stacking/{self.name}.toml: {wrong}; what is predicted are {kind}")

    def rule(self, metric: Metric) -> RuleName:
        """How decisions are made; raises UserError for a rule that the metric has no use for."""
        rule = self.declaration.thresholds or default_rule(metric)
        if rule not in rules_for(metric):
            known = ", ".join(rules_for(metric))
            raise UserError(f'stack {self.name}: thresholds = "{rule}" is not for {metric.title}, which takes {known}')
        return rule

    def simplicity(self) -> tuple[int, int]:
        """Sorts recipes from simple to involved."""
        return (1 if self.declaration.stacks else 0, _SIMPLICITY.index(self.declaration.method))

    @property
    def quick(self) -> bool:
        """Whether it is fitted in seconds: neither trees, nor a stack of stacks."""
        return not self.declaration.stacks and self.declaration.method != "lightgbm"

    def identity(self) -> dict[str, str]:
        """Everything in the recipe that the stack depends on, by name."""
        described = self.declaration.model_dump(mode="json", exclude={"description"})
        return {f"recipe.{key}": str(value) for key, value in described.items()}


def methods_for(kind: Kind) -> list[str]:
    """Methods that are for outputs of that kind, from simple to involved."""
    return [method for method in _SIMPLICITY if kind in _FOR.get(method, (kind,))]


def stack_names(workspace: Workspace) -> list[str]:
    """Names of all stack recipes, sorted; hidden files, as editors and systems leave them, are none."""
    files = (path for path in workspace.stack_recipes.glob("*.toml") if path.is_file())
    return sorted(path.stem for path in files if not path.name.startswith("."))


def load_stack_recipe(workspace: Workspace, name: str) -> StackRecipe:
    """Read stacking/NAME.toml; raises DeclarationError that lists every problem of the file."""
    path = workspace.stack_recipe(name)
    if not path.is_file():
        raise UserError(f"no recipe stacking/{name}.toml; {unknown_name(name, stack_names(workspace))}")
    raw = read_toml(path)
    declaration, problems = validate(StackDeclaration, raw)
    # Of what was written: a default contradicts nothing.
    problems = problems or _contradictions(raw)
    refuse(Path(workspace.shown(path)), problems)
    assert declaration is not None
    return StackRecipe(name, declaration)


def load_with_parts(workspace: Workspace, names: Sequence[str]) -> list[StackRecipe]:
    """The named recipes and those they are made of, parts before what they are part of, each once."""
    loaded: dict[str, StackRecipe] = {}

    def load(name: str, inside: tuple[str, ...]) -> None:
        if name in inside:
            raise DeclarationError(f"stacking/{name}.toml: a stack of itself ({' -> '.join([*inside, name])})")
        if name in loaded:
            return
        recipe = load_stack_recipe(workspace, name)
        for part in recipe.declaration.stacks or []:
            load(part, (*inside, name))
        loaded[name] = recipe

    for name in names:
        load(name, ())
    return list(loaded.values())


def parts_of(recipe: StackRecipe, recipes: Mapping[str, StackRecipe]) -> list[str]:
    """Names of every stack that a stack is made of, directly or through its parts."""
    parts: list[str] = []
    for part in recipe.declaration.stacks or []:
        parts += [*parts_of(recipes[part], recipes), part]
    return list(dict.fromkeys(parts))


def _contradictions(raw: dict[str, Any]) -> list[Problem]:
    """What is right key by key, and wrong together."""
    method, found = raw.get("method"), []
    if method not in _SIMPLICITY:
        return []
    for key, methods in _ONLY.items():
        if key in raw and method not in methods:
            found.append(Problem(key, f'has no meaning for method = "{method}"'))
    if "stacks" in raw:
        if "models" in raw:
            found.append(Problem("stacks", "and models exclude each other"))
        if method not in ("mean", "blend"):
            found.append(Problem("stacks", 'are combined by method = "mean" or "blend"'))
        if raw.get("calibration", "none") != "none":
            found.append(Problem("calibration", "is for base models, not for stacks"))
    for key in ("models", "stacks"):
        names = raw.get(key)
        if isinstance(names, list) and len({str(name) for name in names}) < len(names):
            found.append(Problem(key, "names one twice"))
    return found
