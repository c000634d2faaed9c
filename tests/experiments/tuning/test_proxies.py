"""What cheap tunings are worth: told of settings that both have scored, and of nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compete.experiments.tuning.proxies import proxies, spearman
from compete.experiments.tuning.stored import About, StudyRecord, Trial, TrialState

FULL = About(
    recipe="linear",
    identity={"settings.C": "1.0"},
    rows_identity={"fold plan": "a"},
    metric="f1_macro",
    greater_is_better=True,
    space={"C": "0.1 to 10, log"},
    folds=(0, 1, 2),
    k=3,
    nested=False,
    rows=1.0,
    size="full",
    seed=0,
)


def trial(number: int, score: float | None, seconds: float = 1.0, value: float | None = None) -> Trial:
    params = {"C": float(number) if value is None else value}
    state: TrialState = "done" if score is not None else "given up"
    return Trial(number, state, score, params, params, {}, seconds, {})


def study(about: About, scores: list[float | None], seconds: float = 1.0) -> StudyRecord:
    return StudyRecord("k", about, tuple(trial(number, score, seconds) for number, score in enumerate(scores)))


SCORES: list[float | None] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


def test_the_correlation_and_the_cost_are_those_of_the_settings_in_both() -> None:
    full = study(FULL, SCORES, seconds=10.0)
    cheap = study(replace(FULL, folds=(0,)), [0.2, 0.1, 0.3, 0.5, 0.4, None], seconds=2.5)
    (found,) = proxies([full, cheap], "full")
    assert found.what == "--folds 1"
    assert found.common == 5  # one was given up
    assert found.correlation == pytest.approx(0.8)
    assert found.cost == pytest.approx(0.25)


@pytest.mark.parametrize(
    "other",
    [
        replace(FULL, rows_identity={"fold plan": "b"}),
        replace(FULL, identity={"settings.C": "2.0"}),
        replace(FULL, rows=0.5),
        replace(FULL, nested=True, folds=(0,)),
    ],
)
def test_nothing_is_told_by_a_tuning_of_something_else(other: About) -> None:
    cheap = study(replace(FULL, rows=0.3), SCORES)
    found = [proxy for proxy in proxies([study(other, SCORES), cheap], "full") if proxy.what == "--rows 0.3"]
    assert [(proxy.common, proxy.correlation, proxy.cost) for proxy in found] == [(0, None, None)]


def test_a_smaller_size_stands_for_the_competitions_own() -> None:
    small = study(replace(FULL, size="miniature", identity={"settings.C": "7"}), SCORES)
    (found,) = proxies([study(FULL, SCORES), small], "full", {"miniature": ["C"]})
    assert (found.what, found.common) == ("--size miniature", 6)
    assert found.correlation == pytest.approx(1.0)


def test_a_smaller_size_of_a_recipe_that_was_edited_stands_for_nothing() -> None:
    """What the size's table does not change has to be the same."""
    small = study(replace(FULL, size="miniature", identity={"settings.C": "7", "size": "miniature"}), SCORES)
    (found,) = proxies([study(FULL, SCORES), small], "full", {"miniature": ["epochs"]})
    assert (found.common, found.correlation) == (0, None)


def test_settings_that_were_tried_again_count_once() -> None:
    trials = tuple(trial(number, number / 10, value=number % 2) for number in range(6))
    cheap = StudyRecord("k", replace(FULL, folds=(0,)), trials)
    (found,) = proxies([StudyRecord("k", FULL, trials), cheap], "full")
    assert (found.common, found.correlation) == (2, None)


def test_a_fold_of_a_nested_tuning_is_held_against_the_same_fold() -> None:
    nested = replace(FULL, nested=True, folds=(1,))
    cheap = study(replace(nested, rows=0.3), SCORES)
    other = study(replace(nested, folds=(2,)), SCORES)
    assert proxies([other, cheap], "full")[0].common == 0
    assert proxies([study(nested, SCORES), cheap], "full")[0].common == 6


def test_few_settings_or_equal_scores_tell_nothing() -> None:
    assert spearman([1, 2, 3, 4], [1, 2, 3, 4]) is None
    assert spearman([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]) is None
    assert spearman([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]) == pytest.approx(-1.0)
