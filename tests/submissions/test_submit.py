from __future__ import annotations

import contextlib
import shutil
import sqlite3
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from compete.competition.data import Competition, load_competition
from compete.competition.metrics import Metric
from compete.errors import DataError, StoreError, SubmissionError, UserError
from compete.execution.inline import InlineExecutor
from compete.oof import store
from compete.oof.train import choose_recipes, current_plan, plan_work, shape_of, train
from compete.stacking.building import CHOICE, Built, build, open_stacking, remember_choice
from compete.stacking.calibration import fit_calibration
from compete.stacking.per_row import best_decisions
from compete.stacking.recipes import load_with_parts
from compete.stacking.stack import stack_folder
from compete.submissions.ledger import Entry, Outcome
from compete.submissions.submit import Prepared, choose_source, ledger_of, prepare, reveal_private, submit
from compete.submissions.targets import LocalLeaderboard, Target, make_target

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def trained(competition: Competition) -> Competition:
    train(plan_work(competition, choose_recipes(competition, [])), InlineExecutor())
    return competition


def build_stack(competition: Competition, name: str = "logistic") -> Built:
    recipes = load_with_parts(competition.workspace, [name])
    return build(open_stacking(competition, current_plan(competition), recipes, ["words", "words_smooth"]), name)


@pytest.fixture
def stacked(trained: Competition) -> Competition:
    build_stack(trained)
    return trained


def prepared(competition: Competition, what: str | None = None, target: str = "local") -> Prepared:
    plan = current_plan(competition)
    return prepare(competition, plan, choose_source(competition, plan, what), target)


def send(
    competition: Competition,
    what: str | None = None,
    target: Target | None = None,
    again: bool = False,
    now: datetime = NOON,
) -> Entry:
    target = target or make_target(competition)
    return submit(competition, prepared(competition, what, target.name), target, again=again, now=now)


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
    ready = prepared(stacked, what)
    workspace = stacked.workspace
    folder = stack_folder(workspace, what) if what == "logistic" else workspace.oof / what
    thresholds = np.array([label.threshold for label in ready.source.score.labels.values()], dtype=np.float64)
    expected = store.read_model(folder, shape_of(stacked)).test >= thresholds
    written = pd.read_csv(ready.path)
    assert written["id"].tolist() == stacked.test_ids
    assert np.array_equal(written[list(stacked.labels)].to_numpy(), expected)
    assert ready.submission.validation == ready.source.score.honest
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
    (entry,) = reveal_private(stacked, make_target(stacked))
    assert entry.outcome.public == public
    assert entry.outcome.private == pytest.approx(private)
    assert ledger_of(stacked.workspace).entries() == [entry]
    rows = everything_written(stacked)
    reveal_private(stacked, make_target(stacked))
    assert everything_written(stacked) == rows  # asking again adds nothing


def test_a_file_that_is_gone_cannot_be_revealed(stacked: Competition) -> None:
    send(stacked)
    (stacked.workspace.submissions / "001_logistic.csv").unlink()
    with pytest.raises(SubmissionError, match=r"001_logistic\.csv is gone"):
        reveal_private(stacked, make_target(stacked))


def test_without_a_solution_it_is_recorded_unscored(stacked: Competition) -> None:
    toml = stacked.workspace.declaration
    toml.write_text(toml.read_text().replace('solution = "solution.csv"', ""), encoding="utf-8")
    competition = load_competition(stacked.workspace)
    assert send(competition).outcome == Outcome("sent", "001_logistic.csv")
    with pytest.raises(SubmissionError, match=r"names no \[submission\] solution"):
        reveal_private(competition, make_target(competition))


def test_what_was_recorded_unscored_is_scored_once_there_is_a_solution(stacked: Competition) -> None:
    toml = stacked.workspace.declaration
    declared = toml.read_text()
    toml.write_text(declared.replace('solution = "solution.csv"', ""), encoding="utf-8")
    send(load_competition(stacked.workspace))
    toml.write_text(declared, encoding="utf-8")
    (entry,) = reveal_private(stacked, make_target(stacked))
    assert entry.outcome.status == "scored"
    assert entry.outcome.public is not None
    assert entry.outcome.private is not None


def test_a_reveal_keeps_the_metric_and_the_public_score_of_the_day(stacked: Competition) -> None:
    sent = send(stacked)
    toml = stacked.workspace.declaration
    toml.write_text('metric = "f1_micro"\n' + toml.read_text(), encoding="utf-8")
    changed = load_competition(stacked.workspace)
    (entry,) = reveal_private(changed, make_target(changed))
    assert entry.outcome.public == sent.outcome.public
    (expected,) = reveal_private(stacked, make_target(stacked))
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
    assert send(stacked, again=True).submission.file == "003_logistic.csv"
    assert files(stacked) == ["001_logistic.csv", "002_words.csv", "003_logistic.csv"]


def test_the_same_content_may_go_to_another_target(stacked: Competition) -> None:
    send(stacked)
    here = make_target(stacked)
    assert isinstance(here, LocalLeaderboard)
    assert send(stacked, target=replace(here, name="elsewhere")).number == 2


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


@dataclass
class Unreliable:
    """A leaderboard whose line breaks before or after the file has arrived."""

    breaks: str | None
    name: str = "kaggle"
    sent: list[str] = field(default_factory=list)
    arrived: dict[str, Outcome] = field(default_factory=dict)

    def find(self, message: str) -> Outcome | None:
        return self.arrived.get(message)

    def send(self, file: Path, message: str) -> Outcome:
        self.sent.append(file.read_text())
        if self.breaks != "before":
            self.arrived[message] = Outcome("sent", reference="from kaggle")
        if self.breaks:
            raise ConnectionError("the line is dead")
        return self.arrived[message]

    def ready(self, file: Path) -> None:
        assert file.is_file()

    def reveal(self, file: Path, metric: Metric, outcome: Outcome) -> Outcome:
        return outcome


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
    assert completed == replace(cut_off, outcome=Outcome("sent", "from kaggle"))
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
    second = send(stacked, target=target, again=True)
    assert len(target.sent) == 2
    assert first.submission.message != second.submission.message


def test_a_damaged_stack_names_its_own_remedy(stacked: Competition) -> None:
    (stacked.workspace.oof / "stacks" / "logistic" / "test.parquet").write_bytes(b"torn")
    with pytest.raises(StoreError, match="`compete stack logistic` builds the stack again"):
        prepared(stacked, "logistic")


def test_an_unknown_name_gets_the_nearest(stacked: Competition) -> None:
    with pytest.raises(UserError, match=r"called 'logistics'; did you mean 'logistic'\? .*words, words_smooth"):
        prepared(stacked, "logistics")


def test_without_a_stack_base_models_are_named(trained: Competition) -> None:
    with pytest.raises(UserError, match=r"no stack was built yet: .* or name a base model: words, words_smooth"):
        prepared(trained)


@pytest.mark.parametrize(("names", "why"), [([], "missing: 0 of 3 folds trained"), (["words"], "stale: settings")])
def test_a_base_model_that_is_not_fresh_is_refused(competition: Competition, names: Sequence[str], why: str) -> None:
    if names:
        train(plan_work(competition, choose_recipes(competition, names)), InlineExecutor())
        recipe = competition.workspace.recipes / "words.toml"
        recipe.write_text(recipe.read_text().replace("smoothing = 1.0", "smoothing = 9.0"), encoding="utf-8")
    with pytest.raises(StoreError, match=f"'words' is {why}.*`compete train-base words`"):
        prepared(competition, "words")


@pytest.mark.parametrize("what", [None, "logistic"])
def test_a_stale_stack_is_refused_and_writes_nothing(stacked: Competition, what: str | None) -> None:
    recipe = stacked.workspace.stack_recipes / "logistic.toml"
    recipe.write_text('method = "logistic"\nC = 3.0\n', encoding="utf-8")
    with pytest.raises(StoreError, match=r"'logistic' is stale: recipe\.C: \[0\.005, 0\.05, 0\.5\] -> \[3\.0\]"):
        prepared(stacked, what)
    assert files(stacked) == []


def built_beside(stacked: Competition) -> dict[str, Built]:
    """Two stacks, the best first, of which none is remembered."""
    (stacked.workspace.stack_recipes / "plain.toml").write_text('method = "mean"\n', encoding="utf-8")
    built = [build_stack(stacked), build_stack(stacked, "plain")]
    assert built[0].score.honest > built[1].score.honest
    return {each.recipe.name: each for each in built}


def test_the_chosen_stack_is_sent_by_default_and_not_the_best(stacked: Competition) -> None:
    built = built_beside(stacked)
    for name in built:
        remember_choice(stacked.workspace, built[name])
        assert prepared(stacked).source.name == name


def test_without_a_choice_the_best_stack_is_sent(stacked: Competition) -> None:
    built_beside(stacked)
    assert prepared(stacked).source.name == "logistic"
    (stacked.workspace.oof / "stacks" / CHOICE).write_text("{}", encoding="utf-8")
    assert prepared(stacked).source.name == "logistic"


def test_where_a_lower_score_is_better_the_lowest_is_sent(trained: Competition) -> None:
    toml = trained.workspace.declaration
    toml.write_text('metric = "log_loss"\n' + toml.read_text(), encoding="utf-8")
    competition = load_competition(trained.workspace)
    (trained.workspace.stack_recipes / "plain.toml").write_text('method = "mean"\n', encoding="utf-8")
    logistic, plain = build_stack(competition), build_stack(competition, "plain")
    assert logistic.score.honest < plain.score.honest
    assert prepared(competition).source.name == "logistic"


@pytest.mark.parametrize("gone", ["stacking/plain.toml", "oof/stacks/plain"])
def test_a_choice_that_is_gone_is_forgotten(stacked: Competition, gone: str) -> None:
    remember_choice(stacked.workspace, built_beside(stacked)["plain"])
    path = stacked.workspace.root / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert prepared(stacked).source.name == "logistic"


def test_a_choice_that_is_stale_is_refused_and_no_other_sent(stacked: Competition) -> None:
    remember_choice(stacked.workspace, built_beside(stacked)["plain"])
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
    ready = prepared(competition, what)
    written = pd.read_csv(ready.path)[list(competition.labels)].to_numpy()
    found = store.read_model(ready.source.folder, shape_of(competition))
    calibration = fit_calibration(competition.train_labels, found.oof)
    expected = best_decisions(calibration.apply(found.test), jaccard=metric == "jaccard_samples")
    assert np.array_equal(written, expected)
    assert written.sum(axis=1).min() == 1  # in every row at least the most probable label
    assert {label.threshold for label in ready.source.score.labels.values()} == {None}


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc_macro"])
def test_a_metric_of_probabilities_gets_them_uncut(trained: Competition, metric: str) -> None:
    toml = trained.workspace.declaration
    toml.write_text(f'metric = "{metric}"\n' + toml.read_text(), encoding="utf-8")
    competition = load_competition(trained.workspace)
    build_stack(competition)
    ready = prepared(competition)
    written = pd.read_csv(ready.path)[list(competition.labels)].to_numpy()
    assert written == pytest.approx(store.read_model(ready.source.folder, shape_of(competition)).test, abs=1e-6)
