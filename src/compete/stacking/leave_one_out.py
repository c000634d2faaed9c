"""What each base model adds to a stack: the honest score without it, and how alike the models err."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compete import atomic
from compete.competition.metrics import Labels, Probabilities
from compete.competition.workspace import ResultFolder
from compete.progress import Progress, unseen
from compete.stacking.ensemble.resampling import interval
from compete.stacking.fitting import Workbench
from compete.stored_json import read_json


@dataclass(frozen=True)
class Contribution:
    """What a base model adds to a stack."""

    model: str
    without: float
    """The honest score without it."""
    gain: float
    """How much better the honest score is with it; then the 95 % interval of that."""
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether the stack is better with the model by more than noise."""
        return self.low > 0


def leave_one_out(
    bench: Workbench,
    name: str,
    honest: float,
    draws: NDArray[np.float64],
    progress: Progress = unseen,
) -> list[Contribution]:
    """Fit the stack `name` again without each of its base models; the most valuable first.

    honest, draws: its score, and that of resampled rows. One model is left out at a time: of two that say the same,
    each alone can go, but not both.
    """
    sign, found, members = bench.metric.sign, [], bench.members_of(name)
    for number, model in enumerate(members):
        progress(number / len(members), f"without {model}")
        rest = Workbench(bench.materials.without(model), bench.recipes, bench.metric)
        without = rest.evaluate(name)
        low, high = interval(sign * (draws - without.draws))
        found.append(Contribution(model, without.honest, sign * (honest - without.honest), low, high))
    return sorted(found, key=lambda each: each.gain, reverse=True)


def keep_contributions(folder: ResultFolder, manifest: Mapping[str, Any], found: Sequence[Contribution]) -> None:
    """Write down what was found beside the stack it was found of."""
    record = {"of": manifest["sha256"], "contributions": [asdict(each) for each in found]}
    atomic.write_json(folder.leave_one_out, record)


def kept_contributions(folder: ResultFolder, manifest: Mapping[str, Any]) -> list[Contribution] | None:
    """What was found of exactly this stack; None if nobody looked."""
    try:
        record = read_json(folder.leave_one_out)
        of_this = record["of"] == manifest["sha256"]
        return [_contribution(**each) for each in record["contributions"]] if of_this else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # only a cache


def _contribution(model: str, without: float, gain: float, low: float, high: float) -> Contribution:
    return Contribution(str(model), float(without), float(gain), float(low), float(high))


def error_correlation(oof: Probabilities, labels: Labels) -> NDArray[np.float64]:
    """Correlation (n_models, n_models) of the models' errors, label minus probability, mean over labels."""
    errors: NDArray[np.float64] = labels.astype(np.float64)[None] - oof
    errors -= errors.mean(axis=1, keepdims=True)
    spread = errors.std(axis=1, keepdims=True)
    errors /= np.where(spread > 0, spread, 1.0)
    return np.asarray(np.einsum("mrl,nrl->mn", errors, errors) / (errors.shape[1] * errors.shape[2]))
