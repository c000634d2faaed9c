from __future__ import annotations

import dataclasses

import numpy as np

from compete.competition.data import Competition
from compete.competition.rare_labels import Learnt, learnt_labels, rare_sentence


def test_what_is_too_rare_is_a_constant_below_every_rate_that_is_learnt(competition: Competition) -> None:
    labels = competition.train_targets.copy()
    labels[:, 1] = 0
    labels[[4, 9], 1] = 1
    learnt = learnt_labels(dataclasses.replace(competition, train_targets=labels), k=3)
    assert (learnt.names, learnt.too_rare) == (("joy", "trust"), ("anger",))
    assert 0 < learnt.constant < 3 / 240
    cells = learnt.whole(np.array([[0.1, 0.2], [0.3, 0.4]], dtype=np.float32))
    constant = np.float32(learnt.constant)
    assert np.array_equal(cells, np.array([[0.1, constant, 0.2], [0.3, constant, 0.4]], dtype=np.float32))


def test_with_fewer_rows_than_folds_the_constant_is_a_half(competition: Competition) -> None:
    few = dataclasses.replace(
        competition, train_ids=["a", "b"], train_texts=["x", "y"], train_targets=competition.train_targets[:2]
    )
    assert learnt_labels(few, k=3).constant == 0.5


def test_labels_that_are_not_learnt_are_said_ten_of_them_by_name() -> None:
    names = tuple(f"label_{number}" for number in range(13))
    assert rare_sentence(Learnt(names, np.ones(13, dtype=bool), 0.1), 5) is None
    said = rare_sentence(Learnt(names, np.arange(13) == 12, 0.1), 5)
    assert said is not None
    assert said.startswith("fewer positive rows of different text than the 5 folds: label_0, label_1, ")
    assert "label_9 and 2 more; not learnt, predicted by the constant 0.1" in said
