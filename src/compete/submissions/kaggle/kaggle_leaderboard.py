"""Kaggle as a target: what may be sent, sending it once, and finding out what became of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol

from compete.errors import KaggleError, SubmissionError
from compete.submissions.kaggle.client import PATIENCE, SITE, SLOWEST, KaggleClient
from compete.submissions.kaggle.messages import tag_of
from compete.submissions.ledger import OUTSIDE, Entry, Ledger, NewSubmission, Outcome

# Seconds after which a submission that was cut off, and is not in Kaggle's list, will not turn up there any more.
SETTLED = 60.0
_BETWEEN_LOOKS = 5.0
NOTEBOOK_OUTPUT = "submission.csv"  # what Kaggle has notebooks write
_STATUS = {"pending": "sent", "complete": "scored", "error": "failed"}


class HasPath(Protocol):
    """A checked file: Kaggle wants to know where it lies."""

    @property
    def path(self) -> Path: ...


@dataclass
class KaggleLeaderboard:
    """One competition on Kaggle."""

    counts: ClassVar[bool] = True

    client: KaggleClient
    metric: str
    kernel: str | None = None
    """The notebook that is submitted in the file's place, where a competition takes nothing else."""
    kernel_version: int | None = None
    late: bool = False
    """Send after the deadline."""

    def __enter__(self) -> KaggleLeaderboard:
        self.client.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.client.__exit__(*error)

    @property
    def name(self) -> str:
        return f"kaggle {self.client.slug}"

    @property
    def page(self) -> str:
        return f"{SITE}/competitions/{self.client.slug}/submissions"

    @property
    def notebook(self) -> str:
        return f"{self.kernel} version {self.kernel_version}" if self.kernel else ""

    def find(self, message: str, since: datetime) -> Outcome | None:
        """The submission in Kaggle's list that carries the message's tag.

        A call that was cut off may be counted after it: until SETTLED has passed `since` then, the list is asked again.
        """
        # `since` may lie ahead, where the longest call would have ended; the process that made it has ended already.
        since = min(since, datetime.now(UTC))
        while True:
            for listed in self.listed():
                if _carries(listed, message):
                    return outcome_of(listed)
            left = SETTLED - (datetime.now(UTC) - since).total_seconds()
            if left <= 0:
                return None
            time.sleep(min(left, _BETWEEN_LOOKS))

    def ready(self, file: HasPath) -> int:
        """Submissions left today; raises what keeps this one from being sent."""
        about = self._open()
        self._fits_notebooks(bool(about["notebooks_only"]), self._competition_page)
        return self._left()

    def ready_for_notebooks(self) -> int:
        """The same before there is a notebook: whether one will be taken."""
        if not self._open()["notebooks_only"]:
            raise SubmissionError(
                f"{self.client.slug} takes CSV files, and needs no notebook: `compete submit` sends one; see "
                f"{self._competition_page}"
            )
        return self._left()

    @property
    def _competition_page(self) -> str:
        return f"{SITE}/competitions/{self.client.slug}"

    def _open(self) -> dict[str, Any]:
        """What Kaggle says of the competition; raises SubmissionError where it takes nothing of this account."""
        slug, page = self.client.slug, self._competition_page
        about: dict[str, Any] = self.client.call("competition")
        if about["closed"]:
            raise SubmissionError(f"{slug} takes no submissions any more; see {page}")
        deadline = about["deadline"] and datetime.fromisoformat(about["deadline"])
        if deadline and deadline < datetime.now(UTC) and not self.late:
            raise SubmissionError(
                f"the deadline of {slug} passed on {deadline:%Y-%m-%d %H:%M} UTC. A late submission is scored, and "
                "counts for nothing: --late sends it"
            )
        if not about["entered"]:
            raise SubmissionError(f"this account has not joined {slug}: accept its rules on {page}/rules")
        return about

    def _left(self) -> int:
        slug, left = self.client.slug, self.client.call("limits")
        if left["allowed"] <= 0:
            if left["by_total"]:
                raise SubmissionError(
                    f"{slug} allows no more submissions at all: Kaggle counts {left['total']}; see "
                    f"{self._competition_page}"
                )
            raise SubmissionError(
                f"the daily limit is spent: Kaggle counts {left['today']} submissions today and allows none until "
                "00:00 UTC"
            )
        return int(left["allowed"])

    def send(self, file: HasPath, message: str) -> Outcome:
        if self.kernel:
            reference = self.client.send(
                "submit_code", file=NOTEBOOK_OUTPUT, message=message, kernel=self.kernel, version=self.kernel_version
            )
        else:
            seconds = longest_call(file.path).total_seconds()
            reference = self.client.send("submit", seconds, file=str(file.path), message=message)
        return Outcome("sent", str(reference))

    def refresh(self, ledger: Ledger) -> list[Entry]:
        """Bring the ledger to what Kaggle's list says: scores, what was cut off, and what was sent from elsewhere."""
        now, settled = datetime.now(UTC), timedelta(seconds=SETTLED)
        unknown = {str(listed["ref"]): listed for listed in self.listed()}
        entries = [entry for entry in ledger.entries() if entry.submission.target == self.name]
        for entry in entries:
            listed = _pop(unknown, entry)
            given_up = entry.changed + longest_call(ledger.path.parent / entry.submission.file) + settled
            if listed is not None:
                found = outcome_of(listed)
            elif entry.pending and now > given_up:
                found = Outcome("lost")
            else:
                continue
            if found != entry.outcome:
                ledger.record(entry.number, found)
        for listed in sorted(unknown.values(), key=lambda each: each["ref"]):
            number = ledger.add(_from_outside(self.name, listed, self.metric), _moment(listed))
            ledger.record(number, outcome_of(listed))
        return ledger.entries()

    def reveal(self, ledger: Ledger) -> list[Entry]:
        """Kaggle tells the private scores with the others, once they are out."""
        return self.refresh(ledger)

    def listed(self) -> list[dict[str, Any]]:
        """Every submission of the team, newest first, as Kaggle lists them."""
        found: list[dict[str, Any]] = self.client.call("submissions")
        return found

    def _fits_notebooks(self, notebooks_only: bool, page: str) -> None:
        if notebooks_only and not self.kernel:
            raise SubmissionError(
                f"{self.client.slug} takes submissions from notebooks only: run one on Kaggle that writes the file, "
                f"then name it with --kernel OWNER/NOTEBOOK --kernel-version N ({page})"
            )
        if self.kernel and not self.kernel_version:
            raise SubmissionError(f"which version of the notebook {self.kernel}? --kernel-version N says so")


def longest_call(file: Path) -> timedelta:
    """After which a submission of this file is given up, or is over with the process that sent it."""
    size = file.stat().st_size if file.is_file() else 0
    return timedelta(seconds=PATIENCE + size / SLOWEST)


def outcome_of(listed: Mapping[str, Any]) -> Outcome:
    """The outcome that a line of Kaggle's list tells of."""
    status: Any = _STATUS.get(listed["status"], "sent")
    return Outcome(status, str(listed["ref"]), listed["public"], listed["private"], listed["error"])


def wait_for_score(entry: Entry, look: Callable[[], Sequence[Entry]], seconds: float) -> Entry:
    """`look` again, less and less often, until the submission is scored or `seconds` have passed."""
    pause, end = _BETWEEN_LOOKS, time.monotonic() + seconds
    while entry.outcome.status == "sent" and time.monotonic() < end:
        time.sleep(min(pause, max(0.0, end - time.monotonic())))
        pause = min(pause * 1.5, 60.0)
        with contextlib.suppress(KaggleError):  # the next look may be luckier
            entry = next(each for each in look() if each.number == entry.number)
    return entry


def _pop(listed: dict[str, dict[str, Any]], entry: Entry) -> dict[str, Any] | None:
    """The line of Kaggle's list that is this entry: by reference, or by the tag where it never learnt its reference."""
    if entry.outcome.reference is not None:
        return listed.pop(entry.outcome.reference, None)
    reference = next((ref for ref, each in listed.items() if _carries(each, entry.submission.message)), None)
    return None if reference is None else listed.pop(reference)


def _carries(listed: Mapping[str, Any], message: str) -> bool:
    """Whether a line of Kaggle's list carries the message's tag."""
    return tag_of(message) in str(listed["message"])


def _from_outside(target: str, listed: Mapping[str, Any], metric: Any) -> NewSubmission:
    return NewSubmission(
        target=target,
        file=listed["file"],
        content="",
        source=OUTSIDE,
        metric=metric,
        validation=None,
        fold_plan="",
        probabilities="",
        message=listed["message"],
    )


def _moment(listed: Mapping[str, Any]) -> datetime | None:
    return datetime.fromisoformat(listed["sent"]) if listed["sent"] else None
