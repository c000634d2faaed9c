"""What each base model is worth to a stack: the honest score without it, and how alike the models err."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete import atomic
from compete.competition.metrics import Labels, Probabilities
from compete.stacking.ensemble.evaluation import Evaluation
from compete.stacking.ensemble.resampling import interval
from compete.stacking.fitting import Workbench

WORTH = "worth.json"


@dataclass(frozen=True)
class Worth:
    """gain: how much better the honest score is with the model than without it; low, high: its 95 % interval."""

    model: str
    without: float
    gain: float
    low: float
    high: float

    @property
    def told_apart(self) -> bool:
        """Whether the stack is better with the model by more than noise."""
        return self.low > 0


def worth_of_models(
    bench: Workbench,
    name: str,
    whole: Evaluation,
    progress: Callable[[str], None] = lambda model: None,
) -> list[Worth]:
    """Fit the stack `name` again without each of its base models; the most valuable first.

    One model is left out at a time: of two that say the same, each alone can go, but not both.
    """
    sign = 1 if bench.metric.greater_is_better else -1
    found = []
    for model in bench.fitted(name).members:
        progress(model)
        rest = Workbench(bench.materials.without(model), bench.recipes, bench.metric)
        without = rest.evaluate(name)
        low, high = interval(sign * (whole.draws - without.draws))
        found.append(Worth(model, without.honest, sign * (whole.honest - without.honest), low, high))
    return sorted(found, key=lambda worth: worth.gain, reverse=True)


def keep_worth(stack_folder: Path, manifest: Mapping[str, Any], worths: Sequence[Worth]) -> None:
    """Write down what was found beside the stack it was found of."""
    atomic.write_json(stack_folder / WORTH, {"of": manifest["sha256"], "worth": [asdict(worth) for worth in worths]})


def kept_worth(stack_folder: Path, manifest: Mapping[str, Any]) -> list[Worth] | None:
    """What was found of exactly this stack; None if nobody looked."""
    try:
        record = json.loads((stack_folder / WORTH).read_text(encoding="utf-8"))
        return [Worth(**worth) for worth in record["worth"]] if record["of"] == manifest["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # only a cache


def error_correlation(oof: Probabilities, labels: Labels) -> NDArray[np.float64]:
    """Correlation (n_models, n_models) of the models' errors, label minus probability, mean over labels."""
    errors: NDArray[np.float64] = labels.astype(np.float64)[None] - oof
    errors -= errors.mean(axis=1, keepdims=True)
    errors /= np.maximum(errors.std(axis=1, keepdims=True), 1e-12)
    return np.asarray(np.einsum("mrl,nrl->mn", errors, errors) / (errors.shape[1] * errors.shape[2]))
