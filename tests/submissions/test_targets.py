from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.metrics import METRICS
from compete.errors import DataError, SubmissionError
from compete.submissions.ledger import Outcome
from compete.submissions.targets import LocalLeaderboard, make_target

SOLUTION = "id,joy,trust,Usage\nb1,1,0,Public\nb2,0,1,Private\nb3,1,1,Public\nb4,0,0,Private\n"
# Public rows b1 and b3: all right. Private rows b2 and b4: every cell wrong.
SENT = "id,trust,joy\nb4,1,1\nb3,1,1\nb2,0,1\nb1,0,1\n"


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    (tmp_path / "sent.csv").write_text(SENT, encoding="utf-8")
    return tmp_path / "sent.csv"


def leaderboard(folder: Path, solution: str = SOLUTION) -> LocalLeaderboard:
    (folder / "solution.csv").write_text(solution, encoding="utf-8")
    return LocalLeaderboard(folder / "solution.csv", "id", ["joy", "trust"], METRICS["f1_macro"])


def test_rows_are_scored_by_their_usage_in_any_order(sent: Path) -> None:
    target = leaderboard(sent.parent)
    outcome = target.send(sent, "message")
    assert outcome == Outcome("scored", "sent.csv", public=1.0, private=None)
    assert target.reveal(sent, METRICS["f1_macro"], outcome) == Outcome("scored", "sent.csv", public=1.0, private=0.0)


def test_a_metric_of_probabilities_is_scored_on_them(sent: Path) -> None:
    sent.write_text("id,trust,joy\nb1,0.1,0.9\nb2,0.9,0.1\nb3,0.9,0.9\nb4,0.1,0.1\n", encoding="utf-8")
    target = leaderboard(sent.parent)
    target = LocalLeaderboard(target.solution, "id", ["joy", "trust"], METRICS["log_loss"])
    assert target.send(sent, "message").public == pytest.approx(0.10536, abs=1e-5)  # -log(0.9)


def test_the_local_leaderboard_remembers_nothing(sent: Path) -> None:
    target = leaderboard(sent.parent)
    target.send(sent, "message")
    assert target.find("message", datetime(2024, 3, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.replace("Usage", "usage"), "is no solution file: it lacks Usage"),
        (lambda s: s.replace("trust,Usage", "fear,usage"), "it lacks trust, Usage"),
        (lambda s: s.replace("b4,0,0,Private", "b4,0,0,Secret"), r"both must occur; found \['Private', 'Public', 'Sec"),
        (lambda s: s.replace("b4,0,0,Private", "b4,0,0,"), r"Usage must be Public or Private.*found \[''"),
        (lambda s: s.replace("Private", "Public"), r"both must occur; found \['Public'\]"),
        (lambda s: s.replace("b1,1", "b1,2"), r"row 1 \(b1\): joy is '2'"),
    ],
)
def test_a_bad_solution_is_refused_by_name(sent: Path, change: Callable[[str], str], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        leaderboard(sent.parent, change(SOLUTION)).send(sent, "message")
    assert str(sent.parent / "solution.csv") in str(caught.value)


def test_ids_of_the_solution_that_were_not_sent_are_an_error(sent: Path) -> None:
    more = SOLUTION + "b8,0,1,Private\nb9,0,1,Private\n"
    with pytest.raises(SubmissionError, match=r"no row for 2 ids of the solution \('b8'\)"):
        leaderboard(sent.parent, more).send(sent, "message")


def test_a_solution_that_is_not_there_is_named(sent: Path) -> None:
    target = LocalLeaderboard(sent.parent / "none.csv", "id", ["joy"], METRICS["f1_macro"])
    with pytest.raises(DataError, match=r"none\.csv does not exist"):
        target.send(sent, "message")


def test_without_a_solution_nothing_is_scored_and_nothing_can_be_revealed(sent: Path) -> None:
    target = LocalLeaderboard(None, "id", ["joy", "trust"], METRICS["f1_macro"])
    outcome = target.send(sent, "message")
    assert outcome == Outcome("sent", "sent.csv")
    with pytest.raises(SubmissionError, match=r"names no \[submission\] solution"):
        target.reveal(sent, METRICS["f1_macro"], outcome)


def test_the_target_is_the_one_that_is_declared(competition: Competition) -> None:
    root = competition.workspace.root
    assert make_target(competition) == LocalLeaderboard(
        root / "solution.csv", "id", ("joy", "anger", "trust"), METRICS["f1_macro"]
    )
    text = (root / "competition.toml").read_text(encoding="utf-8")
    (root / "competition.toml").write_text('metric = "log_loss"\n' + text.split("[submission]")[0], encoding="utf-8")
    target = make_target(load_competition(competition.workspace))
    assert isinstance(target, LocalLeaderboard)
    assert (target.solution, target.metric) == (None, METRICS["log_loss"])
