from __future__ import annotations

import pytest

from compete.competition.data import Competition
from compete.competition.folds import make_plan
from compete.competition.planned import Planned


def test_the_fold_table_shows_the_rates_of_all_and_of_every_fold(competition: Competition) -> None:
    plan = make_plan(competition)
    rates = Planned(competition, plan).label_rates_by_fold()
    assert [name for name, _ in rates] == ["all", "0", "1", "2"]
    assert rates[0][1] == pytest.approx(competition.train_targets.mean(axis=0))
    assert rates[2][1] == pytest.approx(competition.train_targets[plan.folds == 1].mean(axis=0))
