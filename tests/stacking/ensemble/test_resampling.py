"""Resampled scores against the plain way: draw rows, compute the metric, a few hundred times."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.metrics import METRICS, Labels, Metric
from compete.stacking.ensemble import resampling
from compete.stacking.ensemble.resampling import auc_values, interval, resampled_label_f1, resampled_scores

pytestmark = pytest.mark.slow

ROWS = 400
EVERY_METRIC = pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
Predicted = NDArray[np.generic]


def made_up(n_rows: int = ROWS, seed: int = 0, signal: float = 2.0) -> tuple[Labels, NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    labels = (random.random((n_rows, 3)) < (0.5, 0.3, 0.15)).astype(np.int8)
    z = signal * (labels - 0.5) + random.normal(size=labels.shape)
    return labels, np.round(1 / (1 + np.exp(-z)), 2)  # rounded: ties, which count half in an AUC


def scored(metric: Metric, probabilities: NDArray[np.float64]) -> Predicted:
    return (probabilities >= 0.5).astype(np.int8) if metric.thresholds else probabilities


def direct_bootstrap(metric: Metric, labels: Labels, predicted: Predicted, draws: int = 400) -> NDArray[np.float64]:
    random = np.random.default_rng(99)
    chosen = [random.integers(len(labels), size=len(labels)) for _ in range(draws)]
    return np.array([metric.compute(labels[rows], predicted[rows]) for rows in chosen])


@EVERY_METRIC
def test_the_sums_over_all_rows_give_the_score(metric: Metric) -> None:
    """A draw in which every row counts once is the metric itself."""
    labels, probabilities = made_up()
    predicted = scored(metric, probabilities)
    totals = resampling._contributions(metric, labels, predicted).sum(axis=0, keepdims=True)
    assert resampling._score(metric, totals)[0] == pytest.approx(metric.compute(labels, predicted), abs=1e-9)


@EVERY_METRIC
def test_scores_scatter_around_the_score_as_in_a_direct_bootstrap(metric: Metric) -> None:
    labels, probabilities = made_up()
    predicted = scored(metric, probabilities)
    draws = resampled_scores(metric, labels, [predicted])[0]
    direct = direct_bootstrap(metric, labels, predicted)
    assert draws.shape == (1000,)
    assert draws.mean() == pytest.approx(metric.compute(labels, predicted), abs=direct.std() / 5)
    assert draws.std() == pytest.approx(direct.std(), rel=0.15)


@EVERY_METRIC
def test_rows_without_anything_count_as_the_metric_counts_them(metric: Metric) -> None:
    labels, probabilities = made_up()
    labels[:100], probabilities[:100] = 0, 0.1
    predicted = scored(metric, probabilities)
    draws = resampled_scores(metric, labels, [predicted])[0]
    assert draws.mean() == pytest.approx(metric.compute(labels, predicted), abs=draws.std() / 4)


@EVERY_METRIC
def test_draws_are_paired(metric: Metric) -> None:
    """Two models on the same rows differ by far less than two models on rows of their own."""
    labels, probabilities = made_up()
    better = np.clip(0.9 * probabilities + 0.1 * labels, 0, 1)
    first, same, other = resampled_scores(
        metric, labels, [scored(metric, p) for p in (probabilities, probabilities, better)]
    )
    assert first.tolist() == same.tolist()
    alone = resampled_scores(metric, labels, [scored(metric, better)])[0]
    assert other == pytest.approx(alone, abs=1e-5)
    assert (other - first).std() < 0.7 * first.std()


def test_a_seed_names_the_draws() -> None:
    labels, probabilities = made_up()
    metric = METRICS["log_loss"]
    first, again, other = (resampled_scores(metric, labels, [probabilities], seed=seed)[0] for seed in (3, 3, 4))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


@EVERY_METRIC
def test_fewer_new_rows_scatter_more_and_many_leave_the_doubt_of_the_known_rows(metric: Metric) -> None:
    labels, probabilities = made_up(1000)
    predicted = [scored(metric, probabilities)]
    known = resampled_scores(metric, labels, predicted)[0].std()
    for new_rows in (100, 400, 1000, 20_000):
        found = resampled_scores(metric, labels, predicted, new_rows=new_rows)[0].std()
        assert found == pytest.approx(known * np.sqrt(1 + 1000 / new_rows), rel=0.15)


@EVERY_METRIC
@pytest.mark.parametrize("new_rows", [None, 300])
def test_blocks_of_rows_scatter_as_rows_do(
    metric: Metric, new_rows: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, probabilities = made_up(1500)
    order = np.argsort(labels[:, 0], kind="stable")  # blocks are dealt by chance, whatever the order of the rows
    labels, probabilities = labels[order], probabilities[order]
    predicted = [scored(metric, probabilities)]
    rows = resampled_scores(metric, labels, predicted, new_rows=new_rows)[0]
    monkeypatch.setattr(resampling, "_BLOCKS", 400)  # of 3 or 4 rows
    blocks = resampled_scores(metric, labels, predicted, new_rows=new_rows)[0]
    assert blocks.mean() == pytest.approx(rows.mean(), abs=rows.std() / 5)
    assert blocks.std() == pytest.approx(rows.std(), rel=0.15)
    assert blocks.tolist() != rows.tolist()


def test_of_more_draws_the_first_are_the_same() -> None:
    labels, probabilities = made_up()
    few, many = (resampled_scores(METRICS["log_loss"], labels, [probabilities], draws=n)[0] for n in (3, 20))
    assert few - few.mean() == pytest.approx(many[:3] - many[:3].mean(), abs=1e-6)


def rare(n_labels: int, positives: int, seed: int) -> tuple[Labels, NDArray[np.int8]]:
    """2,000 rows, so many of them with each label; of those about half are found, and as many others taken for them."""
    random = np.random.default_rng(seed)
    labels = np.zeros((2000, n_labels), dtype=np.int8)
    for label in range(n_labels):
        labels[random.choice(2000, random.poisson(positives), replace=False), label] = 1
    rates = np.where(labels == 1, 0.5, positives / 4000)
    return labels, (random.random(labels.shape) < rates).astype(np.int8)


def test_with_many_rare_labels_the_score_lies_amid_its_interval() -> None:
    labels, decisions = rare(200, 8, 0)
    score = METRICS["f1_macro"].compute(labels, decisions)
    draws = resampled_scores(METRICS["f1_macro"], labels, [decisions])[0]
    low, high = interval(draws)
    assert draws.mean() == pytest.approx(score)
    assert (score - low) / (high - low) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("n_labels", "positives"), [(11, 200), (28, 60), (200, 8)])
def test_the_range_of_new_rows_holds_their_scores(n_labels: int, positives: int) -> None:
    held = []
    for seed in range(60):
        labels, decisions = rare(n_labels, positives, 2 * seed)
        low, high = interval(resampled_scores(METRICS["f1_macro"], labels, [decisions], new_rows=2000, draws=300)[0])
        held.append(low <= METRICS["f1_macro"].compute(*rare(n_labels, positives, 2 * seed + 1)) <= high)
    assert np.mean(held) > 0.88  # 95 of 100; of sixty, three in a thousand times fewer than this


def test_the_labels_own_f1_are_of_the_same_draws_as_their_mean() -> None:
    labels, probabilities = made_up()
    decisions = (probabilities >= 0.5).astype(np.int8)
    (each,) = resampled_label_f1(labels, [decisions])
    assert each.shape == (1000, 3)
    assert each.mean(axis=1) == pytest.approx(resampled_scores(METRICS["f1_macro"], labels, [decisions])[0], abs=1e-5)
    assert each.std(axis=0)[2] > each.std(axis=0)[0]  # the rare label's F1 is known less well


def test_the_labels_own_f1_of_several_decisions_are_of_the_same_draws() -> None:
    labels, probabilities = made_up()
    cuts = [(probabilities >= threshold).astype(np.int8) for threshold in (0.5, 0.5, 0.45)]
    first, same, other = resampled_label_f1(labels, cuts, draws=300, seed=3)
    assert first.shape == (300, 3)
    assert first.tolist() == same.tolist()
    assert other == pytest.approx(resampled_label_f1(labels, cuts[2:], draws=300, seed=3)[0], abs=1e-6)
    assert ((other - first).std(axis=0) < 0.7 * first.std(axis=0)).all()
    assert first.tolist() != resampled_label_f1(labels, cuts[:1], draws=300, seed=4)[0].tolist()


def test_values_of_the_rows_have_the_macro_auc_as_their_mean_and_its_noise_as_their_spread() -> None:
    metric = METRICS["roc_auc_macro"]
    samples = [made_up(seed=seed) for seed in range(200)]
    noise = np.std([metric.compute(*sample) for sample in samples])
    values = auc_values(*samples[0])
    assert values.shape == (ROWS,)
    assert values.mean() == pytest.approx(metric.compute(*samples[0]), abs=1e-9)
    assert values.std() / np.sqrt(ROWS) == pytest.approx(noise, rel=0.2)


def test_a_label_of_one_class_has_no_part_in_the_auc() -> None:
    labels, probabilities = made_up()
    labels[:, 2] = 1
    rest = auc_values(labels[:, :2], probabilities[:, :2])
    assert auc_values(labels, probabilities) == pytest.approx(rest)


def test_a_label_that_is_neither_there_nor_predicted_counts_0() -> None:
    labels, probabilities = made_up()
    decisions = (probabilities >= 0.5).astype(np.int8)
    labels[:, 2] = decisions[:, 2] = 0
    assert resampled_label_f1(labels, [decisions])[0, :, 2].tolist() == [0.0] * 1000
    draws = resampled_scores(METRICS["f1_macro"], labels, [decisions])[0]
    assert draws.mean() == pytest.approx(METRICS["f1_macro"].compute(labels, decisions), abs=0.005)


def test_the_interval_holds_its_share_of_the_draws() -> None:
    draws = np.random.default_rng(0).permutation(np.arange(1001.0))
    assert interval(draws) == pytest.approx((25.0, 975.0))
    assert interval(draws, 0.5) == pytest.approx((250.0, 750.0))


def test_no_draw_lies_beyond_the_scores_that_there_are() -> None:
    labels = np.zeros((200, 2), dtype=np.int8)
    labels[:3, 0], labels[:2, 1] = 1, 1
    decisions = labels.copy()
    decisions[0, 0] = 0
    for draws in (
        resampled_scores(METRICS["f1_macro"], labels, [decisions]),
        resampled_scores(METRICS["f1_macro"], labels, [decisions], new_rows=20),
        resampled_label_f1(labels, [decisions]),
    ):
        assert draws.min() >= 0 and draws.max() <= 1
