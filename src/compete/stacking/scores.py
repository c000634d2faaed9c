"""Scores kept beside the probabilities they belong to, so that tables need not compute them again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compete import atomic
from compete.competition.workspace import Workspace
from compete.errors import DataError
from compete.oof import store
from compete.oof.state import ModelState, State

if TYPE_CHECKING:  # numpy and pandas are not needed to read a score
    import numpy as np
    from numpy.typing import NDArray

    from compete.competition.data import Competition
    from compete.competition.folds import FoldPlan
    from compete.stacking.ensemble.evaluation import Evaluation

SCORES = "scores.json"
# Raise it when the same probabilities would be scored or cut differently.
VERSION = 3
# Plans of folds over which honest scores are averaged: which fold a row falls into is luck that costs only time. Among
# very many rows there is none to speak of.
REPEATS = 3


@dataclass(frozen=True)
class LabelScore:
    """One label under the honest decisions; threshold is the one for the test set, None for a rule without any.

    gain, gain_low, gain_high: F1 more than with a threshold of 0.5, and its 95 % interval.
    """

    precision: float
    recall: float
    f1: float
    threshold: float | None
    threshold_spread: float | None
    gain: float
    gain_low: float
    gain_high: float

    @property
    def worth_tuning(self) -> bool:
        """Whether the threshold's gain over 0.5 is more than noise."""
        return self.gain_low > 0


@dataclass(frozen=True)
class Score:
    """A model's or a stack's honest score with its 95 % interval, its naive score, and its labels one by one.

    repeats: the honest score under every plan of folds; decision: how the test set is decided (`decision_from`).
    """

    metric: str
    honest: float
    low: float
    high: float
    naive: float
    repeats: tuple[float, ...]
    decision: dict[str, Any]
    labels: dict[str, LabelScore]

    def record(self) -> dict[str, Any]:
        return {**vars(self), "labels": {name: vars(label) for name, label in self.labels.items()}}


def score_of(evaluation: Evaluation, labels: Sequence[str]) -> Score:
    """An evaluation as plain numbers by label name."""
    columns: dict[str, list[Any]] = {n: list(map(_number, v.tolist())) for n, v in vars(evaluation.labels).items()}
    rows = [LabelScore(**{name: values[i] for name, values in columns.items()}) for i in range(len(labels))]
    low, high = evaluation.interval
    return Score(
        metric=evaluation.metric.name,
        honest=evaluation.honest,
        low=low,
        high=high,
        naive=evaluation.naive,
        repeats=evaluation.repeats,
        decision=evaluation.decision.record(),
        labels=dict(zip(labels, rows, strict=True)),
    )


def _number(value: float) -> Any:
    return None if value != value else value


def score_from(record: Mapping[str, Any]) -> Score:
    """The inverse of Score.record; raises KeyError, TypeError or ValueError for anything else."""
    labels = {name: LabelScore(**label) for name, label in record["labels"].items()}
    numbers = {key: float(record[key]) for key in ("honest", "low", "high", "naive")}
    repeats = tuple(float(score) for score in record["repeats"])
    decision = dict(record["decision"])
    return Score(metric=str(record["metric"]), repeats=repeats, decision=decision, labels=labels, **numbers)


def kept_score(model_folder: Path, metric: str, manifest: Mapping[str, Any]) -> Score | None:
    """The score of exactly these probabilities under this metric and plan, or None if it must be computed."""
    try:
        record = json.loads((model_folder / SCORES).read_text(encoding="utf-8"))
        current = record["metric"] == metric and record["of"] == _scored(manifest)
        return score_from(record) if current and record["labels"] else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # only a cache


def base_model_score(competition: Competition, plan: FoldPlan, name: str) -> Score:
    """The honest score of a whole base model; computed once, then kept in oof/<model>/scores.json."""
    folder = competition.workspace.oof / name
    manifest = store.read_record(folder / store.MANIFEST)
    kept = kept_score(folder, competition.metric.name, manifest)
    if kept:
        return kept
    from compete.oof.train import shape_of

    probabilities = store.read_model(folder, shape_of(competition)).oof
    score = score_of(evaluate_as_it_is(competition, plan, probabilities), competition.labels)
    with atomic.unless_read_only():
        atomic.write_json(folder / SCORES, {"of": _scored(manifest), **score.record()})
    return score


def evaluate_as_it_is(competition: Competition, plan: FoldPlan, probabilities: NDArray[np.float32]) -> Evaluation:
    """Out-of-fold probabilities with thresholds, and nothing else, fitted on them; as many repeats as a stack has."""
    from compete.stacking.ensemble.cross_fitting import as_it_is
    from compete.stacking.ensemble.evaluation import evaluate

    labels = competition.train_labels
    fits = [as_it_is(probabilities, folds) for folds in repeated_plans(competition, plan)]
    return evaluate(competition.metric, labels, fits, probabilities)


def repeated_plans(competition: Competition, plan: FoldPlan) -> list[NDArray[np.int16]]:
    """The fold plan, and others for meta-learner and thresholds; near-identical texts share a fold in all of them."""
    from compete.competition.folds import near_identical_groups
    from compete.stacking.ensemble.cross_fitting import MANY_ROWS, repeated_folds

    groups = near_identical_groups(competition.train_texts)
    repeats = REPEATS if len(groups) <= MANY_ROWS else 1
    return repeated_folds(plan.folds, competition.train_labels, groups, repeats, competition.declaration.folds.seed)


def whole_model_scores(
    workspace: Workspace,
    metric: str,
    states: Mapping[str, ModelState],
    undefined: Callable[[str], None] = lambda why: None,
) -> dict[str, Score]:
    """Scores of all models that are whole; reads the competition's rows only if a score was never computed.

    undefined: called once with the reason, where the metric has no value on these rows.
    """
    scores, competition = {}, None
    for name, state in states.items():
        if state.whole.state is not State.FRESH:
            continue
        kept = kept_score(workspace.oof / name, metric, state.whole.record)
        if kept is None:
            from compete.competition.data import labels_of_one_class, load_competition
            from compete.competition.folds import stored_plan

            competition = competition or load_competition(workspace)
            plan = stored_plan(workspace)
            assert plan is not None  # a whole model is fresh only under the stored plan
            try:
                kept = base_model_score(competition, plan, name)
            except DataError as error:
                undefined(f"{error}: {', '.join(labels_of_one_class(competition)) or 'of a fold'}")
                break
        scores[name] = kept
    return scores


def _scored(manifest: Mapping[str, Any]) -> list[str]:
    """What a score depends on besides the metric; the plan's fingerprint covers the labels too."""
    return [str(VERSION), str(manifest["identity"]["fold plan"]), str(manifest["files"][store.OOF])]
