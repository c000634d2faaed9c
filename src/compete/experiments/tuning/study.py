"""A study: what is tried next, and what is remembered of it, in Optuna's SQLite file.

Trials are asked for in batches of a fixed size, by a sampler that is seeded anew for each, from the trials that have
ended by then. So the same seed gives the same trials, however many run at once and however often a run was killed. A
trial is there as a whole, settings and all, before its first job begins; one that was running when the process died is
waiting again when the study is opened.
"""

from __future__ import annotations

import contextlib
import copy
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compete import atomic
from compete.competition.workspace import TuningFolder
from compete.errors import StoreError
from compete.experiments.tuning.pruning import comparable, medians
from compete.experiments.tuning.space import Space
from compete.experiments.tuning.stored import About, StudyRecord, Trial, TrialState
from compete.experiments.tuning.trial import Outcome
from compete.fingerprints import digest

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

BATCH = 4
_STARTUP = 10  # trials by chance before the sampler goes by what it knows: Optuna's own default
_BUSY_SECONDS = 60
_ASKED_AGAIN = 50  # times, where the sampler suggests what was tried


class Study:
    """One study of a storage that is open."""

    def __init__(self, storage: RDBStorage, about: About, space: Space, shipped: Mapping[str, Any] | None) -> None:
        import optuna

        self.about, self.space, self.key = about, space, key_of(about)
        self._storage, self._shipped = storage, shipped
        self._study: OptunaStudy = optuna.create_study(
            storage=storage,
            study_name=self.key,
            direction="maximize" if about.greater_is_better else "minimize",
            load_if_exists=True,
        )
        self._study.set_user_attr("about", json.dumps(asdict(about)))
        for trial in self._frozen():
            if trial.state.name == "RUNNING":  # when the process that ran it was ended
                self._state(trial, "WAITING")

    @property
    def record(self) -> StudyRecord:
        return StudyRecord(self.key, self.about, tuple(_trial(each) for each in self._frozen()))

    @property
    def ended(self) -> int:
        """Trials that need not be tried any more."""
        return sum(trial.state.is_finished() for trial in self._frozen())

    def batch(self, most: int) -> list[int]:
        """Numbers of the trials to run next: those that wait, else new ones; never more than `most` in all.

        They count as running from now on.
        """
        waiting = [trial for trial in self._frozen() if trial.state.name == "WAITING"]
        there = len(self._frozen())
        if not waiting:
            # A batch that a smaller budget cut short is filled up first: it is no other batch for it.
            count = min(BATCH - there % BATCH, most - there)
            if count > 0:
                self._ask(there, count)
                waiting = [trial for trial in self._frozen() if trial.state.name == "WAITING"]
        for trial in waiting:
            self._state(trial, "RUNNING")
        return [trial.number for trial in waiting]

    def _ask(self, there: int, count: int) -> None:
        """Add trials, all but the first by the sampler."""
        import optuna
        from optuna.trial import TrialState as State

        frozen, distributions = self._frozen(), self.space.distributions()
        begins = there - there % BATCH
        # Proxies are asked for the same trials as what they stand for; the folds of a nested tuning for trials of their
        # own.
        whose = 1 + self.about.folds[0] if self.about.nested else 0
        seed = int(np.random.SeedSequence([self.about.seed, whose, begins]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP, constant_liar=True)
        inner = optuna.create_study(sampler=sampler, direction=self._study.direction)
        ended = [trial for trial in frozen if trial.number < begins and trial.state.is_finished()]
        inner.add_trials([_as_sampled(trial, self.about.greater_is_better) for trial in ended])
        known = [dict(trial.params) for trial in frozen if trial.number < begins]
        for number in range(begins, there + count):
            if self.space.is_used_up(known):
                return
            is_shipped = number == 0 and self._shipped is not None
            params = self.space.settled(inner.ask(distributions).params)
            for _ in range(0 if is_shipped else _ASKED_AGAIN):
                if params not in known:
                    break
                params = self.space.settled(inner.ask(distributions).params)
            params = dict(self._shipped or {}) if is_shipped else params
            known.append(params)
            if number < there:  # of this batch, and there already
                continue
            self._study.add_trial(
                optuna.create_trial(
                    state=State.WAITING,
                    params=params,
                    distributions=distributions,
                    user_attrs={"settings": json.dumps(self.space.values(params)), "shipped": is_shipped},
                )
            )

    def params(self, number: int) -> dict[str, Any]:
        return dict(self._frozen()[number].params)

    def medians_for(self, number: int) -> dict[int, float]:
        """What the trial is given up by: the median loss at every epoch of those that ended before its batch."""
        like = comparable(self.params(number))
        before = [
            trial
            for trial in self.record.trials
            if trial.state == "done" and trial.number < number - number % BATCH and comparable(trial.params) == like
        ]
        return medians([trial.losses for trial in before])

    def tell(self, number: int, outcomes: Mapping[int, Outcome]) -> None:
        """Remember what a trial was worth in every fold; it is given up where one of its trainings was."""
        trial = self._frozen()[number]
        seconds = sum(outcome.seconds for outcome in outcomes.values())
        losses = _mean_losses([outcome.losses for outcome in outcomes.values()])
        scores = {fold: each.score for fold, each in sorted(outcomes.items()) if each.score is not None}
        self._note(trial, "told", {"seconds": round(seconds, 3), "scores": {str(f): s for f, s in scores.items()}})
        for epoch, loss in losses.items():
            self._storage.set_trial_intermediate_value(trial._trial_id, epoch, loss)
        if len(scores) == len(outcomes):
            self._state(trial, "COMPLETE", float(np.mean(list(scores.values()))))
        else:
            self._state(trial, "PRUNED")

    def failed(self, number: int, error: str) -> None:
        """Remember why a trial gave nothing."""
        trial = self._frozen()[number]
        self._note(trial, "error", error)
        self._state(trial, "FAIL")

    def wait(self, number: int) -> None:
        """A trial that there was no time for is the first of the next run."""
        self._state(self._frozen()[number], "WAITING")

    def _frozen(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _note(self, trial: FrozenTrial, name: str, value: Any) -> None:
        self._storage.set_trial_user_attr(trial._trial_id, name, value)

    def _state(self, trial: FrozenTrial, state: str, value: float | None = None) -> None:
        from optuna.trial import TrialState as State

        self._storage.set_trial_state_values(trial._trial_id, State[state], None if value is None else [value])


def key_of(about: About) -> str:
    """By which a study is told from those of other settings, rows or seeds."""
    return digest([json.dumps(asdict(about), sort_keys=True)])


@contextlib.contextmanager
def open_storage(folder: TuningFolder) -> Iterator[RDBStorage]:
    """The studies of a recipe; raises StoreError for a file that Optuna cannot read."""
    import optuna
    from sqlalchemy import URL
    from sqlalchemy.exc import DatabaseError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.path.mkdir(parents=True, exist_ok=True)
    _refuse_link(folder.storage)
    url = URL.create("sqlite", database=str(folder.storage)).render_as_string(hide_password=False)
    try:
        with atomic.disk_full_is_said(folder.storage):
            storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _BUSY_SECONDS}})
    except (DatabaseError, RuntimeError) as error:
        what = str(getattr(error, "orig", None) or error)
        raise StoreError(
            f"{folder.storage} cannot be read ({what}): move it away, and the tuning begins anew"
        ) from None
    try:
        yield storage
    finally:
        storage.engine.dispose()


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise StoreError(f"{path} is a link, and no file of compete's: remove it")


def every_study(storage: RDBStorage) -> list[StudyRecord]:
    """All studies of a storage, those of earlier edits and of other seeds too, oldest first."""
    import optuna

    found = []
    for name in storage.get_all_studies():
        study = optuna.load_study(study_name=name.study_name, storage=storage)
        about = json.loads(study.user_attrs["about"])
        about["folds"] = tuple(about["folds"])
        trials = tuple(_trial(each) for each in study.get_trials(deepcopy=False))
        found.append(StudyRecord(name.study_name, About(**about), trials))
    return found


_STATES: dict[str, TrialState] = {
    "COMPLETE": "done",
    "PRUNED": "given up",
    "FAIL": "failed",
    "RUNNING": "waiting",
    "WAITING": "waiting",
}


def _trial(frozen: FrozenTrial) -> Trial:
    notes = frozen.user_attrs
    told = notes.get("told", {"seconds": 0.0, "scores": {}})
    state = _STATES[frozen.state.name]
    return Trial(
        number=frozen.number,
        state=state,
        score=float(frozen.value) if state == "done" and frozen.value is not None else None,
        settings=json.loads(notes["settings"]),
        params=dict(frozen.params),
        scores={int(fold): float(score) for fold, score in told["scores"].items()},
        seconds=float(told["seconds"]),
        losses=dict(frozen.intermediate_values),
        shipped=bool(notes["shipped"]),
        error=str(notes.get("error", "")),
    )


def _as_sampled(trial: FrozenTrial, greater_is_better: bool) -> FrozenTrial:
    """With losses turned where the metric is maximised: Optuna ranks trials that were given up by their intermediate
    values, in the study's direction, and a loss is the better the lower it is."""
    if not greater_is_better:
        return trial
    turned = copy.copy(trial)
    turned.intermediate_values = {epoch: -loss for epoch, loss in trial.intermediate_values.items()}
    return turned


def _mean_losses(of_folds: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Of the epochs that every fold had."""
    if not of_folds:
        return {}
    epochs = set.intersection(*(set(losses) for losses in of_folds))
    return {epoch: float(np.mean([losses[epoch] for losses in of_folds])) for epoch in sorted(epochs)}
