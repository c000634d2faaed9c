"""Results as DataFrames: what the tables of the terminal show, in full precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from compete.oof.honest_scores import Score, TargetScore
from compete.oof.state import ModelState
from compete.reporting.log_csv import COLUMNS, log_cells
from compete.submissions.ledger import Entry

if TYPE_CHECKING:
    from compete.base_models.recipes import Recipe
    from compete.experiments.comparing import Compared, Difference
    from compete.experiments.reproduction import Reproduced
    from compete.experiments.run_log import Logged
    from compete.experiments.tuning.stored import StudyRecord
    from compete.planning.model_plan import ModelPlan
    from compete.planning.probe import Probed
    from compete.stacking.comparison import Comparison, Contributions
    from compete.submissions.leaderboard.finalists import Finalists


class Reproducible(Protocol):
    """A published model, and what came of training it again."""

    @property
    def name(self) -> str: ...

    @property
    def recipe(self) -> Recipe: ...

    @property
    def size(self) -> str: ...

    @property
    def found(self) -> Reproduced | None: ...

    @property
    def why(self) -> str: ...

    @property
    def state(self) -> str: ...


SCORE = ("honest", "low", "high", "naive")


def models_frame(
    states: Mapping[str, ModelState], families: Mapping[str, str], scores: Mapping[str, Score]
) -> pd.DataFrame:
    """A row per base model: state, family, folds done, honest score with its interval, naive score, seconds."""
    rows = [
        [name, s.state.value, families.get(name, s.kind), s.folds_done, *score_numbers(scores.get(name)), s.seconds]
        for name, s in states.items()
    ]
    return _frame(rows, ["name", "state", "family", "folds", *SCORE, "seconds"])


def comparison_frame(found: Comparison) -> pd.DataFrame:
    """Stacks, then the plain stacks they are compared with, then base models: kind, and score; whether chosen."""
    rows: list[tuple[str, str, Score]] = [("stack", each.recipe.name, each.score) for each in found.built]
    rows += [("reference", name, score) for name, score in found.references.items()]
    rows += [("base model", name, score) for name, score in found.base_models.items()]
    chosen = found.chosen.recipe.name
    return _frame(
        [[name, kind, *score_numbers(score), kind == "stack" and name == chosen] for kind, name, score in rows],
        ["name", "kind", *SCORE, "chosen"],
    )


def targets_frame(found: Comparison) -> pd.DataFrame:
    """A row per target, of the chosen stack."""
    columns = ["target", *(each.name for each in fields(TargetScore))]
    rows = [{"target": name, **vars(target)} for name, target in found.chosen.score.targets.items()]
    return pd.DataFrame(rows, columns=columns).set_index("target")


def labels_frame(found: Comparison) -> pd.DataFrame:
    """A row per label or class, of the chosen stack; none of numbers."""
    if not found.chosen.score.labels:
        return pd.DataFrame(index=pd.Index([], name="label"))
    rates, of_test = found.label_rates, found.test_rates
    rows = []
    for name, label in found.chosen.score.labels.items():
        told = of_test[name] or {}
        rows.append({"label": name, "rate": rates[name], "test_low": told.get("low"), "test_high": told.get("high")})
        rows[-1] |= {**vars(label), "worth_tuning": label.worth_tuning}
    return pd.DataFrame(rows).set_index("label")


def contributions_frame(found: Contributions | None) -> pd.DataFrame:
    """A row per base model, the most valuable first; no row where nobody asked."""
    of_models = found.found if found else []
    seconds: Mapping[str, float] = found.seconds if found else {}
    rows = [
        [each.model, each.without, each.gain, each.low, each.high, each.significant, seconds[each.model]]
        for each in of_models
    ]
    return _frame(rows, ["name", "without", "gain", "low", "high", "significant", "seconds"])


def correlation_frame(found: Contributions | None) -> pd.DataFrame:
    """Correlation of the base models' errors, by model; empty where nobody asked."""
    return pd.DataFrame(found.correlation, list(found.models), list(found.models)) if found else pd.DataFrame()


def ledger_frame(entries: Sequence[Entry]) -> pd.DataFrame:
    """A row per submission by number: what was known before it was sent, and what became of it."""
    rows = [{"number": e.number, "created": e.created, **vars(e.submission), **vars(e.outcome)} for e in entries]
    return pd.DataFrame(rows).set_index("number") if rows else pd.DataFrame()


def finalists_frame(found: Finalists) -> pd.DataFrame:
    """A row per submission by number, the best first; `select`: the two to select."""
    two = [found.first.entry.number, found.second.entry.number]
    rows = [
        {
            "number": each.entry.number,
            "source": each.entry.submission.source,
            "validation": each.entry.submission.validation,
            "public": each.entry.outcome.public,
            "behind": each.behind,
            "behind_deviation": each.deviation,
            "best_probability": each.best,
            "select": each.entry.number in two,
        }
        for each in found.candidates
    ]
    return pd.DataFrame(rows).set_index("number")


def pairs_frame(found: Compared) -> pd.DataFrame:
    """A row per pair, the better one first; `p_holm`: corrected for all pairs; `better`: on the private leaderboard."""
    rows = [
        [pair.first, pair.second, *_difference(pair.difference), pair.difference.surely, pair.better]
        for pair in found.pairs
    ]
    return pd.DataFrame(rows, columns=["first", "second", *DIFFERENCE, "surely", "better"])


def pair_outputs_frame(found: Compared) -> pd.DataFrame:
    """A row per pair and output; `p_holm`: corrected for all outputs of the pair."""
    rows = [
        [pair.first, pair.second, each.name, each.first, each.second, *_difference(each.difference)]
        for pair in found.pairs
        for each in pair.outputs
    ]
    return pd.DataFrame(rows, columns=["first", "second", "output", "of_first", "of_second", *DIFFERENCE])


def pair_rows_frame(found: Compared) -> pd.DataFrame:
    """A row per pair and training row on which the two differ most."""
    rows = [
        [pair.first, pair.second, each.id, each.true, each.first, each.second, *each.errors, each.text]
        for pair in found.pairs
        for each in pair.rows
    ]
    columns = ["first", "second", "id", "true", "of_first", "of_second", "error_of_first", "error_of_second", "text"]
    return pd.DataFrame(rows, columns=columns)


DIFFERENCE = ("difference", "low", "high", "p", "p_holm")


def _difference(found: Difference) -> list[float]:
    return [found.value, found.low, found.high, found.p, found.corrected]


def log_frame(runs: Sequence[Logged]) -> pd.DataFrame:
    """A row per run of a log, oldest first."""
    table = pd.DataFrame([log_cells(run) for run in runs], columns=list(COLUMNS))
    # Of a column of None alone nobody could tell that it holds numbers.
    numbers = ["honest", "low", "high", "naive", "public", "hours"]
    return table.astype(dict.fromkeys(numbers, float)).assign(when=pd.to_datetime(table["when"], utc=True))


def reproduction_frame(models: Sequence[Reproducible]) -> pd.DataFrame:
    """A row per published model, by name; NaN where it was not trained, `why` then says why not. All macro-F1."""
    rows = []
    for each in models:
        told, found = each.recipe.declaration.published, each.found
        rows.append(
            {
                "name": each.name,
                "split": told.split if told else "",
                "thresholds": told.thresholds if told else "",
                "published": told.validation if told else None,
                "kaggle": told.kaggle_public if told else None,
                "reproduced": found and found.validation,
                "honest": found and found.honest,
                "low": found and found.low,
                "high": found and found.high,
                "rows": found and found.rows,
                "seconds": found and found.seconds,
                "size": each.size,
                "checkpoint": each.recipe.needs.checkpoint,
                "state": each.state,
                "why": each.why,
            }
        )
    numbers = ["published", "kaggle", "reproduced", "honest", "low", "high", "rows", "seconds"]
    return pd.DataFrame(rows).set_index("name").astype(dict.fromkeys(numbers, float))


def trials_frame(studies: Sequence[StudyRecord]) -> pd.DataFrame:
    """A row per trial of a tuning, by the fold it is of (nested; else "all") and its number, then its settings."""
    rows = [
        {
            "fold": study.about.folds[0] if study.about.nested else "all",
            "trial": trial.number,
            "state": trial.state,
            "score": trial.score,
            "seconds": trial.seconds,
            "as_shipped": trial.shipped,
            **trial.settings,
        }
        for study in studies
        for trial in study.trials
    ]
    return pd.DataFrame(rows).set_index(["fold", "trial"])


def needs_frame(plans: Sequence[ModelPlan], probed: Mapping[str, Probed]) -> pd.DataFrame:
    """A row per model and device; one without a device for a model of which nothing is estimated.

    hours: as probed; estimated_hours: as reckoned without weights.
    """
    rows: list[list[Any]] = []
    for plan in plans:
        of_model = [plan.name, plan.checkpoint or None, plan.shape and plan.shape.parameters]
        download = plan.disk and plan.disk.download
        of_probe = probed.get(plan.name)
        hours = of_probe and of_probe.hours
        for verdict in plan.verdicts:
            changes = ", ".join(f"{key} = {value}" for key, value in verdict.changes.items())
            peak, found = verdict.footprint.peak, verdict.estimate
            sessions = of_probe.sessions if of_probe and hours else found and found.schedule.sessions
            reckoned = [found and found.schedule.hours, sessions]
            of_device = [verdict.device.name, peak, verdict.fits, changes]
            rows.append([*of_model, download, *of_device, hours, *reckoned, plan.aside])
        if not plan.verdicts:
            rows.append([*of_model, download, None, None, None, "", hours, None, None, plan.aside])
    columns = ["name", "checkpoint", "parameters", "download", "device", "peak", "fits", "changes", "hours"]
    return _frame(rows, [*columns, "estimated_hours", "sessions", "aside"])


def score_numbers(score: Score | None) -> list[float | None]:
    """Honest score, its interval, naive score; nothing where there is no score."""
    return [None if score is None else float(getattr(score, name)) for name in SCORE]


def _frame(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(columns)).set_index("name")
