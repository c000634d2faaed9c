from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compete.competition.declaration import CompetitionDeclaration
from compete.competition.metrics import METRICS
from compete.execution.devices import Device
from compete.oof.honest_scores import Score
from compete.oof.state import ModelState, PartState, State
from compete.oof.survey import Survey
from compete.planning.footprint import Footprint
from compete.planning.model_plan import Downloads, Estimate, Machine, ModelPlan, Verdict
from compete.planning.probe import Probe, Probed
from compete.planning.schedule import Schedule, Work
from compete.reporting.records import (
    finalists_record,
    plan_record,
    scores_record,
    status_record,
    submission_record,
    submit_record,
    to_json,
)
from compete.submissions.leaderboard.finalists import Finalist, Finalists
from compete.submissions.ledger import UNKNOWN, Entry, NewSubmission, Outcome

SCORE = Score("f1_macro", 0.5123456789012345, 0.49, 0.53, 0.55, (0.51, 0.52), {"thresholds": [0.3]}, {})
SENT = NewSubmission(
    "local", "001_a.csv", "c", "stack a", "f1_macro", 0.55, "plan", "abcd", "[tag] a", 0.5, 0.6, 0.45, 0.65, 0.44, 0.66
)
MOMENT = datetime(2024, 3, 1, 10, 5, tzinfo=timezone(timedelta(hours=1)))
ENTRY = Entry(1, MOMENT, SENT, Outcome("scored", "r", 0.5, 0.53), MOMENT)


def read(record: dict[str, Any]) -> Any:
    """The record as whoever reads the JSON gets it."""
    return json.loads(to_json(record), parse_constant=pytest.fail)


def test_numbers_keep_every_digit_and_what_is_no_number_is_null() -> None:
    values = [
        0.1 + 0.2,
        float("nan"),
        float("inf"),
        np.float32(0.5),
        np.int64(3),
        np.bool_(True),
        np.array([1.5, np.nan]),
    ]
    assert read({"of": values}) == {"of": [0.1 + 0.2, None, None, 0.5, 3, True, [1.5, None]]}


def test_times_are_utc_and_an_unknown_time_is_null() -> None:
    assert read({"at": MOMENT, "never": UNKNOWN}) == {"at": "2024-03-01T09:05:00+00:00", "never": None}


def test_paths_keys_and_states_are_text() -> None:
    record = read({"path": Path("a") / "b.csv", "state": State.ORPHAN, "by number": {3: "x"}, "label": "tristeté"})
    assert record == {"path": "a/b.csv", "state": "recipe gone", "by number": {"3": "x"}, "label": "tristeté"}


def test_the_document_is_indented_and_keeps_its_letters() -> None:
    assert to_json({"label": "é", "none": []}) == '{\n  "label": "é",\n  "none": []\n}'


def survey_of(*changes: str) -> Survey:
    declared = {
        "name": "toy",
        "data": {"train": "a.csv", "test": "b.csv", "id": "id", "text": "text", "labels": ["x", "y"]},
    }
    return Survey(CompetitionDeclaration.model_validate(declared), {}, {"linear": "linear"}, list(changes))


def test_status_tells_reasons_folds_warnings_and_scores() -> None:
    done = PartState(State.FRESH, record={"seconds": 1.25, "warnings": ["never predicted"]})
    stale = PartState(State.STALE, ("settings.C: 1 -> 2",), {"seconds": 2.5})
    states = {
        "linear": ModelState("linear", "trained", done, (done, done)),
        "mate": ModelState("mate", "imported", stale, (stale, stale)),
    }
    record = read(status_record(survey_of("folds.k: 5 -> 2"), states, {"linear": SCORE}))
    assert (record["competition"], record["metric"], record["size"]) == ("toy", "f1_macro", "full")
    assert record["plan_changes"] == ["folds.k: 5 -> 2"]
    linear, mate = record["models"]
    assert linear == {
        "name": "linear",
        "family": "linear",
        "kind": "trained",
        "state": "fresh",
        "reasons": [],
        "folds_done": 2,
        "folds": 2,
        "honest": 0.5123456789012345,
        "low": 0.49,
        "high": 0.53,
        "naive": 0.55,
        "seconds": 1.25,
        "warnings": [{"warning": "never predicted", "folds": [0, 1]}],
    }
    assert (mate["family"], mate["kind"], mate["state"]) == (None, "imported", "stale")
    assert (mate["reasons"], mate["folds_done"], mate["honest"]) == (["settings.C: 1 -> 2"], 0, None)


def test_a_submission_is_the_ledgers_row_with_its_gaps() -> None:
    record = read(submission_record(ENTRY))
    assert (record["number"], record["created"], record["source"]) == (1, "2024-03-01T09:05:00+00:00", "stack a")
    assert (record["validation"], record["public"], record["private"]) == (0.55, 0.5, 0.53)
    assert (record["public_low"], record["private_high"]) == (0.45, 0.66)
    assert record["public_minus_validation"] == 0.5 - 0.55
    assert record["private_minus_public"] == 0.53 - 0.5


def test_what_is_not_known_of_a_submission_is_null() -> None:
    unscored = replace(ENTRY, created=UNKNOWN, outcome=Outcome("pending"))
    record = read(submission_record(unscored))
    names = ("created", "public", "private", "public_minus_validation", "private_minus_public", "reference")
    assert [record[name] for name in names] == [None] * 6
    assert record["status"] == "pending"


def test_submitting_does_not_tell_the_private_score() -> None:
    text = to_json(submit_record("local", 90, ENTRY))
    assert "0.53" not in text
    assert "private" not in json.loads(text)["submission"]
    assert read(submit_record("local", 90, None)) == {"target": "local", "sent": False, "rows": 90, "submission": None}


def test_no_submissions_are_empty_lists() -> None:
    assert read(scores_record([], [])) == {"submissions": [], "reading": [], "exported": None}


def test_finalists_name_the_two_and_what_is_expected_of_all() -> None:
    second = replace(ENTRY, number=2, outcome=Outcome("sent"))
    first, other = Finalist(ENTRY, 0.0, 0.0, 0.75), Finalist(second, 0.01, 0.005, 0.25)
    found = Finalists(first, other, 0.001, None, [first, other], {7: "is damaged"})
    record = read(finalists_record(found, METRICS["f1_macro"], "kaggle toy", "https://page"))
    assert (record["select"], record["left_out"], record["page"]) == (
        [1, 2],
        [{"number": 7, "reason": "is damaged"}],
        "https://page",
    )
    assert (record["regret"], record["public_regret"]) == (0.001, None)
    known = [
        (c["number"], c["public"], c["behind"], c["behind_deviation"], c["best_probability"])
        for c in record["candidates"]
    ]
    assert known == [(1, 0.5, 0.0, 0.0, 0.75), (2, None, 0.01, 0.005, 0.25)]


def test_a_plan_is_in_bytes_and_an_unplanned_model_says_why() -> None:
    device = Device("processor", "processor", 16 * 10**9, False)
    footprint = Footprint(1, 20, 3, 4, 5, 6, 70, 8, 9, 10)
    slow, fast = (
        Estimate(Work(hours, 5), 1, Schedule(5 * hours, sessions)) for hours, sessions in ((3.0, 2), (2.0, 1))
    )
    verdict = Verdict(
        device,
        footprint,
        fits=False,
        changes={"micro_batch_size": 2},
        needed=50,
        estimate=slow,
        room_for={"gradient_checkpointing": False},
        roomier=fast,
    )
    plans = [
        ModelPlan("large", "some/one", verdicts=(verdict,), cards={24: 2}),
        ModelPlan("words", aside="no checkpoint"),
    ]
    probed = {"large": Probed(Probe(1.0, 0.25, 0.125, 10**9), 12.345678, 2), "words": Probed(why="nothing to probe")}
    record = read(plan_record(plans, Machine([device], 2, 5), probed, Downloads(7, Path("hub"), 100), None))
    assert record["machine"]["devices"] == [
        {"name": "processor", "kind": "processor", "memory": 16 * 10**9, "bfloat16": False}
    ]
    large, words = record["models"]
    (on_processor,) = large["devices"]
    assert (on_processor["fits"], on_processor["possible"], on_processor["changes"]) == (
        False,
        True,
        {"micro_batch_size": 2},
    )
    assert on_processor["estimate"] == {"hours": 15.0, "sessions": 2, "fold": 3.0, "gpus": 1}
    assert on_processor["room_for"] == {"gradient_checkpointing": False}
    assert on_processor["estimate_with_room"] == {"hours": 10.0, "sessions": 1, "fold": 2.0, "gpus": 1}
    assert (record["estimate"], record["machine"]["session"], record["machine"]["absent"]) == (None, None, False)
    assert on_processor["memory"]["training"] == footprint.training
    assert on_processor["memory"]["peak"] == footprint.peak
    assert large["gpus_needed"] == [{"memory_gib": 24, "gpus": 2}]
    assert (large["probe"]["hours"], large["probe"]["measured"]["trained_row"]) == (12.345678, 0.25)
    assert (words["aside"], words["devices"], words["disk"]) == ("no checkpoint", [], None)
    assert (words["probe"]["hours"], words["probe"]["why_not"]) == (None, "nothing to probe")
    assert record["downloads"] == {"size": 7, "folder": "hub", "free": 100}
