"""Jobs of known hours, side by side, in sessions that cut none of them."""

from __future__ import annotations

from compete.planning.schedule import Schedule, Work, schedule


def test_folds_run_side_by_side_and_an_odd_one_alone() -> None:
    assert schedule([Work(2, folds=4)], 1, None) == Schedule(8)
    assert schedule([Work(2, folds=4)], 2, None) == Schedule(4)
    assert schedule([Work(2, folds=5)], 2, None) == Schedule(6)
    # Of another model, a fold stands beside the odd one.
    assert schedule([Work(2, folds=5), Work(2, folds=1)], 2, None) == Schedule(6)


def test_a_model_over_all_gpus_is_no_faster_on_two() -> None:
    assert schedule([Work(2, folds=4, takes_all=True)], 2, None) == Schedule(8)
    assert schedule([Work(1, folds=1), Work(2, folds=2, takes_all=True)], 2, None) == Schedule(5)


def test_what_is_computed_once_is_paid_for_once() -> None:
    assert schedule([Work(2, folds=3, once=1)], 1, None) == Schedule(7)
    assert schedule([Work(2, folds=3, once=1)], 2, None) == Schedule(5)  # both wait for it


def test_no_fold_is_cut_by_the_end_of_a_session() -> None:
    # Two folds of 5 hours in 12, not 2.4.
    assert schedule([Work(5, folds=5)], 1, 12) == Schedule(25, 3)
    assert schedule([Work(5, folds=5)], 2, 12) == Schedule(15, 2)
    assert schedule([Work(5, folds=2)], 1, 10) == Schedule(10, 1)
    assert schedule([Work(5, folds=2), Work(2, folds=1)], 1, 12) == Schedule(12, 1)


def test_a_fold_longer_than_a_session_is_in_no_number_of_them() -> None:
    assert schedule([Work(13, folds=5)], 1, 12) == Schedule(65, None)
    assert schedule([Work(1, folds=5), Work(1, folds=5, once=13)], 4, 12).sessions is None
