"""Planted damage raises its alarm and names the model; honest models raise none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.metrics import Labels
from compete.logits import logits, sigmoid
from compete.stacking.ensemble.alarms import Alarm, find_alarms

pytestmark = pytest.mark.slow

NAMES, RATES = ("joy", "anger", "fear", "trust"), (0.4, 0.3, 0.2, 0.15)
ROWS, TEST_ROWS = 4000, 1000
MIXED = (1.0, 1.5, 2.5)
DIFFERENT = [(1.0, 2.5), MIXED, (0.5, 0.8, 1.0, 2.0, 3.0, 3.5)]


@dataclass(frozen=True)
class Models:
    """Made-up base models; `clean` are the labels' own part of their logits, to make leaks of."""

    oof: NDArray[np.float32]
    test: NDArray[np.float32]
    labels: Labels
    test_labels: Labels
    folds: NDArray[np.int16]

    def alarms(self) -> list[Alarm]:
        names = [f"m{number}" for number in range(len(self.oof))]
        return find_alarms(names, self.oof, self.test, self.labels, self.folds, NAMES)


def honest(
    strengths: Sequence[float], seed: int = 0, noisy_test: bool = False, test_rates: Sequence[float] = RATES
) -> Models:
    """Models that know so much of the labels each; what is hard about a text is hard for all of them.

    noisy_test: the test probabilities are means of five models, one per fold, as a bag of models gives them.
    """
    random = np.random.default_rng(seed)

    def answer(labels: Labels, difficulty: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
        own = random.normal(scale=0.7, size=labels.shape)
        return sigmoid(np.log(RATES) + strength * (labels - 0.3) + difficulty + own)

    sets = []
    for rows, rates, repeats in ((ROWS, RATES, 1), (TEST_ROWS, test_rates, 5 if noisy_test else 1)):
        labels = (random.random((rows, len(rates))) < rates).astype(np.int8)
        difficulty = random.normal(scale=0.7, size=labels.shape)
        models = [np.mean([answer(labels, difficulty, s) for _ in range(repeats)], axis=0) for s in strengths]
        sets.append((np.array(models, dtype=np.float32), labels))
    (oof, labels), (test, test_labels) = sets
    return Models(oof, test, labels, test_labels, (np.arange(ROWS) % 5).astype(np.int16))


def calibrated(strengths: Sequence[float], rows: int, test_rows: int, k: int, seed: int) -> Models:
    """Honest models whose probabilities are those of the labels given what the model sees of the text."""
    random = np.random.default_rng(seed)
    sets = []
    for n in (rows, test_rows):
        labels = (random.random((n, len(RATES))) < RATES).astype(np.int8)
        shared = random.normal(size=labels.shape)
        seen = [(shared + random.normal(size=labels.shape)) / np.sqrt(2) for _ in strengths]
        log_odds = np.log(RATES) - np.log1p(np.negative(RATES))
        models = [sigmoid(log_odds + s * (s * (labels - 0.5) + x)) for s, x in zip(strengths, seen, strict=True)]
        sets.append((np.array(models, dtype=np.float32), labels))
    (oof, labels), (test, test_labels) = sets
    return Models(oof, test, labels, test_labels, (np.arange(rows) % k).astype(np.int16))


def with_model(cells: NDArray[np.float32], number: int, model: NDArray[np.generic]) -> NDArray[np.float32]:
    changed = cells.copy()
    changed[number] = model
    return changed


def knowing(cells: NDArray[np.float32], labels: Labels, by: float) -> NDArray[np.float64]:
    """The same probabilities from a model that has seen the labels."""
    return sigmoid(logits(cells) + by * (labels - 0.3))


def accused(models: Models, model: int, words: str) -> set[str]:
    """`words` are said of the model; the names of all models of which something is said."""
    found = models.alarms()
    assert any(alarm.model == f"m{model}" and words in alarm.evidence for alarm in found), [*map(str, found)]
    return {alarm.model for alarm in found}


@pytest.mark.parametrize("noisy_test", [False, True], ids=["one test model", "mean of five"])
@pytest.mark.parametrize("strengths", DIFFERENT, ids=len)
@pytest.mark.parametrize("seed", range(4))
def test_honest_models_of_different_strength_raise_no_alarm(
    strengths: Sequence[float], noisy_test: bool, seed: int
) -> None:
    assert honest(strengths, seed, noisy_test).alarms() == []


@pytest.mark.parametrize("seed", range(3))
def test_a_test_set_of_other_label_rates_is_no_ones_fault(seed: int) -> None:
    assert honest(MIXED, seed, test_rates=(0.55, 0.2, 0.3, 0.1)).alarms() == []


@pytest.mark.parametrize("strengths", DIFFERENT, ids=len)
@pytest.mark.parametrize(("rows", "test_rows", "k"), [(240, 90, 3), (500, 200, 5), (1000, 300, 5), (4000, 1500, 5)])
def test_calibrated_models_on_few_rows_or_many_raise_hardly_an_alarm(
    rows: int, test_rows: int, k: int, strengths: Sequence[float]
) -> None:
    found = [calibrated(strengths, rows, test_rows, k, seed).alarms() for seed in range(20)]
    false = [str(alarm) for alarms in found for alarm in alarms]
    assert sum(map(bool, found)) <= 1, false


def test_one_model_alone_raises_no_alarm() -> None:
    assert honest((1.5,)).alarms() == []


@pytest.mark.parametrize("what", ["out-of-fold", "test"])
def test_a_constant_column(what: str) -> None:
    models = honest(MIXED)
    cells = (models.oof if what == "out-of-fold" else models.test).copy()
    cells[1, :, 2] = 0.25
    damaged = replace(models, oof=cells) if what == "out-of-fold" else replace(models, test=cells)
    assert accused(damaged, 1, f"the same {what} prediction in every row for fear") == {"m1"}


@pytest.mark.parametrize("strengths", DIFFERENT, ids=len)
def test_a_model_that_is_turned_around(strengths: Sequence[float]) -> None:
    models = honest(strengths)
    last = len(strengths) - 1
    damaged = replace(
        models,
        oof=with_model(models.oof, last, 1 - models.oof[last]),
        test=with_model(models.test, last, 1 - models.test[last]),
    )
    assert accused(damaged, last, "turned around") == {f"m{last}"}


@pytest.mark.parametrize("strengths", DIFFERENT, ids=len)
def test_swapped_columns_in_the_out_of_fold_probabilities(strengths: Sequence[float]) -> None:
    models = honest(strengths)
    damaged = replace(models, oof=with_model(models.oof, 1, models.oof[1][:, [0, 2, 1, 3]]))
    words = "out-of-fold columns fit other labels than their own: anger as fear, fear as anger"
    assert accused(damaged, 1, words) == {"m1"}


@pytest.mark.parametrize("strengths", DIFFERENT[1:], ids=len)
def test_swapped_columns_in_the_test_set(strengths: Sequence[float]) -> None:
    models = honest(strengths)
    damaged = replace(models, test=with_model(models.test, 1, models.test[1][:, [1, 2, 0, 3]]))
    words = "test columns go with other labels of the other models: joy as anger, anger as fear, fear as joy"
    assert accused(damaged, 1, words) == {"m1"}


@pytest.mark.parametrize("damage", ["columns", "rows"])
def test_of_two_models_that_disagree_on_the_test_set_none_is_named(damage: str) -> None:
    models = honest(DIFFERENT[0])
    columns, rows = ([1, 2, 0, 3], slice(None)) if damage == "columns" else ([0, 1, 2, 3], slice(None, None, -1))
    damaged = replace(models, test=with_model(models.test, 1, models.test[1][rows][:, columns]))
    assert not any("other models" in alarm.evidence for alarm in damaged.alarms())


@pytest.mark.parametrize("n_test", [90, TEST_ROWS])
@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("strengths", DIFFERENT[1:], ids=len)
def test_test_rows_in_another_order(strengths: Sequence[float], number: int, n_test: int) -> None:
    models = honest(strengths)
    test = models.test[:, :n_test]
    order = np.random.default_rng(number).permutation(n_test)
    damaged = replace(models, test=with_model(test, number, test[number][order]))
    assert accused(damaged, number, "on the test set: are its rows in another order?") == {f"m{number}"}


def test_models_that_agree_on_nothing_have_no_order_of_rows_to_lose() -> None:
    random = np.random.default_rng(3)
    models = honest((0.0, 0.0, 0.0))
    noise = [sigmoid(random.normal(size=(3, n, 4)) + np.log(RATES)).astype(np.float32) for n in (ROWS, TEST_ROWS)]
    assert replace(models, oof=noise[0], test=noise[1]).alarms() == []


@pytest.mark.parametrize("strengths", DIFFERENT, ids=len)
def test_one_fold_predicted_by_a_model_that_saw_it(strengths: Sequence[float]) -> None:
    models = honest(strengths)
    seen = models.folds == 3
    leaked = np.where(seen[:, None], knowing(models.oof[0], models.labels, 2.0), models.oof[0])
    assert accused(replace(models, oof=with_model(models.oof, 0, leaked)), 0, "in fold 3") == {"m0"}


def test_a_fold_that_is_easy_for_all_is_no_ones_leak() -> None:
    models = honest((1.5, 1.5, 1.5, 1.5))
    easy = np.where((models.folds == 3)[:, None], knowing(models.oof, models.labels, 2.0), models.oof)
    assert replace(models, oof=easy.astype(np.float32)).alarms() == []


def test_a_fold_that_is_hard_for_the_others_is_no_leak_of_the_one_that_masters_it() -> None:
    """Against the others' usual it stands out; against its own other folds it does not."""
    models = honest((2.0, 2.0, 2.0, 2.0))
    hard = np.where((models.folds == 3)[:, None], knowing(models.oof[1:], models.labels, -1.2), models.oof[1:])
    damaged = replace(models, oof=np.concatenate([models.oof[:1], hard]).astype(np.float32))
    assert not any("in fold" in alarm.evidence for alarm in damaged.alarms())


@pytest.mark.parametrize("strengths", DIFFERENT[:2], ids=len)
def test_a_model_that_saw_all_its_rows_is_surer_of_them_than_of_the_test_set(strengths: Sequence[float]) -> None:
    models = honest(strengths)
    leaked = knowing(models.oof[0], models.labels, 3.0)
    damaged = replace(models, oof=with_model(models.oof, 0, leaked))
    assert accused(damaged, 0, "did it see the rows it predicted?") == {"m0"}


@pytest.mark.parametrize("strengths", DIFFERENT, ids=len)
def test_a_model_that_looks_its_rows_up_promises_nothing_for_the_test_set(strengths: Sequence[float]) -> None:
    models = honest(strengths)
    random = np.random.default_rng(7)
    memory = np.where(random.random(models.labels.shape) < 0.97, models.labels, 1 - models.labels)
    guess = sigmoid(np.log(RATES) + random.normal(scale=0.2, size=models.test[1].shape))
    damaged = replace(
        models, oof=with_model(models.oof, 1, 0.05 + 0.9 * memory), test=with_model(models.test, 1, guess)
    )
    assert accused(damaged, 1, "did it see the rows it predicted?") == {"m1"}


@pytest.mark.parametrize("strengths", DIFFERENT, ids=len)
@pytest.mark.parametrize("shift", [-1.5, 1.5])
def test_a_test_distribution_that_only_one_model_has(strengths: Sequence[float], shift: float) -> None:
    models = honest(strengths)
    damaged = replace(models, test=with_model(models.test, 1, sigmoid(logits(models.test[1]) + shift)))
    assert accused(damaged, 1, "test and out-of-fold predictions lie") == {"m1"}


@pytest.mark.parametrize("strength", [0.0, 2.0])
def test_the_distribution_of_a_model_at_chance_says_nothing(strength: float) -> None:
    models = honest((2.0, strength, 2.0))
    if strength == 0:
        chance = np.random.default_rng(5).permutation(models.oof[1])
        models = replace(models, oof=with_model(models.oof, 1, chance))
    moved = replace(models, test=with_model(models.test, 1, sigmoid(logits(models.test[1]) + 1.5)))
    named = {alarm.model for alarm in moved.alarms() if "Kolmogorov-Smirnov" in alarm.evidence}
    assert named == ({"m1"} if strength else set())  # the control: the same shift of a model that knows something


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n_rows", [240, ROWS])
def test_a_model_that_knows_nothing_is_not_turned_around(seed: int, n_rows: int) -> None:
    models = honest((2.0, 0.0, 2.0), seed)
    random = np.random.default_rng(seed)
    oof, test = models.oof[:, :n_rows].copy(), models.test.copy()
    oof[1], test[1] = random.permutation(oof[1]), random.permutation(test[1])
    found = Models(oof, test, models.labels[:n_rows], models.test_labels, models.folds[:n_rows]).alarms()
    assert not any("turned around" in alarm.evidence for alarm in found)


def test_several_damages_are_told_model_by_model() -> None:
    models = honest(DIFFERENT[2])
    oof = with_model(models.oof, 4, models.oof[4][:, [1, 0, 2, 3]])
    test = with_model(models.test, 2, np.full_like(models.test[2], 0.5))
    found = replace(models, oof=oof, test=test).alarms()
    assert [alarm.model for alarm in found] == sorted(alarm.model for alarm in found)
    assert {alarm.model for alarm in found} == {"m2", "m4"}
    assert str(found[0]).startswith("m2: the same test prediction in every row for joy, anger, fear, trust")


@pytest.mark.parametrize("strengths", DIFFERENT[:2], ids=len)  # beside a nearly perfect model it is no wonder
def test_probabilities_that_are_the_labels_are_no_honest_model_s(strengths: Sequence[float]) -> None:
    """A tree, or one nearest neighbour, fitted on all rows: in the test set it answers 0 and 1 as well."""
    models = honest(strengths)
    random = np.random.default_rng(3)
    test = (random.random(models.test[0].shape) < RATES).astype(np.float32)
    damaged = replace(
        models, oof=with_model(models.oof, 0, models.labels.astype(np.float32)), test=with_model(models.test, 0, test)
    )
    found = [alarm.evidence for alarm in damaged.alarms() if alarm.model == "m0"]
    assert any(text.startswith("AUC 1.000 on the training rows, the best of the others 0.") for text in found), found


@pytest.mark.parametrize("label", range(4))
def test_one_label_that_a_model_has_seen(label: int) -> None:
    models = honest(MIXED)
    leaked = models.oof[1].copy()
    leaked[:, label] = knowing(models.oof[1], models.labels, 12.0)[:, label]
    words = f"far above that of the other models: {NAMES[label]} 1.000"
    assert "m1" in accused(replace(models, oof=with_model(models.oof, 1, leaked)), 1, words)


def test_of_a_hundred_rare_labels_that_are_hardly_known_none_fits_another_by_more_than_chance() -> None:
    found = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        labels, new = ((random.random((n, 100)) < 0.01).astype(np.int8) for n in (2000, 1000))
        oof, test = (
            np.stack([sigmoid(random.normal(size=of.shape) + 0.35 * of - 4.6) for _ in range(3)]).astype(np.float32)
            for of in (labels, new)
        )
        names = [str(number) for number in range(100)]
        folds = (np.arange(2000) % 5).astype(np.int16)
        found += find_alarms(["m0", "m1", "m2"], oof, test, labels, folds, names)
    assert found == []


def test_a_model_that_says_too_much_of_every_row_is_accused_of_nothing() -> None:
    """As naive Bayes does: its probabilities promise more, or less, than its ranks hold, for train and test alike."""
    models = honest(MIXED)
    for slope in (0.1, 8.0):
        bold = [sigmoid(slope * logits(cells[1]) ** 3 / 4) for cells in (models.oof, models.test)]
        said = replace(models, oof=with_model(models.oof, 1, bold[0]), test=with_model(models.test, 1, bold[1]))
        assert said.alarms() == []
