"""Scores kept beside the probabilities they belong to, so that tables need not compute them again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compete import atomic
from compete.competition.workspace import Workspace
from compete.oof import store
from compete.oof.state import ModelState, State

if TYPE_CHECKING:  # numpy and pandas are not needed to read a score
    from compete.competition.data import Competition
    from compete.competition.folds import FoldPlan
    from compete.stacking.evaluation import Evaluation

SCORES = "scores.json"
# Raise it when the same probabilities would be scored or cut differently.
VERSION = 1


@dataclass(frozen=True)
class LabelScore:
    """One label under the honest decisions; threshold is the one for the test set."""

    precision: float
    recall: float
    f1: float
    threshold: float
    threshold_spread: float


@dataclass(frozen=True)
class Score:
    """A model's or a stack's honest and naive score, and its labels one by one."""

    metric: str
    honest: float
    naive: float
    labels: dict[str, LabelScore]

    def record(self) -> dict[str, Any]:
        labels = {name: vars(label) for name, label in self.labels.items()}
        return {"metric": self.metric, "honest": self.honest, "naive": self.naive, "labels": labels}


def score_of(evaluation: Evaluation, metric: str, labels: Sequence[str]) -> Score:
    """An evaluation as plain numbers by label name."""
    columns = (
        evaluation.precision,
        evaluation.recall,
        evaluation.f1,
        evaluation.thresholds,
        evaluation.threshold_spread,
    )
    rows = zip(labels, *(column.tolist() for column in columns), strict=True)
    return Score(metric, evaluation.honest, evaluation.naive, {name: LabelScore(*row) for name, *row in rows})


def score_from(record: dict[str, Any]) -> Score:
    """The inverse of Score.record."""
    labels = {
        name: LabelScore(**{key: float(value) for key, value in label.items()})
        for name, label in record["labels"].items()
    }
    return Score(str(record["metric"]), float(record["honest"]), float(record["naive"]), labels)


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
    from compete.stacking.evaluation import evaluate

    probabilities = store.read_model(folder, shape_of(competition)).oof
    evaluation = evaluate(competition.metric, competition.train_labels, plan.folds, probabilities)
    score = score_of(evaluation, competition.metric.name, competition.labels)
    atomic.write_json(folder / SCORES, {"of": _scored(manifest), **score.record()})
    return score


def whole_model_scores(workspace: Workspace, metric: str, states: Mapping[str, ModelState]) -> dict[str, Score]:
    """Scores of all models that are whole; reads the competition's rows only if a score was never computed."""
    scores, competition = {}, None
    for name, state in states.items():
        if state.whole.state is not State.FRESH:
            continue
        kept = kept_score(workspace.oof / name, metric, state.whole.record)
        if kept is None:
            from compete.competition.data import load_competition
            from compete.competition.folds import stored_plan

            competition = competition or load_competition(workspace)
            plan = stored_plan(workspace)
            assert plan is not None  # a whole model is fresh only under the stored plan
            kept = base_model_score(competition, plan, name)
        scores[name] = kept
    return scores


def _scored(manifest: Mapping[str, Any]) -> list[str]:
    """What a score depends on besides the metric; the plan's fingerprint covers the labels too."""
    return [str(VERSION), str(manifest["identity"]["fold plan"]), str(manifest["files"][store.OOF])]
