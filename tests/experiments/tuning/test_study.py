"""What is tried next, and what is remembered: the same however it was cut, nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from compete.competition.workspace import TuningFolder
from compete.errors import StoreError
from compete.experiments.tuning.space import Choices, Numbers, Space
from compete.experiments.tuning.stored import About, StudyRecord, read_trials, write_trials
from compete.experiments.tuning.study import BATCH, Study, every_study, key_of, open_storage
from compete.experiments.tuning.trial import Outcome

SPACE = Space({"C": Numbers(0.1, 10.0, log=True), "n": Numbers(1, 9, whole=True), "way": Choices(("a", "b"))})
SHIPPED = {"C": 1.0, "n": 3, "way": '"a"'}
ABOUT = About(
    "linear", {"seed": "1"}, {"rows": "x"}, "f1_macro", True, SPACE.record(), (0, 1), 3, False, 1.0, "full", 5
)


def worth(study: Study, number: int, fold: int = 0) -> Outcome:
    """A score that only the settings decide."""
    params = study.params(number)
    return Outcome(float(params["C"]) / 10 + int(params["n"]) / 100 + fold / 7, 1.5, {1: 0.5, 2: 0.4 + fold / 10})


def go_on(folder: Path, most: int, about: About = ABOUT, *, cut: Sequence[int] = ()) -> StudyRecord:
    """Try until there are `most` trials; the process dies in the middle of the batches that begin with those in cut."""
    with open_storage(TuningFolder(folder)) as storage:
        study = Study(storage, about, SPACE, SHIPPED)
        while numbers := study.batch(most):
            for number in numbers:
                study.tell(number, {fold: worth(study, number, fold) for fold in about.folds})
                if numbers[0] in cut:
                    return study.record
        return study.record


def tried(record: StudyRecord) -> list[tuple[int, dict[str, object], float | None]]:
    return [(trial.number, trial.settings, trial.score) for trial in record.trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    return go_on(tmp_path_factory.mktemp("whole"), 12)


def test_the_first_trial_is_the_recipe_itself_and_the_others_differ(whole: StudyRecord) -> None:
    assert whole.trials[0].settings == {"C": 1.0, "n": 3, "way": "a"}
    assert [trial.shipped for trial in whole.trials] == [True] + [False] * 11
    assert len({str(trial.settings) for trial in whole.trials}) == 12
    assert whole.as_shipped is whole.trials[0]
    assert [trial.state for trial in whole.trials] == ["done"] * 12


def test_the_best_is_the_one_with_the_best_score(whole: StudyRecord) -> None:
    scores = [trial.score or 0.0 for trial in whole.trials]
    assert whole.best is not None and whole.best.score == max(scores)
    worst = replace(whole, about=replace(whole.about, greater_is_better=False)).best
    assert worst is not None and worst.score == min(scores)


def test_a_tuning_that_was_cut_off_again_and_again_tries_the_same(tmp_path: Path, whole: StudyRecord) -> None:
    go_on(tmp_path, 3)  # a budget that ends within a batch
    go_on(tmp_path, 12, cut=[3])
    go_on(tmp_path, 12, cut=[4, 5])
    assert tried(go_on(tmp_path, 12)) == tried(whole)


def test_the_same_seed_tries_the_same_and_another_one_others(tmp_path: Path, whole: StudyRecord) -> None:
    assert tried(go_on(tmp_path, 4)) == tried(whole)[:4]
    other = go_on(tmp_path, 3, replace(ABOUT, seed=6))
    assert [t.settings for t in other.trials[1:]] != [t.settings for t in whole.trials[1:3]]


def test_a_proxy_is_asked_for_the_trials_of_what_it_stands_for(tmp_path: Path, whole: StudyRecord) -> None:
    proxy = go_on(tmp_path, BATCH, replace(ABOUT, folds=(0,), rows=0.3))
    assert [t.params for t in proxy.trials] == [t.params for t in whole.trials[:BATCH]]


def test_what_ran_when_the_process_was_ended_waits_and_is_the_same_trial(tmp_path: Path) -> None:
    with open_storage(TuningFolder(tmp_path)) as storage:
        before = Study(storage, ABOUT, SPACE, SHIPPED)
        numbers, params = before.batch(20), [before.params(number) for number in range(BATCH)]
    with open_storage(TuningFolder(tmp_path)) as storage:
        after = Study(storage, ABOUT, SPACE, SHIPPED)
        assert [trial.state for trial in after.record.trials] == ["waiting"] * BATCH
        assert after.batch(20) == numbers == [0, 1, 2, 3]
        assert [after.params(number) for number in numbers] == params
        assert len(after.record.trials) == BATCH


def test_given_up_failed_and_left_trials_are_told_apart(tmp_path: Path) -> None:
    with open_storage(TuningFolder(tmp_path)) as storage:
        study = Study(storage, ABOUT, SPACE, SHIPPED)
        study.batch(4)
        study.tell(0, {0: worth(study, 0), 1: worth(study, 0)})
        study.tell(1, {0: worth(study, 1), 1: Outcome(None, 2.0, {1: 0.9})})
        study.failed(2, "fold 0: no")
        study.wait(3)
        found = study.record.trials
        assert [trial.state for trial in found] == ["done", "given up", "failed", "waiting"]
        assert found[1].score is None and found[1].losses == {1: pytest.approx(0.7)}
        assert found[2].error == "fold 0: no"
        assert (study.ended, study.batch(4)) == (3, [3])


def test_medians_are_of_trials_that_ended_before_the_batch(tmp_path: Path) -> None:
    with open_storage(TuningFolder(tmp_path)) as storage:
        study = Study(storage, ABOUT, SPACE, SHIPPED)
        for _ in range(2):
            for number in study.batch(12):
                study.tell(number, {0: worth(study, number), 1: worth(study, number)})
                assert study.medians_for(number) == {}  # four are too few
        (first, *_) = study.batch(12)
        assert first == 8
        assert study.medians_for(first) == {1: 0.5, 2: 0.4}


def test_another_recipe_other_rows_or_another_space_are_another_study(tmp_path: Path) -> None:
    others = [
        replace(ABOUT, identity={"seed": "2"}),
        replace(ABOUT, rows_identity={"rows": "y"}),
        replace(ABOUT, space={"C": "1 to 2"}),
        replace(ABOUT, rows=0.5),
        replace(ABOUT, folds=(0,)),
        replace(ABOUT, size="miniature"),
    ]
    assert len({key_of(about) for about in [ABOUT, *others]}) == 7


def test_what_is_written_for_lookers_is_what_is_stored(tmp_path: Path) -> None:
    folder = TuningFolder(tmp_path)
    go_on(tmp_path, 2)
    go_on(tmp_path, 1, replace(ABOUT, seed=9))
    with open_storage(folder) as storage:
        studies = every_study(storage)
    write_trials(folder, studies)
    assert read_trials(folder) == studies
    assert [len(study.trials) for study in studies] == [2, 1]


@pytest.mark.parametrize(
    "content", ["", "[]", '{"studies": [{}]}', '{"studies": [{"key": 1, "about": 2, "trials": 3}]}']
)
def test_a_file_of_somebody_else_tells_nothing(tmp_path: Path, content: str) -> None:
    folder = TuningFolder(tmp_path)
    folder.trials.write_text(content, encoding="utf-8")
    assert read_trials(folder) == []


def test_a_storage_that_is_none_is_said(tmp_path: Path) -> None:
    folder = TuningFolder(tmp_path)
    folder.storage.write_text("no database", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot be read"), open_storage(folder):
        pass
    folder.storage.unlink()
    folder.storage.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link"), open_storage(folder):
        pass


def test_of_given_up_trials_those_with_the_lower_loss_are_the_better_to_the_sampler(tmp_path: Path) -> None:
    """Though the metric is maximised: nothing but given-up trials, whose loss is the lower the smaller C is."""
    with open_storage(TuningFolder(tmp_path)) as storage:
        study = Study(storage, ABOUT, Space({"C": Numbers(0.0, 10.0)}), None)
        for _ in range(8):
            for number in study.batch(32):
                loss = float(study.params(number)["C"])
                study.tell(number, {fold: Outcome(None, 1.0, {1: loss}) for fold in ABOUT.folds})
        tried_values = [trial.params["C"] for trial in study.record.trials]
        assert study.record.trials[0].losses == {1: pytest.approx(tried_values[0])}
    assert sum(tried_values[16:]) / 16 < 4


@pytest.mark.parametrize("shipped", [None, {"n": 2, "way": '"b"'}])
def test_a_finite_space_is_tried_once_and_then_ends(tmp_path: Path, shipped: dict[str, object] | None) -> None:
    space = Space({"n": Numbers(1, 3, whole=True), "way": Choices(("a", "b"))})
    with open_storage(TuningFolder(tmp_path)) as storage:
        study = Study(storage, ABOUT, space, shipped)
        while numbers := study.batch(30):
            for number in numbers:
                study.tell(number, {0: Outcome(float(study.params(number)["n"]), 1.0, {})})
        tried_params = [tuple(trial.params.items()) for trial in study.record.trials]
    assert len(tried_params) == len(set(tried_params)) == 6
