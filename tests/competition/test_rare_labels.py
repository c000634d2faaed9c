from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from compete.competition.data import Competition
from compete.competition.declaration import Folds
from compete.competition.folds import make_plan
from compete.competition.rare_labels import Learnt, learnt_labels, rare_sentence


def test_what_is_too_rare_is_a_constant_below_every_rate_that_is_learnt(competition: Competition) -> None:
    labels = competition.train_targets.copy()
    labels[:, 1] = 0
    labels[[4, 9], 1] = 1
    learnt = learnt_labels(dataclasses.replace(competition, train_targets=labels), make_plan(competition))
    assert (learnt.names, learnt.too_rare) == (("joy", "trust"), ("anger",))
    assert 0 < learnt.constant < 3 / 240
    cells = learnt.whole(np.array([[0.1, 0.2], [0.3, 0.4]], dtype=np.float32))
    constant = np.float32(learnt.constant)
    assert np.array_equal(cells, np.array([[0.1, constant, 0.2], [0.3, constant, 0.4]], dtype=np.float32))


def test_with_fewer_rows_than_folds_the_constant_is_a_half(competition: Competition) -> None:
    few = dataclasses.replace(
        competition, train_ids=["a", "b"], train_texts=["x", "y"], train_targets=competition.train_targets[:2]
    )
    plan = dataclasses.replace(make_plan(competition), folds=np.array([0, 1], dtype=np.int16))
    assert learnt_labels(few, plan).constant == 0.5


def test_a_label_of_few_groups_is_too_rare_however_many_rows_they_have(competition: Competition) -> None:
    """Twenty rows of anger, all of two people: under three folds, two are trained on one of them alone."""
    labels = competition.train_targets.copy()
    labels[:, 1] = 0
    labels[20:40, 1] = 1
    people = pd.DataFrame({"person": [f"p{row if row not in range(20, 40) else row // 10}" for row in range(240)]})
    declared = competition.declaration.model_copy(update={"folds": Folds(k=3, seed=7, groups="person")})
    grouped = dataclasses.replace(competition, train_targets=labels, declaration=declared, train_columns=people)
    assert learnt_labels(grouped, make_plan(grouped)).too_rare == ("anger",)
    alone = dataclasses.replace(competition, train_targets=labels)
    assert learnt_labels(alone, make_plan(alone)).too_rare == ()


def test_a_label_that_one_fold_has_alone_is_not_learnt(competition: Competition) -> None:
    """Folds of the user's own may put all rows of a label into one."""
    plan = make_plan(competition)
    folds = np.where(competition.train_targets[:, 1] == 1, 0, plan.folds).astype(np.int16)
    assert learnt_labels(competition, dataclasses.replace(plan, folds=folds)).too_rare == ("anger",)


def test_labels_that_are_not_learnt_are_said_ten_of_them_by_name() -> None:
    names = tuple(f"label_{number}" for number in range(13))
    assert rare_sentence(Learnt(names, np.ones(13, dtype=bool), 0.1), 5) is None
    said = rare_sentence(Learnt(names, np.arange(13) == 12, 0.1), 5)
    assert said is not None
    assert said.startswith(
        "fewer positive rows of different text or group than the 5 folds, or all in one fold: label_0, "
    )
    assert "label_9 and 2 more; not learnt, predicted by the constant 0.1" in said
