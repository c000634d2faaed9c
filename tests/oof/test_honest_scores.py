from __future__ import annotations

import dataclasses
import json

import pytest

from compete.competition.data import Competition
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.honest_scores import LabelScore, Score, kept_score, score_from
from compete.stacking.scoring import base_model_score
from support.one_model import train_words

LABELS = {
    "joy": LabelScore(0.5, 0.25, 1 / 3, 0.4, 0.01, 0.1 + 0.2, -0.1, 0.5),
    "anger": LabelScore(1.0, 0.5, 2 / 3, None, None, 0.0, 0.0, 0.0),
}


def test_a_record_survives_json_unchanged() -> None:
    decision = {"thresholds": [0.1 + 0.2, 0.5]}
    score = Score("f1_macro", 0.1 + 0.2, 0.25, 0.35, 2 / 3, (0.3, 1 / 3), decision, LABELS)
    assert score_from(json.loads(json.dumps(score.record()))) == score
    assert list(score.record()["labels"]) == ["joy", "anger"]


@pytest.mark.parametrize(("low", "worth"), [(0.001, True), (0.0, False), (-0.01, False)])
def test_a_threshold_is_worth_tuning_if_its_gain_is_more_than_noise(low: float, worth: bool) -> None:
    assert dataclasses.replace(LABELS["joy"], gain_low=low).worth_tuning is worth


@pytest.mark.parametrize("key", ["of", "metric", "low", "naive", "repeats", "decision", "labels"])
def test_a_file_that_lacks_a_part_or_is_of_another_version_is_not_used(competition: Competition, key: str) -> None:
    train_words(competition)
    base_model_score(with_plan(competition), "words")
    folder = competition.workspace.base_model("words")
    record = json.loads(folder.scores.read_text(encoding="utf-8"))
    without = {name: value for name, value in record.items() if name != key}
    for wrong in (without, {**without, "of": ["-1", *record["of"][1:]]}):
        folder.scores.write_text(json.dumps(wrong), encoding="utf-8")
        assert kept_score(folder, "f1_macro", store.read_record(folder)) is None
