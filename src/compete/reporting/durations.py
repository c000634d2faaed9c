"""Seconds in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """'4.2 s', '3 min 20 s', '2 h 05 min'."""
    # From there on, one digit shows 60.0.
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def time_text(seconds: float) -> str:
    """A duration, or a dash for 0, which is a time that nobody knows."""
    return duration(seconds) if seconds else "-"
