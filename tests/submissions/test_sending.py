from __future__ import annotations

import contextlib
import sqlite3
import struct
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from compete.competition.data import Competition, load_competition
from compete.competition.workspace import Workspace
from compete.errors import CompeteError, DataError, KaggleError, StoreError, SubmissionError
from compete.oof import store
from compete.oof.fold_plan import with_plan
from compete.stacking.choosing import remember_choice
from compete.stacking.ensemble.calibration import fit_calibration
from compete.stacking.ensemble.per_row import best_decisions
from compete.submissions.csv_file import CheckedFile, CsvFile
from compete.submissions.kaggle.client import UnknownOutcome
from compete.submissions.leaderboard.expected_ranges import out_of_fold_predictions
from compete.submissions.ledger import Entry, Outcome, ledger_of
from compete.submissions.sending import Permissions, Prepared, prepare, submit
from compete.submissions.targets import Receiver, local_leaderboard
from support.in_process import in_process
from support.lived_in import copied
from support.stacks import build_stack, built_beside, chosen

pytestmark = pytest.mark.slow

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
NOTHING, AGAIN = Permissions(), Permissions(again=True)


@pytest.fixture
def trained(trained_once: Workspace, tmp_path: Path) -> Competition:
    return load_competition(copied(trained_once, tmp_path))


@pytest.fixture
def stacked(stacked_once: Workspace, tmp_path: Path) -> Competition:
    """A copy, to be sent from and to be changed."""
    return load_competition(copied(stacked_once, tmp_path))


def reveal(competition: Competition) -> list[Entry]:
    return local_leaderboard(competition).reveal(ledger_of(competition.workspace))


def prepared(competition: Competition, what: str | None = None, target: str = "local") -> Prepared:
    return prepare(with_plan(competition), chosen(competition, what), target)


def send(
    competition: Competition,
    what: str | None = None,
    target: Receiver | None = None,
    allowed: Permissions = NOTHING,
    now: datetime = NOON,
) -> Entry:
    target = target or local_leaderboard(competition)
    entry = submit(competition, prepared(competition, what, target.name), target, allowed=allowed, now=now)
    assert entry is not None
    return entry


@dataclass
class Unreliable:
    """A leaderboard whose line breaks before or after the file has arrived."""

    breaks: str | None
    error: Exception = field(default_factory=lambda: ConnectionError("the line is dead"))
    left: int | None = None
    name: str = "kaggle"
    sent: list[str] = field(default_factory=list)
    arrived: dict[str, Outcome] = field(default_factory=dict)

    def find(self, message: str, since: datetime) -> Outcome | None:
        return self.arrived.get(message)

    def send(self, file: CheckedFile, message: str) -> Outcome:
        self.sent.append(file.path.read_text())
        if self.breaks != "before":
            self.arrived[message] = Outcome("sent", reference="from kaggle")
        if self.breaks:
            raise self.error
        return self.arrived[message]

    def ready(self, file: CheckedFile) -> int | None:
        assert file.path.is_file()
        return self.left


def files(competition: Competition) -> list[str]:
    return sorted(path.name for path in competition.workspace.submissions.glob("*.csv"))


def score_by_hand(competition: Competition, file: str, usage: str) -> float:
    """The macro-F1 of the rows of one Usage, by scikit-learn."""
    solution = pd.read_csv(competition.workspace.root / "solution.csv").set_index("id")
    sent = pd.read_csv(competition.workspace.submissions / file).set_index("id")
    truth = solution[solution["Usage"] == usage][list(competition.labels)]
    return float(f1_score(truth, sent.loc[truth.index, list(competition.labels)], average="macro"))


def everything_written(competition: Competition) -> bytes:
    return b"".join(path.read_bytes() for path in competition.workspace.submissions.iterdir())


@pytest.mark.parametrize("what", ["logistic", "words"])
def test_test_probabilities_are_cut_with_the_thresholds_of_the_score(stacked: Competition, what: str) -> None:
    ready, source = prepared(stacked, what), chosen(stacked, what)
    workspace = stacked.workspace
    folder = workspace.stack(what) if what == "logistic" else workspace.base_model(what)
    thresholds = np.array([label.threshold for label in source.score.labels.values()], dtype=np.float64)
    expected = store.read_model(folder, stacked.shape).test >= thresholds
    written = pd.read_csv(ready.path)
    assert written["id"].tolist() == stacked.test_ids
    assert np.array_equal(written[list(stacked.labels)].to_numpy(), expected)
    assert ready.submission.validation == source.score.honest
    assert ready.submission.source == ("stack logistic" if what == "logistic" else "base model words")


def test_the_public_score_is_that_of_the_public_rows(stacked: Competition) -> None:
    entry = send(stacked)
    assert (entry.number, entry.submission.file, entry.created) == (1, "001_logistic.csv", NOON)
    assert entry.outcome.status == "scored"
    assert entry.outcome.public == pytest.approx(score_by_hand(stacked, "001_logistic.csv", "Public"))
    assert entry.outcome.public != pytest.approx(score_by_hand(stacked, "001_logistic.csv", "Private"))


def test_the_private_score_is_nowhere_until_it_is_revealed(stacked: Competition) -> None:
    public = send(stacked).outcome.public
    private = score_by_hand(stacked, "001_logistic.csv", "Private")
    assert public is not None
    before = everything_written(stacked)
    assert struct.pack(">d", public) in before  # how SQLite stores a number: the control
    assert struct.pack(">d", private) not in before
    with contextlib.closing(sqlite3.connect(stacked.workspace.submissions / "ledger.sqlite")) as database:
        assert database.execute("SELECT private FROM outcomes").fetchall() == [(None,)]
    (entry,) = reveal(stacked)
    assert entry.outcome.public == public
    assert entry.outcome.private == pytest.approx(private)
    assert ledger_of(stacked.workspace).entries() == [entry]
    rows = everything_written(stacked)
    reveal(stacked)
    assert everything_written(stacked) == rows  # asking again adds nothing


def test_a_file_that_is_gone_cannot_be_revealed(stacked: Competition) -> None:
    send(stacked)
    (stacked.workspace.submissions / "001_logistic.csv").unlink()
    with pytest.raises(SubmissionError, match=r"001_logistic\.csv is gone"):
        reveal(stacked)


def test_without_a_solution_it_is_recorded_unscored(stacked: Competition) -> None:
    toml = stacked.workspace.declaration
    toml.write_text(toml.read_text().replace('solution = "solution.csv"', ""), encoding="utf-8")
    competition = load_competition(stacked.workspace)
    assert send(competition).outcome == Outcome("sent", "001_logistic.csv")
    with pytest.raises(SubmissionError, match=r"names no \[submission\] solution"):
        reveal(competition)


def test_what_was_recorded_unscored_is_scored_once_there_is_a_solution(stacked: Competition) -> None:
    toml = stacked.workspace.declaration
    declared = toml.read_text()
    toml.write_text(declared.replace('solution = "solution.csv"', ""), encoding="utf-8")
    send(load_competition(stacked.workspace))
    toml.write_text(declared, encoding="utf-8")
    (entry,) = reveal(stacked)
    assert entry.outcome.status == "scored"
    assert entry.outcome.public is not None
    assert entry.outcome.private is not None


def test_a_reveal_keeps_the_metric_and_the_public_score_of_the_day(stacked: Competition) -> None:
    sent = send(stacked)
    toml = stacked.workspace.declaration
    toml.write_text('metric = "f1_micro"\n' + toml.read_text(), encoding="utf-8")
    changed = load_competition(stacked.workspace)
    (entry,) = reveal(changed)
    assert entry.outcome.public == sent.outcome.public
    (expected,) = reveal(stacked)
    assert entry.outcome.private == expected.outcome.private


def test_a_broken_solution_costs_no_submission(stacked: Competition) -> None:
    solution = stacked.workspace.root / "solution.csv"
    content = solution.read_bytes()
    solution.unlink()
    with pytest.raises(DataError, match="does not exist"):
        send(stacked)
    assert ledger_of(stacked.workspace).entries() == []
    assert files(stacked) == []
    solution.write_bytes(content)
    assert send(stacked).submission.file == "001_logistic.csv"


def test_the_same_content_is_sent_twice_only_when_asked_for(stacked: Competition) -> None:
    send(stacked)
    with pytest.raises(SubmissionError, match=r"number 1, 001_logistic\.csv, 2024-03-01 12:00 UTC.*--again"):
        send(stacked, now=NOON + timedelta(days=3))
    assert files(stacked) == ["001_logistic.csv"]
    assert send(stacked, "words").number == 2
    assert send(stacked, allowed=AGAIN).submission.file == "003_logistic.csv"
    assert files(stacked) == ["001_logistic.csv", "002_words.csv", "003_logistic.csv"]


def test_the_same_content_may_go_to_another_target(stacked: Competition) -> None:
    send(stacked)
    elsewhere = replace(local_leaderboard(stacked), name="elsewhere")
    assert send(stacked, target=elsewhere).number == 2


def test_the_daily_limit_ends_at_midnight_utc(stacked: Competition) -> None:
    toml = stacked.workspace.declaration
    toml.write_text(toml.read_text() + "daily_limit = 2\n", encoding="utf-8")
    competition = load_competition(stacked.workspace)
    send(competition), send(competition, "words")
    late = NOON.replace(hour=23, minute=59)
    with pytest.raises(SubmissionError, match="daily limit is spent: 2 of 2 submissions on 2024-03-01 UTC"):
        send(competition, "words_smooth", now=late)
    assert len(files(competition)) == len(ledger_of(competition.workspace).entries()) == 2
    assert send(competition, "words_smooth", now=late + timedelta(minutes=1)).number == 3


def test_a_label_with_one_value_is_sent_only_when_asked_for(stacked: Competition) -> None:
    path = stacked.workspace.root / "mine.csv"
    path.write_text((stacked.workspace.root / "sample.csv").read_text().replace(",0\n", ",1\n"), encoding="utf-8")
    mine = CsvFile(path)
    target = local_leaderboard(stacked)
    for allowed in (NOTHING, AGAIN):
        ready = prepare(with_plan(stacked), mine, target.name)
        with pytest.raises(SubmissionError, match=r"joy, anger, trust have the same value .*--allow-constant"):
            submit(stacked, ready, target, allowed=allowed, now=NOON)
    assert files(stacked) == []
    assert ledger_of(stacked.workspace).entries() == []
    ready = prepare(with_plan(stacked), mine, target.name)
    entry = submit(stacked, ready, target, allowed=Permissions(constant=True), now=NOON)
    assert entry is not None and entry.outcome.status == "scored"


def test_a_file_of_unknown_origin_is_sent_as_it_is_and_promises_nothing(stacked: Competition) -> None:
    send(stacked)
    path = stacked.workspace.root / "mine.csv"
    text = (stacked.workspace.submissions / "001_logistic.csv").read_text()
    path.write_text(text.replace(",1\n", ",1.0\n").replace(",0\n", ",1\n", 20), encoding="utf-8")
    target = local_leaderboard(stacked)
    ready = prepare(with_plan(stacked), CsvFile(path), target.name)
    entry = submit(stacked, ready, target, now=NOON)
    assert entry is not None
    assert (stacked.workspace.submissions / "002_mine.csv").read_bytes() == path.read_bytes()
    sent = entry.submission
    assert (sent.source, sent.validation, sent.low, sent.public_low) == ("file mine.csv", None, None, None)
    assert not (stacked.workspace.submissions / "002_mine.oof.parquet").exists()


def test_a_file_in_another_order_is_put_right_and_scores_the_same(stacked: Competition) -> None:
    first = send(stacked)
    path = stacked.workspace.root / "mine.csv"
    table = pd.read_csv(stacked.workspace.submissions / "001_logistic.csv", dtype=str)
    table.iloc[::-1][["trust", "id", "anger", "joy"]].to_csv(path, index=False, sep=";")
    target = local_leaderboard(stacked)
    ready = prepare(with_plan(stacked), CsvFile(path), target.name)
    assert ready.notice == (
        "mine.csv: its rows and its columns had to be put right to be as in the sample submission; no value changed"
    )
    assert ready.path.read_bytes() == (stacked.workspace.submissions / "001_logistic.csv").read_bytes()
    entry = submit(stacked, ready, target, allowed=AGAIN, now=NOON)
    assert entry is not None and entry.outcome.public == first.outcome.public


def test_what_was_put_right_is_said_on_the_command_line(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (workspace.root / "solution.csv").read_text(encoding="utf-8").splitlines()
    mine = [row.rpartition(",")[0] for row in [rows[0], *reversed(rows[1:])]]
    (workspace.root / "mine.csv").write_text("\n".join(mine) + "\n", encoding="utf-8")
    ran = in_process(workspace.root, monkeypatch, capsys)("submit", "mine.csv")
    assert ran.code == 0, ran.stderr
    assert "mine.csv: its rows had to be put right" in ran.stderr
    assert "1.0000" in ran.stdout  # every row beside its own id


def test_a_file_that_is_no_submission_leaves_nothing_behind(stacked: Competition) -> None:
    path = stacked.workspace.root / "mine.csv"
    path.write_text("id,joy\nb0001,1\n", encoding="utf-8")
    with pytest.raises(SubmissionError, match="has the columns id, joy, expected id, joy, anger, trust"):
        prepare(with_plan(stacked), CsvFile(path), "local")
    assert files(stacked) == []
    assert path.is_file()


def test_nearly_the_same_is_sent_only_when_asked_for(stacked: Competition) -> None:
    send(stacked)
    content = ledger_of(stacked.workspace).entries()[0].submission.content
    with contextlib.closing(sqlite3.connect(stacked.workspace.submissions / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE submissions SET content = 'another' WHERE content = ?", (content,))
    with pytest.raises(SubmissionError, match=r"nearly the same .* number 1, 001_logistic\.csv"):
        send(stacked)
    assert files(stacked) == ["001_logistic.csv"]
    assert send(stacked, allowed=AGAIN).number == 2


def test_out_of_fold_predictions_are_kept_beside_the_file(stacked: Competition) -> None:
    entry, planned = send(stacked, "words"), with_plan(stacked)
    path = stacked.workspace.submissions / "001_words.oof.parquet"
    kept = store.read_predictions(path, stacked.train_ids, stacked.labels)
    assert np.array_equal(kept, out_of_fold_predictions(planned, chosen(stacked, "words")))
    honest = stacked.metric.compute(stacked.train_targets, kept)
    sent = entry.submission
    assert sent.low is not None and sent.high is not None
    assert sent.low < honest < sent.high


def test_the_scores_are_expected_around_the_honest_one(stacked: Competition) -> None:
    sent = send(stacked).submission
    assert sent.validation is not None and sent.low is not None and sent.high is not None
    assert sent.public_low is not None and sent.public_high is not None
    assert sent.private_low is not None and sent.private_high is not None
    assert sent.public_low < sent.validation < sent.public_high
    assert sent.private_low < sent.validation < sent.private_high
    # 45 new rows tell less of a model than the 240 that it was validated on.
    assert sent.public_high - sent.public_low > sent.high - sent.low


def test_nothing_is_sent_before_it_is_confirmed(stacked: Competition) -> None:
    target, asked = Unreliable(None), []

    def confirm(ready: Prepared, left: int) -> bool:
        asked.append((ready.submission.file, left))
        return False

    send(stacked, "words", target=target)
    ready = prepared(stacked, target=target.name)
    assert submit(stacked, ready, target, confirm=confirm, now=NOON) is None
    assert asked == [("002_logistic.csv", 4)]  # of the declared five, one is spent
    assert len(target.sent) == len(ledger_of(stacked.workspace).entries()) == 1
    assert [path.name for path in stacked.workspace.submissions.glob("002*")] == []


@pytest.mark.parametrize(("allowed_there", "left"), [(None, 5), (3, 3), (9, 5)])
def test_of_two_limits_the_tighter_one_is_left(stacked: Competition, allowed_there: int | None, left: int) -> None:
    asked = []

    def confirm(_: Prepared, left: int) -> bool:
        asked.append(left)
        return False

    target = Unreliable(None, left=allowed_there)
    submit(stacked, prepared(stacked, target=target.name), target, confirm=confirm, now=NOON)
    assert asked == [left]


@pytest.mark.parametrize(
    ("error", "status"),
    [(KaggleError("the line is dead"), "lost"), (SubmissionError("not this one"), "refused")],
)
def test_what_was_not_counted_leaves_its_reason_and_costs_nothing(
    stacked: Competition, error: CompeteError, status: str
) -> None:
    toml = stacked.workspace.declaration
    toml.write_text(toml.read_text() + "daily_limit = 1\n", encoding="utf-8")
    competition, target = load_competition(stacked.workspace), Unreliable("before", error=error)
    with pytest.raises(type(error), match=str(error)):
        send(competition, target=target)
    (entry,) = ledger_of(competition.workspace).entries()
    assert (entry.outcome.status, entry.outcome.note, entry.counted) == (status, str(error), False)
    target.breaks = None
    assert send(competition, target=target).outcome.status == "sent"


def test_what_was_lost_is_sent_again_under_its_own_row_file_and_tag(stacked: Competition) -> None:
    target = Unreliable("before", error=KaggleError("the line is dead"))
    with pytest.raises(KaggleError):
        send(stacked, target=target)
    (lost,) = ledger_of(stacked.workspace).entries()
    target.breaks = None
    sent = send(stacked, target=target, now=NOON + timedelta(hours=1))
    assert (sent.number, sent.submission) == (lost.number, lost.submission)
    assert list(target.arrived) == [lost.submission.message]
    names = sorted(path.name for path in stacked.workspace.submissions.glob("0*"))
    assert names == ["001_logistic.csv", "001_logistic.oof.parquet"]


def test_another_source_does_not_take_the_row_of_what_was_lost(stacked: Competition) -> None:
    target = Unreliable("before", error=KaggleError("the line is dead"))
    with pytest.raises(KaggleError):
        send(stacked, target=target)
    target.breaks = None
    assert send(stacked, "words", target=target).number == 2
    lost, _ = ledger_of(stacked.workspace).entries()
    assert lost.outcome.status == "lost"


@pytest.mark.parametrize(("breaks", "status"), [("before", "lost"), ("after", "sent")])
def test_an_answer_that_never_came_is_looked_up_at_once(stacked: Competition, breaks: str, status: str) -> None:
    target = Unreliable(breaks, error=UnknownOutcome("no answer within 60 s"))
    if status == "sent":
        assert send(stacked, target=target).outcome == Outcome("sent", "from kaggle")
    else:
        with pytest.raises(KaggleError, match=r"no answer within 60 s\. Kaggle's list does not have the submission"):
            send(stacked, target=target)
    (entry,) = ledger_of(stacked.workspace).entries()
    assert entry.outcome.status == status
    assert len(target.sent) == 1


def test_what_cannot_be_looked_up_stays_pending_and_is_never_sent_blindly(stacked: Competition) -> None:
    @dataclass
    class Dead(Unreliable):
        def find(self, message: str, since: datetime) -> Outcome | None:
            raise KaggleError("no connection to Kaggle.")

    target = Dead("after", error=UnknownOutcome("no answer"))
    for _ in range(2):
        with pytest.raises(KaggleError, match="no connection"):
            send(stacked, target=target)
    (entry,) = ledger_of(stacked.workspace).entries()
    assert entry.pending
    assert len(target.sent) == 1


@pytest.mark.parametrize(("breaks", "times_sent"), [("before", 2), ("after", 1)])
def test_a_submission_that_was_cut_off_is_completed_and_sent_once(
    stacked: Competition, breaks: str, times_sent: int
) -> None:
    target = Unreliable(breaks)
    with pytest.raises(ConnectionError):
        send(stacked, target=target)
    (cut_off,) = ledger_of(stacked.workspace).entries()
    assert cut_off.pending and cut_off.submission.file == "001_logistic.csv"
    target.breaks = None
    completed = send(stacked, target=target, now=NOON + timedelta(hours=1))
    assert completed == replace(cut_off, outcome=Outcome("sent", "from kaggle"), changed=NOON + timedelta(hours=1))
    assert ledger_of(stacked.workspace).entries() == [completed]
    assert len(target.sent) == times_sent
    assert len(set(target.sent)) == 1
    assert files(stacked) == ["001_logistic.csv"]


def test_a_cut_off_submission_is_completed_though_the_day_is_full(stacked: Competition) -> None:
    toml = stacked.workspace.declaration
    toml.write_text(toml.read_text() + "daily_limit = 1\n", encoding="utf-8")
    competition, target = load_competition(stacked.workspace), Unreliable("before")
    with pytest.raises(ConnectionError):
        send(competition, target=target)
    target.breaks = None
    assert send(competition, target=target).outcome.status == "sent"


def test_again_sends_again_though_the_target_remembers_the_first(stacked: Competition) -> None:
    target = Unreliable(None)
    first = send(stacked, target=target)
    second = send(stacked, target=target, allowed=AGAIN)
    assert len(target.sent) == 2
    assert first.submission.message != second.submission.message


@pytest.mark.parametrize("what", [None, "logistic"])
def test_a_stale_stack_is_refused_and_writes_nothing(stacked: Competition, what: str | None) -> None:
    recipe = stacked.workspace.stack_recipes / "logistic.toml"
    recipe.write_text('method = "logistic"\nC = 3.0\n', encoding="utf-8")
    with pytest.raises(StoreError, match=r"'logistic' is stale: recipe\.C: \[0\.005, 0\.05, 0\.5\] -> \[3\.0\]"):
        prepared(stacked, what)
    assert files(stacked) == []


def test_a_choice_that_is_stale_is_refused_and_no_other_sent(stacked: Competition) -> None:
    built_beside(stacked)
    remember_choice(stacked.workspace, "plain")
    (stacked.workspace.stack_recipes / "plain.toml").write_text('method = "blend"\n', encoding="utf-8")
    with pytest.raises(StoreError, match=r"'plain' is stale: recipe\.method: mean -> blend"):
        prepared(stacked)
    assert files(stacked) == []


@pytest.mark.parametrize("what", ["logistic", "words"])
@pytest.mark.parametrize("metric", ["f1_samples", "jaccard_samples"])
def test_a_metric_over_rows_is_decided_row_by_row(trained: Competition, metric: str, what: str) -> None:
    toml = trained.workspace.declaration
    toml.write_text(f'metric = "{metric}"\n' + toml.read_text(), encoding="utf-8")
    competition = load_competition(trained.workspace)
    build_stack(competition)
    ready, source = prepared(competition, what), chosen(competition, what)
    written = pd.read_csv(ready.path)[list(competition.labels)].to_numpy()
    found = store.read_model(source.folder, competition.shape)
    calibration = fit_calibration(competition.train_targets, found.oof)
    expected = best_decisions(calibration.apply(found.test), jaccard=metric == "jaccard_samples")
    assert np.array_equal(written, expected)
    assert written.sum(axis=1).min() == 1  # in every row at least the most probable label
    assert {label.threshold for label in source.score.labels.values()} == {None}


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc_macro"])
def test_a_metric_of_probabilities_gets_them_uncut(trained: Competition, metric: str) -> None:
    toml = trained.workspace.declaration
    toml.write_text(f'metric = "{metric}"\n' + toml.read_text(), encoding="utf-8")
    competition = load_competition(trained.workspace)
    build_stack(competition)
    ready = prepared(competition)
    written = pd.read_csv(ready.path)[list(competition.labels)].to_numpy()
    assert written == pytest.approx(store.read_model(chosen(competition).folder, competition.shape).test, abs=1e-6)
