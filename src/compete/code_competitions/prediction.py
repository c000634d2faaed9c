"""Predicting from a pack, under a budget of time: every member that ends in time, then the stack of just these.

Members come in the order of the manifest. Rows go through a model longest first, some hundred at a time: the first of
them tell how long the rest will take at most, and a model that would not end in time is left as soon as that shows. A
model that fails is left out like one that there was no time for. What was fitted beforehand for those that are left
makes the submission, and the manifest says what score to expect of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compete import atomic
from compete.base_models.memory import release
from compete.base_models.recipes import Recipe, load_recipe
from compete.base_models.row_features import row_features
from compete.code_competitions.facts import Facts, read_facts
from compete.code_competitions.manifest import Member, Step
from compete.code_competitions.opened_pack import OpenedPack
from compete.code_competitions.stored_steps import StoredStep, read_steps
from compete.competition.data import metric_of, read_new_texts
from compete.competition.declaration import read_declaration
from compete.competition.sample_submission import read_sample
from compete.competition.text_columns import with_features
from compete.errors import CompeteError, DataError, PackError
from compete.oof.kept import read_kept
from compete.stacking.ensemble.decision_rules import decision_from
from compete.stacking.row_inputs import RowInputs, declared_features
from compete.submissions.csv_file import check, render
from compete.submissions.form import Form

_ROWS_AT_ONCE = 512
# Of the budget, kept back for the stack and the file.
_RESERVED = 0.02
_MOST_RESERVED = 300.0  # seconds

Clock = Callable[[], float]
Say = Callable[[str], None]


class PredictionFailedError(CompeteError):
    """No model of the pack could be used."""


@dataclass(frozen=True)
class Done:
    """What became of a member."""

    name: str
    seconds: float
    why_not: str = ""
    """Why it has no part in the submission; empty where it has."""


@dataclass(frozen=True)
class PackPrediction:
    """A submission that a pack made."""

    output: Path
    rows: int
    step: Step
    """Whose stack made it; `step.honest` is the score to be expected."""
    done: list[Done]
    seconds: float
    notices: list[str] = field(default_factory=list)
    probabilities: NDArray[np.float32] = field(repr=False, default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    """(n_rows, n_outputs), in the order of the test file."""
    ids: list[str] = field(repr=False, default_factory=list)

    @property
    def left_out(self) -> list[Done]:
        return [each for each in self.done if each.why_not]


@dataclass(frozen=True)
class _Rows:
    ids: list[str]
    texts: list[str]
    features: Mapping[str, list[str]]


def predict_pack(
    pack: OpenedPack,
    test: Sequence[Path],
    output: Path,
    *,
    sample: Path | None = None,
    budget: float | None = None,
    started: float | None = None,
    threads: int = 1,
    say: Say = lambda sentence: None,
    clock: Clock = time.monotonic,
) -> PackPrediction:
    """Predict every row of `test`, one file or several that are read as one, and write the submission.

    sample: the sample submission of just these rows; by default rows are in the order of `test`, in the form of the
    sample that the pack was made with. budget: seconds, the manifest's by default; they count from `started` on the
    clock. Raises DataError for a test file that cannot be read, PredictionFailedError where no member could be used.
    """
    began = clock() if started is None else started
    seconds = pack.manifest.budget_seconds if budget is None else budget
    deadline = began + seconds - min(_RESERVED * seconds, _MOST_RESERVED)
    facts, stored = read_facts(pack.root), read_steps(pack.root)
    if [step.members for step in stored] != [step.members for step in pack.manifest.steps]:
        raise PackError("the stacks of the pack are not those of its manifest: make the pack again with `compete pack`")
    rows = _read(pack, test)
    form, notices = _form(pack, facts, rows, sample)
    for sentence in (*pack.looked_for, *notices):
        say(sentence)
    base, done = _members(pack, facts, rows, deadline, threads, say, clock)
    number = pack.manifest.step_for(base)
    if number is None:
        reasons = "; ".join(f"{each.name}: {each.why_not}" for each in done)
        raise PredictionFailedError(f"no submission can be made: no model was done. {reasons}")
    step = pack.manifest.steps[number]
    probabilities = stored[number].predict(base, _inputs(stored[number], facts, rows))
    _write(pack, facts, form, rows, probabilities, step, output)
    found = PackPrediction(output, len(rows.ids), step, done, clock() - began, notices, probabilities, rows.ids)
    for sentence in what_was_done(pack, found):
        say(sentence)
    return found


def what_was_done(pack: OpenedPack, found: PackPrediction) -> list[str]:
    """The end of it, in sentences."""
    manifest, step = pack.manifest, found.step
    used = set(step.members)
    lines = [f"{each.name}: {each.why_not}" for each in found.left_out]
    unused = [each.name for each in found.done if not each.why_not and each.name not in used]
    if unused:
        lines.append(f"{', '.join(unused)}: done, but no stack was fitted of just those that are done")
    how = "as it is" if step.stack is None else f"by the stack {step.stack}"
    lines.append(
        f"{found.rows} rows, {len(used)} of {len(manifest.members)} models, {how}, in {found.seconds:.0f} s; expected "
        f"{manifest.metric} {step.honest:.4f} ({step.low:.4f} to {step.high:.4f})"
    )
    whole = manifest.everything
    if len(used) < len(manifest.members):
        lines[-1] += f", where all models have {whole.honest:.4f}"
    return lines


def _read(pack: OpenedPack, test: Sequence[Path]) -> _Rows:
    data = read_declaration(pack.workspace).data
    new = [read_new_texts(path, data) for path in test]
    ids = [name for each in new for name in each.ids]
    if len(set(ids)) < len(ids):
        raise DataError(f"{', '.join(map(str, test))} have an id more than once")
    features = {name: [cell for each in new for cell in each.features[name]] for name in data.features}
    return _Rows(ids, [text for each in new for text in each.texts], features)


def _form(pack: OpenedPack, facts: Facts, rows: _Rows, sample: Path | None) -> tuple[Form, list[str]]:
    """What the submission looks like: as a sample of these rows, else as the one that the pack was made with."""
    if sample is None:
        return facts.form_of(rows.ids), []
    declared = read_declaration(pack.workspace)
    data = declared.data.model_copy(update={"sample_submission": sample.name})
    try:
        read, _ = read_sample(
            sample.parent, declared.model_copy(update={"data": data}), facts.task, facts.label_columns, rows.ids
        )
    except DataError as error:
        first = str(error).split("\n", 1)[0]
        return facts.form_of(rows.ids), [f"the sample submission is not used, but the one of the pack: {first}"]
    return facts.form_like(read), []


def _members(
    pack: OpenedPack, facts: Facts, rows: _Rows, deadline: float, threads: int, say: Say, clock: Clock
) -> tuple[dict[str, NDArray[np.float32]], list[Done]]:
    base: dict[str, NDArray[np.float32]] = {}
    done: list[Done] = []
    for member in pack.manifest.members:
        began = clock()
        try:
            if began >= deadline:
                raise _NoTimeError("the time was over before it began")
            base[member.name] = predict_member(pack, facts, member, rows.texts, rows.features, deadline, threads, clock)
        except Exception as error:  # whatever a model raises, the others are to make a submission
            why = str(error) if isinstance(error, _NoTimeError) else f"{type(error).__name__}: {error}"
            done.append(Done(member.name, clock() - began, why))
            say(f"{member.name}: left out: {why}")
        else:
            done.append(Done(member.name, clock() - began))
            say(f"{member.name}: done in {clock() - began:.1f} s")
        release()
    return base, done


class _NoTimeError(Exception):
    """A member would not end in time; says why."""


def predict_member(
    pack: OpenedPack,
    facts: Facts,
    member: Member,
    texts: Sequence[str],
    features: Mapping[str, Sequence[str]],
    deadline: float,
    threads: int,
    clock: Clock = time.monotonic,
    told: Callable[[Pace], None] = lambda pace: None,
) -> NDArray[np.float32]:
    """Mean over the folds' models, float32 (n_rows, n_outputs). told: how fast it went.

    Raises what the model does, and PackError for weights that are missing or changed.
    """
    recipe = load_recipe(pack.workspace, member.name).ready()
    wanted = recipe.needs.features
    rows = with_features(texts, {name: features[name] for name in features}) if wanted else list(texts)
    longest_first = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
    ordered = [rows[row] for row in longest_first]
    pace = Pace(len(ordered) * member.folds, deadline, clock)
    total = np.zeros((len(rows), len(facts.task.outputs)), dtype=np.float64)
    for fold in range(member.folds):
        total[longest_first] += _fold(pack, facts, member, recipe, fold, ordered, pace, threads)
        release()  # two models need not fit where one does
    told(pace)
    return (total / member.folds).astype(np.float32)


def _fold(
    pack: OpenedPack,
    facts: Facts,
    member: Member,
    recipe: Recipe,
    fold: int,
    rows: Sequence[str],
    pace: Pace,
    threads: int,
) -> NDArray[np.float32]:
    began = pace.clock()
    folder = pack.lay_fold(member, fold)
    learnt_task = facts.task.__class__(facts.task.name, facts.learnt.names, facts.task.grades)
    try:
        model = read_kept(pack.workspace, recipe.of_fold(fold), folder, learnt_task, threads)
        pace.loading += pace.clock() - began
        cells = []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            pace.look()
            some = rows[start : start + _ROWS_AT_ONCE]
            cells.append(model.predict_proba(some))
            pace.done += len(some)
        found = np.concatenate(cells) if cells else np.zeros((0, len(facts.learnt.names)), dtype=np.float32)
    finally:
        pack.drop(folder)
    if found.shape != (len(rows), len(facts.learnt.names)) or not np.isfinite(found).all():
        raise PackError(f"fold {fold} gave numbers that cannot be")
    return facts.learnt.whole(found.astype(np.float32))


@dataclass
class Pace:
    """How fast the rows of a member go by, all folds together."""

    rows: int
    """Times folds."""
    deadline: float
    clock: Clock
    done: int = 0
    loading: float = 0.0
    """Seconds before rows went by."""
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def look(self) -> None:
        """Raise _NoTimeError if the rest would not end in time, as far as what is done tells."""
        now = self.clock()
        left = (now - self.began) / self.done * (self.rows - self.done) if self.done else 0.0
        if now + left > self.deadline:
            raise _NoTimeError(
                f"there was no time for it: {self.done} of {self.rows} rows and folds took {now - self.began:.0f} s"
            )


def _inputs(step: StoredStep, facts: Facts, rows: _Rows) -> RowInputs:
    counted = row_features(rows.texts) if step.wants_counts else None
    declared = None
    if step.wants_features:
        if facts.features is None:
            raise PackError("the stack wants columns of numbers, and the pack does not know them")
        declared = declared_features(facts.features, sorted(rows.features), rows.features, len(rows.ids))
    return RowInputs(counted, declared)


def _write(
    pack: OpenedPack,
    facts: Facts,
    form: Form,
    rows: _Rows,
    probabilities: NDArray[np.float32],
    step: Step,
    output: Path,
) -> None:
    """The CSV, as `compete submit` writes it, and read once as Kaggle would."""
    declared = read_declaration(pack.workspace)
    values: NDArray[np.generic] = (
        decision_from(step.decision).decide(probabilities)
        if facts.decides
        else metric_of(pack.workspace, declared, facts.task).possible(probabilities)
    )
    atomic.write_bytes(output, render(form, rows.ids, facts.task.outputs, values))
    check(output, form)
