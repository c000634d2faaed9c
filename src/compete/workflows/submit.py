"""Check and write the CSV, send it, keep the ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from compete.competition.data import Competition
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.errors import KaggleError, SubmissionError, UserError
from compete.experiments.run_log import Run, note_runs
from compete.oof.fold_plan import with_plan
from compete.oof.results import Result
from compete.printable import shown
from compete.score_text import range_text, score_text
from compete.spreadsheets import first_formula
from compete.stacking.inventory import Inventory
from compete.submissions import sending
from compete.submissions.csv_file import CsvFile
from compete.submissions.form import plain_labels, understood
from compete.submissions.kaggle.kaggle_leaderboard import wait_for_score
from compete.submissions.ledger import Entry, ledger_of
from compete.submissions.sending import Permissions, Prepared, prepare
from compete.submissions.targets import Target, make_target
from compete.workflows.session import Say, exclusively, load, silent

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_WAIT = 3600.0


@dataclass(frozen=True)
class Submitted:
    """What became of a submission."""

    target: Target = field(repr=False)
    rows: int
    """Of the file."""
    entry: Entry | None
    """Its row of the ledger; None if nothing was sent."""

    @property
    def table(self) -> pd.DataFrame:
        """Its row of the ledger, without the private score."""
        from compete.reporting.frames import ledger_frame

        return ledger_frame([self.entry] if self.entry else []).drop(columns="private", errors="ignore")

    @property
    def notice(self) -> str:
        """Why there is no score, and when there may be one; empty where there is one or it failed."""
        if self.entry is None:
            return "nothing was sent"
        if self.entry.outcome.status != "sent":
            return ""
        if self.target.counts:
            return "not scored yet: `compete scores --refresh` asks Kaggle"
        return "recorded without a score: [submission] names no solution file"

    @property
    def failed(self) -> KaggleError | None:
        """What Kaggle said where it could not score the file."""
        if self.entry is None or self.entry.outcome.status != "failed":
            return None
        why = self.entry.outcome.note or "no reason given"
        return KaggleError(f"Kaggle could not score {self.entry.submission.file}: {why}")


def nobody_to_ask(target: str) -> bool:
    """Where no answer can be had, the answer has to be there before."""
    raise UserError("a submission to Kaggle counts: say --yes where nobody can be asked")


def submit(
    workspace: Workspace,
    what: Path | str | None = None,
    *,
    yes: bool = False,
    wait: bool = False,
    again: bool = False,
    allow_constant: bool = False,
    late: bool = False,
    kernel: str | None = None,
    kernel_version: int | None = None,
    say: Say = silent,
    ask: Callable[[str], bool] = nobody_to_ask,
    sent: Callable[[Submitted], None] = lambda found: None,
    waiting: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
) -> Submitted:
    """Send a stack, a base model or a CSV file; for no name the stack that was chosen. Shows the public score only.

    ask: given the target's name, whether to send to where submissions count; not asked where `yes`. wait: until Kaggle
    has scored it, an hour at most. again: content that was sent before, or nearly; allow_constant: a file in which a
    label has one value in all rows. late: after the deadline. kernel: a notebook on Kaggle whose output is submitted in
    the file's place. sent: told at once, before the waiting.
    """
    with contextlib.ExitStack() as stack:
        with exclusively(workspace, say):
            planned = with_plan(load(workspace, say))
            competition = planned.competition
            _refuse_hidden(competition, kernel)
            target = make_target(competition, kernel=kernel, kernel_version=kernel_version, late=late)
            # Open for longer than the workspace is locked: while a score is waited for, other commands may work.
            stack.enter_context(target)
            source = to_send(planned, None if what is None else str(what))
            for line in Inventory(planned).flattery(source) if isinstance(source, Result) else []:
                say(line)
            prepared = prepare(planned, source, target.name, target.notebook)
            if prepared.notice:
                say(prepared.notice)
            if (formula := first_formula(cell for key in prepared.form.keys for cell in key)) is not None:
                say(
                    f"{shown(formula[1])} is a formula to a spreadsheet: the sample submission has it so, and it is "
                    f"sent as it is; open submissions/{prepared.path.name} in none"
                )

            def confirm(prepared: Prepared, left: int) -> bool:
                say(_summary(competition, prepared, left))
                return not target.counts or yes or ask(target.name)

            allowed = Permissions(again, allow_constant)
            entry = sending.submit(competition, prepared, target, allowed=allowed, confirm=confirm, say=say)
        found = Submitted(target, competition.sample.n_rows, entry)
        if entry is None:
            return found
        note_runs(workspace, [run_of("submit", source.name, entry)], say)
        sent(found)
        if wait and target.counts:

            def look() -> Sequence[Entry]:
                with exclusively(workspace, say):
                    return target.refresh(ledger_of(workspace))

            with contextlib.suppress(KeyboardInterrupt), waiting():
                entry = wait_for_score(entry, look, _LONGEST_WAIT)
        return Submitted(target, found.rows, entry)


def run_of(command: str, name: str, entry: Entry) -> Run:
    """The log's line on a submission; name: of what was sent."""
    sent = entry.submission
    return Run(
        command,
        "submission",
        name,
        ended="done" if entry.outcome.status in ("sent", "scored") else entry.outcome.status,
        metric=sent.metric,
        honest=sent.validation,
        low=sent.low,
        high=sent.high,
        public=entry.outcome.public,
        number=entry.number,
        note=f"{sent.file}, to {sent.target}",
    )


def _refuse_hidden(competition: Competition, kernel: str | None) -> None:
    """Raise SubmissionError for a CSV that Kaggle would not take: the rows that it scores are nowhere but there."""
    declared = competition.declaration
    by_notebook = kernel is not None or declared.submission.kernel is not None
    if declared.data.hidden_test and declared.submission.target == "kaggle" and not by_notebook:
        raise SubmissionError(
            "the test set is hidden ([data] hidden_test): a CSV of the rows that can be seen is no submission. "
            "`compete pack` makes the notebook that predicts the others; submit its output with --kernel OWNER/NOTEBOOK"
        )


def to_send(planned: Planned, what: str | None) -> Result | CsvFile:
    """The stack or base model of that name, or the CSV of that path."""
    if what is None:
        return Inventory(planned).to_submit()
    if not what.lower().endswith(".csv"):
        return Inventory(planned).find(what)
    path = Path(what).expanduser()
    if not path.is_file():
        raise SubmissionError(f"{what} {'is no file' if path.exists() else 'does not exist'}")
    return CsvFile(path)


def _summary(competition: Competition, prepared: Prepared, left: int) -> str:
    sent = prepared.submission
    text = f"submissions/{sent.file}: checked, {competition.sample.n_rows} rows, {sent.source}"
    if not plain_labels(competition):
        text += f"\n{understood(competition)}"
    if sent.validation is not None:
        text += (
            f"\nhonest {competition.metric.title} {score_text(sent.validation)} ({range_text(sent.low, sent.high)}); a "
            f"public score from {range_text(sent.public_low, sent.public_high)} would be no surprise"
        )
    return f"{text}\nsubmissions left today, this one among them: {left}"
