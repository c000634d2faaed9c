from __future__ import annotations

import pytest

from compete.base_models.families import Needs
from compete.planning.probe import Probe, work
from compete.planning.schedule import schedule
from support.shapes import classifier


def test_hours_follow_from_rows_epochs_and_folds() -> None:
    settings = classifier(epochs=2, validation_share=0.1)
    found = Probe(opening=0.0, trained_row=1.0, predicted_row=0.1, peak=0)
    fold = 2 * (800 * 0.9 * 1.0 + 800 * 0.1 * 0.1) + (200 + 100) * 0.1
    of_all = {"n_train": 1000, "n_test": 100, "folds": 5}
    plain = work(found, settings, Needs(), **of_all)
    assert schedule([plain], 1, None).hours == pytest.approx(5 * fold / 3600)
    assert schedule([plain], 2, None).hours == pytest.approx(3 * fold / 3600)
    once = (1000 + 100) * 0.1  # what frozen layers compute of every row
    frozen = work(found, settings, Needs(frozen_layers=2), **of_all)
    assert schedule([frozen], 1, None).hours == pytest.approx((5 * fold + once) / 3600)
