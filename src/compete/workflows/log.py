"""What was run in a workspace, what changed each time, and what moved the score."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from compete.competition.declaration import read_declaration
from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.experiments.published import METRIC, example_log
from compete.experiments.run_log import Log, Logged, Run, Step, chosen, read_log, road
from compete.printable import shown
from compete.submissions.ledger import ledger_of
from compete.workflows.session import Say, silent

if TYPE_CHECKING:  # `compete log` answers before pandas would be there
    import pandas as pd


@dataclass(frozen=True)
class RunLog:
    """Runs, oldest first, and the road from the first score to the best."""

    log: Log
    metric: str
    steps: list[Step] = field(repr=False, default_factory=list)
    """Of all runs, whatever was asked for: `road`."""

    @property
    def table(self) -> pd.DataFrame:
        """A row per run: when, command, model or stack, scores, hours, what changed."""
        from compete.reporting.frames import log_frame

        return log_frame(self.log.runs)

    @property
    def moved(self) -> pd.DataFrame:
        """A row per run that beat the best honest score before it: the score, by how much, what changed."""
        from compete.reporting.frames import log_frame

        better = [step for step in self.steps if step.is_better]
        table = log_frame([step.logged for step in better])
        table.insert(0, "gained", [step.gained for step in better])
        return table


def log(workspace: Workspace, *, model: str = "", command: str = "", since: str = "", say: Say = silent) -> RunLog:
    """model, command: only runs of these; since: only runs since that day or moment, as 2026-11-27 or
    2026-11-27T09:30, UTC where it names no time zone. Raises UserError for what is no such moment."""
    moment = _moment(since) if since else None
    found = read_log(workspace)
    for sentence in found.damaged:
        say(f"warning: {sentence}")
    found = Log(_with_public_scores(workspace, found.runs), found.damaged)
    declared = read_declaration(workspace)
    told = RunLog(chosen(found, model=model, command=command, since=moment), declared.metric_name)
    metric = declared.metric_name if declared.own_metric is None else declared.own_metric[1]
    return replace(told, steps=road(found.runs, declared.metric_info.sign, metric))


def example() -> RunLog:
    """The published models that the shipped recipes come from, as a log; the road is that of their public scores."""
    found = example_log()
    return RunLog(found, METRIC, road(found.runs, 1, METRIC, lambda run: run.public))


def _with_public_scores(workspace: Workspace, runs: list[Logged]) -> list[Logged]:
    """Public scores came later, perhaps: the ledger has them."""
    if not any(each.run.number for each in runs):
        return runs
    public = {entry.number: entry.outcome.public for entry in ledger_of(workspace).entries()}
    return [replace(each, run=_with_public(each.run, public)) for each in runs]


def _with_public(run: Run, public: dict[int, float | None]) -> Run:
    return run if run.number is None else replace(run, public=public.get(run.number, run.public))


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"--since {shown(text)}: write a day or a moment, as 2026-11-27 or 2026-11-27T09:30") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
