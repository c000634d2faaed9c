"""`tune` from its options to a recipe that trains: honest rows, resumption, refusals, provenance."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compete
from compete import atomic
from compete.base_models.recipes import load_recipe
from compete.competition.workspace import Workspace
from compete.errors import DeclarationError, StoreError, UserError
from compete.experiments.run_log import read_log
from compete.experiments.tuning import tuned_recipe
from compete.experiments.tuning.default_spaces import default_space
from compete.experiments.tuning.space import Space
from compete.experiments.tuning.stored import StudyRecord, read_trials
from compete.experiments.tuning.study import key_of
from compete.oof.fold_plan import with_plan
from compete.oof.state import State
from compete.workflows.compare import compare
from compete.workflows.session import load
from compete.workflows.status import status
from compete.workflows.submit import submit
from compete.workflows.train import train_base
from compete.workflows.tune import Tuning, _about, tune
from support.in_process import in_process
from support.lived_in import copied, train_models, write_linear_models
from support.one_model import edit

SPACE = "\n[tune]\nsmoothing = { low = 0.1, high = 20.0, log = true }\n"


def searchable(workspace: Workspace) -> Workspace:
    path = workspace.recipe("words")
    path.write_text(path.read_text(encoding="utf-8") + SPACE, encoding="utf-8")
    return workspace


def words(workspace: Workspace, trials: int = 4, **options: Any) -> Tuning:
    return tune(workspace, "words", trials=trials, workers=0, **options)


def told(found: Tuning) -> list[list[tuple[int, Any, float | None]]]:
    return [[(trial.number, trial.settings, trial.score) for trial in study.trials] for study in found.studies]


@pytest.fixture
def tiny(workspace: Workspace) -> Workspace:
    return searchable(workspace)


@pytest.fixture(scope="module")
def tuned(untouched: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Tuned plain, nested and cheaply, and all of it trained."""
    workspace = searchable(copied(untouched, tmp_path_factory.mktemp("tuned")))
    words(workspace, 5)
    words(workspace, 2, nested=True)
    words(workspace, 5, folds=1)
    train_models(workspace, ["words", "words_tuned", "words_tuned_nested"])
    return workspace


@pytest.fixture
def a_tuned(tuned: Workspace, tmp_path: Path) -> Workspace:
    return copied(tuned, tmp_path)


def studies(workspace: Workspace) -> list[StudyRecord]:
    return read_trials(workspace.tuning("words"))


# What comes of it.


def test_the_recipe_that_is_written_has_the_best_settings_and_says_what_was_searched(tuned: Workspace) -> None:
    last = next(study for study in studies(tuned) if not study.about.is_whole)  # the cheap one was the last to write
    raw = tomllib.loads(tuned.recipe("words_tuned").read_text(encoding="utf-8"))
    best = max(last.trials, key=lambda trial: trial.score or 0.0)
    assert raw["settings"] == best.settings
    assert raw["tuned"]["promise"] == pytest.approx(best.score)
    assert raw["tuned"]["of"] == "words" and "tune" not in raw


def test_the_comments_say_what_was_searched(tuned: Workspace) -> None:
    text = tuned.recipe("words_tuned_nested").read_text(encoding="utf-8")
    assert "#   smoothing: 0.1 to 20, log\n" in text
    assert "compete tune words --trials 2 --nested" in text
    for study in studies(tuned):
        if study.about.nested and study.best is not None:
            assert f"# Fold {study.about.folds[0]}: 2 trials (2 done)" in text


def test_every_fold_of_a_nested_recipe_is_trained_with_its_own_settings(tuned: Workspace) -> None:
    recipe = load_recipe(tuned, "words_tuned_nested")
    for study in studies(tuned):
        if study.about.nested:
            (fold,) = study.about.folds
            assert study.best is not None
            assert recipe.of_fold(fold).settings.model_dump() == study.best.settings
            part = json.loads(tuned.base_model("words_tuned_nested").part(fold).record.read_text(encoding="utf-8"))
            assert part["identity"]["settings.smoothing"] == str(study.best.settings["smoothing"])


def test_provenance_tells_which_folds_chose_the_settings(tuned: Workspace) -> None:
    states = status(tuned).states

    def tuned_on(name: str) -> list[list[int]]:
        seen = [states[name].seen(fold) for fold in range(3)]
        return [sorted(each.tuned_on) for each in seen if each is not None]

    assert tuned_on("words") == [[], [], []]
    # Of the cheap tuning, which wrote the recipe last: fold 0 is left alone.
    assert tuned_on("words_tuned") == [[1, 2]] * 3
    assert tuned_on("words_tuned_nested") == [[1, 2], [0, 2], [0, 1]]
    assert {name: state.flattered for name, state in states.items()} == {
        "words": [],
        "words_smooth": [],
        "words_tuned": [1, 2],
        "words_tuned_nested": [],
    }
    notices = [each for each in status(tuned).notices() if "promises a little too much" in each]
    assert len(notices) == 1 and notices[0].startswith("words_tuned: ") and "folds 1, 2" in notices[0]


def test_a_manifest_and_a_stack_say_it_too(a_tuned: Workspace) -> None:
    manifest = json.loads(a_tuned.base_model("words_tuned").record.read_text(encoding="utf-8"))
    assert [seen["tuned_on"] for seen in manifest["seen"]] == [[1, 2]] * 3
    said: list[str] = []
    from compete.workflows.stack import stack

    stack(a_tuned, ["logistic"], say=said.append)
    assert [each.split(":")[0] for each in said if "promises a little too much" in each] == ["words_tuned"]


@pytest.mark.parametrize("what", ["words_tuned", "logistic"])
def test_comparing_and_submitting_say_it_of_a_model_and_of_a_stack_with_it(a_tuned: Workspace, what: str) -> None:
    opened = compete.open(a_tuned.root, quiet=True)
    opened.stack("logistic")
    said: list[str] = []
    compare(a_tuned, [what, "words"], say=said.append)
    submit(a_tuned, what, yes=True, say=said.append)
    told = [each for each in said if "promises a little too much" in each]
    assert len(told) == 2 and all(each.startswith("words_tuned: ") for each in told)


def test_a_later_tuning_with_the_same_outcome_marks_the_folds_that_it_has_seen(a_tuned: Workspace) -> None:
    file = a_tuned.recipe("words_tuned")
    text = file.read_text(encoding="utf-8")
    assert "folds = [1, 2]" in text
    file.write_text(text.replace("folds = [1, 2]", "folds = [0, 1, 2]"), encoding="utf-8")
    state = status(a_tuned).states["words_tuned"]
    assert (state.state, state.flattered) == (State.FRESH, [0, 1, 2])


def test_the_proxy_says_its_rank_correlation_recomputed_from_the_trials(tuned: Workspace) -> None:
    found = words(tuned, 5, folds=1)  # nothing is tried any more
    (proxy,) = [each for each in found.proxies if each.what == "--folds 1"]
    full, cheap = (
        {json.dumps(t.settings): t.score or 0.0 for t in s.done} for s in studies(tuned) if not s.about.nested
    )
    common = [key for key in full if key in cheap]
    one, other = (np.argsort(np.argsort([scores[key] for key in common])).astype(float) for scores in (full, cheap))
    assert proxy.common == len(common) == 5
    assert proxy.correlation == pytest.approx(float(np.corrcoef(one, other)[0, 1]))


def test_the_table_has_a_row_per_trial(tuned: Workspace) -> None:
    table = words(tuned, 2, nested=True).trials
    assert len(table) == 6
    assert list(table.columns) == ["state", "score", "seconds", "as_shipped", "smoothing"]
    assert list(table.loc[0].index) == [0, 1]


def test_the_log_has_a_line_for_every_call_that_tried_something(tuned: Workspace) -> None:
    runs = [each.run for each in read_log(tuned).runs if each.run.command == "tune"]
    assert runs and {(run.kind, run.name, run.ended) for run in runs} == {("tuning", "words", "done")}
    assert any(run.note.endswith("wrote words_tuned_nested") for run in runs)
    words(tuned, 2, nested=True)  # nothing new to try
    assert len([each for each in read_log(tuned).runs if each.run.command == "tune"]) == len(runs)


def test_a_trial_scores_what_hand_and_paper_give(tuned: Workspace) -> None:
    """The mean over folds of what is stored of each."""
    for study in studies(tuned):
        for trial in study.done:
            assert trial.score == pytest.approx(np.mean(list(trial.scores.values())))
            assert sorted(trial.scores) == list(study.about.folds)


# Honest rows.


def test_the_labels_of_a_fold_change_nothing_of_its_nested_tuning(tmp_path: Path, untouched: Workspace) -> None:
    """To the bit: trials, scores, the settings that are chosen. Folds are given, since else they depend on labels."""
    found = []
    for turned in (False, True):
        workspace = searchable(copied(untouched, tmp_path / str(turned)))
        lines = (workspace.root / "train.csv").read_text(encoding="utf-8").splitlines()
        rows = [f"{line},{number % 3}" for number, line in enumerate(lines[1:])]
        if turned:
            rows = [_turned(row) if row.endswith(",1") else row for row in rows]
        (workspace.root / "train.csv").write_text("\n".join([f"{lines[0]},part", *rows]) + "\n", encoding="utf-8")
        edit(workspace.declaration, "k = 3\nseed = 7", 'k = 3\ncolumn = "part"')
        found.append(words(workspace, 3, nested=True))
    before, after = ({s.about.folds[0]: s.trials for s in each.studies} for each in found)

    def of(trials: Any) -> list[Any]:
        return [(trial.settings, trial.score) for trial in trials]

    assert of(before[1]) == of(after[1])
    assert of(before[0]) != of(after[0]) and of(before[2]) != of(after[2])


def _turned(row: str) -> str:
    *rest, a, b, c, part = row.split(",")
    return ",".join([*rest, *(str(1 - int(cell)) for cell in (a, b, c)), part])


# The same again.


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trials_in_processes_and_here(
    tiny: Workspace, untouched: Workspace, tmp_path: Path
) -> None:
    other = searchable(copied(untouched, tmp_path / "other"))
    here, there = words(tiny, 5), tune(other, "words", trials=5, workers=2)
    assert told(here) == told(there)
    assert tiny.recipe("words_tuned").read_bytes() == other.recipe("words_tuned").read_bytes()


def test_the_same_command_again_tries_nothing_and_more_trials_go_on(a_tuned: Workspace) -> None:
    tried: list[int] = []
    before = told(words(a_tuned, 5, told=lambda study, trial: tried.append(trial.number)))
    assert tried == []
    after = told(words(a_tuned, 6, told=lambda study, trial: tried.append(trial.number)))
    assert tried == [5]
    assert after[0][:5] == before[0]


def test_results_of_recipes_that_were_not_tuned_stay_as_they_were(trained: Workspace) -> None:
    """Neither [tune] nor a tuning is part of an identity."""
    before = load_recipe(trained, "words").identity()
    searchable(trained)
    assert load_recipe(trained, "words").identity() == before
    words(trained, 1)
    states = status(trained).states
    assert (states["words"].state, states["words_smooth"].state) == (State.FRESH, State.FRESH)
    parts = [trained.base_model("words").part(fold).record for fold in range(3)]
    assert all("tuned_on" not in part.read_text(encoding="utf-8") for part in parts)


def test_a_setting_of_one_fold_makes_that_fold_stale_alone(a_tuned: Workspace) -> None:
    own = load_recipe(a_tuned, "words_tuned_nested").declaration.settings_of_fold[1]["smoothing"]
    path = a_tuned.recipe("words_tuned_nested")
    head, mark, tail = path.read_text(encoding="utf-8").partition("[settings_of_fold.1]")
    edited = tail.replace(f"smoothing = {own}", "smoothing = 3.25", 1)
    path.write_text(head + mark + edited, encoding="utf-8")
    state = status(a_tuned).states["words_tuned_nested"]
    assert [part.state for part in state.parts] == [State.FRESH, State.STALE, State.FRESH]
    assert state.state is State.STALE
    trained = train_base(a_tuned, ["words_tuned_nested"], workers=0)
    assert trained.status.states["words_tuned_nested"].state is State.FRESH


# Being killed.

KILLED = """
import sys
from pathlib import Path
from compete.competition.workspace import Workspace
from compete.workflows.tune import tune
tune(Workspace(Path(sys.argv[1])), "words", trials=6, workers=2)
"""


def killed_at(workspace: Workspace, seconds: float) -> bool:
    """Start a tuning, and end its process so many seconds after it began its first trial; whether it was at work."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(workspace.root)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    storage, began = workspace.tuning("words").storage, time.monotonic()
    while not storage.exists() and process.poll() is None and time.monotonic() - began < 60:
        time.sleep(0.01)
    time.sleep(seconds)
    was_at_work = process.poll() is None
    if was_at_work:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return was_at_work


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5])
def test_a_tuning_that_was_killed_goes_on_and_loses_and_doubles_nothing(
    tiny: Workspace, untouched: Workspace, tmp_path: Path, seconds: float
) -> None:
    edit(tiny.recipe("words"), "smoothing = 1.0", "smoothing = 1.0\nseconds = 0.1")
    undisturbed = searchable(copied(untouched, tmp_path / "undisturbed"))
    edit(undisturbed.recipe("words"), "smoothing = 1.0", "smoothing = 1.0\nseconds = 0.1")
    killed_at(tiny, seconds)
    resumed = words(tiny, 6)
    assert told(resumed) == told(words(undisturbed, 6))
    with sqlite3.connect(tiny.tuning("words").storage) as database:
        states = database.execute("select number, state from trials order by number").fetchall()
    assert states == [(number, "COMPLETE") for number in range(6)]


# What is refused.

REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"trials": 0}, "--trials 0: a tuning takes at least one trial"),
    ({"trials": -3}, "--trials -3"),
    ({"hours": 0.0}, "--hours 0: there is no time for a single trial"),
    ({"hours": float("nan")}, "--hours nan"),
    ({"rows": 0.0}, "--rows 0: it is a share"),
    ({"rows": 1.5}, "--rows 1.5"),
    ({"folds": 4}, "--folds 4: the fold plan has 3"),
    ({"folds": 0}, "--folds 0"),
    ({"nested": True, "folds": 1}, "--folds is of plain tuning"),
    ({"seed": -1}, "--seed -1"),
    ({"workers": -1}, "workers = -1"),
]


@pytest.mark.parametrize(("options", "message"), REFUSALS)
def test_options_that_mean_nothing_are_refused_by_name(tiny: Workspace, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tune(tiny, "words", **{"workers": 0, **options})
    assert not tiny.tunings.exists()


def test_a_budget_that_is_known_to_be_too_small_is_refused_before_anything_runs(trained: Workspace) -> None:
    searchable(trained)
    with pytest.raises(UserError, match="too little for one trial"):
        tune(trained, "words", hours=1e-9, workers=0)
    assert not trained.tunings.exists()


def test_a_budget_that_turns_out_too_small_is_said(tiny: Workspace) -> None:
    with pytest.raises(UserError, match="the time was too short for a single trial"):
        tune(tiny, "words", hours=1e-7, workers=0)
    assert not tiny.recipe("words_tuned").exists()
    assert words(tiny, 1).promise > 0  # what waits is tried by the next


def test_recipes_that_cannot_be_tuned_are_refused_by_name(tiny: Workspace) -> None:
    write_linear_models(tiny)
    with pytest.raises(UserError, match=r"no recipe base_models/wrds\.toml; did you mean 'words'"):
        tune(tiny, "wrds")
    with pytest.raises(UserError, match=r"no recipe base_models/words_as_published\.toml"):
        tune(tiny, "words_as_published")
    with pytest.raises(UserError, match=r"words_smooth\.toml: family families\.py:Words has no space"):
        tune(tiny, "words_smooth")
    path = tiny.recipe("nbsvm")
    path.write_text(path.read_text(encoding="utf-8") + '[pseudo_labels]\nteachers = ["linear"]\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"nbsvm\.toml: \[pseudo_labels\]: its teachers have seen the rows"):
        tune(tiny, "nbsvm")
    with pytest.raises(UserError, match=r"no recipe base_models/\.\./words\.toml"):
        tune(tiny, "../words")


def test_what_a_tuning_made_is_not_tuned_itself(a_tuned: Workspace) -> None:
    with pytest.raises(UserError, match=r"words_tuned\.toml was made by tuning words"):
        tune(a_tuned, "words_tuned")


def test_folds_on_scales_of_their_own_are_warned_of(tiny: Workspace) -> None:
    """And no default searches them fold by fold."""
    write_linear_models(tiny)
    linear = load_recipe(tiny, "linear")
    assert "class_weights" in default_space(linear)
    assert "class_weights" not in default_space(linear, is_nested=True)
    path = tiny.recipe("linear")
    space = '\n[tune]\nclass_weights = { choices = ["none", "sqrt"] }\n'
    path.write_text(path.read_text(encoding="utf-8") + space, encoding="utf-8")
    said: list[str] = []
    tune(tiny, "linear", trials=1, nested=True, workers=0, say=said.append)
    assert any("warning: tune.class_weights: folds that differ in it" in each for each in said)


def test_two_folds_are_too_few(tiny: Workspace) -> None:
    edit(tiny.declaration, "k = 3", "k = 2")
    with pytest.raises(UserError, match=r"folds\.k = 2: tuning takes 3 folds at least"):
        words(tiny)


def test_a_space_with_a_mistake_is_refused_and_hinders_no_training(tiny: Workspace) -> None:
    edit(tiny.recipe("words"), "low = 0.1", "low = 0.0")
    with pytest.raises(DeclarationError, match=r"tune\.smoothing: low = 0\.0 has no logarithm"):
        words(tiny)
    assert train_base(tiny, ["words"], workers=0).failed is None


def test_a_file_that_is_not_its_own_is_never_written_over(tiny: Workspace) -> None:
    path = tiny.recipe("words_tuned")
    path.write_text('family = "linear"\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"words_tuned\.toml is not a file that `compete tune` wrote"):
        words(tiny)
    assert path.read_text(encoding="utf-8") == 'family = "linear"\n'


def test_a_tuned_recipe_that_was_edited_is_left_alone(a_tuned: Workspace) -> None:
    path = a_tuned.recipe("words_tuned")
    path.write_text(path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    with pytest.raises(UserError, match="was edited since `compete tune` wrote it"):
        words(a_tuned, 7)
    assert path.read_text(encoding="utf-8").endswith("# mine\n")


def test_a_tuned_recipe_whose_base_was_edited_is_not_trained(a_tuned: Workspace) -> None:
    edit(a_tuned.recipe("words"), "smoothing = 1.0", "smoothing = 2.0")
    message = r"words_tuned\.toml: base_models/words\.toml was edited since it was tuned"
    with pytest.raises(UserError, match=message):
        train_base(a_tuned, ["words_tuned"], workers=0, force=True)
    # It stands for itself without the line, and is marked all the same.
    path = a_tuned.recipe("words_tuned")
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("base = ")]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert train_base(a_tuned, ["words_tuned"], workers=0, force=True).failed is None
    assert status(a_tuned).states["words_tuned"].flattered == [1, 2]


def test_what_is_no_part_of_a_result_is_no_edit_of_the_base(a_tuned: Workspace) -> None:
    path = a_tuned.recipe("words")
    path.write_text(f'description = "other words"\n{path.read_text(encoding="utf-8")}', encoding="utf-8")
    edit(path, "high = 20.0", "high = 30.0")
    assert train_base(a_tuned, ["words_tuned"], workers=0, force=True).failed is None


def test_settings_of_folds_that_there_are_none_of_are_refused(tiny: Workspace) -> None:
    path = tiny.recipe("words")
    path.write_text(path.read_text(encoding="utf-8") + "[settings_of_fold.3]\nsmoothing = 2.0\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"settings_of_fold\.3: the fold plan has folds 0 to 2"):
        train_base(tiny, ["words"], workers=0)
    with pytest.raises(UserError, match="has settings of its own for single folds"):
        words(tiny)


def test_a_mistake_in_the_settings_of_a_fold_is_named(tiny: Workspace) -> None:
    write_linear_models(tiny)
    path = tiny.recipe("linear")
    path.write_text(path.read_text(encoding="utf-8") + "[settings_of_fold.1]\nC = -2.0\n", encoding="utf-8")
    with pytest.raises(DeclarationError, match=r"settings_of_fold\.1\.C: found -2\.0, should be greater than 0"):
        load_recipe(tiny, "linear")
    edit(path, "C = -2.0", 'checkpoint = "other"')
    with pytest.raises(DeclarationError, match=r"settings_of_fold\.1\.checkpoint"):
        load_recipe(tiny, "linear")


def test_trials_that_fail_are_told_and_the_others_count(tiny: Workspace) -> None:
    smooth = '        assert self.settings.smoothing < 5, "too smooth"\n'
    edit(tiny.root / "families.py", "        time.sleep", f"{smooth}        time.sleep")
    found = words(tiny, 8)
    failed = [trial for trial in found.studies[0].trials if trial.state == "failed"]
    assert failed and all("AssertionError: too smooth" in trial.error for trial in failed)
    assert all(trial.settings["smoothing"] < 5 for trial in found.studies[0].done)
    edit(tiny.root / "families.py", "< 5", "< 0")
    with pytest.raises(UserError, match="every trial failed; the first: fold 0: AssertionError: too smooth"):
        words(tiny, 2)


# As a command, and in Python.


def test_the_command_prints_its_document(
    a_tuned: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = in_process(a_tuned.root, monkeypatch, capsys)
    ran = run("tune", "words", "--trials", "5", "--workers", "0", "--json")
    assert ran.code == 0, ran.stderr
    assert ran.document["written"] == "words_tuned"
    (study,) = ran.document["studies"]
    assert len(study["trials"]) == 5
    assert ran.document["promise"] == max(trial["score"] for trial in study["trials"])
    table = run("tune", "words", "--trials", "5", "--workers", "0")
    assert "as shipped: smoothing = 1.0" in table.stdout and "written: base_models/words_tuned.toml" in table.stdout
    wrong = run("tune", "words", "--trials", "0")
    assert (wrong.code, "Traceback" in wrong.stderr) == (2, False)
    assert "--trials 0" in wrong.stderr


def test_an_opened_workspace_tunes_and_shows_the_figures(a_tuned: Workspace) -> None:
    opened = compete.open(a_tuned.root, quiet=True)
    seen: list[float] = []
    found = opened.tune("words", trials=6, workers=0, progress=lambda fraction, doing: seen.append(fraction))
    assert found.written == "words_tuned" and seen[-1] == 1.0
    names = [name for name in opened.figures() if name.startswith("tuning_")]
    assert names == [
        "tuning_history_words_tuned",
        "tuning_slices_words_tuned",
        "tuning_history_words_tuned_nested",
        "tuning_slices_words_tuned_nested",
        "tuning_promise_words",
    ]
    for name in names:
        assert opened.figure(name).axes


def test_a_workspace_without_a_tuning_has_no_figure_of_one(trained: Workspace) -> None:
    opened = compete.open(trained.root, quiet=True)
    assert not [name for name in opened.figures() if name.startswith("tuning")]


@pytest.mark.slow
def test_a_net_is_given_up_by_epoch_and_written_for_its_size(tiny: Workspace, untouched: Workspace) -> None:
    recipe = (
        'family = "ffnn"\n[settings]\nepochs = 4\nmembers = 1\nmin_df = 1\nembedding_size = 8\nhidden = [8]\n'
        "[miniature]\nepochs = 3\n"
        "[tune]\nlearning_rate = { low = 1e-6, high = 0.05, log = true }\n"
    )
    tiny.recipe("net").write_text(recipe, encoding="utf-8")
    small = Workspace(tiny.root, "miniature")
    found = tune(small, "net", trials=12, folds=1, workers=0)
    states = [trial.state for trial in found.studies[0].trials]
    assert "given up" in states[8:] and "given up" not in states[:8]
    assert all(1 <= len(trial.losses) <= 3 for trial in found.studies[0].trials)
    raw = tomllib.loads(tiny.recipe("net_tuned").read_text(encoding="utf-8"))
    best = found.best[None]["learning_rate"]
    # Tried at size miniature, and in force at the competition's own size too.
    assert raw["settings"]["learning_rate"] == best and raw["miniature"]["learning_rate"] == best
    assert raw["tuned"]["folds"] == [1, 2]


def test_a_tuning_that_was_killed_while_it_wrote_knows_either_recipe(
    a_tuned: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, write = a_tuned.recipe("words_tuned"), atomic.write_bytes
    for dies_before in (True, False):

        def dying(target: Path, content: bytes, before: bool = dies_before) -> None:
            if target != path or not before:
                write(target, content)
            if target == path:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(atomic, "write_bytes", dying)
            with pytest.raises(KeyboardInterrupt):
                words(a_tuned, 6)
        assert words(a_tuned, 6).written == "words_tuned"


def test_a_recipe_that_is_not_what_was_meant_leaves_the_earlier_one(
    a_tuned: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_tuned.recipe("words_tuned")
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(tuned_recipe, "nested_toml", lambda raw: 'family = "linear"\n')
        with pytest.raises(StoreError, match="could not be written as it was meant"):
            words(a_tuned, 6)
    assert path.read_bytes() == before
    assert words(a_tuned, 6).written == "words_tuned"


def test_what_was_published_of_the_base_is_not_said_of_the_tuned_recipe(tiny: Workspace) -> None:
    edit(tiny.recipe("words"), "[tune]", "[published]\nvalidation = 0.5\n[tune]")
    words(tiny, 1)
    assert "published" not in tomllib.loads(tiny.recipe("words_tuned").read_text(encoding="utf-8"))


def test_other_files_of_the_checkpoint_and_other_rows_to_pretrain_on_begin_another_study(tiny: Workspace) -> None:
    folder = tiny.root / "own"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"a")
    (tiny.root / "more.csv").write_text("text\none\n", encoding="utf-8")
    tiny.recipe("net").write_text(
        'family = "sequence_classifier"\n[settings]\ncheckpoint = "own"\n[[pretrain_on]]\ntexts = ["more.csv"]\n',
        encoding="utf-8",
    )
    planned, space = with_plan(load(tiny, lambda said: None)), Space({})

    def key() -> str:
        recipe = load_recipe(tiny, "net")
        return key_of(_about(planned, recipe, space, (0,), nested=False, rows=1.0, seed=0))

    first = key()
    assert key() == first
    (folder / "model.safetensors").write_bytes(b"bb")
    second = key()
    (tiny.root / "more.csv").write_text("text\ntwo\n", encoding="utf-8")
    assert len({first, second, key()}) == 3
