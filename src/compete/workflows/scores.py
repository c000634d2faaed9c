"""Validation, public and, once revealed, private score of every submission, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compete.competition.declaration import read_declaration
from compete.competition.metric_names import is_own
from compete.competition.workspace import Workspace
from compete.submissions.leaderboard.interpretation import read_scores
from compete.submissions.ledger import Entry, ledger_of
from compete.workflows.session import Say, silent

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Scores:
    """The ledger, read."""

    entries: list[Entry]
    own_sign: int | None = None
    """Of a metric of the user's own: 1 where higher scores win, else -1."""

    @property
    def reading(self) -> list[str]:
        """What the scores mean, a sentence each."""
        return read_scores(self.entries, self.own_sign)

    @property
    def table(self) -> pd.DataFrame:
        """A row per submission, by number."""
        from compete.reporting.frames import ledger_frame

        return ledger_frame(self.entries)


def scores(workspace: Workspace, *, refresh: bool = False, private: bool = False, say: Say = silent) -> Scores:
    """refresh: ask the leaderboard for new scores, and submissions made elsewhere; private: reveal the private ones."""
    if not refresh and not private:
        entries = ledger_of(workspace).entries()
        own = any(is_own(entry.submission.metric) for entry in entries)
        return Scores(entries, read_declaration(workspace).metric_info.sign if own else None)
    from compete.submissions.targets import make_target
    from compete.workflows.session import exclusively, load

    with exclusively(workspace, say), make_target(load(workspace, say)) as target:
        ledger = ledger_of(workspace)
        found = target.reveal(ledger) if private else target.refresh(ledger)
        return Scores(found, read_declaration(workspace).metric_info.sign)
