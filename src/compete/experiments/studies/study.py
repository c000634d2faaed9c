"""What came of a study: its numbers as tables, which differences are more than noise, and what follows in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from compete.competition.metrics import Metric
from compete.experiments.studies.differences import FEWEST_REPEATS, Difference, over_repeats, over_seeds, seed_noise
from compete.experiments.studies.scoring import TrialScore
from compete.experiments.studies.trials import Arm
from compete.score_text import range_text, score_text

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["folds", "setting", "seeds"]
# What arms of a study of folds are compared by: greater is better, but for `flatters`.
MEASURES = {
    "aside": "score of the mean of the K models on the rows aside",
    "error": "distance between honest score and that",
    "flatters": "how much the honest score promises too much",
    "honest": "honest score",
}


@dataclass(frozen=True)
class Comparison:
    """An arm against the reference, by one measure."""

    arm: Arm
    measure: str
    difference: Difference


@dataclass(frozen=True)
class Study:
    """Arms, each with a score per repeat."""

    name: str
    """Of its folder."""
    kind: Kind
    model: str
    metric: Metric
    outputs: tuple[str, ...]
    arms: tuple[Arm, ...]
    scores: dict[str, list[TrialScore]]
    """Per arm, by name, a score per repeat (or seed)."""
    reference: Arm
    """What the others are compared with."""
    aside: float = 0.0
    setting: str = ""
    drawn: dict[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)
    """Of a study of settings, per arm: scores of resampled rows, means over the seeds, (n_draws,)."""
    not_called: tuple[str, ...] = ()
    """What keeps from comparing."""

    @property
    def repeats(self) -> int:
        return len(self.scores[self.reference.name])

    def _of(self, arm: Arm, measure: str) -> NDArray[np.float64]:
        """(n_repeats,)."""
        sign, found = self.metric.sign, self.scores[arm.name]
        honest = np.array([each.honest for each in found])
        if measure == "honest":
            return sign * honest
        aside = np.array([each.mean_aside for each in found], dtype=np.float64)
        if measure == "aside":
            return sign * aside
        return -np.abs(honest - aside) if measure == "error" else sign * (honest - aside)

    @cached_property
    def seed_spread(self) -> tuple[float, float]:
        """Standard deviation between seeds of one arm, and the widest distance between two of one arm."""
        noise, spread = seed_noise(np.stack([self._of(arm, "honest") for arm in self.arms]))
        return noise**0.5, spread

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every other arm against the reference, by every measure."""
        others = [arm for arm in self.arms if arm != self.reference]
        if self.kind == "folds":
            measures = ["aside", "error"]
            measures += ["flatters"] if len({arm.strategy for arm in self.arms}) > 1 else []
            count = len(measures) * len(others)
            return [
                Comparison(
                    arm,
                    measure,
                    over_repeats(self._of(arm, measure) - self._of(self.reference, measure), self.aside, count),
                )
                for measure in measures
                for arm in others
            ]
        deviation, spread = self.seed_spread
        base = self._of(self.reference, "honest")
        return [
            Comparison(
                arm,
                "honest",
                over_seeds(
                    self._of(arm, "honest"),
                    base,
                    self.metric.sign * (self.drawn[arm.name] - self.drawn[self.reference.name]),
                    deviation**2,
                    spread,
                    len(others),
                    len(self.arms) * (self.repeats - 1),
                ),
            )
            for arm in others
        ]

    @property
    def table(self) -> pd.DataFrame:
        """A row per arm: means over the repeats. `error`: honest minus aside; `spread`: of the scores of a label or
        target over the repeats, standard deviation, mean over all of them; `seconds`: of all trainings of a repeat."""
        import pandas as pd

        return pd.DataFrame([self._row(arm) for arm in self.arms]).set_index("arm")

    def _row(self, arm: Arm) -> dict[str, Any]:
        found = self.scores[arm.name]
        honest = np.array([each.honest for each in found])
        labels = np.array([each.labels for each in found])
        several = len(found) > 1
        row: dict[str, Any] = {"arm": arm.title, "honest": float(honest.mean())}
        if self.kind == "folds":
            mean = np.array([each.mean_aside for each in found], dtype=np.float64)
            one = np.array([each.one_aside for each in found], dtype=np.float64)
            row |= {
                "one_aside": float(one.mean()),
                "mean_aside": float(mean.mean()),
                "error": float((honest - mean).mean()),
                "absolute_error": float(np.abs(honest - mean).mean()),
                "rmse": float(np.sqrt(((honest - mean) ** 2).mean())),
                "error_one": float((honest - one).mean()),
            }
        else:
            row["deviation"] = float(honest.std(ddof=1)) if several else None
        spread = float(labels.std(axis=0, ddof=1).mean()) if several else None
        return {**row, "spread": spread, "seconds": float(np.mean([each.seconds for each in found]))}

    @property
    def trials(self) -> pd.DataFrame:
        """A row per arm and repeat."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "arm": arm.title,
                    "repeat": repeat,
                    "honest": each.honest,
                    "one_aside": each.one_aside,
                    "mean_aside": each.mean_aside,
                    "seconds": each.seconds,
                }
                for arm in self.arms
                for repeat, each in enumerate(self.scores[arm.name])
            ]
        )

    @property
    def labels(self) -> pd.DataFrame:
        """A row per arm and output: mean and standard deviation over the repeats of its F1, or of its root mean squared
        error."""
        import pandas as pd

        rows = []
        for arm in self.arms:
            values = np.array([each.labels for each in self.scores[arm.name]])
            spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
            rows += [
                {"arm": arm.title, "output": name, "mean": float(mean), "spread": float(each)}
                for name, mean, each in zip(self.outputs, values.mean(axis=0), spread, strict=True)
            ]
        return pd.DataFrame(rows)

    @property
    def differences(self) -> pd.DataFrame:
        """A row per other arm and measure: how much better than the reference, the interval, whether it is called a
        difference. Of `flatters`: how much more the honest score promises too much."""
        import pandas as pd

        columns = ["arm", "measure", "gain", "low", "high", "called"]
        rows = [
            (each.arm.title, each.measure, *(getattr(each.difference, name) for name in columns[2:]))
            for each in self.comparisons
        ]
        return pd.DataFrame(rows, columns=columns)

    @property
    def conclusion(self) -> list[str]:
        """What follows, in sentences; also that nothing can be told."""
        return {"folds": _of_folds, "setting": _of_setting, "seeds": _of_seeds}[self.kind](self)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        deviation, spread = self.seed_spread
        return {
            "study": self.name,
            "kind": self.kind,
            "model": self.model,
            "metric": self.metric.name,
            "setting": self.setting,
            "aside": self.aside,
            "repeats": self.repeats,
            "reference": self.reference.title,
            "arms": [arm.record() for arm in self.arms],
            "outputs": list(self.outputs),
            "scores": {name: [vars(each) for each in found] for name, found in self.scores.items()},
            "table": self.table.reset_index().to_dict("records"),
            "differences": self.differences.to_dict("records"),
            "seeds": {"deviation": deviation, "spread": spread} if self.kind != "folds" else None,
            "conclusion": self.conclusion,
        }


def _of_folds(study: Study) -> list[str]:
    table, reference = study.table, study.reference.title
    said = _called(study)
    if study.repeats < FEWEST_REPEATS:
        said = [f"nothing can be told: {study.repeats} repeats, and {FEWEST_REPEATS} are needed for an interval"]
    elif not said:
        said = [
            f"no difference from {reference} is more than noise: these rows and repeats do not tell which is better"
        ]
    cheapest, dearest = table["seconds"].idxmin(), table["seconds"].idxmax()
    times = table["seconds"].max() / max(table["seconds"].min(), 1e-9)
    picked, chance = _best_honest_is_best_aside(study)
    said += [
        f"the arm with the best honest score was the best on the rows aside in {picked} of {study.repeats} repeats "
        f"(by chance it would be {chance:.1f})",
        f"{dearest} takes {times:.1f} times as long as {cheapest}",
    ]
    if study.repeats >= FEWEST_REPEATS:
        said.append(
            "intervals are of Nadeau and Bengio (2003) over repeats that share rows, Bonferroni for "
            f"{len(study.comparisons)} comparisons; they assume that two repeats are as alike as the share of rows "
            "aside says, and differences that are nearly normal"
        )
    return said


def _best_honest_is_best_aside(study: Study) -> tuple[int, float]:
    honest = np.stack([study._of(arm, "honest") for arm in study.arms])
    aside = np.stack([study._of(arm, "aside") for arm in study.arms])
    same = int((honest.argmax(axis=0) == aside.argmax(axis=0)).sum())
    return same, study.repeats / len(study.arms)


def _called(study: Study) -> list[str]:
    """A sentence per difference that is more than noise."""
    words = {
        "aside": ("scores {} more than {} on the rows aside", "scores {} less than {} on the rows aside"),
        "error": ("has an honest score {} nearer to the rows aside than {}", "has one {} farther from them than {}"),
        "flatters": ("promises {} more than {} does", "promises {} less than {} does"),
        "honest": ("is {} better than {}", "is {} worse than {}"),
    }
    found = []
    for each in study.comparisons:
        gain = each.difference
        if gain.called:
            text = words[each.measure][gain.gain < 0].format(score_text(abs(gain.gain), 1.0), study.reference.title)
            found.append(f"{each.arm.title} {text} (interval of the difference {range_text(gain.low, gain.high)})")
    return found


def _of_setting(study: Study) -> list[str]:
    deviation, spread = study.seed_spread
    noise = (
        f"two seeds of one value lie up to {score_text(spread, 1.0)} apart (standard deviation "
        f"{score_text(deviation, 1.0)})"
    )
    if study.repeats < 2:
        return ["nothing can be told: with one seed nobody knows how much of a difference is the seed's"]
    said = _called(study) or [
        f"no value of {study.setting} is told from {study.reference.title}: no difference is larger than what rows and "
        "seeds scatter by"
    ]
    return [
        *said,
        noise,
        "a difference is called one if its interval leaves out zero (resampled rows and seeds, Bonferroni for "
        f"{len(study.comparisons)} comparisons), it is larger than the widest distance between seeds, and every seed "
        "shows it; it holds for these rows under this fold plan",
    ]


def _of_seeds(study: Study) -> list[str]:
    deviation, spread = study.seed_spread
    scores = sorted(study._of(study.reference, "honest").tolist())
    gaps = max(high - low for low, high in pairwise(scores))
    if spread == 0:
        return [f"{study.model} gives the same score with every seed: nothing in it is left to chance"]
    return [
        f"standard deviation over {study.repeats} seeds {score_text(deviation, 1.0)}, from the worst to the best "
        f"{score_text(spread, 1.0)}, the widest gap between neighbours {score_text(gaps, 1.0)}",
        "between two recipes that were trained once each, a difference smaller than that may be the seed alone",
    ]


def reference_of(arms: Sequence[Arm], k: int) -> Arm:
    """The workspace's own number of folds, dealt as it deals; else the first."""
    own = [arm for arm in arms if arm.k == k and arm.strategy == "grouped"]
    return (own or [arm for arm in arms if arm.strategy == "grouped"] or list(arms))[0]
