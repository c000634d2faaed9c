"""Meta-learners over numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import Ridge as ScikitRidge

from compete.competition.metrics import METRICS
from compete.competition.shape import Targets
from compete.competition.task import Task
from compete.stacking.ensemble.blend import Blend
from compete.stacking.ensemble.boosting import LightGBM, NumberTrees
from compete.stacking.ensemble.meta_learners import Mean, MetaLearner
from compete.stacking.ensemble.nelder_mead import NelderMead
from compete.stacking.ensemble.number_learners import NonNegative, Ridge, side_by_side
from compete.stacking.ensemble.rank_means import RankMean

TASK = Task("regression", ("x", "y"))
RMSE, PEARSON = METRICS["rmse"].of(TASK), METRICS["pearson"].of(TASK)
LEARNERS: dict[str, MetaLearner] = {
    "mean": Mean(),
    "by RMSE": Blend("metric", metric=RMSE),
    "by correlation": Blend("metric", metric=PEARSON),
    "by correlation, per target": Blend("metric", per_label=True, metric=PEARSON),
    "negative": Blend("metric", negative=True, metric=PEARSON),
    "simplex": NelderMead(Blend("metric", metric=RMSE)),
    "ridge": Ridge(),
    "nnls": NonNegative(),
    "trees": NumberTrees(LightGBM(min_data_in_leaf=10)),
    "ranks": RankMean(),
}


def rows(seed: int, n_rows: int = 1500) -> tuple[NDArray[np.float64], Targets]:
    """Three models' numbers of two targets, the second a poor one, the third on another scale; and the truth."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(n_rows, 2)) * (1, 10) + (0, 50)
    noise = random.normal(size=(3, n_rows, 2)) * np.array([0.7, 2.0, 0.8])[:, None, None]
    models = truth + noise * (1, 10)
    models[2] = 3 * models[2] - 20
    return models, truth.astype(np.float32)


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_every_target_is_told_better_than_by_the_poorest_model(learner: MetaLearner) -> None:
    models, truth = rows(1)
    found = learner.fit(*rows(0)).predict_proba(models)
    assert found.shape == truth.shape
    assert PEARSON.compute(truth, found) > PEARSON.compute(truth, models[1]) + 0.1


@pytest.mark.parametrize("name", ["ridge", "nnls", "trees"])
def test_what_is_fitted_is_on_the_scale_of_the_targets(name: str) -> None:
    models, truth = rows(1)
    found = LEARNERS[name].fit(*rows(0)).predict_proba(models)
    assert RMSE.compute(truth, found) < RMSE.compute(truth, models[0])


@pytest.mark.parametrize("scale", [1e-13, 1e-7, 1e7])
@pytest.mark.parametrize(
    "learner", [each for name, each in LEARNERS.items() if name != "ranks"], ids=lambda each: type(each).__name__
)
def test_the_unit_of_the_targets_changes_nothing_but_the_unit(learner: MetaLearner, scale: float) -> None:
    models, truth = rows(0, 400)
    expected = learner.fit(models, truth).predict_proba(models)
    found = learner.fit(scale * models, scale * truth).predict_proba(scale * models)
    # Trees take bins of their own, a blend may prefer another of two models that are equal but for rounding.
    assert np.all(np.abs(found / scale - expected).max(axis=0) < 0.02 * truth.std(axis=0))


def test_a_gain_counts_on_the_scale_of_the_targets() -> None:
    """Two models whose RMSE differs by a hundredth: of targets of 1e-7 that is a difference all the same."""
    truth = np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32)
    noise = np.random.default_rng(1).normal(size=(500, 1))
    models = 1e-7 * np.stack([truth + 0.505 * noise, truth + 0.5 * noise])
    weights = Blend("metric", metric=RMSE).fit(models, 1e-7 * truth).weights
    assert weights[:, 0].tolist() == [0.0, 1.0]


def test_numbers_far_from_0_that_hardly_vary_are_still_told_apart() -> None:
    models, truth = rows(0, 400)
    far = Ridge().fit(models + 1e4, truth + np.float32(1e4)).predict_proba(models + 1e4) - 1e4
    assert np.abs(far - Ridge().fit(models, truth).predict_proba(models)).max() < 0.02


def test_ridge_is_scikit_learns_on_standardised_features() -> None:
    models, truth = rows(0)
    X = side_by_side(models)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    expected = ScikitRidge(alpha=10.0).fit(X, truth.astype(np.float64)).predict(X)
    assert Ridge(10.0).fit(models, truth).predict_proba(models) == pytest.approx(expected, abs=1e-6)


def test_a_constant_column_carries_nothing() -> None:
    models, truth = rows(0)
    constant = np.concatenate([models, np.full((1, *truth.shape), 7.0)])
    fitted = Ridge().fit(constant, truth)
    assert fitted.predict_proba(constant) == pytest.approx(Ridge().fit(models, truth).predict_proba(models), abs=1e-6)


def test_weights_that_are_not_negative_are_those_of_scikit_learn() -> None:
    models, truth = rows(0)
    models[1] = -models[1]  # a model that is turned around is given nothing
    found = NonNegative().fit(models, truth)
    assert (found.weights >= 0).all()
    for target in (0, 1):
        expected = LinearRegression(positive=True).fit(models[:, :, target].T, truth[:, target].astype(np.float64))
        assert found.weights[target::2, target] == pytest.approx(expected.coef_, abs=1e-6)
        assert found.weights[target::2, target][1] == 0


def test_a_blend_with_negative_weights_takes_away_what_two_models_share() -> None:
    random = np.random.default_rng(0)
    truth, error = random.normal(size=(2, 2000, 1))
    models = np.stack([truth + error, error + 0.1 * random.normal(size=(2000, 1))])
    one = METRICS["pearson"].of(Task("regression", ("x",)))
    plain = Blend("metric", metric=one).fit(models, truth)
    free = Blend("metric", negative=True, metric=one).fit(models, truth)
    assert free.weights.sum(axis=0) == pytest.approx(1)
    assert free.weights[1, 0] < -0.2
    assert one.compute(truth, free.predict_proba(models)) > one.compute(truth, plain.predict_proba(models)) + 0.1


def test_trees_learn_a_step_that_no_line_has() -> None:
    random = np.random.default_rng(0)
    models = random.normal(size=(2, 3000, 1)).astype(np.float32)
    truth = np.where(models[0] > 0.5, 100.0, 0.0) + random.normal(size=(3000, 1))
    half = np.arange(3000) < 1500
    one = METRICS["rmse"].of(Task("regression", ("x",)))
    trees = NumberTrees(LightGBM()).fit(models[:, half], truth[half]).predict_proba(models[:, ~half])
    line = Ridge().fit(models[:, half], truth[half]).predict_proba(models[:, ~half])
    assert one.compute(truth[~half], trees) < one.compute(truth[~half], line) / 2
