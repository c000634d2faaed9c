"""When a difference is called one, on numbers alone."""

from __future__ import annotations

import numpy as np
from scipy.stats import t

from compete.experiments.studies.differences import over_repeats, over_seeds, seed_noise


def test_repeats_that_share_rows_count_for_less() -> None:
    gains = np.array([0.010, 0.012, 0.014])
    found = over_repeats(gains, 0.2, 1)
    reach = t.ppf(0.975, 2) * np.sqrt((1 / 3 + 0.25) * gains.var(ddof=1))
    assert found.low is not None and found.high is not None
    np.testing.assert_allclose([found.low, found.high], [0.012 - reach, 0.012 + reach])
    assert found.called
    assert not over_repeats(gains, 0.2, 40).called
    assert over_repeats(gains[:2], 0.2, 1).low is None


def test_a_difference_within_the_spread_of_seeds_is_none() -> None:
    drawn = np.random.default_rng(0).normal(0.02, 1e-4, 1000)
    here, there = np.array([0.52, 0.52]), np.array([0.50, 0.50])
    assert over_seeds(here, there, drawn, 0.0, 0.0, 1).called
    assert not over_seeds(here, there, drawn, 0.0, 0.03, 1).called  # seeds lie further apart
    assert not over_seeds(here, there, drawn, 0.02**2, 0.0, 1).called  # seeds scatter
    assert not over_seeds(np.array([0.55, 0.49]), there, drawn, 0.0, 0.0, 1).called  # one seed says the opposite
    assert not over_seeds(here[:1], there[:1], drawn, 0.0, 0.0, 1).called


def test_noise_of_seeds() -> None:
    noise, spread = seed_noise(np.array([[0.5, 0.7], [0.6, 0.6]]))
    np.testing.assert_allclose([noise, spread], [0.01, 0.2])
