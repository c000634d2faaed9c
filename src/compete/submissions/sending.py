"""Submitting: cut the probabilities, check the file, write the ledger, send once, record what came back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from compete import atomic
from compete.competition.data import Competition
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.errors import KaggleError, SubmissionError, UserError
from compete.fingerprints import digest
from compete.oof import store
from compete.oof.results import Result, probabilities_hash
from compete.stacking.ensemble.decision_rules import decision_from
from compete.submissions.before_sending import refuse_constant, refuse_repeated, refuse_sample, refuse_undefined
from compete.submissions.csv_file import CheckedFile, CsvFile, check, fitted, predictions_beside, render
from compete.submissions.form import Form, submission_form
from compete.submissions.kaggle.client import UnknownOutcome
from compete.submissions.kaggle.kaggle_leaderboard import longest_call
from compete.submissions.kaggle.messages import new_message
from compete.submissions.leaderboard.expected_ranges import expected_ranges, out_of_fold_predictions, public_rows
from compete.submissions.ledger import UNKNOWN, Entry, Ledger, NewSubmission, Outcome, ledger_of, ledger_title
from compete.submissions.targets import Receiver

_MOST_DIGITS, _LONGEST_NAME = 9, 120  # of a submission's number and of its name
_LONGEST_MESSAGE = 400  # letters; a list of ten datasets is no description any more


@dataclass(frozen=True)
class Prepared:
    """A submission whose file lies checked in submissions/, ready to be sent."""

    file: CheckedFile
    form: Form
    submission: NewSubmission
    by_notebook: bool = False
    notice: str = ""
    """What to say of the file."""
    not_learnt: tuple[str, ...] = ()
    """Labels that are too rare for the folds, and may have one value in all rows."""
    of_visible_rows: bool = False
    """Whether the file is what a notebook said of the rows that can be seen: too few, perhaps, to be judged by."""

    @property
    def path(self) -> Path:
        return self.file.path

    def discard(self) -> None:
        """Nothing was sent, and the next try writes its own files."""
        self.path.unlink(missing_ok=True)
        predictions_beside(self.path).unlink(missing_ok=True)


@dataclass(frozen=True)
class Permissions:
    """What is sent only if asked for."""

    again: bool = False
    """Content that was sent before, or nearly."""
    constant: bool = False
    """Labels with one value in all rows."""


def prepare(planned: Planned, source: Result | CsvFile, target: str, notebook: str = "") -> Prepared:
    """Write the CSV and check it as it lies on the disk.

    A stack's or base model's test probabilities are cut as its honest score says; a file keeps its values. notebook:
    the version that is sent in the file's place, and makes the submission what it is.
    """
    competition, form = planned.competition, submission_form(planned.competition)
    # What a killed run left half-written.
    atomic.sweep(competition.workspace.submissions)
    path = _new_path(competition.workspace, source.name)
    content, notice = fitted(source.path, form) if isinstance(source, CsvFile) else (cut(competition, source, form), "")
    atomic.write_bytes(path, content)
    validation = None if isinstance(source, CsvFile) else source.score.honest
    title = ledger_title(source.title, notebook)
    try:
        file = check(path, form)
        submission = NewSubmission(
            target=target,
            file=path.name,
            content=digest([file.content, notebook]) if notebook else file.content,
            source=title,
            metric=competition.declaration.metric_name,
            validation=validation,
            fold_plan="",
            probabilities="",
            message=new_message(title, competition.metric.title, validation),
        )
        if isinstance(source, Result):
            submission = _with_expectations(planned, source, path, submission)
    except BaseException:
        for written in (path, predictions_beside(path)):
            written.unlink(missing_ok=True)
        raise
    return Prepared(file, form, submission, bool(notebook), notice, planned.learnt.too_rare)


def prepare_output(
    planned: Planned,
    output: Path,
    content: str,
    target: str,
    *,
    source: str,
    notebook: str,
    told: str,
    result: Result | None = None,
) -> Prepared:
    """A notebook's output, copied and checked, to be submitted by the notebook's version.

    content: a hash of all that the notebook is run with; source: as "stack blend"; told: what of it Kaggle's list and
    the ledger are to name; result: what was packed, where it still holds, for its honest score.
    """
    form, title = submission_form(planned.competition), ledger_title(source, notebook)
    atomic.sweep(planned.workspace.submissions)
    path = _new_path(planned.workspace, source.rpartition(" ")[2])
    atomic.write_bytes(path, output.read_bytes())
    score = None if result is None else result.score
    message = new_message(title, planned.competition.metric.title, None if score is None else score.honest)
    try:
        file = check(path, form)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    submission = NewSubmission(
        target=target,
        file=path.name,
        content=content,
        source=title,
        metric=planned.competition.declaration.metric_name,
        validation=None if score is None else score.honest,
        fold_plan=planned.plan.fingerprint,
        probabilities="" if result is None else probabilities_hash(result),
        message=f"{message}, {told}"[:_LONGEST_MESSAGE],
        low=None if score is None else score.low,
        high=None if score is None else score.high,
    )
    return Prepared(file, form, submission, by_notebook=True, of_visible_rows=True)


def submit(
    competition: Competition,
    prepared: Prepared,
    target: Receiver,
    *,
    allowed: Permissions = Permissions(),
    confirm: Callable[[Prepared, int], bool] = lambda prepared, left: True,
    say: Callable[[str], None] = lambda notice: None,
    now: datetime | None = None,
) -> Entry | None:
    """Send a prepared file once; None if `confirm`, given how many submissions are left today, says no.

    What an earlier command left cut off is settled first: the target is asked whether it arrived. If that was the same
    content, nothing is sent twice. The ledger's row is written before the file is sent. Raises SubmissionError for what
    must not be sent, KaggleError when it could not be.
    """
    ledger = ledger_of(competition.workspace)

    # Asked anew at every step: settling takes minutes, confirming as long as the user likes.
    def clock() -> datetime:
        return now or datetime.now(UTC)

    try:
        arrived = settle(ledger, target, prepared.submission.content, clock(), say)
        if arrived is not None:
            prepared.discard()
            say(f"number {arrived.number}, of the same content, had arrived at {target.name}: nothing is sent again")
            return arrived
        left = _vet(competition, ledger, prepared, target, allowed, clock())
        if not confirm(prepared, left):
            prepared.discard()
            return None
        number, prepared = _write_down(competition, ledger, prepared, target, clock())
    except BaseException:
        prepared.discard()
        raise
    return _send(ledger, number, prepared, target, clock())


def settle(
    ledger: Ledger, target: Receiver, content: str, now: datetime, say: Callable[[str], None] = lambda notice: None
) -> Entry | None:
    """Find out what became of submissions that were cut off; the one of this content, if it had arrived."""
    same = None
    for entry in ledger.entries():
        if entry.submission.target != target.name or entry.outcome.status not in ("pending", "lost"):
            continue
        if entry.outcome.status == "lost" and entry.submission.content != content:
            continue
        if entry.pending:
            say(f"number {entry.number} was cut off: asking {target.name} whether it arrived (two minutes at most)")
        # It may have been cut off as late as a call may take. A lost one was waited for: one look is enough.
        ended = entry.changed + longest_call(ledger.file_of(entry))
        arrived = target.find(entry.submission.message, ended if entry.pending else UNKNOWN)
        if arrived is not None or entry.pending:
            ledger.record(entry.number, arrived or Outcome("lost"), now)
        if arrived is not None and entry.submission.content == content:
            same = entry.number
    return None if same is None else _entry(ledger, same)


def cut(competition: Competition, result: Result, form: Form) -> bytes:
    """The CSV of a stack or base model: decisions, or what was predicted where the metric scores that."""
    predicted = store.read_model(result.folder, competition.shape).test
    decided = form.decisions and competition.declaration.metric_info.wants == "decisions"
    values = (
        decision_from(result.score.decision).decide(predicted) if decided else competition.metric.possible(predicted)
    )
    return render(form, competition.test_ids, competition.labels, values)


def _with_expectations(planned: Planned, result: Result, path: Path, submission: NewSubmission) -> NewSubmission:
    """What only a result with out-of-fold predictions has; writes these beside the file."""
    competition, score = planned.competition, result.score
    predicted = out_of_fold_predictions(planned, result)
    cells = predicted.astype(np.float32)
    content = store.to_parquet(competition.train_ids, cells, competition.labels)
    atomic.write_bytes(predictions_beside(path), content)
    n_public = public_rows(competition)
    n_private = len(competition.submission_ids) - n_public
    expected = expected_ranges(
        competition.metric, competition.train_targets, predicted, score.honest, n_public, n_private
    )
    return replace(
        submission,
        fold_plan=planned.plan.fingerprint,
        probabilities=probabilities_hash(result),
        low=score.low,
        high=score.high,
        public_low=expected.public[0],
        public_high=expected.public[1],
        private_low=expected.private[0],
        private_high=expected.private[1],
    )


def _vet(
    competition: Competition, ledger: Ledger, prepared: Prepared, target: Receiver, allowed: Permissions, now: datetime
) -> int:
    """Raise SubmissionError for what must not be sent; how many submissions are left today."""
    file, form = prepared.file, prepared.form
    if not prepared.of_visible_rows:
        refuse_sample(competition, file, form)
    refuse_undefined(file, competition.metric)
    if not allowed.constant and not prepared.of_visible_rows:
        refuse_constant(file, prepared.not_learnt)
    if not allowed.again:
        earlier = [e for e in ledger.entries() if e.submission.target == target.name and e.counted]
        refuse_repeated(file, prepared.submission.content, earlier, None if prepared.by_notebook else form)
    declared = competition.declaration.submission
    own = declared.daily_limit - ledger.sent_on(now, target.name)
    # Kaggle keeps its own count: a limit beside it is one that somebody wrote down.
    binding = declared.target == "local" or "daily_limit" in declared.model_fields_set
    if own <= 0 and binding:
        raise SubmissionError(
            f"the daily limit is spent: {declared.daily_limit - own} of {declared.daily_limit} submissions on "
            f"{now:%Y-%m-%d} UTC. The next day starts at 00:00 UTC ([submission] daily_limit)."
        )
    left = target.ready(file)
    return own if left is None else min(own, left) if binding else left


def _write_down(
    competition: Competition, ledger: Ledger, prepared: Prepared, target: Receiver, now: datetime
) -> tuple[int, Prepared]:
    """The number of the ledger's row; a submission of this content that never arrived keeps its row, file and tag."""
    lost = [
        entry
        for entry in ledger.entries()
        if entry.outcome.status == "lost"
        and entry.submission.content == prepared.submission.content
        and entry.submission.target == target.name
    ]
    if not lost:
        return ledger.add(prepared.submission, now), prepared
    entry = lost[-1]
    path = competition.workspace.submission(entry.submission.file)
    if path != prepared.path:
        atomic.write_bytes(path, prepared.path.read_bytes())
        prepared.discard()
    ledger.record(entry.number, Outcome("pending"), now)
    return entry.number, replace(prepared, file=replace(prepared.file, path=path), submission=entry.submission)


def _send(ledger: Ledger, number: int, prepared: Prepared, target: Receiver, now: datetime) -> Entry:
    """Send, and record the outcome whatever it is; what cannot be known now stays pending."""
    try:
        outcome = target.send(prepared.file, prepared.submission.message)
    except UnknownOutcome as error:
        found = _after_all(target, prepared, error)
        if found is None:
            ledger.record(number, Outcome("lost", note=str(error)))
            raise KaggleError(
                f"{error}. Kaggle's list does not have the submission: it did not arrive, and the same command sends it"
            ) from None
        outcome = found
    except KaggleError as error:
        ledger.record(number, Outcome("lost", note=str(error)))
        raise
    except UserError as error:
        ledger.record(number, Outcome("refused", note=str(error)))
        raise
    ledger.record(number, outcome, now)
    return _entry(ledger, number)


def _after_all(target: Receiver, prepared: Prepared, error: UnknownOutcome) -> Outcome | None:
    """What the target's list says of a submission whose answer never came."""
    try:
        return target.find(prepared.submission.message, datetime.now(UTC))
    except (KaggleError, UserError) as silent:
        raise KaggleError(
            f"{error}, and whether the submission arrived is not known yet ({silent}) The same command asks Kaggle's "
            "list before it sends anything"
        ) from None


def _entry(ledger: Ledger, number: int) -> Entry:
    return next(entry for entry in ledger.entries() if entry.number == number)


def _new_path(workspace: Workspace, name: str) -> Path:
    """submissions/NNN_name.csv; numbers only grow, so that no sent file is ever overwritten."""
    names = [path.name for path in workspace.submissions.glob("*_*.csv")]
    names += [entry.submission.file for entry in ledger_of(workspace).entries()]
    parts = [name.split("_")[0] for name in names]
    numbers = [int(number) for number in parts if number.isdecimal() and len(number) <= _MOST_DIGITS]
    return workspace.submission(f"{max(numbers, default=0) + 1:03d}_{name[:_LONGEST_NAME]}.csv")
