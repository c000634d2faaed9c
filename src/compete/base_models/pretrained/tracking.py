"""Telling trackers how a training goes: by transformers' own callbacks, which are told where by environment variables.

tracking/tensorboard/<model>/fold_<k>/   TensorBoard
tracking/mlflow.db                       MLflow, where MLFLOW_TRACKING_URI names no server
tracking/wandb/  tracking/trackio/       Weights & Biases, Trackio

A variable that the user has set counts. Keys and passwords are read by the trackers themselves, and by nothing here.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

from filelock import FileLock
from transformers import Trainer, TrainerCallback

from compete.base_models.trackers import Tracked


def reporting(tracked: Tracked | None) -> dict[str, Any]:
    """What TrainingArguments are told of trackers."""
    if tracked is None:
        return {"report_to": "none"}
    return {"report_to": list(tracked.to), "run_name": tracked.run, "project": _project(tracked)}


@contextlib.contextmanager
def told(tracked: Tracked | None, *, anew: bool) -> Iterator[None]:
    """The surroundings that trackers are told of a training in; its runs are over at the end, whatever became of it.

    anew: it does not go on from a state, and what an earlier training of the fold wrote for TensorBoard goes.
    """
    if tracked is None:
        yield
        return
    board = tracked.folder / "tensorboard" / tracked.model / f"fold_{tracked.fold}"
    if anew:
        shutil.rmtree(board, ignore_errors=True)
    tracked.folder.mkdir(parents=True, exist_ok=True)
    where = {name: value for name, value in _where(tracked).items() if name not in os.environ}
    where["TENSORBOARD_LOGGING_DIR"] = str(board)
    before = {name: os.environ.get(name) for name in where}
    os.environ.update(where)
    try:
        if "mlflow" in tracked.to:
            _make_tables(tracked)
        yield
    finally:
        _end_runs(tracked)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def forgive(trainer: Trainer, warnings: list[str]) -> None:
    """Have a tracker that fails once it has begun cost its run and no training; said in `warnings`."""
    for callback in trainer.callback_handler.callbacks:
        if type(callback).__module__.startswith("transformers.integrations"):
            _Forgiven(callback, warnings)


class _Forgiven:
    """A callback that is not called any more once it has failed."""

    def __init__(self, callback: TrainerCallback, warnings: list[str]) -> None:
        self.name = type(callback).__name__
        self.warnings = warnings
        self.failed = False
        for event in ("on_log", "on_epoch_begin", "on_epoch_end", "on_evaluate", "on_train_end"):
            setattr(callback, event, self._guarded(getattr(callback, event)))

    def _guarded(self, event: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            if self.failed:
                return None
            try:
                return event(*arguments, **named)
            except Exception as error:
                self.failed = True
                # Its class alone: what a tracker says may hold an address with a password in it.
                self.warnings.append(
                    f"{self.name} failed ({type(error).__name__}) and was told no more of the training"
                )
                return None

        return called


def _make_tables(tracked: Tracked) -> None:
    """MLflow's database, and the experiment in it: two jobs that make it at once get in each other's way."""
    import mlflow

    with FileLock(tracked.folder / ".mlflow.lock"):
        mlflow.set_experiment(os.environ["MLFLOW_EXPERIMENT_NAME"])


def _where(tracked: Tracked) -> dict[str, str]:
    project = _project(tracked)
    return {
        "WANDB_PROJECT": project,
        "WANDB_RUN_GROUP": tracked.model,
        "WANDB_DIR": str(tracked.folder),
        "MLFLOW_EXPERIMENT_NAME": project,
        "MLFLOW_TAGS": json.dumps({"model": tracked.model, "fold": str(tracked.fold)}),
        "MLFLOW_TRACKING_URI": f"sqlite:///{(tracked.folder / 'mlflow.db').as_posix()}",
        "TRACKIO_DIR": str(tracked.folder / "trackio"),
    }


def _project(tracked: Tracked) -> str:
    """The competition's name, as far as trackers take it."""
    return re.sub(r"[^\w .-]+", "-", tracked.competition)[:100]


def _end_runs(tracked: Tracked) -> None:
    """End what callbacks leave open: a run that was interrupted, and with Weights & Biases any."""
    ends = {"wandb": "finish", "mlflow": "end_run", "trackio": "finish"}
    for name in tracked.to:
        if name in ends and name in sys.modules:
            with contextlib.suppress(Exception):  # there is nothing to end, or nobody who answers
                getattr(sys.modules[name], ends[name])()
