"""How predictions become decisions, by name; the rules themselves are in `stacking/ensemble/decision_rules.py`."""

from __future__ import annotations

from typing import Literal

RuleName = Literal[
    # of labels: where they are cut
    "empirical",
    "expected",
    "cross_fitted",
    "where_worth",
    "shrunk",
    "per_row",
    "half",
    # of classes ("cross_fitted" too): which is taken
    "highest",
    "offsets",
    # of grades ("cross_fitted" too): where numbers are cut
    "rounded",
    "rates",
    "cuts",
    # of numbers: nothing is decided
    "none",
]
