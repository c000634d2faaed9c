from __future__ import annotations

import numpy as np
import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.workspace import Workspace
from compete.errors import StoreError
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.oof.state import State, changed_by_competition, stored_models
from compete.stacking.inventory import Inventory
from support.one_model import edit, state_of, train_words
from support.stacks import build_stack, train_models

pytestmark = pytest.mark.slow


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


def test_an_imported_model_is_fresh_stale_or_damaged_as_a_whole(competition: Competition) -> None:
    write_imported(competition)
    state = state_of(competition, "mate", with_recipe=False)
    assert (state.state, state.kind, state.folds_done, len(state.parts)) == (State.FRESH, "imported", 3, 3)
    edit(competition.workspace.root / "test.csv", "happy", "cheerful")
    state = state_of(load_competition(competition.workspace), "mate", with_recipe=False)
    assert (state.state, state.folds_done, state.reasons) == (State.STALE, 0, ["test texts changed"])
    (competition.workspace.base_model("mate").oof).write_bytes(b"torn")
    assert state_of(competition, "mate", with_recipe=False).state is State.DAMAGED


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


def test_a_declared_feature_concerns_only_what_looks_at_it(workspace: Workspace) -> None:
    """Base models of text alone, imported ones and stacks without features stay fresh; trees over columns do not."""
    for name in ("train", "test"):
        path = workspace.root / f"{name}.csv"
        rows = path.read_text(encoding="utf-8").splitlines()
        cells = [f"{row},{'year' if not number else 2000 + number % 7}" for number, row in enumerate(rows)]
        path.write_text("\n".join(cells) + "\n", encoding="utf-8")
    declared = workspace.declaration.read_text(encoding="utf-8")
    labels = 'labels = ["joy", "anger", "trust"]\n'
    workspace.declaration.write_text(declared.replace("[folds]", f"{labels}\n[folds]"), encoding="utf-8")
    text_only = 'family = "linear"\n[settings]\nchar_ngrams = []\nC = {}\n'
    recipes = {"linear": text_only.format(1), "other": text_only.format(2), "boosted": 'family = "lightgbm"\n'}
    for name, text in recipes.items():
        (workspace.recipes / f"{name}.toml").write_text(text, encoding="utf-8")
    before = load_competition(workspace)
    train_models(before, list(recipes))
    write_imported(before)
    (workspace.stack_recipes / "plain.toml").write_text('method = "mean"\n', encoding="utf-8")
    build_stack(before, "plain", ["linear", "other"])
    declared = workspace.declaration.read_text(encoding="utf-8")
    workspace.declaration.write_text(declared.replace(labels, labels + 'features = ["year"]\n'), encoding="utf-8")
    results = Inventory(with_plan(load_competition(workspace)))
    found = {name: state.state for name, state in results.states.items() if name not in ("words", "words_smooth")}
    assert found == {"linear": State.FRESH, "other": State.FRESH, "boosted": State.STALE, "mate": State.FRESH}
    assert "feature year" in " ".join(results.states["boosted"].reasons)
    assert results.find("plain").name == "plain"
    train_models(load_competition(workspace), ["linear"])  # nothing to do, and no refusal
    with pytest.raises(StoreError, match="feature year"):
        train_models(load_competition(workspace), ["boosted"])
