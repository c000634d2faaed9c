from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compete.base_models.recipes import load_recipe
from compete.competition.data import Competition, load_competition
from compete.competition.workspace import Workspace
from compete.errors import StoreError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.job import make_job, run
from compete.oof.state import ModelState, State, changed_by_competition, model_state, stored_models
from compete.oof.survey import survey
from compete.oof.work import choose_recipes, default_workers, find_work, train

pytestmark = pytest.mark.slow


def train_words(competition: Competition, *folds: int) -> None:
    train(find_work(competition, choose_recipes(competition, ["words"]), folds), InlineExecutor())


def state_of(competition: Competition, name: str = "words", with_recipe: bool = True) -> ModelState:
    planned = with_plan(competition)
    recipe = load_recipe(competition.workspace, name) if with_recipe else None
    return model_state(competition.workspace, name, recipe, planned.identity, planned.plan.k)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def write_imported(competition: Competition, name: str = "mate") -> None:
    n_labels = len(competition.labels)
    half = store.Predictions(
        np.full((len(competition.train_ids), n_labels), 0.5, dtype=np.float32),
        np.full((len(competition.test_ids), n_labels), 0.5, dtype=np.float32),
    )
    record = {"kind": "imported", "identity": with_plan(competition).identity}
    store.write_model(competition.workspace.base_model(name), half, competition.shape, record)


def test_nothing_is_there_at_first(competition: Competition) -> None:
    state = state_of(competition)
    assert (state.state, state.folds_done, state.seconds, state.reasons) == (State.MISSING, 0, 0.0, [])


def test_a_trained_model_is_fresh(competition: Competition) -> None:
    train_words(competition)
    state = state_of(competition)
    assert (state.state, state.kind, state.folds_done) == (State.FRESH, "trained", 3)
    assert state.seconds == pytest.approx(sum(part.record["seconds"] for part in state.parts))


def test_a_partly_trained_model_is_missing_with_its_folds_counted(competition: Competition) -> None:
    train_words(competition, 0, 2)
    state = state_of(competition)
    assert (state.state, state.folds_done) == (State.MISSING, 2)
    assert [part.state for part in state.parts] == [State.FRESH, State.MISSING, State.FRESH]


def test_all_folds_without_the_models_own_files_are_not_fresh(competition: Competition) -> None:
    """A run that died between the last fold and putting the folds together."""
    train_words(competition)
    folder = competition.workspace.base_model("words")
    for path in (folder.oof, folder.test, folder.record):
        path.unlink()
    state = state_of(competition)
    assert (state.state, state.folds_done) == (State.MISSING, 3)
    train_words(competition)
    assert state_of(competition).state is State.FRESH


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("smoothing = 1.0", "smoothing = 2.5", "settings.smoothing: 1.0 -> 2.5"),
        ("smoothing = 1.0", "smoothing = 1.0\nseconds = 0.001", "settings.seconds: not set -> 0.001"),
        ("[settings]", "seed = 7\n[settings]", "seed: 42 -> 7"),
    ],
)
def test_an_edited_recipe_makes_stale_and_says_what(competition: Competition, old: str, new: str, reason: str) -> None:
    train_words(competition)
    edit(competition.workspace.recipes / "words.toml", old, new)
    state = state_of(competition)
    assert (state.state, state.reasons, state.folds_done) == (State.STALE, [reason], 0)
    assert changed_by_competition(state, with_plan(competition).identity) == []


@pytest.mark.parametrize("text", ['description = "said anew"\n', "outside_all = true\n", "# a comment\n"])
def test_an_edit_that_no_probability_depends_on_changes_nothing(competition: Competition, text: str) -> None:
    train_words(competition)
    recipe = competition.workspace.recipes / "words.toml"
    recipe.write_text(text + recipe.read_text(encoding="utf-8"), encoding="utf-8")
    assert state_of(competition).state is State.FRESH


def test_an_edited_family_file_makes_stale(competition: Competition) -> None:
    train_words(competition)
    edit(competition.workspace.root / "families.py", "scale=0.01", "scale=0.02")
    state = state_of(competition)
    assert (state.state, state.reasons) == (State.STALE, ["family source changed"])


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("competition.toml", "seed = 7", "seed = 8", "folds.seed: 7 -> 8"),
        ("train.csv", "happy", "cheerful", "train texts changed"),
        ("test.csv", "happy", "cheerful", "test texts changed"),
    ],
)
def test_an_edited_competition_makes_stale(
    competition: Competition, file: str, old: str, new: str, reason: str
) -> None:
    train_words(competition)
    edit(competition.workspace.root / file, old, new)
    found = survey(competition.workspace)
    state = found.states["words"]
    assert (state.state, state.reasons) == (State.STALE, [reason])
    assert found.plan_changes == ([] if file == "test.csv" else [reason])


def test_it_is_said_whether_the_competition_or_the_recipe_changed(competition: Competition) -> None:
    train_words(competition)
    edit(competition.workspace.root / "test.csv", "happy", "cheerful")
    edit(competition.workspace.recipes / "words.toml", "smoothing = 1.0", "smoothing = 2.0")
    changed = load_competition(competition.workspace)
    state = state_of(changed)
    assert sorted(state.reasons) == ["settings.smoothing: 1.0 -> 2.0", "test texts changed"]
    rows = with_plan(changed).identity
    assert changed_by_competition(state, rows) == ["test texts changed"]


@pytest.mark.parametrize("name", ["oof.parquet", "test.parquet", "manifest.json"])
def test_a_damaged_model_names_the_file(competition: Competition, name: str) -> None:
    train_words(competition)
    path = competition.workspace.oof / "words" / name
    path.write_bytes(path.read_bytes()[:-20])
    state = state_of(competition)
    assert state.state is State.DAMAGED
    assert len(state.reasons) == 1 and state.reasons[0].startswith(str(path))


def test_a_damaged_fold_of_an_unfinished_model_is_damaged(competition: Competition) -> None:
    train_words(competition, 1)
    competition.workspace.base_model("words").part(1).test.unlink()
    state = state_of(competition)
    assert (state.state, state.folds_done) == (State.DAMAGED, 0)
    assert "test.parquet is missing" in state.reasons[0]


def test_a_trained_model_without_its_recipe_says_so(competition: Competition) -> None:
    train_words(competition)
    state = state_of(competition, with_recipe=False)
    assert state.state is State.ORPHAN
    assert "there is no base_models/words.toml" in state.reasons[0]


def test_a_model_whose_files_were_being_written_is_to_be_put_together_again(competition: Competition) -> None:
    """A kill between oof.parquet and manifest.json leaves the marker, and nothing that is anybody's."""
    train_words(competition)
    folder = competition.workspace.base_model("words")
    folder.record.unlink()
    folder.writing.touch()
    assert state_of(competition).whole.state is State.MISSING
    work = find_work(competition, choose_recipes(competition, ["words"]))
    assert work.jobs == []
    assert train(work, InlineExecutor()) == ["words"]
    assert state_of(competition).state is State.FRESH
    assert not folder.writing.exists()


def test_an_imported_model_is_fresh_stale_or_damaged_as_a_whole(competition: Competition) -> None:
    write_imported(competition)
    state = state_of(competition, "mate", with_recipe=False)
    assert (state.state, state.kind, state.folds_done, len(state.parts)) == (State.FRESH, "imported", 3, 3)
    edit(competition.workspace.root / "test.csv", "happy", "cheerful")
    state = state_of(load_competition(competition.workspace), "mate", with_recipe=False)
    assert (state.state, state.folds_done, state.reasons) == (State.STALE, 0, ["test texts changed"])
    (competition.workspace.base_model("mate").oof).write_bytes(b"torn")
    assert state_of(competition, "mate", with_recipe=False).state is State.DAMAGED


def test_a_job_refuses_a_workspace_that_was_edited_meanwhile(competition: Competition) -> None:
    recipe = load_recipe(competition.workspace, "words")
    identity = {**with_plan(competition).identity, **recipe.identity()}
    job = make_job(competition.workspace, recipe, 0, identity, threads=1)
    edit(recipe.path, "smoothing = 1.0", "smoothing = 2.0")
    with pytest.raises(StoreError, match=r"edited while it was trained: settings\.smoothing: 1\.0 -> 2\.0"):
        run(job.payload, lambda fraction: None)
    assert stored_models(competition.workspace) == []


def test_only_folders_that_hold_something_are_models(workspace: Workspace) -> None:
    assert stored_models(workspace) == []
    for name in (
        "words/fold_0",
        "another/logs",
        "stacks/logistic",
        ".hidden/fold_0",
        ".compete-tmp-7-words/x",
        "empty",
    ):
        (workspace.oof / name).mkdir(parents=True)
    (workspace.oof / "folds.parquet").write_bytes(b"a file")
    assert stored_models(workspace) == ["words"]  # a log alone is no result


def test_jobs_at_once_follow_gpus_then_memory_then_cores(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pretrained model takes gigabytes per job on a processor, so cores alone do not decide."""
    for name, checkpoint, on_all in (("small", "miniature:llama", "false"), ("large", "some/where", "true")):
        settings = f'checkpoint = "{checkpoint}"\nmodel_parallel = {on_all}\n'
        recipe = f'family = "sequence_classifier"\n[settings]\n{settings}'
        (workspace.recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")
    small, large = (load_recipe(workspace, name) for name in ("small", "large"))
    monkeypatch.setattr("compete.oof.work.usable_cores", lambda: 16)
    monkeypatch.setattr("compete.oof.work.processor_memory", lambda: 25 * 10**9)
    assert default_workers([small], []) == 16
    assert default_workers([small, large], []) == 3
    assert default_workers([small], ["0", "1"]) == 2
    assert default_workers([large], ["0", "1"]) == 1
    monkeypatch.setattr("compete.oof.work.processor_memory", lambda: 4 * 10**9)
    assert default_workers([large], []) == 1
