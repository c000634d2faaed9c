"""Scores, and numbers on anybody's scale, as people read them."""

from __future__ import annotations


def score_text(value: float | None, like: float | None = None, *, sign: bool = False) -> str:
    """Four digits after the point, of thousands fewer; three that count where four would leave few; a dash for None.

    like: a number that tells the scale in the place of the value, for differences and the ends of a range. sign: a plus
    before what is not negative.
    """
    if value is None:
        return "-"
    scale = abs(value if like is None else like)
    value = 0.0 if abs(value) <= 1e-6 * scale else value  # what rounding leaves of a difference
    text = f"{value:.3g}" if 0 < scale < 0.01 else f"{value:.4f}" if scale < 1000 else f"{value:,.1f}"
    return f"+{text}" if sign and not text.startswith("-") else text


def range_text(low: float | None, high: float | None) -> str:
    """From one score to another, in the digits of the greater; a dash where one is not known."""
    if low is None or high is None:
        return "-"
    like = max(abs(low), abs(high))
    return f"{score_text(low, like)} to {score_text(high, like)}"
