from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from compete.submissions.leaderboard.interpretation import gaps, rank_correlation, read_scores
from compete.submissions.ledger import Entry, NewSubmission, Outcome

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
STANDARD_ERROR = 0.01
WIDTH = 1.96 * STANDARD_ERROR  # half of a 95 % interval


def entry(
    number: int,
    validation: float | None,
    public: float | None,
    private: float | None = None,
    metric: str = "f1_macro",
    expected: bool = True,
) -> Entry:
    """A submission whose public score was expected within WIDTH of its validation score."""
    known = expected and validation is not None
    submission = NewSubmission(
        target="local",
        file=f"{number:03d}.csv",
        content=str(number),
        source=f"stack {'abcdefghijkl'[number - 1]}",
        metric=metric,
        validation=validation,
        fold_plan="",
        probabilities="",
        message="",
        public_low=validation - WIDTH if known and validation is not None else None,
        public_high=validation + WIDTH if known and validation is not None else None,
    )
    outcome = Outcome("sent") if public is None else Outcome("scored", None, public, private)
    return Entry(number, NOON, submission, outcome, NOON)


def shifted(*standard_errors: float) -> list[Entry]:
    """Submissions whose public scores lie so many standard errors from their honest scores."""
    return [
        entry(number, 0.5 + 0.1 * number, 0.5 + 0.1 * number + STANDARD_ERROR * shift)
        for number, shift in enumerate(standard_errors, start=1)
    ]


def sentence(entries: list[Entry], about: str) -> str:
    """The one sentence with these words, or nothing."""
    found = [text for text in read_scores(entries) if about in text]
    assert len(found) <= 1
    return found[0] if found else ""


def test_a_gap_is_measured_in_standard_errors() -> None:
    up, down = gaps(shifted(1.5, -3.0))
    assert [up.gap, up.surprises, down.gap, down.surprises] == pytest.approx([0.015, 1.5, -0.03, -3.0])
    assert (up.is_noise, down.is_noise) == (True, False)


def test_only_what_was_expected_and_scored_has_a_gap() -> None:
    entries = [entry(1, 0.6, None), entry(2, None, 0.5), entry(3, 0.6, 0.6, expected=False), entry(4, 0.6, 0.6)]
    assert [gap.number for gap in gaps(entries)] == [4]


def test_gaps_inside_the_range_are_noise() -> None:
    assert sentence(shifted(1.9, -1.9, 0.0), "drawn by chance").startswith("all 3 public scores lie")
    assert sentence(shifted(1.9), "drawn by chance").startswith("the public score lies")
    assert sentence(shifted(1.9, -1.9), "more than noise") == ""


def test_one_gap_outside_is_named_and_its_validation_doubted() -> None:
    text = sentence(shifted(0.1, -4.0, 0.3, 0.2, -0.3), "more than noise")
    assert text.startswith("1 of 5 gaps is more than noise: stack b (-0.0400, worse)")
    assert "stack a" not in text
    assert "The others are not off" in text
    assert "public rows" not in text


@pytest.mark.parametrize(("way", "said"), [(1, "better"), (-1, "worse")])
def test_gaps_that_all_point_one_way_are_the_public_rows(way: int, said: str) -> None:
    text = sentence(shifted(*(way * shift for shift in (2.5, 3.0, 2.6, 1.8))), "more than noise")
    assert text.startswith("3 of 4 gaps are more than noise")
    assert f"All gaps point the same way (median {way * 0.0255:+.4f}, {said}): the public rows" in text
    assert "The others are not off" not in text


def test_of_a_loss_a_higher_score_is_worse() -> None:
    """Of RMSE from 1e-7 to 1e7, a public score above its range is the over-fitted one."""
    for scale in (1e-7, 1.0, 1e7):
        error = 0.01 * scale
        entries = []
        for number, shift in enumerate((0.1, 4.0, -4.0, 0.2, -0.3), start=1):
            each = entry(number, scale, scale + error * shift, metric="rmse")
            low, high = scale - 1.96 * error, scale + 1.96 * error
            entries.append(replace(each, submission=replace(each.submission, public_low=low, public_high=high)))
        text = sentence(entries, "more than noise")
        assert re.search(r"stack b \(\+[^ ]*[1-9][^ ]*, worse\), stack c \(-[^ ]*[1-9][^ ]*, better\)", text), text
        assert "Worse than its range, over-fitting" in text and "Below" not in text


def test_of_a_metric_whose_direction_nobody_told_no_gap_is_called_better() -> None:
    own = [entry(n, 0.5, 0.5 + shift, metric="mine.py:loss") for n, shift in enumerate((0.001, 0.09), start=1)]
    assert "(+0.0900)" in " ".join(read_scores(own))
    assert "(+0.0900, worse)" in " ".join(read_scores(own, -1))
    assert "(+0.0900, better)" in " ".join(read_scores(own, 1))


def test_few_gaps_that_point_one_way_accuse_nobody() -> None:
    text = sentence(shifted(2.5, 3.0, 2.6), "more than noise")
    assert "cannot tell" in text and "same way" not in text


def test_one_gap_the_other_way_does_not_hide_a_shift() -> None:
    assert "Nearly all gaps point the same way" in sentence(shifted(*[-3.0] * 9, 0.1), "more than noise")


def test_one_miss_among_many_may_be_chance() -> None:
    assert "may be chance" in sentence(shifted(-2.2, *[0.3, -0.4] * 5), "more than noise")
    assert "may be chance" not in sentence(shifted(-2.2, 0.3, -0.4, 0.1), "more than noise")


def test_large_gaps_both_ways_are_not_the_public_rows() -> None:
    assert "public rows" not in sentence(shifted(9.0, 9.0, 9.0, -7.0), "more than noise")


@pytest.mark.parametrize(
    ("order", "rho", "verdict"),
    [
        ((1, 2, 3, 4, 5, 6), "1.00", "orders them as the leaderboard does"),
        ((1, 2, 3, 4), "1.00", "too few"),  # one order of 24: chance
        ((2, 1, 4, 3, 6, 5), "0.83", "too few"),
        ((2, 4, 1, 3, 6, 5), "0.66", "too few"),
        ((6, 5, 4, 3, 2, 1), "-1.00", "the wrong way round"),
    ],
)
def test_validation_is_judged_by_how_it_ranks(order: tuple[int, ...], rho: str, verdict: str) -> None:
    entries = [entry(n, 0.6 + 0.01 * n, 0.5 + 0.01 * place, expected=False) for n, place in enumerate(order, start=1)]
    text = sentence(entries, "rank correlation of validation with public")
    assert f"{len(order)} submissions: {rho}; " in text
    assert verdict in text


def test_three_submissions_have_no_rank_correlation() -> None:
    entries = [entry(n, 0.6 + 0.01 * n, 0.6 + 0.01 * n) for n in (1, 2, 3)]
    unknown = [entry(4, None, 0.7), entry(5, 0.7, None)]
    assert sentence([*entries, *unknown], "validation with public") == ""
    assert sentence([*entries, entry(4, 0.7, 0.7)], "validation with public") != ""


def test_equal_public_scores_have_no_order_to_correlate() -> None:
    assert sentence([entry(n, 0.6 + 0.01 * n, 0.6) for n in (1, 2, 3, 4)], "validation with public") == ""


def test_the_shake_up_names_who_moved_most() -> None:
    entries = [
        entry(1, None, 0.9, 0.5),
        entry(2, None, 0.8, 0.7),
        entry(3, None, 0.7, 0.6),
        entry(4, None, 0.6, 0.1),
        entry(5, None, 0.99),  # not revealed
    ]
    text = sentence(entries, "shake-up")
    assert text.startswith("shake-up among these 4 submissions: rank correlation of public with private 0.40")
    assert text.endswith("number 1 (stack a) moved most, from place 1 to 3")


def test_where_lower_is_better_the_lowest_is_the_first_place() -> None:
    entries = [
        entry(1, None, 0.1, 0.9, metric="log_loss"),
        entry(2, None, 0.2, 0.2, metric="log_loss"),
        entry(3, None, 0.3, 0.3, metric="log_loss"),
    ]
    assert sentence(entries, "shake-up").endswith("number 1 (stack a) moved most, from place 1 to 3")


def test_an_order_that_stays_is_said_to_stay() -> None:
    entries = [entry(n, None, 0.6 + 0.01 * n, 0.3 + 0.1 * n) for n in (1, 2, 3)]
    assert sentence(entries, "shake-up").endswith("public and private order are the same")


def test_equal_scores_share_a_place() -> None:
    entries = [entry(1, None, 0.7, 0.5), entry(2, None, 0.7, 0.6), entry(3, None, 0.6, 0.4)]
    text = sentence(entries, "shake-up")
    assert "nan" not in text
    assert text.endswith("number 1 (stack a) moved most, from place 1 to 2")
    assert "nan" not in sentence([entry(n, None, 0.7, 0.5 + 0.1 * n) for n in (1, 2)], "shake-up")


def test_every_leaderboard_is_read_by_itself() -> None:
    """The same submissions, once scored far above and once far below what was expected."""
    local = shifted(*[3.0] * 4)
    kaggle = [replace(e, submission=replace(e.submission, target="kaggle toy")) for e in shifted(*[-3.0] * 4)]
    texts = [text for text in read_scores([*local, *kaggle]) if "same way" in text]
    assert [text.split(": ")[0] for text in texts] == [local[0].submission.target, "kaggle toy"]


def test_one_private_score_is_no_shake_up() -> None:
    assert sentence([entry(1, 0.6, 0.6, 0.6), entry(2, 0.6, 0.6)], "shake-up") == ""


def test_scores_of_several_metrics_are_not_mixed() -> None:
    (text,) = read_scores([*shifted(9.0, 9.0, 9.0, 9.0), entry(5, 0.5, 0.5, metric="log_loss")])
    assert "several metrics" in text


def test_the_direction_of_ones_own_metric_has_to_be_told() -> None:
    """Its name tells nothing: the order of the leaderboard is only spoken of where somebody says which way it goes."""
    own = [entry(1, 0.5, 0.5, 0.7, "mine.py:loss"), entry(2, 0.6, 0.6, 0.6, "mine.py:loss")]
    assert not any("shake-up" in text for text in read_scores(own))
    assert any("moved most, from place 1 to 2" in text for text in read_scores(own, -1))
    assert any("moved most, from place 2 to 1" in text for text in read_scores(own, 1))


def test_an_empty_ledger_says_nothing() -> None:
    assert read_scores([]) == []
    assert read_scores([entry(1, None, None)]) == []


def test_spearmans_rho_shares_the_ranks_of_ties() -> None:
    pairs = np.array([[1.0, 1.0], [2.0, 5.0], [2.0, 5.0], [9.0, 6.0]])
    assert rank_correlation(pairs) == pytest.approx(1.0)
    assert rank_correlation(np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 1.0]])) == pytest.approx(-np.sqrt(3) / 2)
    assert np.isnan(rank_correlation(np.array([[1.0, 2.0], [1.0, 3.0]])))


def test_gaps_of_both_signs_do_not_point_the_same_way() -> None:
    assert "same way" not in sentence(shifted(9.0, 9.0, 9.0, -1.0), "more than noise")


def test_where_all_gaps_are_outside_there_are_no_others() -> None:
    assert "others are not off" not in sentence(shifted(3.0), "more than noise")
