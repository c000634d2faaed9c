from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from compete.execution.jobs import Failed, Finished, Job, Progressed, Started
from compete.reporting.terminal.training_display import TimeLeft, TrainingDisplay


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def make_jobs(model: str, folds: int) -> list[Job]:
    return [Job(f"{model} fold {fold}", "module:run", {"model": model}, Path("x.log")) for fold in range(folds)]


def time_left(jobs: Sequence[Job], workers: int = 1, **known: float) -> tuple[TimeLeft, Clock]:
    clock = Clock()
    return TimeLeft(jobs, workers, known, clock), clock


def finish(left: TimeLeft, clock: Clock, job: Job, seconds: float) -> None:
    left.update(Started(job))
    clock.now += seconds
    left.update(Finished(job, seconds))


def test_nothing_is_known_at_first() -> None:
    jobs = make_jobs("linear", 3)
    left, clock = time_left(jobs)
    assert left.seconds() is None
    left.update(Started(jobs[0]))
    clock.now += 30
    left.update(Progressed(jobs[0], 0.01))  # too early to say
    assert left.seconds() is None


def test_a_fold_takes_as_long_as_the_mean_of_its_models_finished_folds() -> None:
    jobs = make_jobs("linear", 5)
    left, clock = time_left(jobs)
    finish(left, clock, jobs[0], 10)
    assert left.seconds() == pytest.approx(4 * 10)
    finish(left, clock, jobs[1], 20)
    assert left.seconds() == pytest.approx(3 * 15)


def test_models_are_told_apart() -> None:
    jobs = [*make_jobs("linear", 2), *make_jobs("ffnn", 2)]
    left, clock = time_left(jobs)
    finish(left, clock, jobs[0], 10)
    finish(left, clock, jobs[2], 100)
    assert left.seconds() == pytest.approx(10 + 100)


def test_an_earlier_run_tells_until_this_one_knows_better() -> None:
    jobs = make_jobs("linear", 3)
    left, clock = time_left(jobs, linear=50.0)
    assert left.seconds() == pytest.approx(150)
    finish(left, clock, jobs[0], 10)
    assert left.seconds() == pytest.approx(20)


def test_a_new_model_is_expected_to_take_as_long_as_the_others_on_average() -> None:
    left, _ = time_left([*make_jobs("linear", 1), *make_jobs("ffnn", 1), *make_jobs("new", 2)], linear=10.0, ffnn=30.0)
    assert left.seconds() == pytest.approx(10 + 30 + 2 * 20)


def test_finished_jobs_tell_even_when_only_new_models_are_left() -> None:
    jobs = [*make_jobs("linear", 1), *make_jobs("ffnn", 2)]
    left, clock = time_left(jobs)
    finish(left, clock, jobs[0], 10)
    assert left.seconds() == pytest.approx(2 * 10)


def test_a_running_job_counts_down_and_never_below_nothing() -> None:
    jobs = make_jobs("linear", 2)
    left, clock = time_left(jobs, linear=20.0)
    left.update(Started(jobs[0]))
    clock.now += 5
    assert left.seconds() == pytest.approx(15 + 20)
    clock.now += 60
    assert left.seconds() == pytest.approx(0 + 20)


def test_a_running_jobs_own_pace_beats_what_others_took() -> None:
    jobs = make_jobs("linear", 2)
    left, clock = time_left(jobs, linear=20.0)
    left.update(Started(jobs[0]))
    clock.now += 30
    left.update(Progressed(jobs[0], 0.25))  # 120 seconds in all
    assert left.seconds() == pytest.approx(90 + 20)


def test_workers_share_the_time_but_no_job_is_divided() -> None:
    jobs = make_jobs("linear", 8)
    assert time_left(jobs, workers=4, linear=10.0)[0].seconds() == pytest.approx(20)
    assert time_left(jobs[:3], workers=4, linear=10.0)[0].seconds() == pytest.approx(10)


def test_a_failed_job_is_over_and_teaches_nothing() -> None:
    jobs = make_jobs("linear", 3)
    left, clock = time_left(jobs)
    finish(left, clock, jobs[0], 10)
    left.update(Failed(jobs[1], "ValueError", "no"))
    assert left.seconds() == pytest.approx(10)
    finish(left, clock, jobs[2], 10)
    assert left.seconds() == 0


def test_a_pipe_gets_one_plain_line_per_job() -> None:
    jobs = [*make_jobs("[red]odd[/]", 2), *make_jobs("linear", 1)]
    out = io.StringIO()
    with TrainingDisplay(Console(file=out, width=80), jobs, workers=1, known={}) as display:
        for job in jobs[:2]:
            display(Started(job))
            display(Progressed(job, 0.5))
        display(Finished(jobs[0], 2.0))
        display(Finished(jobs[1], 4.0))
        display(Failed(jobs[2], "ValueError", "bad [value] here"))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("[1/3] [red]odd[/] fold 0: 2.0 s")
    assert lines[1].startswith("[2/3] [red]odd[/] fold 1: 4.0 s")
    assert lines[2] == "[3/3] linear fold 0: failed, ValueError: bad [value] here"
    assert "\x1b" not in out.getvalue()


def test_the_line_says_how_much_time_is_left_until_nothing_is() -> None:
    jobs = make_jobs("linear", 3)
    out = io.StringIO()
    with TrainingDisplay(Console(file=out, width=80), jobs, workers=1, known={}) as display:
        for job in jobs:
            display(Finished(job, 90.0))
    assert out.getvalue().splitlines() == [
        "[1/3] linear fold 0: 1 min 30 s, 3 min 00 s left",
        "[2/3] linear fold 1: 1 min 30 s, 1 min 30 s left",
        "[3/3] linear fold 2: 1 min 30 s",
    ]


def test_the_line_says_how_the_job_went_in_the_end() -> None:
    jobs = make_jobs("tuned", 2)
    out = io.StringIO()
    with TrainingDisplay(Console(file=out, width=80), jobs, workers=1, known={}) as display:
        display(Started(jobs[0]))
        display(Progressed(jobs[0], 0.5, "loss 0.412, 53 rows/s"))
        display(Progressed(jobs[0], 0.6, "loss 0.388, 54 rows/s"))
        display(Progressed(jobs[0], 1.0))  # has nothing to say
        display(Finished(jobs[0], 90.0))
        display(Started(jobs[1]))
        display(Finished(jobs[1], 30.0))
    assert out.getvalue().splitlines() == [
        "[1/2] tuned fold 0: 1 min 30 s (loss 0.388, 54 rows/s), 1 min 30 s left",
        "[2/2] tuned fold 1: 30.0 s",
    ]


def test_how_a_running_job_goes_stands_beside_its_bar_in_80_columns() -> None:
    [job] = make_jobs("distilbert_base_uncased", 1)
    out = io.StringIO()
    with TrainingDisplay(Console(file=out, width=80, force_terminal=True), [job], workers=1, known={}) as display:
        display(Started(job))
        display(Progressed(job, 0.5, "loss 0.412, 1,053 rows/s"))
        display._progress.refresh()
        lines = [line for line in out.getvalue().splitlines() if "distilbert_base_uncased fold 0" in line]
        assert "loss 0.412, 1,053 rows/s" in lines[-1]


def test_a_terminal_gets_a_bar_that_goes_away_and_the_lines_stay() -> None:
    jobs = make_jobs("linear", 1)
    out = io.StringIO()
    with TrainingDisplay(Console(file=out, width=80, force_terminal=True), jobs, workers=1, known={}) as display:
        display(Started(jobs[0]))
        display(Progressed(jobs[0], 0.5))
        display(Finished(jobs[0], 2.0))
    assert "[1/1] linear fold 0: 2.0 s" in out.getvalue()
    assert "training" in out.getvalue()
    assert "left" not in out.getvalue().split("[1/1]")[1].split("\n")[0]
