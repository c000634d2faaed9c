"""Stacking of multilabel probabilities, usable without a workspace.

    from compete.stacking import MultilabelStacker

    stacker = MultilabelStacker().fit(oof, labels)      # oof: (n_models, n_rows, n_labels), out of fold
    stacker.honest_score_, stacker.interval_            # what to expect of new rows
    stacker.predict(test)                               # test: (n_models, n_test, n_labels)

The names below are imported when they are asked for: `compete status` reads scores, and needs no scikit-learn for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compete.stacking.ensemble.alarms import find_alarms
    from compete.stacking.ensemble.calibration import Calibration, fit_calibration
    from compete.stacking.ensemble.label_rates import estimate_rates
    from compete.stacking.ensemble.thresholds import best_f1_threshold
    from compete.stacking.stacker import LeakWarning, MultilabelStacker

__all__ = [
    "Calibration",
    "LeakWarning",
    "MultilabelStacker",
    "best_f1_threshold",
    "estimate_rates",
    "find_alarms",
    "fit_calibration",
]

_HOMES = {
    "Calibration": "ensemble.calibration",
    "LeakWarning": "stacker",
    "MultilabelStacker": "stacker",
    "best_f1_threshold": "ensemble.thresholds",
    "estimate_rates": "ensemble.label_rates",
    "find_alarms": "ensemble.alarms",
    "fit_calibration": "ensemble.calibration",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
