"""Every mistake gives one clear message and exit code 2, and nothing that was there is lost."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from compete.competition.data import load_competition
from compete.competition.workspace import Workspace
from support.in_process import Ran, Run, in_process
from support.other_tasks import TEMPLATE, of_another_task

pytestmark = pytest.mark.slow

TRAIN = ("train-base", "--all", "--workers", "0")


@pytest.fixture
def compete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """What is refused is refused by the process that was called: a process of its own, once, is enough."""
    return in_process(tmp_path, monkeypatch, capsys)


@dataclass(frozen=True)
class Mistake:
    """Replace `old` by `new` in a file of the tiny workspace; `said` must be in the message."""

    file: str
    old: str
    new: str
    said: tuple[str, ...]


DECLARATION = "competition.toml"
MISTAKES = {
    "a missing file": Mistake(DECLARATION, '"train.csv"', '"trian.csv"', ("trian.csv", "does not exist")),
    "a wrong separator": Mistake(DECLARATION, "[data]", '[data]\nseparator = ";"', ("a comma", 'separator = ","')),
    "a duplicate id": Mistake("train.csv", "a0001,", "a0000,", ("duplicate id", "'a0000'", "rows 1, 2")),
    "a wrong metric": Mistake(DECLARATION, "[data]", 'metrik = "f1"\n[data]', ("metrik", "did you mean 'metric'")),
    "an unknown column": Mistake(DECLARATION, 'text = "text"', 'text = "tekst"', ("did you mean 'text'",)),
    "overlapping ids": Mistake("test.csv", "b0000,", "a0000,", ("in train and in test", "a0000")),
    "ids unlike the sample": Mistake("sample.csv", "b0000,", "b9999,", ("sample.csv", "'b0000' only in test")),
    "an unknown key in a recipe": Mistake(
        "base_models/words.toml", "smoothing", "smothing", ("base_models/words.toml", "did you mean 'smoothing'")
    ),
    "an unknown family": Mistake(
        "base_models/words.toml", "families.py:Words", "lineer", ("'lineer'", "did you mean 'linear'")
    ),
    "a family that is not there": Mistake(
        "base_models/words.toml", ":Words", ":Wordz", ("families.py has no class 'Wordz'",)
    ),
    "a family that does not import": Mistake("families.py", "import time", "import tme", ("cannot be imported", "tme")),
    "too many folds": Mistake(DECLARATION, "k = 3", "k = 230", ("folds.k: found 230", "less than or equal to 100")),
    "broken TOML": Mistake(DECLARATION, "k = 3", "k = ", ("competition.toml is not valid TOML", "line")),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(workspace: Workspace, compete: Run, name: str) -> None:
    _make(workspace, MISTAKES[name])
    _one_clear_message(compete("train-base", "--all"), *MISTAKES[name].said)
    assert not list(workspace.oof.rglob("oof.parquet"))


def test_a_mistake_ends_the_process_with_its_message_alone(workspace: Workspace) -> None:
    """The exit code that a shell sees, and nothing of Python's around the message."""
    _make(workspace, MISTAKES["a missing file"])
    command = [sys.executable, "-m", "compete.cli.main", "train-base", "--all"]
    ran = subprocess.run(command, cwd=workspace.root, capture_output=True, encoding="utf-8", timeout=300, check=False)
    _one_clear_message(Ran(ran.returncode, ran.stdout, ran.stderr), *MISTAKES["a missing file"].said)
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(("value", "said"), [("2", "is '2'"), ("", "is empty"), ("perhaps", "is 'perhaps'")])
def test_a_label_that_is_no_label(workspace: Workspace, compete: Run, value: str, said: str) -> None:
    path = workspace.root / "train.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[5] = lines[5].rsplit(",", 1)[0] + f",{value}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    _one_clear_message(compete("train-base", "--all"), "row 5 (a0004)", f"trust {said}")


def test_an_empty_text_is_an_error_in_train_and_a_warning_in_test(workspace: Workspace, compete: Run) -> None:
    for name in ("test.csv", "train.csv"):
        path = workspace.root / name
        lines = path.read_text(encoding="utf-8").splitlines()
        cells = lines[3].split(",")
        lines[3] = ",".join([cells[0], "", *cells[2:]])
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        ran = compete(*TRAIN)
        if name == "test.csv":
            assert ran.code == 0, ran.stderr
            assert "1 empty text in the test set, first row 3 (b0002)" in ran.stderr
        else:
            _one_clear_message(ran, "empty text", "row 3 (a0002)")


def test_an_edited_competition_lists_what_became_stale(trained: Workspace, compete: Run) -> None:
    path = trained.declaration
    path.write_text(path.read_text(encoding="utf-8").replace("seed = 7", "seed = 8"), encoding="utf-8")
    kept = {p: p.read_bytes() for p in trained.oof.rglob("*.parquet")}
    for command in (TRAIN, ("stack",), ("submit", "words")):
        _one_clear_message(compete(*command), "folds.seed: 7 -> 8", "stale: words, words_smooth")
    assert {p: p.read_bytes() for p in trained.oof.rglob("*.parquet")} == kept
    assert compete(*TRAIN, "--replace-stale").code == 0
    # Alarms are allowed: two models on folds of 80 rows can look like anything.
    assert compete("stack", "--allow", "words", "--allow", "words_smooth").code == 0


@pytest.mark.parametrize("content", [b"", b"PAR1 torn", b"id,joy\na0000,0.5\n"])
def test_a_damaged_or_foreign_file_in_oof(trained: Workspace, compete: Run, content: bytes) -> None:
    victim = trained.oof / "words" / "oof.parquet"
    victim.write_bytes(content)
    for command in (TRAIN, ("stack",), ("submit", "words")):
        _one_clear_message(compete(*command), "oof/words/oof.parquet", "--force")
    assert victim.read_bytes() == content  # it may be somebody's: nothing replaces it unasked
    assert "damaged" in compete("status").stdout
    assert compete("train-base", "words", "--force", "--workers", "0").code == 0
    assert compete("stack").code == 0


def test_a_foreign_fold_plan(trained: Workspace, compete: Run) -> None:
    plan = trained.oof / "folds.parquet"
    plan.write_bytes((trained.oof / "words" / "oof.parquet").read_bytes())
    _one_clear_message(compete(*TRAIN), "oof/folds.parquet is damaged")
    plan.unlink()
    again = compete(*TRAIN)
    assert again.code == 0
    assert " jobs" not in again.stderr  # the same plan again: everything is still fresh


def test_bom_line_ends_quotes_and_newlines_work(workspace: Workspace, compete: Run) -> None:
    path = workspace.root / "train.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[2].split(",")
    lines[2] = f'{cells[0]},"he said ""no"", twice\r\nand left",{",".join(cells[2:])}'
    path.write_bytes(("\ufeff" + "\r\n".join(lines) + "\r\n").encode())
    ran = compete(*TRAIN)
    assert ran.code == 0, ran.stderr


def _make(workspace: Workspace, mistake: Mistake) -> None:
    path = workspace.root / mistake.file
    before = path.read_text(encoding="utf-8")
    assert mistake.old in before
    path.write_text(before.replace(mistake.old, mistake.new, 1), encoding="utf-8")


def _one_clear_message(ran: Ran, *said: str) -> None:
    assert ran.code == 2, ran.stdout + ran.stderr
    assert ran.stderr.count("error: ") == 1
    assert "Traceback" not in ran.stderr
    for part in said:
        assert part in ran.stderr


NUMBERS = [f"{number / 7:.2f}" for number in range(60)]
REGRESSION = ('task = "regression"', f'{TEMPLATE}\nlabels = "x"')
OF_TASKS = {
    "a class seen once": (
        ('task = "multiclass"', f'{TEMPLATE}\nlabels = "x"', "", "x", [*["good", "bad"] * 30, "odd"]),
        ("folds.k = 3", "fewer are there of 'odd' (1 row)"),
    ),
    "grades with a gap": (
        ('task = "ordinal"', f'{TEMPLATE}\nlabels = "x"', "", "x", ["1", "2", "4", "5"] * 15),
        ("the grades are 1, 2, 4, 5: no row has 3", "data.grades = [1, 2, 4, 5]"),
    ),
    "a constant target": (
        ('task = "regression"', f'{TEMPLATE}\nlabels = ["x", "y"]', "", "x,y", [f"{cell},1.5" for cell in NUMBERS]),
        ("y is 1.5 in every row", "Leave it out of data.labels"),
    ),
    "targets that are NaN": (
        (*REGRESSION, "", "x", [*NUMBERS, "nan", "", "NA"]),
        ("a number is expected", "row 61 (a0060): x is 'nan'", "row 62 (a0061): x is empty"),
    ),
    "one group": (
        (*REGRESSION, 'groups = "g"', "g,x", [f"all,{cell}" for cell in NUMBERS]),
        ("folds.groups = 'g'", "1 group", "Lower folds.k, or group by another column"),
    ),
    "a missing fold": (
        (*REGRESSION, 'column = "f"', "f,x", [f"{2 * (row % 3)},{cell}" for row, cell in enumerate(NUMBERS)]),
        ("folds.column: f has 0, 2, 4: fold 1 is missing", "Number the folds without gaps"),
    ),
    "no times": (
        (*REGRESSION, 'time = "t"', "t,x", [f"never,{cell}" for cell in NUMBERS]),
        ("folds.time: t is 'never' in row 1",),
    ),
    "one time": (
        (*REGRESSION, 'time = "t"', "t,x", [f"2024-01-01,{cell}" for cell in NUMBERS]),
        ("folds.time: t is '2024-01-01' in every row",),
    ),
    "a template that names no column": (
        ('task = "regression"', 'text = "{tittle}: {body}"\nlabels = "x"', "", "x", NUMBERS),
        ("train.csv lacks a column", "'tittle': did you mean 'title'? (known: body, id, title, x)"),
    ),
    "a separator that parts nothing": (
        ('task = "multilabel"', f'{TEMPLATE}\nlabels = "x"\nlabel_separator = ";"', "", "x", ["joy|fear", "joy"] * 30),
        ("label_separator = ';' parts no cell of x", 'label_separator = "|" under [data]'),
    ),
    "a sample that fits no reading": (
        ('task = "multiclass"', f'{TEMPLATE}\nlabels = "x"', "", "x", ["good", "bad"] * 30),
        ("expected id, bad, good", "What was tried:", "a row per id and class: ", "a column of class names: "),
    ),
}


@pytest.mark.parametrize("name", OF_TASKS)
def test_a_mistake_of_a_task_is_named(workspace: Workspace, compete: Run, name: str) -> None:
    (top, data, folds, columns, cells), said = OF_TASKS[name]
    kept = {path: path.read_bytes() for path in workspace.root.glob("base_models/*")}
    sample = (workspace.root / "sample.csv").read_text(encoding="utf-8") if "sample" in name else ""
    of_another_task(workspace, top, data, columns, cells, folds, sample)
    for command in (("folds",), ("train-base", "--all")):
        _one_clear_message(compete(*command), *said)
    assert not list(workspace.oof.rglob("*.parquet"))
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_class_of_the_second_file_alone_is_a_class(workspace: Workspace, compete: Run) -> None:
    of_another_task(workspace, 'task = "multiclass"', f'{TEMPLATE}\nlabels = "x"', "x", ["good", "bad"] * 30)
    rows = [f"c{number:04d},more {number},body {number},odd" for number in range(6)]
    (workspace.root / "more.csv").write_text("\n".join(["id,title,body,x", *rows, ""]), encoding="utf-8")
    text = workspace.declaration.read_text(encoding="utf-8")
    workspace.declaration.write_text(text.replace('"train.csv"', '["train.csv", "more.csv"]'), encoding="utf-8")
    assert compete("folds").code == 0
    assert load_competition(workspace).labels == ("bad", "good", "odd")
