"""Ranks are those of scipy.stats, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from compete.competition.metrics.ranks import average_ranks


@pytest.mark.parametrize("distinct", [1, 3, 1000])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_ranks_are_those_of_scipy(count: int, distinct: int) -> None:
    values = np.random.default_rng(count).integers(0, distinct, count) / 7
    for each in (values, values.astype(np.float32)):
        assert average_ranks(each).tolist() == rankdata(each).tolist()
