"""The rows that a model gets most wrong: which, with which numbers, and that planted mistakes are among them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np

from compete.base_models.confident_learning import likely_label_errors
from compete.opened import Opened
from compete.reporting.page.hard_rows import hard_rows
from support.lived_in import LABELS, TURNED


@dataclass(frozen=True)
class Cell:
    """A row of the error table, by name."""

    id: str
    text: str
    label: int
    truth: int
    p: float
    loss: float
    fold: int
    suspect: int
    models: list[float]


def cells(opened: Opened, name: str = "logistic", per_label: int = 40) -> list[Cell]:
    found = hard_rows(opened, opened.find(name), per_label)
    return [Cell(found.ids[text], found.texts[text], *others) for text, *others in found.rows]


def test_every_cell_is_that_of_its_row_and_label(opened: Opened) -> None:
    oof, train, folds = opened.oof("logistic"), opened.train, opened.folds
    for cell in cells(opened):
        label = LABELS[cell.label]
        p, truth = float(oof[label][cell.id]), int(train[label][cell.id])
        assert (cell.text, cell.truth, cell.fold) == (train["text"][cell.id], truth, folds[cell.id])
        assert math.isclose(cell.p, p, abs_tol=6e-5)
        assert math.isclose(cell.loss, -math.log(p if truth else 1 - p), abs_tol=6e-5)
        assert len(cell.models) == 2


def test_the_models_beside_it_are_the_base_models_best_first(opened: Opened) -> None:
    found = hard_rows(opened, opened.find("logistic"))
    assert found.source == "stack logistic"
    assert found.models == [shown.name for shown in opened.ranked if not shown.is_stack]
    for cell in cells(opened):
        expected = [float(opened.oof(name)[LABELS[cell.label]][cell.id]) for name in found.models]
        assert np.allclose(cell.models, expected, atol=6e-5)


def test_the_worst_of_every_label_are_there_and_no_cell_twice(opened: Opened) -> None:
    found = cells(opened, per_label=15)
    assert len({(cell.id, cell.label) for cell in found}) == len(found)
    truth, oof = opened.train[list(LABELS)].to_numpy(), opened.oof("logistic").to_numpy()
    wrong = np.where(truth == 1, 1 - oof, oof)  # the higher, the higher the loss
    for label in range(3):
        worst = set(opened.train.index[np.argsort(-wrong[:, label], kind="stable")[:15]])
        of_label = [cell for cell in found if cell.label == label]
        assert worst <= {cell.id for cell in of_label}
        others = [cell for cell in of_label if cell.id not in worst]
        assert all(cell.suspect for cell in others)
        assert len(others) <= 15


def test_likely_label_errors_are_counted_over_all_rows(opened: Opened) -> None:
    every = cells(opened, per_label=10**6)
    assert len(every) == 240 * 3
    counted = {name: sum(c.suspect for c in every if c.label == label) for label, name in enumerate(LABELS)}
    for per_label in (1, 40, 10**6):
        assert hard_rows(opened, opened.find("logistic"), per_label).suspects == counted


def test_what_is_marked_is_what_confident_learning_finds(opened: Opened) -> None:
    marked = likely_label_errors(opened.train[list(LABELS)].to_numpy(), opened.oof("words").to_numpy())
    places = {name: place for place, name in enumerate(opened.train.index)}
    for cell in cells(opened, "words", per_label=10**6):
        assert cell.suspect == marked[places[cell.id], cell.label]
    assert 0 < marked.sum() < marked.size / 2


def test_labels_that_were_turned_round_are_found_more_often_than_others(opened: Opened) -> None:
    worst = {(cell.id, cell.label) for cell in cells(opened, "words", per_label=20)}
    found: dict[bool, list[tuple[float, float, float]]] = {True: [], False: []}
    for cell in cells(opened, "words", per_label=10**6):
        found[cell.id in TURNED].append((cell.loss, cell.suspect, float((cell.id, cell.label) in worst)))
    assert len(found[True]) == 3 * len(TURNED)
    loss, suspect, among_worst = np.mean(found[True], axis=0) / np.mean(found[False], axis=0)
    assert loss > 1.5
    assert suspect > 1.5
    assert among_worst > 2


def test_it_is_plain_json(opened: Opened) -> None:
    found = hard_rows(opened, opened.find("words"))
    assert json.loads(json.dumps(found.rows, allow_nan=False)) == found.rows
    assert len(found.ids) == len(set(found.ids)) == len(found.texts)
