"""Which two to select: the best by all that is known, and a hedge that errs elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.data import Competition
from compete.competition.metrics import METRICS, Labels
from compete.errors import UserError
from compete.oof import store
from compete.submissions.csv_file import predictions_beside
from compete.submissions.leaderboard.finalists import choose_finalists, private_draws
from compete.submissions.ledger import Entry, NewSubmission, Outcome, SubmissionStatus

F1 = METRICS["f1_macro"]
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
ROWS = 2000


def make_labels(rows: int = ROWS) -> Labels:
    return (np.random.default_rng(0).random((rows, 3)) < 0.4).astype(np.int8)


def with_errors(labels: Labels, share: float, seed: int) -> NDArray[np.int8]:
    wrong = np.random.default_rng([seed, 7]).random(labels.shape) < share
    return np.where(wrong, 1 - labels, labels).astype(np.int8)


def draws(
    labels: Labels, predicted: list[NDArray[np.int8]], public: list[float], n_public: int = 500
) -> NDArray[np.float64]:
    validation = np.array([F1.compute(labels, each) for each in predicted])
    return private_draws(
        F1, labels, predicted, validation=validation, public=np.array(public), n_public=n_public, n_private=500
    )


def test_without_public_scores_private_ones_lie_around_validation() -> None:
    labels = make_labels()
    predicted = [with_errors(labels, share, seed) for seed, share in enumerate((0.2, 0.3))]
    found = draws(labels, predicted, [np.nan, np.nan])
    expected = [F1.compute(labels, each) for each in predicted]
    assert found.mean(axis=0) == pytest.approx(expected, abs=0.002)
    # 500 new rows, and 2,000 that tell of them.
    by_hand = np.std([F1.compute(labels[rows], predicted[0][rows]) for rows in chance_rows(500)])
    assert found[:, 0].std() == pytest.approx(np.sqrt(1 + 500 / ROWS) * by_hand, rel=0.1)


def chance_rows(count: int) -> list[NDArray[np.intp]]:
    random = np.random.default_rng(3)
    return [random.integers(ROWS, size=count) for _ in range(1000)]


def test_a_shift_of_all_public_scores_changes_no_order() -> None:
    labels = make_labels()
    predicted = [with_errors(labels, 0.25, seed) for seed in range(3)]
    honest = [F1.compute(labels, each) for each in predicted]
    here, shifted = (draws(labels, predicted, [score + by for score in honest]) for by in (0.0, -0.05))
    apart = (here - here.mean(axis=1, keepdims=True)).mean(axis=0)
    assert (shifted - shifted.mean(axis=1, keepdims=True)).mean(axis=0) == pytest.approx(apart, abs=0.003)


def test_a_public_score_moves_the_expectation_as_far_as_it_is_sure() -> None:
    labels = make_labels()
    predicted = [with_errors(labels, 0.25, seed) for seed in range(2)]
    honest = [F1.compute(labels, each) for each in predicted]
    lead = [
        float(np.subtract(*draws(labels, predicted, [honest[0] + 0.02, honest[1] - 0.02], n).mean(axis=0)))
        for n in (50, 2000, 200_000)
    ]
    before = honest[0] - honest[1]
    assert before < lead[0] < lead[1] < lead[2]
    assert lead[2] == pytest.approx(before + 0.04, abs=0.005)  # so many public rows leave no doubt
    assert lead[1] == pytest.approx(before + 0.02, abs=0.006)  # as many as training rows: half and half


@pytest.mark.parametrize("scale", [1e-7, 1.0, 20.0, 1e7])
@pytest.mark.filterwarnings("error")
def test_losses_are_compared_alike_on_every_scale(scale: float) -> None:
    """A shift of all public scores by five times the loss changes nothing, and a lead counts for what it is."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(ROWS, 1))
    predicted = [scale * (truth + random.normal(scale=error, size=truth.shape)) for error in (1, 1.02, 1.5)]
    rmse, truth = METRICS["rmse"], scale * truth
    honest = np.array([rmse.compute(truth, each) for each in predicted])

    def behind(public: NDArray[np.float64]) -> NDArray[np.float64]:
        found = private_draws(rmse, truth, predicted, validation=honest, public=public, n_public=ROWS, n_private=500)
        return np.asarray((found - found[:, [0]]).mean(axis=0)) / scale

    lead = np.array([-0.02, 0.0, 0.02]) * scale
    expected = (honest - honest[0]) / scale + [0.0, 0.01, 0.02]  # as many public as training rows: half of it
    assert behind(honest + lead) == pytest.approx(expected, abs=0.002)
    unknown = np.array([0.0, 0.0, np.nan])  # one submission has no public score: it stays where it was
    known = behind(honest + lead + unknown)
    assert behind(honest + lead + unknown + 5 * scale) == pytest.approx(known, abs=1e-6)


def add(
    competition: Competition,
    number: int,
    predicted: NDArray[np.int8],
    public: float | None = None,
    status: SubmissionStatus = "scored",
) -> Entry:
    file = f"{number:03d}_model.csv"
    path = predictions_beside(competition.workspace.submissions / file)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(store.to_parquet(competition.train_ids, predicted.astype(np.float32), competition.labels))
    sent = NewSubmission(
        target="local",
        file=file,
        content=str(number),
        source=f"model {number}",
        metric="f1_macro",
        validation=F1.compute(competition.train_targets, predicted),
        fold_plan="",
        probabilities="",
        message="",
    )
    return Entry(number, NOON, sent, Outcome(status, None, public), NOON)


def test_the_hedge_errs_on_other_rows(competition: Competition) -> None:
    """Beside the best: a copy of it that is a little worse, and a model that is worse still and errs elsewhere."""
    labels = competition.train_targets
    best = with_errors(labels, 0.2, 1)
    copy = best.copy()
    copy[:2] = 1 - labels[:2]
    other = with_errors(labels, 0.21, 2)
    while F1.compute(labels, other) >= F1.compute(labels, copy):
        wrong = np.argwhere(other == labels)[0]
        other[tuple(wrong)] = 1 - labels[tuple(wrong)]
    found = choose_finalists(
        competition, [add(competition, 1, copy), add(competition, 2, best), add(competition, 3, other)]
    )
    assert (found.first.entry.number, found.second.entry.number) == (2, 3)
    assert [each.entry.number for each in found.candidates] == [2, 1, 3]
    assert sum(each.best for each in found.candidates) == pytest.approx(1.0)


def test_regret_of_two_is_less_than_that_of_the_public_favourites(competition: Competition) -> None:
    labels = competition.train_targets
    entries = [
        add(competition, n, with_errors(labels, 0.15 + 0.02 * n, n), public)
        for n, public in enumerate((0.60, 0.61, 0.70, 0.72), start=1)
    ]
    found = choose_finalists(competition, entries)
    assert found.public_regret is not None and 0 <= found.regret <= found.public_regret


def test_what_cannot_be_compared_is_named(competition: Competition) -> None:
    labels = competition.train_targets
    entries = [add(competition, n, with_errors(labels, 0.2, n)) for n in (1, 2, 3, 5)]
    predictions_beside(competition.workspace.submissions / entries[2].submission.file).unlink()
    damaged = predictions_beside(competition.workspace.submissions / entries[3].submission.file)
    damaged.write_bytes(damaged.read_bytes()[:-9])
    refused = add(competition, 4, with_errors(labels, 0.01, 4), status="refused")
    found = choose_finalists(competition, [*entries, refused])
    assert {found.first.entry.number, found.second.entry.number} == {1, 2}
    assert list(found.left_out) == [3, 5]
    assert "no out-of-fold predictions" in found.left_out[3]
    assert "damaged" in found.left_out[5] and damaged.name in found.left_out[5]


def test_one_submission_is_no_choice(competition: Competition, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to choose from: 1 of 1"):
        choose_finalists(competition, [add(competition, 1, with_errors(competition.train_targets, 0.2, 1))])
