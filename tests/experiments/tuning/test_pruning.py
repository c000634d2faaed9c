"""The median stopping rule: who is given up, and who is compared with whom."""

from __future__ import annotations

import pytest

from compete.experiments.tuning.pruning import FEWEST_TRIALS, GivenUpError, WatchedCurves, comparable, medians


def row(epoch: int, loss: float, **more: float) -> dict[str, float]:
    return {"epoch": epoch, "validation_loss": loss, **more}


def test_there_are_no_medians_of_few_trials() -> None:
    losses = [{1: 0.5, 2: 0.4}] * (FEWEST_TRIALS - 1)
    assert medians(losses) == {}
    assert medians([*losses, {1: 0.5}]) == {1: 0.5}


def test_a_trial_worse_than_the_median_is_given_up_and_another_goes_on() -> None:
    curves = WatchedCurves({1: 0.5, 2: 0.4})
    curves.append(row(1, 0.5))
    with pytest.raises(GivenUpError):
        curves.append(row(2, 0.41))
    assert curves.losses == {1: 0.5, 2: 0.41}
    good = WatchedCurves({1: 0.5, 2: 0.4})
    good.extend([row(1, 0.5), row(2, 0.4), row(3, 9.0)])
    assert len(good) == 3


def test_the_best_epoch_so_far_counts() -> None:
    curves = WatchedCurves({1: 0.5, 2: 0.45})
    curves.extend([row(1, 0.3), row(2, 0.6)])
    assert curves.losses[2] == 0.6


def test_a_loss_that_is_no_number_is_given_up() -> None:
    with pytest.raises(GivenUpError):
        WatchedCurves({1: 0.5}).append(row(1, float("nan")))


def test_what_is_no_epoch_of_the_first_net_is_not_watched() -> None:
    curves = WatchedCurves({1: 0.1})
    curves.extend([row(1, 0.9, member=2), {"C": 0.1, "validation_loss": 0.9}, {"epoch": 1, "words": 7}])
    assert curves.losses == {}
    assert len(curves) == 3


def test_losses_of_other_kinds_are_not_compared() -> None:
    assert comparable({"learning_rate": 1.0, "class_weights": "none"}) == {"class_weights": "none"}
