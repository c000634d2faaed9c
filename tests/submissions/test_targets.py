from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.manner import Manner
from compete.competition.metrics import METRICS
from compete.competition.workspace import Workspace
from compete.errors import DataError, SubmissionError
from compete.submissions.csv_file import CheckedFile, Form, read_values, submission_form
from compete.submissions.ledger import Outcome
from compete.submissions.targets import LocalLeaderboard, make_target, what_keeps_from_scoring
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
        root / "solution.csv", submission_form(competition), METRICS["f1_macro"]
    )
    text = (root / "competition.toml").read_text(encoding="utf-8")
    (root / "competition.toml").write_text('metric = "log_loss"\n' + text.split("[submission]")[0], encoding="utf-8")
    target = make_target(load_competition(competition.workspace))
    assert isinstance(target, LocalLeaderboard)
    assert (target.solution, target.metric) == (None, METRICS["log_loss"])


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
