"""How long something may take, as people write it."""

from __future__ import annotations

import re

_SECONDS = {"h": 3600.0, "min": 60.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(h|min|m|s)\s*")


def seconds_of(text: str) -> float:
    """Seconds of "11h", "11h30m", "90 min"; raises ValueError for anything else, and for no time at all."""
    seconds, rest = 0.0, text.strip().lower()
    while rest:
        part = _PART.match(rest)
        if part is None:
            raise ValueError(f"{text!r} is no length of time: write it as 11h, 11h30m or 90m")
        seconds += float(part[1]) * _SECONDS[part[2]]
        rest = rest[part.end() :]
    if not seconds:
        raise ValueError(f"{text!r} is no time at all: write it as 11h, 11h30m or 90m")
    return seconds
