from __future__ import annotations

import pytest

from compete.times import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("11h", 39600),
        ("11.5h", 41400),
        ("11h30m", 41400),
        ("90m", 5400),
        (" 90 min ", 5400),
        ("45s", 45),
        ("1h 5s", 3605),
    ],
)
def test_times_as_people_write_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "11", "eleven hours", "-1h", "1h half", "0h", "0.0m", "1.h", "1d", "12h30", "1e3h"]
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"11h, 11h30m or 90m"):
        seconds_of(text)
