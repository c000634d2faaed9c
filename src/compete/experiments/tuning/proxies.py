"""What a cheaper tuning is worth: how alike it ranks the settings that the full one tried too.

Nothing is promised of a proxy that was not measured here: both have to have scored the same settings in this
workspace, under the same rows and folds. With fewer than five such settings nothing is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from compete.experiments.tuning.stored import About, StudyRecord

FEWEST = 5


@dataclass(frozen=True)
class Proxy:
    """A cheap study beside the full one."""

    what: str
    """As it was asked for."""
    seed: int
    common: int
    """Settings that both have scored."""
    correlation: float | None
    """Spearman's, of the scores of those; None where they are too few or all alike."""
    cost: float | None
    """Seconds of a trial, as a share of the full one's: medians over those settings."""


def proxies(
    studies: Sequence[StudyRecord], size: str, by_size: Mapping[str, Collection[str]] | None = None
) -> list[Proxy]:
    """Every proxy among the studies of a recipe, oldest first.

    size: the competition's. by_size: names of the settings that the recipe's table of a size changes, by the size.
    """
    found = []
    for study in studies:
        if _is_full(study.about, size) or not study.done:
            continue
        fulls = [
            other
            for other in studies
            if _is_full(other.about, size) and _stands_for(study.about, other.about, by_size or {})
        ]
        found.append(_compared(study, fulls, size))
    return found


def described(about: About, size: str) -> str:
    """In the words of the command's options."""
    told = [f"--rows {about.rows:g}"] if about.rows < 1 else []
    told += [f"--folds {len(about.folds)}"] if not about.nested and len(about.folds) < about.k else []
    told += [f"--size {about.size}"] if about.size != size else []
    told += [f"--nested, fold {about.folds[0]}"] if about.nested else []
    return " ".join(told)


def _is_full(about: About, size: str) -> bool:
    return about.is_whole and about.size == size


def _stands_for(cheap: About, full: About, by_size: Mapping[str, Collection[str]]) -> bool:
    """Whether both are of the same rows, and of the same recipe but for what its size makes of it."""
    changed = {each for size in {cheap.size, full.size} for each in by_size.get(size, ())}
    same_recipe = cheap.identity == full.identity
    if cheap.size != full.size:
        same_recipe = _but_for(changed, cheap.identity) == _but_for(changed, full.identity)
    whose = not cheap.nested or cheap.folds == full.folds
    same_rows = cheap.rows_identity == full.rows_identity and cheap.metric == full.metric
    return same_recipe and same_rows and cheap.nested == full.nested and whose


def _but_for(changed: Collection[str], identity: Mapping[str, str]) -> dict[str, str]:
    """An identity without its size and the settings that a size changes, and the files of what they name."""
    free = {"size", *(f"settings.{name}" for name in changed)}
    free |= {"checkpoint's files"} if "checkpoint" in changed else set()
    return {name: value for name, value in identity.items() if name not in free}


def _compared(study: StudyRecord, fulls: Sequence[StudyRecord], size: str) -> Proxy:
    of_full = {_told(trial.params): trial for full in fulls for trial in full.done}
    of_cheap = {_told(trial.params): trial for trial in study.done}  # what was tried twice says it once
    pairs = [(trial, of_full[told]) for told, trial in of_cheap.items() if told in of_full]
    cost = None
    if pairs and (whole := median(full.seconds for _, full in pairs)) > 0:
        cost = median(cheap.seconds for cheap, _ in pairs) / whole
    correlation = spearman([t.score or 0.0 for t, _ in pairs], [t.score or 0.0 for _, t in pairs])
    return Proxy(
        described(study.about, size),
        study.about.seed,
        len(pairs),
        correlation,
        cost,
    )


def _told(params: object) -> str:
    return repr(sorted(dict(params).items()))  # type: ignore[call-overload]


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Rank correlation; None of fewer than FEWEST pairs, or where all values of one side are alike."""
    if len(one) < FEWEST or len(set(one)) < 2 or len(set(other)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)
