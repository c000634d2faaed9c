"""The probe: a few steps of a model's real training, timed, from which the hours of all folds follow.

Runs as a job in a process of its own, so that its peak memory is the model's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete import atomic
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.families import FitContext, FittedModel, Needs
from compete.base_models.pretrained.settings import TransformerSettings
from compete.base_models.recipes import Recipe, load_recipe
from compete.competition.data import Competition, load_competition
from compete.competition.workspace import Workspace
from compete.planning.schedule import Work
from compete.progress import Report

_STEPS = 4  # micro-batches of typical rows that are timed
_PREDICTED = 32
_CHECKED = 100  # texts that a kept model is read again with


@dataclass(frozen=True)
class Probe:
    """What a few steps took; times in seconds."""

    opening: float
    """For opening the model."""
    trained_row: float
    """Per row trained."""
    predicted_row: float
    """Per row predicted."""
    peak: int
    """Resident memory, bytes."""
    once: bool = False
    """Rows are predicted, which is to say read, once for all folds; what is trained is a head."""


@dataclass(frozen=True)
class Probed:
    """What came of probing one model."""

    found: Probe | None = None
    hours: float | None = None
    """Of all folds, `at_once` at a time."""
    at_once: int = 1
    sessions: int | None = None
    """None: none was asked for, or a fold is longer than one."""
    longest: float = 0.0
    """Hours of the longest fold."""
    why: str = ""
    """Why there is no probe."""


def run(payload: Mapping[str, Any], report: Report) -> None:
    """Probe one recipe and write the Probe as JSON to payload["result"]."""
    workspace = Workspace(Path(payload["workspace"]), payload["size"])
    recipe = load_recipe(workspace, payload["model"]).ready()
    found = probe(recipe, load_competition(workspace), payload["rows_at_once"], payload["threads"], report)
    Path(payload["result"]).write_text(json.dumps(asdict(found)), encoding="utf-8")


def read_probe(path: Path) -> Probe:
    return Probe(**json.loads(path.read_text(encoding="utf-8")))


def probe(recipe: Recipe, competition: Competition, rows_at_once: int, threads: int, report: Report) -> Probe:
    """Train on the longest rows, for the memory; then on few and on more typical ones, for the time per row."""
    if isinstance(recipe.settings, EmbeddingsSettings):
        return _probe_reading(recipe, competition, threads, report)
    family = _Trial(recipe, competition, rows_at_once, threads)
    lengths = np.array([len(text.encode()) for text in competition.train_texts])
    by_length = np.argsort(-lengths, kind="stable")
    family.fit(by_length[: rows_at_once + 2])
    report(0.3)
    typical = np.random.default_rng(0).permutation(len(lengths))
    few, many = typical[: rows_at_once + 2], typical[: _STEPS * rows_at_once + 2]
    with atomic.scratch_folder() as cache:
        family.cache = cache
        if recipe.needs.frozen_layers:
            family.fit(many)  # fills the cache: frozen layers are computed once, not in every epoch
        short = family.fit(few)[0]
        report(0.6)
        long, model = family.fit(many)
    texts = [family.texts[row] for row in typical[-2 * _PREDICTED :]]
    model.predict_proba(texts[: len(texts) // 2])  # the first prediction pays for kernels that are chosen then
    start = time.monotonic()
    model.predict_proba(texts[len(texts) // 2 :])
    predicted = (time.monotonic() - start) / (len(texts) - len(texts) // 2)
    more = len(many) - len(few)
    # Where timing noise hides the difference, the whole of the longer fit is an upper bound.
    trained = (long - short) / more if more and long > short else long / len(many)
    return Probe(max(short - trained * len(few), 0.0), trained, predicted, peak_memory())


def _probe_reading(recipe: Recipe, competition: Competition, threads: int, report: Report) -> Probe:
    """Read texts of some lengths, and fit a head of the real size."""
    from compete.base_models.embeddings.family import Embeddings
    from compete.planning.reading_probe import measure

    family = recipe.build()
    assert isinstance(family, Embeddings)
    task, folds = competition.task, competition.declaration.folds.k
    context = FitContext(competition.labels, recipe.declaration.seed, task.name, task.grades, threads)
    train, test = competition.texts_for(recipe.needs.features)
    found = measure(family.settings, train, test, competition.train_targets, folds, context, report)
    fitted = len(train) * (folds - 1) / folds
    return Probe(found.opening, found.head / fitted, found.read, peak_memory(), once=True)


def work(
    found: Probe,
    settings: TransformerSettings | EmbeddingsSettings,
    needs: Needs,
    *,
    n_train: int,
    n_test: int,
    folds: int,
    at_once: int = 1,
) -> Work:
    """Hours of every fold, until it is trained and has predicted its rows and the test set.

    at_once: jobs, which share what is read once for all of them.
    """
    rows = n_train * (folds - 1) / folds
    if isinstance(settings, EmbeddingsSettings):
        # Opened twice: a fresh process checks what was kept, with texts that it reads itself.
        fold = 2 * found.opening + rows * found.trained_row + _CHECKED * found.predicted_row
        return Work(fold / 3600, folds, (n_train + n_test) * found.predicted_row / at_once / 3600)
    held_out = rows * settings.validation_share
    trained = settings.epochs * ((rows - held_out) * found.trained_row + held_out * found.predicted_row)
    predicted = (n_train / folds + n_test) * found.predicted_row
    # Once for all folds; as long as a whole prediction, which is an upper bound.
    frozen = (n_train + n_test) * found.predicted_row if needs.frozen_layers else 0.0
    return Work((found.opening + trained + predicted) / 3600, folds, frozen / 3600)


def peak_memory() -> int:
    """The most memory this process has had resident, bytes; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    # macOS counts in bytes, Linux in KiB.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class _Trial:
    """A recipe's own training on chosen rows, for one epoch, one micro-batch per step."""

    def __init__(self, recipe: Recipe, competition: Competition, rows_at_once: int, threads: int) -> None:
        # The one epoch is one with an attack, if any has it: an upper bound where the first epochs have none.
        first = {"adversarial_from_epoch": 1} if hasattr(recipe.settings, "adversarial_from_epoch") else {}
        self.family = recipe.build(
            epochs=1, batch_size=rows_at_once, micro_batch_size=rows_at_once, validation_share=0.01, **first
        )
        self.competition = competition
        self.texts, _ = competition.texts_for(recipe.needs.features)
        self.seed = recipe.declaration.seed
        self.threads = threads
        self.cache: Path | None = None

    def fit(self, rows: NDArray[np.intp]) -> tuple[float, FittedModel]:
        """Seconds of a training on these rows, and the trained model."""
        context = FitContext(
            self.competition.labels,
            self.seed,
            self.competition.task.name,
            self.competition.task.grades,
            self.threads,
            cache=self.cache,
            features=self.cache,
        )
        texts = [self.texts[row] for row in rows]
        start = time.monotonic()
        model = self.family.fit(texts, self.competition.train_targets[rows].copy(), context)
        return time.monotonic() - start, model
