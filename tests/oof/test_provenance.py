"""What has seen a fold's labels never predicts its rows: students and teachers, imports, results from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compete.base_models.pretraining import Step
from compete.base_models.recipes import load_recipe, load_recipes
from compete.competition.data import load_competition
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.errors import ArchiveError, JobsFailedError, StoreError, UserError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.imported import ImportedFile, import_model
from compete.oof.job_archives import open_job, pack_job
from compete.oof.job_results import RESULT, bring_in, open_result, pack_result
from compete.oof.provenance import LeakError, Seen, leak_in, refuse_leak
from compete.oof.state import ModelState, PartState, State, pretraining_rows
from compete.oof.teachers import in_waves, taught
from compete.oof.work import choose_recipes, find_work, train
from compete.workflows.status import status
from compete.workflows.train import train_base
from support.one_model import edit, state_of, train_words

# Learns the labels of its rows and writes down all it is handed.
STUDENT = """
import json
import pathlib

import numpy as np
from pydantic import BaseModel


class Student:
    version = 1
    learns_soft_rows = True

    class Settings(BaseModel):
        diary: str

    def __init__(self, settings):
        self.diary = pathlib.Path(settings.diary)

    def fit(self, texts, labels, context):
        soft = context.soft
        handed = {
            "texts": list(texts),
            "labels": labels.tolist(),
            "soft": None if soft is None else [list(soft.texts), soft.targets.tolist(), soft.weights.tolist()],
        }
        (self.diary / f"{len(list(self.diary.glob('*.json')))}.json").write_text(json.dumps(handed))
        self.rate = labels.mean(axis=0)
        return self

    def predict_proba(self, texts):
        return np.tile(self.rate, (len(texts), 1)).astype(np.float32)
"""


@pytest.fixture
def diary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diary")


@pytest.fixture
def add_student(workspace: Workspace, diary: Path) -> Callable[..., None]:
    (workspace.root / "student.py").write_text(STUDENT, encoding="utf-8")

    def add(name: str = "student", teachers: tuple[str, ...] = ("words",), more: str = "") -> None:
        (workspace.recipes / f"{name}.toml").write_text(
            f'family = "student.py:Student"\n[settings]\ndiary = "{diary.as_posix()}"\n'
            f"[pseudo_labels]\nteachers = {list(teachers)}\n{more}\n",
            encoding="utf-8",
        )

    return add


def _work(workspace: Workspace, *names: str, folds: tuple[int, ...] = ()) -> Any:
    competition = load_competition(workspace)
    return find_work(competition, choose_recipes(competition, names), folds)


def _refused(workspace: Workspace, *names: str) -> str:
    with pytest.raises(UserError) as caught:
        _work(workspace, *names)
    return str(caught.value)


def _plant(workspace: Workspace, model: str, fold: int, seen: Seen) -> None:
    """A part whose own record says that it has seen this."""
    part = workspace.base_model(model).part(fold)
    record = store.read_record(part)
    store.write_record(part.record, {**record, "seen": seen.record()})


def test_what_has_seen_a_fold_may_not_predict_it() -> None:
    refuse_leak(Seen(frozenset({1, 2})), 0, "it")
    with pytest.raises(LeakError, match="seen the labels of fold 1, through a teacher"):
        refuse_leak(Seen(frozenset({1, 2}), through=("a teacher",)), 1, "it")


def test_who_learns_from_others_has_seen_what_they_have() -> None:
    joined = Seen.all_but(0, 3).joined([Seen(frozenset({0}), True, ("a",)), Seen(through=("b", "a"))])
    assert joined == Seen(frozenset({0, 1, 2}), True, ("a", "b"))
    assert Seen.read(joined.record()) == joined


@pytest.mark.parametrize(
    "record", [{}, {"folds": [1]}, {"folds": ["1"], "test_texts": False}, {"folds": [True], "test_texts": False}]
)
def test_what_is_told_in_no_way_that_is_understood_is_no_provenance(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="should be"):
        Seen.read(record)
    assert "cannot be told" in leak_in({"model": "m", "fold": 0, "seen": record})


def test_a_student_is_handed_test_rows_as_its_folds_teacher_sees_them_and_no_label_of_its_fold(
    workspace: Workspace, diary: Path, add_student: Callable[..., None]
) -> None:
    add_student(more="by_confidence = false")
    competition = load_competition(workspace)
    train_words(competition)
    train(_work(workspace, "student"), InlineExecutor())
    planned = with_plan(competition)
    said = []
    for fold in range(planned.plan.k):
        handed = json.loads((diary / f"{fold}.json").read_text())
        others = planned.plan.other_rows(fold)
        assert handed["texts"] == [competition.train_texts[row] for row in others]
        assert handed["labels"] == competition.train_targets[others].tolist()
        part = store.read_part(workspace.base_model("words").part(fold), planned.plan, competition.shape)
        texts, targets, weights = handed["soft"]
        assert texts == list(competition.test_texts)
        assert np.array_equal(np.array(targets, dtype=np.float32), part.test)
        assert weights == [0.5] * len(texts)
        said.append(part.test)
        record = store.read_record(workspace.base_model("student").part(fold))
        others_of_fold = sorted({0, 1, 2} - {fold})
        assert record["seen"] == {"folds": others_of_fold, "test_texts": True, "through": ["words"]}
    assert not np.array_equal(said[0], said[1])  # otherwise any fold's teacher would have passed


def test_a_teacher_that_says_it_saw_the_fold_is_refused(workspace: Workspace, add_student: Callable[..., None]) -> None:
    """All-fold pseudo-labels: one model of all rows, laid in for every fold."""
    add_student()
    train_words(load_competition(workspace))
    _plant(workspace, "words", 1, Seen(frozenset({0, 1, 2})))
    assert "words fold 1 has seen the labels of fold 1" in _refused(workspace, "student")
    planned = with_plan(load_competition(workspace))
    with pytest.raises(UserError, match="has seen the labels of fold 1"):
        taught(planned, load_recipe(workspace, "student"), 1, 1)
    assert state_of(planned.competition).state is State.DAMAGED
    with pytest.raises(StoreError, match="has seen the labels of fold 1"):
        _work(workspace, "words")


def test_a_stack_an_import_itself_and_an_unknown_name_are_no_teachers(
    workspace: Workspace, add_student: Callable[..., None]
) -> None:
    competition = load_competition(workspace)
    planned = with_plan(competition)
    _import(planned, workspace.root)
    for teacher, reason in {
        "logistic": "is a stack",
        "mate": "was imported",
        "student": "its own teacher",
        "wrods": "no recipe base_models/wrods.toml",
    }.items():
        add_student(teachers=(teacher,))
        with pytest.raises(UserError, match=r"student\.toml: pseudo_labels\.teachers") as caught:
            find_work(load_competition(workspace), [load_recipe(workspace, "student")])
        assert reason in str(caught.value)


def test_a_teacher_that_is_missing_or_stale_is_named(workspace: Workspace, add_student: Callable[..., None]) -> None:
    add_student()
    assert "folds 0, 1, 2 of words are not trained: `compete train-base words` first" in _refused(workspace, "student")
    train_words(load_competition(workspace), 0, 1)
    assert "fold 2 of words is not trained" in _refused(workspace, "student")
    train_words(load_competition(workspace))
    edit(workspace.recipes / "words.toml", "smoothing = 1.0", "smoothing = 3.0")
    assert "stale (settings.smoothing: 1.0 -> 3.0)" in _refused(workspace, "student")


def test_a_family_that_does_not_learn_from_soft_rows_is_refused(workspace: Workspace) -> None:
    with (workspace.recipes / "words_smooth.toml").open("a", encoding="utf-8") as file:
        file.write('[pseudo_labels]\nteachers = ["words"]\n')
    train_words(load_competition(workspace))
    assert "does not learn from soft targets" in _refused(workspace, "words_smooth")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "does not exist"),
        ("id,text,joy\n1,happy,1\n", "has labels (joy)"),
        ("id,body\n1,happy\n", "has no column text"),
        ("id,text\n", "row"),
    ],
)
def test_a_file_of_rows_without_labels_is_looked_at_before_training(
    workspace: Workspace, add_student: Callable[..., None], content: str | None, reason: str
) -> None:
    add_student(more='rows = "more.csv"')
    train_words(load_competition(workspace))
    if content is not None:
        (workspace.root / "more.csv").write_text(content, encoding="utf-8")
    message = _refused(workspace, "student")
    assert "more.csv" in message
    assert reason in message


def test_a_student_is_stale_when_its_teacher_was_trained_again_or_its_table_was_edited(
    workspace: Workspace, add_student: Callable[..., None]
) -> None:
    add_student()
    competition = load_competition(workspace)
    train_words(competition)
    train(_work(workspace, "student"), InlineExecutor())
    assert state_of(competition, "student").state is State.FRESH
    add_student(more="weight = 0.25")
    assert state_of(competition, "student").reasons == ["pseudo_labels.weight: 0.5 -> 0.25"]
    add_student()
    edit(workspace.recipes / "words.toml", "smoothing = 1.0", "smoothing = 3.0")
    train_words(competition)
    state = state_of(competition, "student")
    assert (state.state, state.reasons) == (State.STALE, ["its teacher words was trained again"])


def test_a_student_is_trained_after_its_teacher_in_one_call(
    workspace: Workspace, add_student: Callable[..., None]
) -> None:
    add_student("a_student", teachers=("b_student",))
    add_student("b_student")
    found = train_base(workspace, workers=0)
    assert found.failed is None
    assert {state.state for state in found.status.states.values()} == {State.FRESH}
    record = store.read_record(workspace.base_model("a_student").part(0))
    assert record["seen"]["through"] == ["b_student", "words"]


def test_a_students_mistake_is_told_before_its_teacher_is_trained(
    workspace: Workspace, add_student: Callable[..., None]
) -> None:
    add_student(more='rows = "more.csv"')
    with pytest.raises(UserError, match=r"more.csv does not exist"):
        train_base(workspace, ["words", "student"], workers=0)
    assert not workspace.base_model("words").part(0).record.exists()


def test_a_student_whose_teacher_failed_is_left(workspace: Workspace, add_student: Callable[..., None]) -> None:
    add_student()
    edit(workspace.root / "families.py", "self.rate = (", "raise RuntimeError('no')\n        self.rate = (")
    said: list[str] = []
    found = train_base(workspace, ["student", "words"], workers=0, say=said.append)
    assert isinstance(found.failed, JobsFailedError)
    assert "student is left for now: its teacher words is not trained" in said


def test_students_that_teach_each_other_are_one_error(workspace: Workspace, add_student: Callable[..., None]) -> None:
    add_student("one", teachers=("two",))
    add_student("two", teachers=("words", "one"))
    with pytest.raises(UserError, match="one learns from two learns from one"):
        in_waves(load_recipes(workspace, ["one", "two", "words"]))


def test_a_job_of_a_student_is_not_taken_elsewhere(
    workspace: Workspace, tmp_path: Path, add_student: Callable[..., None]
) -> None:
    add_student()
    train_words(load_competition(workspace))
    work = _work(workspace, "student")
    with pytest.raises(ArchiveError, match=r"student learns from its teachers' models \(words\)"):
        pack_job(work.planned, work.recipes[0], work.jobs[0], tmp_path / "it.job")


def test_a_result_that_says_it_saw_its_fold_does_not_come_in(workspace: Workspace, tmp_path: Path) -> None:
    competition = load_competition(workspace)
    train_words(competition)
    work = _work(workspace, "words_smooth", folds=(1,))
    pack_job(work.planned, work.recipes[0], work.jobs[0], tmp_path / "it.job")
    train(work, InlineExecutor())
    _plant(workspace, "words_smooth", 1, Seen(frozenset({1, 2})))
    pack_result(open_job(tmp_path / "it.job"), workspace, None, tmp_path / f"it{RESULT}")
    folder = workspace.base_model("words_smooth")
    folder.part(1).path.rename(tmp_path / "away")
    with pytest.raises(ArchiveError, match="does not come in: words_smooth fold 1 has seen the labels of fold 1"):
        bring_in(work.planned, open_result(tmp_path / f"it{RESULT}"))
    assert not folder.part(1).path.exists()


def _import(planned: Planned, root: Path, seen: Path | None = None) -> None:
    shape = planned.competition.shape
    half = [np.full((len(ids), len(shape.labels)), 0.5) for ids in (shape.train_ids, shape.test_ids)]
    for name, ids, matrix in zip(("oof", "test"), (shape.train_ids, shape.test_ids), half, strict=True):
        (root / f"mate_{name}.parquet").write_bytes(store.to_parquet(ids, matrix.astype(np.float32), shape.labels))
    of_oof, of_test = (ImportedFile(root / f"mate_{name}.parquet") for name in ("oof", "test"))
    import_model(planned, "mate", of_oof, of_test, force=True, seen=seen)


def _told(fold: int, *folds: int) -> dict[str, Any]:
    return {str(fold): {"folds": list(folds), "test_texts": True, "through": ["a friend"]}}


def test_what_an_import_tells_is_stored_and_shown(workspace: Workspace, tmp_path: Path) -> None:
    planned = with_plan(load_competition(workspace))
    _import(planned, workspace.root)
    assert status(workspace, ["mate"]).states["mate"].seen(0) is None
    path = tmp_path / "seen.json"
    path.write_text(json.dumps({**_told(0, 1, 2), **_told(1, 2), **_told(2, 0, 1)}))
    _import(planned, workspace.root, path)
    state = status(workspace, ["mate"]).states["mate"]
    assert state.state is State.FRESH
    assert state.seen(1) == Seen(frozenset({2}), True, ("a friend",))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps({**_told(0, 1), **_told(1, 0, 1), **_told(2)}), "mate fold 1 has seen the labels of fold 1"),
        (json.dumps({**_told(0, 1), **_told(1, 0)}), "does not say it of every fold"),
        (json.dumps({**_told(0, 1), **_told(1, 0), **_told(2, 7)}), "there is no fold 7"),
        (json.dumps({**_told(0, 1), **_told(1, 0), "2": {"folds": "all"}}), "fold 2: `folds` should be"),
        (json.dumps({**_told(0, 1), **_told(1, 0), "2": [1]}), "fold 2"),
        ("[1", "cannot be read"),
        (None, "does not exist"),
    ],
)
def test_an_import_that_has_seen_itself_or_tells_nonsense_is_refused(
    workspace: Workspace, tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "seen.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as caught:
        _import(with_plan(load_competition(workspace)), workspace.root, path)
    assert reason in str(caught.value)
    assert caught.value.exit_code == 2
    assert not workspace.base_model("mate").record.exists()


def test_a_whole_models_manifest_that_tells_of_a_leak_is_damaged(workspace: Workspace) -> None:
    competition = load_competition(workspace)
    train_words(competition)
    folder = workspace.base_model("words")
    record = store.read_record(folder)
    assert [each["folds"] for each in record["seen"]] == [[1, 2], [0, 2], [0, 1]]
    store.write_record(folder.record, {**record, "seen": [record["seen"][1], *record["seen"][1:]]})
    assert state_of(competition).state is State.DAMAGED


def test_rows_of_a_part_from_before_provenance_were_told(workspace: Workspace) -> None:
    competition = load_competition(workspace)
    train_words(competition)
    part = workspace.base_model("words").part(2)
    record = store.read_record(part)
    store.write_record(part.record, {key: value for key, value in record.items() if key not in ("seen", "sha256")})
    state = state_of(competition)
    assert state.parts[2].state is State.FRESH
    assert state.seen(2) == Seen.all_but(2, 3)


def test_another_workspace_that_cannot_be_read_hinders_who_trains_and_not_who_looks(workspace: Workspace) -> None:
    other = workspace.root / "other"
    other.mkdir()
    (other / "competition.toml").write_text("broken [", encoding="utf-8")
    recipe = load_recipe(workspace, "words")
    step = Step(workspace="other")
    declaration = recipe.declaration.model_copy(update={"pretrain_on": [step]})
    assert pretraining_rows(workspace, replace(recipe, declaration=declaration)) == [""]


def test_what_an_import_told_of_fewer_folds_is_not_known_of_the_others() -> None:
    told = {"kind": "imported", "seen": [Seen(frozenset({1})).record()]}
    whole = PartState(State.STALE, (), told)
    model = ModelState("mate", "imported", whole, (whole,) * 3)
    assert model.seen(0) == Seen(frozenset({1}))
    assert model.seen(2) is None
    assert "cannot be told" in leak_in({"seen": 5, "model": "mate"})
