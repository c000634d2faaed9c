"""The log keeps whole lines whatever happens beside it, tells what changed, and never fails a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

import compete as compete_package
from compete.competition.starter import starter_folder
from compete.competition.workspace import Workspace
from compete.errors import StoreError, UserError
from compete.experiments import run_log
from compete.experiments.published import example_log, published_models
from compete.experiments.run_log import Run, note_runs, read_log, road, with_changes
from compete.reporting.log_csv import log_csv
from compete.stored_json import read_json
from compete.workflows.log import example, log
from support.in_process import in_process
from support.lived_in import build_stacks, copied, train_models


def ignored(sentence: str) -> None:
    pytest.fail(sentence)


def trained(name: str, honest: float | None, *, rate: str = "1", plan: str = "p", **more: object) -> Run:
    identity = {"fold plan": plan, "settings.rate": rate}
    return Run("train-base", "base model", name, metric="f1_macro", honest=honest, identity=identity, **more)  # type: ignore[arg-type]


def test_what_was_noted_is_read_again(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = trained("words", 0.5, low=0.4, high=0.6, naive=0.55, seconds=3.5, note="ένα")
    note_runs(workspace, [run], ignored)
    note_runs(workspace, [], ignored)
    (found,) = read_log(workspace).runs
    assert found.first and found.run.moment is not None
    assert abs(datetime.now(UTC) - found.run.moment) < timedelta(minutes=1)
    assert found.run == replace(run, when=found.run.when)
    assert read_log(Workspace(tmp_path / "none")).runs == []


def test_a_torn_line_is_passed_over_and_the_next_is_whole(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for name in ("first", "second"):
        note_runs(workspace, [trained(name, 0.5)], ignored)
    content = workspace.log.read_bytes()
    for cut in (1, 30, len(content) // 4):
        workspace.log.write_bytes(content[:-cut])
        note_runs(workspace, [trained("third", 0.6)], ignored)
        found = read_log(workspace)
        names = [each.run.name for each in found.runs]
        # A last line that only lacks its line break is whole.
        assert names == (["first", "second", "third"] if cut == 1 else ["first", "third"])
        assert found.damaged == ([] if cut == 1 else ["line 2 of log.jsonl is damaged, and was passed over"])


WRITER = """
import sys
from pathlib import Path
from compete.competition.workspace import Workspace
from compete.experiments.run_log import Run, note_runs
for number in range(40):
    run = Run("train-base", "base model", f"{sys.argv[2]}-{number}", identity={"settings.prompt": "x" * 20_000})
    note_runs(Workspace(Path(sys.argv[1])), [run], lambda why: sys.exit(why))
"""


def test_several_commands_write_at_once_and_one_is_killed(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name], stderr=subprocess.PIPE)
        for name in ("a", "b", "c")
    ]
    workspace = Workspace(tmp_path)
    while len(read_log(workspace).runs) < 10:
        assert writers[2].poll() is None or len(read_log(workspace).runs) >= 10
    writers[2].kill()
    assert [writer.wait(timeout=60) for writer in writers][:2] == [0, 0]
    for writer in writers:
        assert writer.stderr is not None
        writer.stderr.close()
    found = read_log(workspace)
    names = [each.run.name for each in found.runs]
    for name in ("a", "b"):
        assert [each for each in names if each.startswith(name)] == [f"{name}-{number}" for number in range(40)]
    assert len(found.damaged) <= 1  # of the one that was killed


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '"text"',
        '{"version": 1}',
        '{"version": 99}',
        "[" * 500 + "]" * 500,
        json.dumps({"version": 1, **vars(trained("words", 0.5))}).replace("0.5", "NaN"),
        json.dumps({"version": 1, **vars(trained("words", 0.5))}).replace('"words"', "7"),
        json.dumps({"version": 1, **vars(trained("words", 0.5)), "identity": {"a": 1}}),
        json.dumps({"version": 1, **vars(trained("words", 0.5)), "when": "yesterday"}),
        "x" * (run_log.MOST_LINE + 1),
    ],
)
def test_a_line_that_compete_never_writes_is_said(tmp_path: Path, line: str) -> None:
    workspace = Workspace(tmp_path)
    note_runs(workspace, [trained("words", 0.5)], ignored)
    workspace.log.write_text(f"{workspace.log.read_text(encoding='utf-8')}{line}\n", encoding="utf-8")
    found = read_log(workspace)
    assert [each.run.name for each in found.runs] == ["words"]
    assert found.damaged == ["line 2 of log.jsonl is damaged, and was passed over"]


def test_what_is_no_file_is_neither_written_nor_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine\n", encoding="utf-8")
    makers: list[Callable[[Path], None]] = [os.mkfifo, Path.mkdir, lambda path: path.symlink_to(outside)]
    for number, make in enumerate(makers):
        workspace = Workspace(tmp_path / str(number))
        workspace.root.mkdir()
        make(workspace.log)
        said: list[str] = []
        note_runs(workspace, [trained("words", 0.5)], said.append)
        assert len(said) == 1 and said[0].startswith("log.jsonl could not be written")
        with pytest.raises(StoreError, match=r"log\.jsonl cannot be read"):
            read_log(workspace)
    assert outside.read_text(encoding="utf-8") == "mine\n"


def test_a_log_that_cannot_be_written_fails_nothing(trained: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", refused)
    said: list[str] = []
    note_runs(trained, [Run("stack", "stack", "mean")], said.append)
    assert said == ["log.jsonl could not be written (Read-only file system): this run is not in it"]


def test_what_is_too_long_for_a_line_is_left_out(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    note_runs(workspace, [Run("stack", "stack", "mean", identity={"prompt": "x" * run_log.MOST_LINE})], ignored)
    (found,) = read_log(workspace).runs
    assert found.run.identity == {} and "too long" in found.run.note


def test_changes_are_told_since_the_last_run_of_the_same_name() -> None:
    runs = [trained("a", 0.5), trained("b", 0.5, rate="7"), trained("a", 0.5, rate="2"), Run("x", "base model", "a")]
    runs.append(trained("a", 0.5, rate="3", plan="0123456789abcdef"))
    assert [(each.first, list(each.changes)) for each in with_changes(runs)] == [
        (True, []),
        (True, []),
        (False, ["settings.rate: 1 -> 2"]),
        (False, []),
        (False, ["fold plan changed", "settings.rate: 2 -> 3"]),
    ]


def test_the_road_is_the_best_so_far() -> None:
    scores = [0.5, 0.4, 0.6, 0.6]
    runs = with_changes([trained("a", score) for score in scores])
    assert [(step.best, step.gained) for step in road(runs, 1, "f1_macro")] == [
        (0.5, None),
        (0.5, None),
        (0.6, pytest.approx(0.1)),
        (0.6, None),
    ]
    assert [step.best for step in road(runs, -1, "f1_macro")] == [0.5, 0.4, 0.4, 0.4]
    # Other rows, a submission and what has no score are no part of it.
    others = [trained("a", 0.9, plan="old"), Run("submit", "submission", "a", metric="f1_macro", honest=0.9)]
    every = with_changes([*others, trained("a", None), *(each.run for each in runs)])
    assert [step.score for step in road(every, 1, "f1_macro")] == scores
    # Nor is a score by another metric, whose direction nobody here knows.
    assert road(every, -1, "log_loss") == []
    assert road([], 1, "f1_macro") == []


@pytest.fixture
def lived(untouched: Workspace, tmp_path: Path) -> Workspace:
    """Trained, stacked, trained anew with another setting."""
    workspace = copied(untouched, tmp_path)
    train_models(workspace)
    build_stacks(workspace)
    recipe = workspace.recipe("words")
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("1.0", "1.5"), encoding="utf-8")
    train_models(workspace, ["words"])
    build_stacks(workspace)
    return workspace


def test_every_run_is_in_it(
    lived: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compete_package.open(lived.root, quiet=True).submit("words", again=True, allow_constant=True)
    compete_package.open(lived.root, quiet=True).scores(private=True)
    runs = read_log(lived).runs
    assert [(each.run.command, each.run.name) for each in runs] == [
        ("train-base", "words"),
        ("train-base", "words_smooth"),
        ("stack", "logistic"),
        ("train-base", "words"),
        ("stack", "logistic"),
        ("submit", "words"),
    ]
    again = runs[3]
    assert list(again.changes) == ["settings.smoothing: 1.0 -> 1.5"]
    score = read_json(lived.base_model("words").scores)
    assert (again.run.honest, again.run.low, again.run.naive) == (score["honest"], score["low"], score["naive"])
    assert runs[4].changes == ["base model words changed"]
    assert runs[5].run.honest == score["honest"] and runs[5].run.public is not None
    # What only looks writes nothing, and neither does what finds nothing to do.
    before = lived.log.read_bytes()
    train_models(lived)
    build_stacks(lived)
    run = in_process(lived.root, monkeypatch, capsys)
    for command in ("status", "log", "scores", "folds", "plan"):
        assert run(command).code == 0
    assert lived.log.read_bytes() == before

    told = run("log", "--model", "words", "--json").document
    assert [each["name"] for each in told["runs"]] == ["words"] * 3
    assert told["runs"][1]["changes"] == ["settings.smoothing: 1.0 -> 1.5"]
    best = max(each.run.honest or 0.0 for each in runs[:5])
    assert told["road"][-1]["best"] == best
    assert run("log", "--command", "stack", "--export", "log.csv").code == 0
    assert len(pd.read_csv(lived.root / "log.csv")) == 2
    assert "settings.smoothing: 1.0 -> 1.5" in " ".join(run("log").stdout.split())
    assert run("log", "--since", "2999-01-01").stdout == "no run is like that\n"
    assert run("log", "--since", "soon").code == 2
    assert run("log", "--example", "--model", "ffnn").code == 2
    opened = compete_package.open(lived.root, quiet=True)
    assert len(opened.log(command="submit").table) == 1
    assert "road" in opened.figures()


def test_a_run_that_failed_or_was_stopped_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from compete.workflows.train import train_base

    family = workspace.root / "families.py"
    text = family.read_text(encoding="utf-8")
    family.write_text(text.replace("        time.sleep", "        raise ValueError('no')\n        time.sleep"), "utf-8")
    assert train_base(workspace, ["words"], workers=0).failed is not None
    family.write_text(text, encoding="utf-8")
    train_base(workspace, ["words"], folds=[1], workers=0)

    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("compete.oof.work.assemble_if_complete", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_base(workspace, ["words_smooth"], workers=0)
    assert [(each.run.name, each.run.ended, each.run.honest, each.run.note) for each in read_log(workspace).runs] == [
        ("words", "failed", None, "not trained yet"),
        ("words", "done", None, "1 of 3 folds trained"),
        ("words_smooth", "stopped", None, ""),
    ]


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    runs = with_changes([Run("import", "base model", "=cmd|' /C calc'!A0", note="@x")])
    path = tmp_path / "log.csv"
    path.write_text(log_csv(runs), encoding="utf-8")
    row = pd.read_csv(path).iloc[0]
    assert (row["name"], row["note"]) == ("'=cmd|' /C calc'!A0", "'@x")


def test_a_moment_is_a_day_or_more(lived: Workspace) -> None:
    assert len(log(lived, since=datetime.now(UTC).date().isoformat()).table) == 5
    with pytest.raises(UserError, match="--since 'then'"):
        log(lived, since="then")


def test_the_published_models_are_an_example() -> None:
    found = example()
    assert [each.run.name for each in found.log.runs] == [each.name for each in published_models()]
    assert len(found.log.runs) == 10 and [each.published.model for each in published_models()] == list(range(1, 11))
    recipe = starter_folder() / "base_models" / "gemma_2b.toml"
    gemma = next(each.run for each in example_log().runs if each.run.name == "gemma_2b")
    assert f"validation = {gemma.naive}" in recipe.read_text(encoding="utf-8")
    assert found.steps[-1].best == gemma.public
