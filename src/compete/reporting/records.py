"""What commands print with --json: plain dicts, made of the same objects as their tables.

Numbers are not rounded. Durations are seconds, sizes bytes, times ISO 8601 in UTC; what is not known is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compete.competition.metrics import Metric
from compete.oof.honest_scores import Score
from compete.oof.state import ModelState
from compete.oof.survey import Survey
from compete.printable import json_printable
from compete.submissions.ledger import UNKNOWN, Entry

if TYPE_CHECKING:  # they need what takes long to import
    import pandas as pd

    from compete.competition.folds import FoldPlan
    from compete.experiments.comparing import Compared, Difference
    from compete.experiments.run_log import Log, Step
    from compete.experiments.tuning.proxies import Proxy
    from compete.experiments.tuning.stored import StudyRecord, Trial
    from compete.planning.model_plan import Downloads, Estimate, Machine, ModelPlan, Verdict
    from compete.planning.probe import Probed
    from compete.planning.schedule import Schedule
    from compete.stacking.comparison import Comparison, Contributions
    from compete.submissions.leaderboard.finalists import Finalist, Finalists

Record = dict[str, Any]


def to_json(record: Mapping[str, Any]) -> str:
    """One document, indented by 2; without NaN, which JSON does not have, and without a letter that would act on a
    terminal."""
    return json_printable(json.dumps(plain(record), indent=2, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """JSON's own types: arrays become lists, paths and keys text, NaN and infinities null, times text in UTC."""
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return None if value == UNKNOWN else value.astimezone(UTC).isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return plain(value.tolist())
    return [plain(each) for each in value]


def status_record(
    found: Survey, states: Mapping[str, ModelState], scores: Mapping[str, Score], *, provenance: bool = False
) -> Record:
    """`compete status`, and how `compete train-base` and `compete import` end; with `provenance`, of every model what
    each of its folds has seen."""
    seen = {name: {"provenance": _provenance(state)} if provenance else {} for name, state in states.items()}
    models = [
        {**_model(name, state, found.families.get(name), scores.get(name)), **seen[name]}
        for name, state in states.items()
    ]
    return {
        "competition": found.declaration.name,
        "metric": found.declaration.metric_name,
        "size": found.declaration.size,
        "plan_changes": found.plan_changes,
        "models": models,
    }


def _provenance(state: ModelState) -> list[Record]:
    """Of every fold: what was seen, None where nobody told or nothing is there; how far its trainings lie apart."""
    return [
        {
            "fold": fold,
            "seen": None if (seen := state.seen(fold)) is None else seen.record(),
            "seed_spread": state.parts[fold].record.get("seed_spread"),
        }
        for fold in range(len(state.parts))
    ]


def _model(name: str, state: ModelState, family: str | None, score: Score | None) -> Record:
    return {
        "name": name,
        "family": family,
        "kind": state.kind,
        "state": state.state,
        "reasons": [*state.reasons, *([state.unfit] if state.unfit else [])],
        "folds_done": state.folds_done,
        "folds": len(state.parts),
        **_honest(score),
        "seconds": state.seconds or None,
        "warnings": [{"warning": str(warning), "folds": folds} for warning, folds in state.warnings.items()],
    }


def folds_record(
    plan: FoldPlan,
    file: str,
    rows: Sequence[int],
    parts: Sequence[Mapping[str, Mapping[str, object]]],
    not_learnt: Sequence[str],
) -> Record:
    """`compete folds`. rows, parts: of all training rows, then of every fold; parts: `label_rates`, or of numbers and
    grades `means`, `spreads` and `grade_rates`, each by label, class or target.

    not_learnt: labels that are too rare for the folds.
    """
    every = [{"rows": n, **of} for n, of in zip(rows, parts, strict=True)]
    return {
        "file": file,
        "fingerprint": plan.fingerprint,
        "k": plan.k,
        "not_learnt": not_learnt,
        "train": every[0],
        "folds": [{"fold": fold, **record} for fold, record in enumerate(every[1:])],
    }


def stack_record(found: Comparison, parts: Contributions | None) -> Record:
    """`compete stack`. stacks: as they were built; base_models: the best first; labels (or classes) and targets: of the
    chosen stack, which has the one or the other; decision: how its test rows are decided."""
    return {
        "metric": found.metric.name,
        "greater_is_better": found.metric.greater_is_better,
        "chosen": found.chosen.recipe.name,
        "best": found.best.recipe.name,
        "best_base_model": found.best_base_model,
        "gain_over_best_base_model": found.gain,
        "honest_where_worth": found.chosen.where_worth,
        "stacks": [
            {
                "name": each.recipe.name,
                "method": each.recipe.declaration.method,
                "models": list(each.members),
                **_honest(each.score),
                "repeats": each.score.repeats,
            }
            for each in found.built
        ],
        "references": [{"name": name, **_honest(score)} for name, score in found.references.items()],
        "base_models": [{"name": name, **_honest(score)} for name, score in found.base_models.items()],
        "labels": _labels(found),
        "targets": [{"name": name, **vars(target)} for name, target in found.chosen.score.targets.items()],
        "decision": found.chosen.score.decision,
        "left_out": [{"name": name, "reason": reason} for name, reason in found.left_out.items()],
        "leave_one_out": None if parts is None else _left_one_out(parts),
        "leave_one_out_of": None if parts is None else parts.stack,
        "error_correlation": None if parts is None else {"models": parts.models, "matrix": parts.correlation},
    }


def _labels(found: Comparison) -> list[Record]:
    expected = found.test_rates
    return [
        {
            "name": name,
            "rate": found.label_rates[name],
            "test_rate": expected[name],
            **vars(label),
            "worth_tuning": label.worth_tuning,
        }
        for name, label in found.chosen.score.labels.items()
    ]


def _left_one_out(parts: Contributions) -> list[Record]:
    return [
        {**vars(each), "significant": each.significant, "seconds": parts.seconds[each.model] or None}
        for each in parts.found
    ]


def scores_record(entries: Sequence[Entry], reading: Sequence[str], exported: Path | None = None) -> Record:
    """`compete scores`. reading: the sentences on what the scores mean; exported: the CSV that was written."""
    return {
        "submissions": [submission_record(entry) for entry in entries],
        "reading": reading,
        "exported": exported,
    }


def submission_record(entry: Entry, *, private: bool = True) -> Record:
    """A row of the ledger with its latest outcome; without `private` as if the private score were not known."""
    sent, outcome = entry.submission, entry.outcome
    record = {
        "number": entry.number,
        "created": entry.created,
        "changed": entry.changed,
        **vars(sent),
        **vars(outcome),
        "public_minus_validation": _difference(outcome.public, sent.validation),
    }
    if private:
        return {**record, "private_minus_public": _difference(outcome.private, outcome.public)}
    return {key: value for key, value in record.items() if key != "private"}


def submit_record(target: str, rows: int, entry: Entry | None) -> Record:
    """`compete submit`. rows: of the file; entry: None if nothing was sent. The private score is never told."""
    submission = None if entry is None else submission_record(entry, private=False)
    return {"target": target, "sent": entry is not None, "rows": rows, "submission": submission}


def shipped_record(steps: Record, entry: Entry | None) -> Record:
    """`compete ship`. steps: what was done and what is left; entry: None if nothing was submitted."""
    return {**steps, "submission": None if entry is None else submission_record(entry, private=False)}


def finalists_record(found: Finalists, metric: Metric, target: str, page: str | None = None) -> Record:
    """`compete finalists`. select: numbers of the two to select; page: of Kaggle, where that is done."""
    return {
        "metric": metric.name,
        "target": target,
        "select": [found.first.entry.number, found.second.entry.number],
        "regret": found.regret,
        "public_regret": found.public_regret,
        "candidates": [_finalist(each) for each in found.candidates],
        "left_out": [{"number": number, "reason": why} for number, why in found.left_out.items()],
        "page": page,
    }


def _finalist(each: Finalist) -> Record:
    sent = each.entry.submission
    return {
        "number": each.entry.number,
        "source": sent.source,
        "file": sent.file,
        "message": sent.message,
        "validation": sent.validation,
        "public": each.entry.outcome.public,
        "behind": each.behind,
        "behind_deviation": each.deviation,
        "best_probability": each.best,
    }


def compare_record(found: Compared) -> Record:
    """`compete compare`. pairs: the better one first; outputs: labels, classes or targets; better: the chance to be so
    on the private leaderboard, of which there are private_rows."""
    return {
        "metric": found.metric.name,
        "greater_is_better": found.metric.greater_is_better,
        "private_rows": found.n_private,
        "compared": [_fields(each, "name", "kind", "honest", "public") for each in found.contestants],
        "correction": "Holm",
        "pairs": [
            {
                **_fields(pair, "first", "second", "better"),
                **_apart(pair.difference),
                "outputs": [
                    {**_fields(each, "name", "first", "second"), **_apart(each.difference)} for each in pair.outputs
                ],
                "rows": [vars(row) for row in pair.rows],
            }
            for pair in found.pairs
        ],
    }


def _apart(found: Difference) -> Record:
    return {
        "difference": found.value,
        **_fields(found, "low", "high", "p"),
        "p_holm": found.corrected,
        "surely": found.surely,
    }


def log_record(found: Log, metric: str, steps: Sequence[Step], exported: Path | None = None) -> Record:
    """`compete log`. road: every scored run with the best score so far, and by how much it moved that; seconds: spent
    in that run; identity: what was made of what, by name; exported: the CSV that was written."""
    return {
        "metric": metric,
        "runs": [{**vars(each.run), "changes": each.changes, "first": each.first} for each in found.runs],
        "road": [
            {
                **_fields(step, "number", "score", "best", "gained"),
                "name": step.logged.run.name,
                "changes": step.logged.changes,
            }
            for step in steps
        ],
        "damaged": found.damaged,
        "exported": exported,
    }


def reproduce_record(found: pd.DataFrame) -> Record:
    """`compete reproduce`. published, kaggle: of the report; reproduced: by its own method; honest: thresholds fitted
    on other rows; all macro-F1, null where nothing was trained."""
    return {"metric": "f1_macro", "models": found.reset_index().to_dict("records")}


def rehearsal_record(
    folder: str,
    metric: Metric,
    entries: Sequence[Entry],
    finalists: Finalists | None,
    *,
    not_sent: Sequence[str],
    summary: Sequence[str],
    reading: Sequence[str],
) -> Record:
    """`compete rehearse`. folder: where the rehearsal lies; summary, reading: what it showed, in sentences."""
    return {
        "folder": folder,
        "metric": metric.name,
        "submissions": [submission_record(entry) for entry in entries],
        "finalists": None if finalists is None else finalists_record(finalists, metric, "local"),
        "not_sent": not_sent,
        "summary": summary,
        "reading": reading,
    }


def tuning_record(
    recipe: str,
    written: str,
    metric: Metric,
    promise: float,
    as_shipped: float | None,
    studies: Sequence[StudyRecord],
    proxies: Sequence[Proxy],
    *,
    left: bool,
) -> Record:
    """`compete tune`. studies: one, or of a nested tuning one per fold; scores: on rows that were set aside inside the
    training folds; written: the recipe's name; left: whether the time was over before the trials were."""
    return {
        "recipe": recipe,
        "written": written,
        "metric": metric.name,
        "greater_is_better": metric.greater_is_better,
        "promise": promise,
        "as_shipped": as_shipped,
        "stopped_in_time": left,
        "studies": [
            {
                "folds": list(study.about.folds),
                "nested": study.about.nested,
                "rows": study.about.rows,
                "size": study.about.size,
                "seed": study.about.seed,
                "space": study.about.space,
                "best": None if study.best is None else study.best.number,
                "trials": [_trial(trial) for trial in study.trials],
            }
            for study in studies
        ],
        "proxies": [vars(proxy) for proxy in proxies],
    }


def _trial(trial: Trial) -> Record:
    """Without its params, which are the settings as Optuna stores them."""
    return {name: value for name, value in vars(trial).items() if name != "params"}


def plan_record(
    plans: Sequence[ModelPlan],
    machine: Machine,
    probed: Mapping[str, Probed],
    downloads: Downloads,
    together: Schedule | None,
) -> Record:
    """`compete plan`; sizes in bytes, sessions and estimates in hours. probed: empty if nothing was."""
    return {
        "machine": {
            "devices": [_fields(device, "name", "kind", "memory", "bfloat16") for device in machine.devices],
            "workers": machine.workers,
            "folds": machine.folds,
            "keep_weights": machine.keep_weights,
            "asked": machine.asked or None,
            "absent": machine.absent,
            "session": machine.session,
        },
        "models": [_planned(plan, probed.get(plan.name)) for plan in plans],
        "downloads": {**vars(downloads), "free": None if machine.absent else downloads.free},
        "estimate": together and vars(together),
    }


def _planned(plan: ModelPlan, probed: Probed | None) -> Record:
    batch = plan.batch and {**vars(plan.batch), "tokens_counted": plan.tokens_counted}
    return {
        "name": plan.name,
        "checkpoint": plan.checkpoint or None,
        "aside": plan.aside or None,
        "adaptation": plan.adaptation or None,
        "parameters": plan.shape and plan.shape.parameters,
        "parameters_trained": plan.shape and plan.shape.trained,
        "batch": batch,
        "on_machine": None if plan.aside else plan.on_machine,
        "disk": plan.disk and vars(plan.disk),
        "devices": [_verdict(verdict) for verdict in plan.verdicts],
        "gpus_needed": [{"memory_gib": memory, "gpus": gpus} for memory, gpus in plan.cards.items()],
        "notices": plan.notices,
        "probe": probed and _probe(probed),
    }


def _verdict(verdict: Verdict) -> Record:
    found = verdict.footprint
    return {
        "device": verdict.device.name,
        **_fields(verdict, "fits", "possible", "changes", "needed", "gpus", "at_once", "fewer"),
        "refused": verdict.refused or None,
        "estimate": verdict.estimate and _estimate(verdict.estimate),
        "room_for": verdict.room_for,
        "estimate_with_room": verdict.roomier and _estimate(verdict.roomier),
        "memory": {**vars(found), "training": found.training, "peak": found.peak},
    }


def _estimate(found: Estimate) -> Record:
    return {**vars(found.schedule), "fold": found.work.fold, "gpus": found.gpus}


def _probe(probed: Probed) -> Record:
    measured = vars(probed.found) if probed.found else None
    told = _fields(probed, "hours", "at_once", "sessions")
    return {**told, "measured": measured, "why_not": probed.why or None}


def _honest(score: Score | None) -> Record:
    """Honest score, its 95 % interval and the naive score; null where nothing was scored."""
    return {name: score and getattr(score, name) for name in ("honest", "low", "high", "naive")}


def _fields(of: object, *names: str) -> Record:
    return {name: getattr(of, name) for name in names}


def _difference(value: float | None, less: float | None) -> float | None:
    return None if value is None or less is None else value - less
