"""Submitting: cut the probabilities, check the file, write the ledger, send, record what came back."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from compete import atomic
from compete.base_models.recipes import has_recipe
from compete.competition.data import Competition
from compete.competition.folds import FoldPlan
from compete.competition.metrics import METRICS
from compete.competition.workspace import Workspace
from compete.declarations import unknown_name
from compete.errors import StoreError, SubmissionError, UserError
from compete.oof import store
from compete.oof.state import State, stored_models
from compete.oof.train import shape_of
from compete.stacking.building import remembered_choice
from compete.stacking.decision_rules import decision_from
from compete.stacking.recipes import load_stack_recipe, stack_names
from compete.stacking.scores import Score, base_model_score
from compete.stacking.stack import base_model_states, check_stack_fresh, stack_folder
from compete.submissions.csv_file import Form, check, constant_labels, render, submission_form
from compete.submissions.ledger import Entry, Ledger, NewSubmission, Outcome
from compete.submissions.targets import Target


@dataclass(frozen=True)
class Source:
    """What is submitted: a stack or a base model, its folder in oof/, and its honest score."""

    title: str
    name: str
    folder: Path
    score: Score


@dataclass(frozen=True)
class Prepared:
    """A submission whose file lies checked in submissions/, ready to be sent."""

    source: Source
    path: Path
    submission: NewSubmission
    warnings: list[str]


def ledger_of(workspace: Workspace) -> Ledger:
    return Ledger(workspace.submissions / "ledger.sqlite")


def choose_source(competition: Competition, plan: FoldPlan, what: str | None) -> Source:
    """The named stack or base model; for no name the stack that `compete stack` chose."""
    stacks = stack_names(competition.workspace)
    if what is None:
        return _best_stack(competition, plan, stacks)
    if what in stacks:
        return _stack_source(competition, plan, what)
    states = base_model_states(competition, plan)
    if what not in states:
        raise UserError(f"no stack or base model is called {what!r}; {unknown_name(what, [*stacks, *states])}")
    state = states[what]
    if state.state is not State.FRESH:
        why = "; ".join(state.reasons) or f"{state.folds_done} of {plan.k} folds trained"
        raise StoreError(f"the base model {what!r} is {state.state}: {why}. First: `compete train-base {what}`")
    score = base_model_score(competition, plan, what)
    return Source(f"base model {what}", what, competition.workspace.oof / what, score)


def prepare(competition: Competition, plan: FoldPlan, source: Source, target: str) -> Prepared:
    """Cut the test probabilities with the thresholds, write the CSV, and check it as it lies on the disk."""
    form = submission_form(competition)
    probabilities = store.read_model(source.folder, shape_of(competition)).test
    values = decision_from(source.score.decision).decide(probabilities) if form.decisions else probabilities
    text = render(form, competition.test_ids, competition.labels, values)
    path = _new_file(competition, source.name, text)
    content = check(path, form)
    submission = NewSubmission(
        target=target,
        file=path.name,
        content=content,
        source=source.title,
        metric=competition.metric.name,
        validation=source.score.honest,
        fold_plan=plan.fingerprint,
        probabilities=store.read_record(source.folder / store.MANIFEST)["files"][store.TEST][:16],
        message=f"{source.title}, honest {competition.metric.title} {source.score.honest:.4f} [{secrets.token_hex(4)}]",
    )
    return Prepared(source, path, submission, _warnings(competition, path, form))


def submit(
    competition: Competition, prepared: Prepared, target: Target, *, again: bool = False, now: datetime | None = None
) -> Entry:
    """Send a prepared file once.

    Raises SubmissionError when the same content was sent before (unless `again`) or the day's limit is spent.
    The ledger's row is written before the file is sent; one that was cut off in between is completed here,
    after the target was asked whether it had arrived.
    """
    ledger, now = ledger_of(competition.workspace), now or datetime.now(UTC)
    same = [e for e in ledger.entries() if e.submission.content == prepared.submission.content]
    same = [e for e in same if e.submission.target == target.name and e.outcome.status != "refused"]
    cut_off = next((entry for entry in same if entry.pending), None)
    if cut_off:
        prepared = _with_file(competition, prepared, cut_off)
        arrived = target.find(prepared.submission.message)
        return _complete(ledger, cut_off.number, arrived or _send(prepared, target), now)
    if same and not again:
        entry = same[-1]
        prepared.path.unlink(missing_ok=True)
        raise SubmissionError(
            f"the same content was submitted before: number {entry.number}, {entry.submission.file}, "
            f"{entry.created:%Y-%m-%d %H:%M} UTC. A second time only with --again."
        )
    limit = competition.declaration.submission.daily_limit
    sent = ledger.sent_on(now, target.name)
    if sent >= limit:
        prepared.path.unlink(missing_ok=True)
        raise SubmissionError(
            f"the daily limit is spent: {sent} of {limit} submissions on {now:%Y-%m-%d} UTC. "
            "The next day starts at 00:00 UTC ([submission] daily_limit)."
        )
    try:
        target.ready(prepared.path)
        number = ledger.add(prepared.submission, now)
    except Exception:
        prepared.path.unlink(missing_ok=True)  # nothing was sent, and the next try writes its own file
        raise
    return _complete(ledger, number, _send(prepared, target), now)


def reveal_private(competition: Competition, target: Target) -> list[Entry]:
    """Ask the target for the private scores of everything it scored, and record them."""
    ledger = ledger_of(competition.workspace)
    for entry in ledger.entries():
        if entry.submission.target != target.name or entry.outcome.status not in ("scored", "sent"):
            continue
        path = competition.workspace.submissions / entry.submission.file
        if not path.is_file():
            raise SubmissionError(f"{path} is gone, and its private score with it: put the file back")
        outcome = target.reveal(path, METRICS[entry.submission.metric], entry.outcome)
        if outcome != entry.outcome:
            ledger.record(entry.number, outcome)
    return ledger.entries()


def _send(prepared: Prepared, target: Target) -> Outcome:
    return target.send(prepared.path, prepared.submission.message)


def _complete(ledger: Ledger, number: int, outcome: Outcome, now: datetime) -> Entry:
    ledger.record(number, outcome, now)
    return next(entry for entry in ledger.entries() if entry.number == number)


def _with_file(competition: Competition, prepared: Prepared, entry: Entry) -> Prepared:
    """The submission that was cut off keeps its own file; the one just written is the same and goes."""
    path = competition.workspace.submissions / entry.submission.file
    if path != prepared.path:
        atomic.write_bytes(path, prepared.path.read_bytes())
        prepared.path.unlink()
    return replace(prepared, path=path, submission=entry.submission)


def _best_stack(competition: Competition, plan: FoldPlan, stacks: Sequence[str]) -> Source:
    built = [n for n in stacks if (stack_folder(competition.workspace, n) / store.MANIFEST).is_file()]
    if not built:
        models = ", ".join(n for n in stored_models(competition.workspace) if has_recipe(competition.workspace, n))
        hint = f", or name a base model: {models}" if models else ""
        raise UserError(f"no stack was built yet: `compete stack` builds one{hint}")
    chosen = remembered_choice(competition.workspace)
    if chosen in built:
        return _stack_source(competition, plan, chosen)
    sources = [_stack_source(competition, plan, name) for name in built]
    best = max if competition.metric.greater_is_better else min
    return best(sources, key=lambda source: source.score.honest)


def _stack_source(competition: Competition, plan: FoldPlan, name: str) -> Source:
    _, score = check_stack_fresh(competition, plan, load_stack_recipe(competition.workspace, name))
    return Source(f"stack {name}", name, stack_folder(competition.workspace, name), score)


def _new_file(competition: Competition, name: str, text: str) -> Path:
    """submissions/NNN_name.csv; numbers only grow, so that no sent file is ever overwritten."""
    folder = competition.workspace.submissions
    names = [path.name for path in folder.glob("*_*.csv")]
    names += [entry.submission.file for entry in ledger_of(competition.workspace).entries()]
    numbers = [int(number) for number in (name.split("_")[0] for name in names) if number.isdecimal()]
    path = folder / f"{max(numbers, default=0) + 1:03d}_{name}.csv"
    atomic.write_text(path, text)
    return path


def _warnings(competition: Competition, path: Path, form: Form) -> list[str]:
    constant = constant_labels(path, form)
    if not constant:
        return []
    shown = competition.workspace.shown(path)
    return [f"{shown}: {', '.join(constant)} has the same value in every row"]
