from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compete.competition.data import Competition, load_competition
from compete.competition.layouts import Layout
from compete.competition.manner import Manner
from compete.competition.metrics import METRICS, Metric
from compete.competition.shape import Targets
from compete.competition.task import Task
from compete.competition.workspace import Workspace
from compete.errors import DataError, SubmissionError
from compete.submissions.csv_file import CheckedFile, check, read_values
from compete.submissions.form import Form, submission_form
from compete.submissions.ledger import Ledger, NewSubmission, Outcome
from compete.submissions.targets import LocalLeaderboard, TrueColumns, make_target, what_keeps_from_scoring
from support.in_process import Run, in_process

pytestmark = pytest.mark.slow

SOLUTION = "id,joy,trust,Usage\nb1,1,0,Public\nb2,0,1,Private\nb3,1,1,Public\nb4,0,0,Private\n"
# Public rows b1 and b3: all right. Private rows b2 and b4: every cell wrong.
SENT = "id,trust,joy\nb4,1,1\nb3,1,1\nb2,0,1\nb1,0,1\n"
FORM = Form(["id", "joy", "trust"], ["b1", "b2", "b3", "b4"], decisions=True)


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    (tmp_path / "sent.csv").write_text(SENT, encoding="utf-8")
    return tmp_path / "sent.csv"


def read(path: Path, form: Form = FORM) -> CheckedFile:
    """The file as a leaderboard gets it; here in any order of rows and columns."""
    return CheckedFile(path, "", read_values(path, form))


def leaderboard(folder: Path, solution: str = SOLUTION) -> LocalLeaderboard:
    (folder / "solution.csv").write_text(solution, encoding="utf-8")
    return LocalLeaderboard(folder / "solution.csv", FORM, METRICS["f1_macro"])


def test_rows_are_scored_by_their_usage_in_any_order(sent: Path) -> None:
    target = leaderboard(sent.parent)
    outcome = target.send(read(sent), "message")
    assert outcome == Outcome("scored", "sent.csv", public=1.0, private=None)
    assert target.private_outcome(read(sent), METRICS["f1_macro"], outcome) == Outcome(
        "scored", "sent.csv", public=1.0, private=0.0
    )


def test_a_metric_of_probabilities_is_scored_on_them(sent: Path) -> None:
    sent.write_text("id,trust,joy\nb1,0.1,0.9\nb2,0.9,0.1\nb3,0.9,0.9\nb4,0.1,0.1\n", encoding="utf-8")
    target = leaderboard(sent.parent)
    target = LocalLeaderboard(target.solution, FORM, METRICS["log_loss"])
    assert target.send(read(sent), "message").public == pytest.approx(0.10536, abs=1e-5)  # -log(0.9)


def test_the_local_leaderboard_remembers_nothing(sent: Path) -> None:
    target = leaderboard(sent.parent)
    target.send(read(sent), "message")
    assert target.find("message", datetime(2024, 3, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: re.sub(",[^,]*$", "", s, flags=re.MULTILINE),
            "is no solution file: it lacks Usage. It needs the id",
        ),
        (lambda s: re.sub(",[^,]*,[^,]*$", "", s, flags=re.MULTILINE), "it lacks trust, Usage"),
        (
            lambda s: s.replace("b4,0,0,Private", "b4,0,0,Secret"),
            r"must both occur.* found \['Private', 'Public', 'Sec",
        ),
        (lambda s: s.replace("b4,0,0,Private", "b4,0,0,"), r"Usage must be Public, Private or Ignored.*found \[''"),
        (lambda s: s.replace("Private", "Public"), r"must both occur.* found \['Public'\]"),
        (lambda s: s.replace("b1,1", "b1,2"), r"row 1 \(b1\): joy is '2'"),
    ],
)
def test_a_bad_solution_is_refused_by_name(sent: Path, change: Callable[[str], str], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        leaderboard(sent.parent, change(SOLUTION)).send(read(sent), "message")
    assert str(sent.parent / "solution.csv") in str(caught.value)


def test_ids_of_the_solution_that_were_not_sent_are_an_error(sent: Path) -> None:
    more = SOLUTION + "b8,0,1,Private\nb9,0,1,Private\n"
    with pytest.raises(SubmissionError, match=r"no row for 2 ids of the solution \('b8'\)"):
        leaderboard(sent.parent, more).send(read(sent), "message")


def test_a_solution_that_is_not_there_is_named(sent: Path) -> None:
    target = LocalLeaderboard(sent.parent / "none.csv", FORM, METRICS["f1_macro"])
    with pytest.raises(DataError, match=r"none\.csv does not exist"):
        target.send(read(sent), "message")


def test_without_a_solution_nothing_is_scored_and_nothing_can_be_revealed(sent: Path) -> None:
    target = LocalLeaderboard(None, FORM, METRICS["f1_macro"])
    outcome = target.send(read(sent), "message")
    assert outcome == Outcome("sent", "sent.csv")
    with pytest.raises(SubmissionError, match=r"names no \[submission\] solution"):
        target.private_outcome(read(sent), METRICS["f1_macro"], outcome)


def test_the_target_is_the_one_that_is_declared(competition: Competition) -> None:
    root = competition.workspace.root
    assert make_target(competition) == LocalLeaderboard(
        root / "solution.csv",
        submission_form(competition),
        METRICS["f1_macro"].of(competition.task),
        TrueColumns("id", competition.label_columns),
    )
    text = (root / "competition.toml").read_text(encoding="utf-8")
    (root / "competition.toml").write_text('metric = "log_loss"\n' + text.split("[submission]")[0], encoding="utf-8")
    target = make_target(load_competition(competition.workspace))
    assert isinstance(target, LocalLeaderboard)
    assert (target.solution, target.metric) == (None, METRICS["log_loss"].of(competition.task))


def test_a_file_is_scored_as_the_sample_writes_it(sent: Path) -> None:
    target = leaderboard(sent.parent)
    form = replace(
        FORM, columns=["joy", "id", "trust"], id_at=1, manner=Manner(header="Joy, ID, trust", line_end="\r\n")
    )
    sent.write_bytes(b"Joy, ID, trust\r\n1,b1,0\r\n1,b3,1\r\n1,b4,1\r\n1,b2,0\r\n")
    assert replace(target, form=form).send(read(sent, form), "message").public == 1.0
    assert target.send(read(sent), "message").public == 1.0  # sent before the sample was exchanged


@pytest.mark.parametrize(
    "solution",
    [
        SOLUTION.replace("Public", "PUBLIC").replace("Private", " private"),
        SOLUTION.replace("Usage", " usage"),
        SOLUTION + "b5,0,1,Ignored\nb6,,nobody knows,ignored\n",
        SOLUTION + "b5,-1,-1,Public\nb6,-1,-1.0,Private\nb7,1,-1,Public\n",
        "\n".join([SOLUTION.split("\n")[0], *sorted(SOLUTION.split("\n")[1:], reverse=True)]),
        "Usage,trust,ID,joy\nPublic,0,b1,1\nPrivate,1,b2,0\nPublic,1,b3,1\nPrivate,0,b4,0\n",
    ],
    ids=["case", "header", "ignored", "not labelled", "other order", "other columns"],
)
def test_solutions_as_people_have_them(sent: Path, solution: str) -> None:
    """Rows that are not scored need not be sent, and their labels may be anything."""
    target = leaderboard(sent.parent, solution)
    outcome = target.send(read(sent), "message")
    assert (outcome.public, target.private_outcome(read(sent), METRICS["f1_macro"], outcome).private) == (1.0, 0.0)
    assert set(target.scored_ids()) == {"b1", "b2", "b3", "b4"}


def test_rows_without_labels_are_not_the_only_ones_of_their_half(sent: Path) -> None:
    """As of the toxic comments: a row with -1 was not labelled."""
    solution = "id,joy,trust,Usage\nb1,1,0,Public\nb2,-1,-1,Private\n"
    with pytest.raises(DataError, match=r"Public and Private must both occur .rows with a label of -1 are not counted"):
        leaderboard(sent.parent, solution).send(read(sent), "message")


def test_a_label_called_usage_is_told_from_the_column(sent: Path) -> None:
    form = Form(["id", "Usage", "usage"], ["b1", "b2", "b3"], decisions=True)
    solution = "id,Usage,part,usage\nb1,1,Public,0\nb2,0,Private,1\nb3,0,Public,1\n"
    sent.write_text("id,Usage,usage\nb1,1,0\nb2,1,0\nb3,0,1\n", encoding="utf-8")
    target = replace(leaderboard(sent.parent, solution), form=form)
    file = read(sent, form)
    outcome = target.send(file, "message")
    assert (outcome.public, target.private_outcome(file, METRICS["f1_macro"], outcome).private) == (1.0, 0.0)
    with pytest.raises(DataError, match="it lacks _Usage"):
        replace(leaderboard(sent.parent, re.sub("Public|Private", "1", solution)), form=form).send(file, "message")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda s: s.replace("b0000,0", "b0000,2"),
            r"solution\.csv: labels must be 0 or 1.*row 1 \(b0000\): joy is '2'",
        ),
        (lambda s: s.replace("Usage", "half").replace("Public", "first"), r"solution\.csv is no .* lacks Usage"),
        (lambda s: s.replace("b0003", "c3"), r"solution\.csv has 1 ids that are not in test \('c3'\)\.$"),
        (lambda s: s.replace("\nb", "\nB"), r"90 ids that are not in test \('B0000'\)\. The ids .* another case"),
        (lambda s: s, "^$"),
    ],
)
def test_what_keeps_from_scoring_is_known_before(
    competition: Competition, change: Callable[[str], str], said: str
) -> None:
    path = competition.workspace.root / "solution.csv"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert re.search(said, what_keeps_from_scoring(competition), re.DOTALL)


def test_a_solution_that_is_not_there_is_said_before_and_one_that_is_not_needed_is_not(workspace: Workspace) -> None:
    (workspace.root / "solution.csv").unlink()
    assert "solution.csv does not exist" in what_keeps_from_scoring(load_competition(workspace))
    text = workspace.declaration.read_text(encoding="utf-8")
    for change in ('target = "kaggle"\nkaggle = "tiny"\nsolution = "solution.csv"', ""):
        workspace.declaration.write_text(text.replace('solution = "solution.csv"', change), encoding="utf-8")
        assert what_keeps_from_scoring(load_competition(workspace)) == ""


@pytest.fixture
def compete(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(workspace.root, monkeypatch, capsys)


def test_it_is_said_when_a_command_loads_the_rows(compete: Run, workspace: Workspace) -> None:
    (workspace.root / "solution.csv").write_text("id,joy\n", encoding="utf-8")
    ran = compete("folds")
    assert ran.code == 0
    assert "warning: nothing can be scored: " in ran.stderr and "is no solution file: it lacks" in ran.stderr


def share_of_equal_cells(true: Targets, predicted: NDArray[np.generic]) -> float:
    """Any metric will do that tells wrong columns, wrong rows and wrong values."""
    assert true.shape == predicted.shape
    return float(np.mean(true.astype(np.float64) == predicted.astype(np.float64)))


EQUAL = Metric("mine.py:equal", "equal cells", None, True, share_of_equal_cells, (), "decisions")
MOODS = Task("multiclass", ("bad", "good", "so so"))
TWO = Task("regression", ("x", "y"))
GRADED = Task("ordinal", ("grade",), (-1.0, 0.0, 1.0))
SET = Task("multilabel", ("anger", "joy"))
LONG = Layout(
    "long",
    "value",
    rows=[("b1", "y"), ("b1", "x"), ("b2", "y"), ("b2", "x")],
    keys=[("b1_y",), ("b1_x",), ("b2_y",), ("b2_x",)],
    key_columns=("row",),
)
BY_ID = ["b1", "b2"]


@pytest.mark.parametrize(
    ("form", "true_columns", "sent", "solution"),
    [
        (
            Form(["id", "mood"], BY_ID, True, layout=Layout("class", "mood"), task=MOODS),
            TrueColumns("id", ["mood"]),
            "id,mood\nb1,so so\nb2,bad\n",
            "id,mood,Usage\nb1,so so,Public\nb2,good,Private\n",
        ),
        (  # the sample has the classes in another order, the solution one column as train has
            Form(["id", "so so", "bad", "good"], BY_ID, True, task=MOODS),
            TrueColumns("id", ["mood"]),
            "id,so so,bad,good\nb1,1,0,0\nb2,0,1,0\n",
            "id,mood,Usage\nb2,good,Private\nb1,so so,Public\n",
        ),
        (
            Form(["id", "so so", "bad", "good"], BY_ID, True, task=MOODS),
            TrueColumns("id", ["mood"]),
            "id,so so,bad,good\nb1,1,0,0\nb2,0,1,0\n",
            "id,bad,good,so so,Usage\nb1,0,0,1,Public\nb2,0,1,0,Private\n",
        ),
        (
            Form(["id", "labels"], BY_ID, True, layout=Layout("list", "labels", " "), task=SET),
            TrueColumns("id", ["labels"], "|"),
            "id,labels\nb1,joy anger\nb2,joy\n",
            "id,labels,Usage\nb1,anger|joy,Public\nb2,anger,Private\n",
        ),
        (
            Form(["id", "y", "x"], BY_ID, False, task=TWO),
            TrueColumns("id", ["x", "y"]),
            "id,y,x\nb1,2.5,-1\nb2,1,2\n",
            "ID,x,y,Usage\nb1,-1,2.5,Public\nb2,-1,-1,Private\n",
        ),
        (
            Form(["row", "value"], BY_ID, False, layout=LONG, task=TWO),
            TrueColumns("id", ["x", "y"]),
            "row,value\nb1_y,2.5\nb1_x,-1\nb2_y,1\nb2_x,2\n",
            "row,value,Usage\nb2_x,4,Private\nb1_x,-1,Public\nb2_y,3,Private\nb1_y,2.5,Public\n",
        ),
        (
            Form(["row", "value"], BY_ID, False, layout=LONG, task=TWO),
            TrueColumns("id", ["x", "y"]),
            "row,value\nb1_y,2.5\nb1_x,-1\nb2_y,1\nb2_x,2\n",
            "id,x,y,Usage\nb1,-1,2.5,Public\nb2,4,3,Private\n",
        ),
        (  # -1 is a grade, and the row that has it is scored
            Form(["id", "grade"], BY_ID, True, task=GRADED),
            TrueColumns("id", ["grade"]),
            "id,grade\nb1,-1\nb2,0\n",
            "id,grade,Usage\nb1,-1,Public\nb2,1,Private\n",
        ),
    ],
    ids=["class", "class per column", "one-hot", "list", "numbers", "long", "long, wide solution", "grades"],
)
def test_every_form_is_scored_against_a_solution_as_train_or_a_submission_has_it(
    tmp_path: Path, form: Form, true_columns: TrueColumns, sent: str, solution: str
) -> None:
    """The public row is right in every cell, of the private row at least two cells are wrong, or its only one."""
    (tmp_path / "sent.csv").write_text(sent, encoding="utf-8")
    (tmp_path / "solution.csv").write_text(solution, encoding="utf-8")
    target = LocalLeaderboard(tmp_path / "solution.csv", form, EQUAL, true_columns)
    file = check(tmp_path / "sent.csv", form)
    outcome = target.send(file, "message")
    private = target.private_outcome(file, EQUAL, outcome).private
    assert outcome.public == 1.0
    assert private == (1 / 3 if form.kind == "classes" else 0.0)
    assert sorted(target.scored_ids()) == BY_ID


@pytest.mark.parametrize(
    ("form", "solution", "said"),
    [
        (
            Form(["id", "mood"], BY_ID, True, layout=Layout("class", "mood"), task=MOODS),
            "id,mood,Usage\nb1,great,Public\nb2,good,Private\n",
            r"solution\.csv row 1: the class 'great' is in no training row",
        ),
        (
            Form(["id", "y", "x"], BY_ID, False, task=TWO),
            "id,x,y,Usage\nb1,-1,2.5,Public\nb2,,-1,Private\n",
            r"a number is expected\n  row 1 \(b2\): x is empty",
        ),
        (
            Form(["id", "grade"], BY_ID, True, task=GRADED),
            "id,grade,Usage\nb1,2,Public\nb2,1,Private\n",
            r"grades are -1, 0, 1\n  row 1 \(b1\): grade is '2'",
        ),
        (
            Form(["row", "value"], BY_ID, False, layout=LONG, task=TWO),
            "row,value,Usage\nb1_x,-1,Public\nb1_y,2.5,Public\nb2_y,3,Private\nb9_x,3,Private\n",
            r"solution\.csv has the row 'b9_x', which no submission has",
        ),
        (
            Form(["id", "y", "x"], BY_ID, False, task=TWO),
            "id,x,y,Usage\nb1,-1,2.5,Public\nb1,1,-1,Private\n",
            r"solution\.csv has the id 'b1' more than once",
        ),
    ],
)
def test_a_solution_of_another_task_is_refused_by_row(tmp_path: Path, form: Form, solution: str, said: str) -> None:
    (tmp_path / "solution.csv").write_text(solution, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        LocalLeaderboard(tmp_path / "solution.csv", form, EQUAL).scored_ids()


def test_a_metric_of_ones_own_reveals_its_private_scores_and_another_is_named(tmp_path: Path) -> None:
    form = Form(["id", "y", "x"], BY_ID, False, task=TWO)
    (tmp_path / "001_words.csv").write_text("id,y,x\nb1,2.5,-1\nb2,1,2\n", encoding="utf-8")
    (tmp_path / "solution.csv").write_text("id,x,y,Usage\nb1,-1,2.5,Public\nb2,2,0,Private\n", encoding="utf-8")
    target = LocalLeaderboard(tmp_path / "solution.csv", form, EQUAL)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    content = check(tmp_path / "001_words.csv", form).content
    sent = NewSubmission("local", "001_words.csv", content, "words", EQUAL.name, None, "", "", "message")
    ledger.record(ledger.add(sent, datetime(2024, 3, 1, tzinfo=UTC)), Outcome("scored", public=1.0))
    assert [entry.outcome.private for entry in target.reveal(ledger)] == [0.5]
    with pytest.raises(
        SubmissionError, match=r"number 1 was sent for the metric mine\.py:equal, which competition\.toml"
    ):
        replace(target, metric=METRICS["log_loss"]).reveal(ledger)
