"""Resampled scores against the plain way: draw rows, compute the metric, a few hundred times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.allowed_code import allow
from compete.competition.metrics import METRICS, Labels, Metric, Predicted, Truth, find_metric, own_metric
from compete.competition.task import TaskName
from compete.errors import UserError
from compete.stacking.ensemble import resampling
from compete.stacking.ensemble.resampling import interval, resampled_label_f1, resampled_scores

pytestmark = pytest.mark.slow

ROWS = 400
OF_LABELS = [metric for metric in METRICS.values() if "multilabel" in metric.tasks]
EVERY_METRIC = pytest.mark.parametrize("metric", OF_LABELS, ids=lambda metric: metric.name)


def made_up(n_rows: int = ROWS, seed: int = 0, signal: float = 2.0) -> tuple[Labels, NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    labels = (random.random((n_rows, 3)) < (0.5, 0.3, 0.15)).astype(np.int8)
    z = signal * (labels - 0.5) + random.normal(size=labels.shape)
    return labels, np.round(1 / (1 + np.exp(-z)), 2)  # rounded: ties, which count half in an AUC


def scored(metric: Metric, probabilities: NDArray[np.float64]) -> Predicted:
    return (probabilities >= 0.5).astype(np.int8) if metric.thresholds else probabilities


# Score, interval, and the range of 150 new rows of `made_up`, as they were before there was any other metric.
PUBLISHED = {
    "f1_macro": (0.70863396, (0.66815143, 0.74905467), (0.62368809, 0.77917367)),
    "f1_micro": (0.73962264, (0.70512635, 0.77374444), (0.66759086, 0.8000151)),
    "f1_samples": (0.52666667, (0.47989225, 0.57139639), (0.43745655, 0.61201214)),
    "jaccard_samples": (0.4925, (0.44688205, 0.53608002), (0.40675182, 0.57683515)),
    "roc_auc_macro": (0.91043543, (0.89284149, 0.9293806), (0.8682974, 0.94362465)),
    "log_loss": (0.40903843, (0.39051369, 0.42927125), (0.37468908, 0.44940354)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_scores_and_intervals_stay_what_was_published(name: str) -> None:
    metric = METRICS[name]
    labels, probabilities = made_up()
    predicted = scored(metric, probabilities)
    score, known, new = PUBLISHED[name]
    assert metric.compute(labels, predicted) == pytest.approx(score, abs=1e-8)
    # Sums are added up in float32, in an order that is the machine's.
    assert interval(resampled_scores(metric, labels, [predicted])[0]) == pytest.approx(known, abs=1e-6)
    assert interval(resampled_scores(metric, labels, [predicted], new_rows=150)[0]) == pytest.approx(new, abs=1e-6)


def direct_bootstrap(metric: Metric, labels: Truth, predicted: Predicted, draws: int = 400) -> NDArray[np.float64]:
    random = np.random.default_rng(99)
    chosen = [random.integers(len(labels), size=len(labels)) for _ in range(draws)]
    return np.array([metric.compute(labels[rows], predicted[rows]) for rows in chosen])


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


def rows_of(task: TaskName, wants: str, n_rows: int = ROWS, seed: int = 0) -> tuple[Truth, Predicted, Predicted]:
    """What is true of some rows, and what a model and a somewhat better one say of them."""
    random = np.random.default_rng(seed)
    if task == "binary":
        labels, values = made_up(n_rows, seed)
        truth, said = labels[:, :1], np.stack([values[:, :1], 0.9 * values[:, :1] + 0.1 * labels[:, :1]])
        return (truth, *(said if wants == "probabilities" else (said >= 0.5).astype(np.int8)))
    if task == "multiclass":
        one_hot = np.eye(4, dtype=np.int8)
        truth = one_hot[random.choice(4, n_rows, p=[0.4, 0.3, 0.2, 0.1])]
        odds = random.normal(size=truth.shape) + 1.5 * truth
        said = np.stack([np.exp(odds), np.exp(odds + 0.3 * truth)])
        said /= said.sum(axis=2, keepdims=True)
        return (truth, *(said if wants == "probabilities" else one_hot[said.argmax(axis=2)]))
    latent, noise = random.gamma(3, size=(n_rows, 2)), random.normal(size=(n_rows, 2))
    said = np.stack([latent + noise, latent + 0.8 * noise])
    if task == "regression":
        return (latent.astype(np.float32), *said)
    return (np.clip(np.round(latent), 1, 5).astype(np.float32), *np.clip(np.round(said), 1, 5).astype(np.float32))


OTHERS = [*METRICS.values(), find_metric("map_at_2")]
OF_OTHER_TASKS = [(metric, task) for metric in OTHERS for task in metric.tasks if task != "multilabel"]
OF_EVERY_OTHER_TASK = pytest.mark.parametrize(
    ("metric", "task"), OF_OTHER_TASKS, ids=[f"{metric.name} {task}" for metric, task in OF_OTHER_TASKS]
)


@OF_EVERY_OTHER_TASK
def test_scores_of_other_tasks_scatter_as_in_a_direct_bootstrap(metric: Metric, task: TaskName) -> None:
    truth, said, _ = rows_of(task, metric.wants)
    draws = resampled_scores(metric, truth, [said])[0]
    direct = direct_bootstrap(metric, truth, said, 300)
    assert draws.mean() == pytest.approx(metric.compute(truth, said), abs=direct.std() / 5)
    assert draws.std() == pytest.approx(direct.std(), rel=0.2)
    assert metric.lowest <= draws.min() and draws.max() <= metric.highest


@OF_EVERY_OTHER_TASK
def test_draws_of_other_tasks_are_paired_and_are_for_as_many_new_rows_as_asked(metric: Metric, task: TaskName) -> None:
    truth, said, better = rows_of(task, metric.wants)
    first, same, other = resampled_scores(metric, truth, [said, said, better])
    assert first.tolist() == same.tolist()
    assert (other - first).std() < 0.9 * first.std()
    new = resampled_scores(metric, truth, [said], new_rows=200)[0]
    assert new.std() == pytest.approx(first.std() * np.sqrt(1 + ROWS / 200), rel=0.2)


OWN = """
import numpy as np

def rmse(truth, predicted):
    return float(np.sqrt(((truth - predicted) ** 2).mean()))

def correlation(truth, predicted):
    if truth.min() == truth.max():
        raise ValueError("all the same")
    return float(np.corrcoef(truth[:, 0], predicted[:, 0])[0, 1])

def never(truth, predicted):
    if len(np.unique(predicted)) < len(predicted):
        raise ValueError("a row is drawn twice")
    return 2.0
"""


def own(folder: Path, function: str) -> Metric:
    file = folder / "own.py"
    file.write_text(OWN, encoding="utf-8")
    allow(file)
    return own_metric(file, function, greater_is_better=False, wants="numbers")


@pytest.mark.parametrize("new_rows", [None, 150])
def test_a_users_own_metric_scatters_as_the_same_from_sums(tmp_path: Path, new_rows: int | None) -> None:
    truth, said, better = rows_of("regression", "numbers")
    found = resampled_scores(own(tmp_path, "rmse"), truth, [said, said, better], new_rows=new_rows)
    expected = resampled_scores(METRICS["rmse"], truth, [said, said, better], new_rows=new_rows)
    assert found.mean(axis=1) == pytest.approx(expected.mean(axis=1), abs=expected[0].std() / 10)
    assert found.std(axis=1) == pytest.approx(expected.std(axis=1), rel=0.1)
    assert found[0].tolist() == found[1].tolist()
    assert (found[2] - found[0]).std() == pytest.approx((expected[2] - expected[0]).std(), rel=0.1)


@pytest.mark.parametrize("new_rows", [None, 500])
def test_of_many_rows_some_are_resampled_and_the_spread_is_that_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_rows: int | None
) -> None:
    truth, said, _ = rows_of("regression", "numbers", n_rows=2000)
    every = resampled_scores(own(tmp_path, "rmse"), truth, [said], new_rows=new_rows)[0]
    monkeypatch.setattr(resampling, "RESAMPLED_ROWS", 250)
    some = resampled_scores(own(tmp_path, "rmse"), truth, [said], new_rows=new_rows)[0]
    assert some.mean() == pytest.approx(every.mean(), abs=every.std() / 10)
    assert some.std() == pytest.approx(every.std(), rel=0.1)
    assert some.tolist() != every.tolist()


def test_rows_of_which_no_score_is_defined_are_left_out(tmp_path: Path) -> None:
    """Of four rows of which one differs, a third of the draws have it not."""
    truth, said = np.array([[0, 0, 0, 1.0]]).T, np.array([[0.2, 0.1, 0.4, 0.3]]).T
    for metric in (own(tmp_path, "correlation"), METRICS["pearson"], METRICS["r2"]):
        draws = resampled_scores(metric, truth, [said, said])
        assert np.isfinite(draws).all() and draws[0].std() > 0
        assert draws[0].tolist() == draws[1].tolist()
        assert draws[0].mean() == pytest.approx(metric.compute(truth, said), abs=0.2)


def test_where_no_draw_gives_a_score_all_are_that_of_the_rows(tmp_path: Path) -> None:
    truth, said, _ = rows_of("regression", "numbers", n_rows=200)
    assert resampled_scores(own(tmp_path, "never"), truth, [said], draws=50).tolist() == [[2.0] * 50]


def test_a_users_own_metric_that_fails_on_all_rows_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"own\.py: correlation raised ValueError: all the same"):
        resampled_scores(own(tmp_path, "correlation"), np.zeros((5, 1)), [np.zeros((5, 1))])
