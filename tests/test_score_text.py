from __future__ import annotations

import pytest

from compete.score_text import range_text, score_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.61234, "0.6123"),
        (0.0, "0.0000"),
        (-0.25, "-0.2500"),
        (20.5, "20.5000"),
        (2.3456e-7, "2.35e-07"),
        (0.00345678, "0.00346"),
        (1234567.89, "1,234,567.9"),
        (None, "-"),
    ],
)
def test_a_score_of_any_scale_can_be_read(value: float | None, text: str) -> None:
    assert score_text(value) == text


def test_a_difference_has_the_digits_of_what_it_is_one_of() -> None:
    assert score_text(0.0004, 0.61, sign=True) == "+0.0004"
    assert score_text(-4e-9, 2e-7, sign=True) == "-4e-09"
    assert score_text(-12.34, 1e6, sign=True) == "-12.3"
    assert score_text(0.0, 0.61, sign=True) == "+0.0000"
    assert score_text(-5e-23, 2e-7, sign=True) == score_text(-0.0, 2e-7, sign=True) == "+0"


def test_a_range_has_the_digits_of_its_greater_end() -> None:
    assert range_text(-0.001, 0.0207) == "-0.0010 to 0.0207"
    assert range_text(1e-8, 2.5e-7) == "1e-08 to 2.5e-07"
    assert range_text(None, 0.5) == "-"
