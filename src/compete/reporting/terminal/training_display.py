"""One progress display for a whole training plan, with the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from compete.execution.jobs import Event, Failed, Finished, Job, Left, Progressed, Started
from compete.reporting.durations import duration

if TYPE_CHECKING:
    from compete.oof.work import Work


@dataclass
class TimeLeft:
    """Estimates the seconds until all jobs are done.

    A job is expected to take as long as the finished folds of its model, in this run or, failing that, in an
    earlier one; as long as the average job where its model is new; and for a running job its own pace counts once it
    has reported progress.
    """

    jobs: Sequence[Job]
    workers: int
    known: Mapping[str, float] = field(default_factory=dict)
    """Seconds of a fold in an earlier run, by model."""
    clock: Callable[[], float] = time.monotonic
    _finished: dict[str, list[float]] = field(default_factory=dict)
    _started: dict[str, float] = field(default_factory=dict)
    _fraction: dict[str, float] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)

    def update(self, event: Event) -> None:
        name = event.job.name
        if isinstance(event, Started):
            self._started[name] = self.clock()
        elif isinstance(event, Progressed):
            self._fraction[name] = event.fraction
        else:
            self._ended.add(name)
            if isinstance(event, Finished):
                self._finished.setdefault(_model(event.job), []).append(event.seconds)

    def seconds(self) -> float | None:
        """None while nothing is known yet."""
        pending = [job for job in self.jobs if job.name not in self._ended]
        expected = [self._expected(job) for job in pending]
        known = [seconds for seconds in expected if seconds is not None]
        known += [seconds for finished in self._finished.values() for seconds in finished]
        if pending and not known:
            return None
        average = sum(known) / max(len(known), 1)
        left = [
            max((average if seconds is None else seconds) - self._elapsed(job), 0.0)
            for job, seconds in zip(pending, expected, strict=True)
        ]
        # More workers than jobs do not end the longest one sooner.
        return max(sum(left) / self.workers, max(left, default=0.0))

    def _expected(self, job: Job) -> float | None:
        fraction = self._fraction.get(job.name, 0.0)
        if fraction > 0.05:
            return self._elapsed(job) / fraction
        finished = self._finished.get(_model(job))
        return sum(finished) / len(finished) if finished else self.known.get(_model(job))

    def _elapsed(self, job: Job) -> float:
        started = self._started.get(job.name)
        return self.clock() - started if started is not None else 0.0


class TrainingDisplay:
    """Shows events: a live bar on a terminal, one line per job elsewhere. Use it as a context manager."""

    def __init__(self, console: Console, jobs: Sequence[Job], workers: int, known: Mapping[str, float]) -> None:
        self.console = console
        self.total = len(jobs)
        self.time_left = TimeLeft(jobs, workers, known)
        self.done = 0
        self._bars: dict[str, TaskID] = {}
        self._doing: dict[str, str] = {}
        """What running jobs said last of how they go."""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=14),  # leaves room for a long name and how it goes, in 80 columns
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._whole = self._progress.add_task("training", total=self.total, detail=f"0/{self.total}")

    def __enter__(self) -> TrainingDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        self.time_left.update(event)
        name = event.job.name
        if isinstance(event, Started):
            self._bars[name] = self._progress.add_task(f"  {name}", total=1.0, detail="")
        elif isinstance(event, Progressed):
            self._doing[name] = event.doing or self._doing.get(name, "")
            self._progress.update(self._bars[name], completed=event.fraction, detail=self._doing[name])
        else:
            self._end(event)
        detail = f"{self.done}/{self.total}{self._left_text()}"
        self._progress.update(self._whole, completed=self.done, detail=detail)

    def _end(self, event: Finished | Failed | Left) -> None:
        self.done += not isinstance(event, Left)
        bar, doing = self._bars.pop(event.job.name, None), self._doing.pop(event.job.name, "")
        if bar is not None:
            self._progress.remove_task(bar)
        if isinstance(event, Left):  # said together, in the end
            return
        head = f"[{self.done}/{self.total}] {event.job.name}"
        if isinstance(event, Failed):
            self.console.print(
                f"{head}: failed, {event.error}: {event.message}", style="red", markup=False, highlight=False
            )
        else:
            went = f" ({doing})" if doing else ""
            left = "" if self.console.is_terminal else self._left_text()
            self.console.print(f"{head}: {duration(event.seconds)}{went}{left}", markup=False, highlight=False)

    def _left_text(self) -> str:
        seconds = self.time_left.seconds()
        return "" if seconds is None or seconds < 1 or self.done == self.total else f", {duration(seconds)} left"


def shown_on(console: Console) -> Callable[[Work, int], TrainingDisplay]:
    """What shows a plan's training on a console, given the work and how many jobs run at once."""
    return lambda work, at_once: TrainingDisplay(console, work.jobs, at_once, work.seconds_per_fold())


def _model(job: Job) -> str:
    return str(job.payload.get("model", job.name))
