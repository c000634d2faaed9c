"""Scoring what lies in oof/: honestly, under several plans of folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from compete import atomic
from compete.allowed_code import is_allowed, not_allowed
from compete.competition.declaration import CompetitionDeclaration
from compete.competition.workspace import Workspace
from compete.errors import DataError
from compete.oof import store
from compete.oof.honest_scores import LabelScore, Score, TargetScore, keep_score, kept_score
from compete.oof.state import ModelState, State

if TYPE_CHECKING:  # `compete status` reads scores, and imports neither pandas nor scikit-learn for it
    import numpy as np
    from numpy.typing import NDArray

    from compete.competition.planned import Planned
    from compete.stacking.ensemble.evaluation import Evaluation

Some = TypeVar("Some", LabelScore, TargetScore)
# Plans of folds over which honest scores are averaged: which fold a row falls into is luck that costs only time. Among
# very many rows there is none to speak of.
REPEATS = 3


def score_of(evaluation: Evaluation, labels: Sequence[str]) -> Score:
    """An evaluation as plain numbers by label name."""
    targets = evaluation.targets
    low, high = evaluation.interval
    return Score(
        metric=evaluation.metric.name,
        honest=evaluation.honest,
        low=low,
        high=high,
        naive=evaluation.naive,
        repeats=evaluation.repeats,
        decision=evaluation.decision.record(),
        labels={} if targets is not None else _by_name(LabelScore, evaluation.labels, labels),
        targets={} if targets is None else _by_name(TargetScore, targets, labels),
    )


def _by_name(kind: type[Some], columns: object, names: Sequence[str]) -> dict[str, Some]:
    """Columns of numbers, (n_outputs,) each, as one object of that kind per output."""
    values = {name: list(map(_number, column.tolist())) for name, column in vars(columns).items()}
    return {name: kind(**{key: column[i] for key, column in values.items()}) for i, name in enumerate(names)}


def _number(value: float) -> Any:
    # NaN, which JSON does not have, is the one number that differs from itself.
    return None if value != value else value


def base_model_score(planned: Planned, name: str) -> Score:
    """The honest score of a whole base model; computed once, then kept in oof/<model>/scores.json."""
    competition, folder = planned.competition, planned.workspace.base_model(name)
    manifest = store.read_record(folder)
    kept = kept_score(folder, competition.metric.name, manifest, competition.metric_source)
    if kept:
        return kept
    probabilities = store.read_model(folder, competition.shape).oof
    score = score_of(evaluate_as_it_is(planned, probabilities), competition.labels)
    with atomic.unless_read_only():
        keep_score(folder, manifest, score, competition.metric_source)
    return score


def evaluate_as_it_is(planned: Planned, probabilities: NDArray[np.float32]) -> Evaluation:
    """Out-of-fold probabilities with thresholds, and nothing else, fitted on them; as many repeats as a stack has."""
    from compete.stacking.ensemble.cross_fitting import as_it_is
    from compete.stacking.ensemble.evaluation import evaluate

    fits = [as_it_is(probabilities, folds) for folds in repeated_plans(planned)]
    return evaluate(planned.competition.metric, planned.competition.train_targets, fits, probabilities)


def repeated_plans(planned: Planned) -> list[NDArray[np.int16]]:
    """The fold plan, and others for meta-learner and thresholds; near-identical texts share a fold in all of them."""
    from compete.stacking.ensemble.cross_fitting import MANY_ROWS, repeated_folds

    competition = planned.competition
    declared = competition.declaration.folds
    # Folds that a column or time says keep apart what is alike in ways that only the user knows: no other plan does.
    given = declared.column is not None or declared.time is not None
    repeats = 1 if given or len(competition.train_ids) > MANY_ROWS else REPEATS
    seed = declared.seed
    return repeated_folds(planned.plan.folds, competition.strata, competition.groups, repeats, seed)


def _not_to_be_run(workspace: Workspace, declared: CompetitionDeclaration, wanted: bool) -> str:
    """Why a metric of the user's own does not score now; empty where it may, or where it is none."""
    if declared.own_metric is None:
        return ""
    if not wanted:
        return ", which runs code: `compete stack` does"
    file = workspace.root / declared.own_metric[0]
    return "" if is_allowed(file) else f": {not_allowed(file)}"


def whole_model_scores(
    workspace: Workspace,
    declared: CompetitionDeclaration,
    states: Mapping[str, ModelState],
    undefined: Callable[[str], None] = lambda why: None,
    *,
    own_metric: bool = True,
) -> dict[str, Score]:
    """Scores of all models that are whole; reads the competition's rows only if a score was never computed.

    undefined: called once with the reason, where the metric has no value on these rows, or is not asked. own_metric:
    whether one of the user's own may be run.
    """
    scores, planned, source = {}, None, declared.metric_source(workspace)
    for name, state in states.items():
        if state.whole.state is not State.FRESH:
            continue
        kept = kept_score(workspace.base_model(name), declared.metric_name, state.whole.record, source)
        if kept is None and (why := _not_to_be_run(workspace, declared, own_metric)):
            undefined(f"{name} was not scored by {declared.metric} yet{why}")
            break
        if kept is None:
            from compete.competition.data import labels_of_one_class, load_competition
            from compete.oof.fold_plan import under_stored_plan

            # A whole model is fresh only under the stored plan.
            planned = planned or under_stored_plan(load_competition(workspace))
            try:
                kept = base_model_score(planned, name)
            except DataError as error:
                undefined(f"{error}: {', '.join(labels_of_one_class(planned.competition)) or 'of a fold'}")
                # The other models are scored on the same rows, and would fail alike.
                break
        scores[name] = kept
    return scores
