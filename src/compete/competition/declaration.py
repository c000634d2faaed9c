"""competition.toml: what a user declares about a competition, validated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from compete.atomic import sha256_file
from compete.competition.metric_names import DEFAULT_METRICS, MetricInfo, Wants, is_own, metric_info, metric_names
from compete.competition.names import stays_inside
from compete.competition.task import KINDS, TaskName
from compete.competition.text_columns import TextColumns
from compete.competition.workspace import Workspace
from compete.declarations import Declaration, Problem, nearest, read_toml, refuse, validate
from compete.errors import UserError
from compete.printable import shown
from compete.times import seconds_of

MOST_FOLDS = 100
Size = Literal["full", "laptop", "miniature"]
Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Files = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
Columns = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]


class Data(Declaration):
    """[data]: the files, and how to read them. Paths are relative to the workspace."""

    train: Files = Field(description="training file, or a list of files that are read as one")
    test: Files = Field(description="test file, or a list of files that are read as one")
    hidden_test: bool = Field(
        default=False,
        description="a code competition: test holds the few rows that can be seen, and a notebook predicts the others",
    )
    sample_submission: str | None = Field(default=None, description="the competition's sample submission")
    id: str = Field(description="column that names a row")
    text: str | list[str] = Field(
        description='column that holds the text; or several, as "{title}\\n{body}"; or two that are read as a pair, as '
        '["question", "answer"]'
    )
    labels: Columns | None = Field(
        default=None, description="columns of what is predicted; default: every other column of train"
    )
    label_separator: str | None = Field(
        default=None,
        min_length=1,
        description='multilabel, one column with several labels in a cell: what parts them, as "|"; "json" for lists',
    )
    grades: list[float] | None = Field(
        default=None, min_length=2, description="ordinal: the scale; default: the grades that the training rows have"
    )
    features: list[str] = Field(
        default_factory=list, description="columns of numbers or categories that models may use beside the text"
    )
    separator: str | None = Field(
        default=None, min_length=1, max_length=1, description="default: by the file's ending and header"
    )
    quoting: Literal["minimal", "none"] | None = Field(
        default=None,
        description='"none": a quote is a character like any other; "minimal": quoted as CSV writers do, whatever it '
        "looks like; default: the same, but quotes that seem to swallow rows are refused",
    )
    encoding: str = Field(default="utf-8", description="of text files without a byte order mark, which says it itself")


class Folds(Declaration):
    """[folds]: the shared fold plan."""

    k: int = Field(default=5, ge=2, le=MOST_FOLDS, description="number of folds")
    seed: int = Field(default=42, ge=0, lt=2**32, description="another seed deals the rows differently")
    groups: str | None = Field(default=None, description="column: rows with the same value share a fold")
    column: str | None = Field(default=None, description="column that says the fold of every row; k is then its count")
    time: str | None = Field(
        default=None, description="column of times: every fold is a stretch of time, and no row is dealt by chance"
    )


class Training(Declaration):
    """[training]: what `compete train-base --all` trains."""

    models: list[str] | None = Field(
        default=None,
        description="recipe names; default: every recipe in base_models/ that is for the task and not outside_all",
    )
    remote_code: list[str] = Field(
        default_factory=list, description="recipes whose checkpoint may run the code that its repository brings along"
    )
    stop_after: str | None = Field(
        default=None,
        description='as "11h" or "90m": start no fold that would not end by then, and stop what still runs',
    )
    checkpoint_every: int | None = Field(
        default=None,
        ge=0,
        description="optimiser steps of a pretrained model between two states that an interrupted fold goes on from; "
        "0: at the end of every epoch; default: a fold begins anew",
    )
    keep_weights: bool = Field(
        default=False, description="keep whole fine-tuned models too; adapters and heads are always kept"
    )

    @field_validator("stop_after")
    @classmethod
    def _is_a_time(cls, stop_after: str | None) -> str | None:
        if stop_after is not None:
            seconds_of(stop_after)
        return stop_after


class Execution(Declaration):
    """[execution]: where `compete train-base` has its jobs done."""

    on: Literal["local", "ray"] = Field(default="local", description="on this machine, or on a Ray cluster")
    address: str | None = Field(
        default=None, min_length=1, description="ray: HOST:PORT of its head; default: the one this machine is a node of"
    )
    gpus: int | None = Field(
        default=None, ge=0, description="ray: GPUs of a job; default: one for a checkpoint of full size, else none"
    )


class Tracking(Declaration):
    """[tracking]: who is told of trainings while they run."""

    to: list[Tracker] = Field(
        default_factory=list,
        description="trackers that pretrained models' trainings are told to, one run per model and fold; each is an "
        "extra of its name: `pip install 'compete[tensorboard]'`",
    )


class Submission(Declaration):
    """[submission]: where `compete submit` sends its files."""

    target: Literal["local", "kaggle"] = Field(
        default="local", description="a local leaderboard over a solution file, or Kaggle"
    )
    kaggle: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$",
        description="kaggle: the last part of the competition's address, kaggle.com/competitions/SLUG",
    )
    public_fraction: float = Field(
        default=0.5, gt=0, lt=1, description="share of the test set that the public leaderboard scores"
    )
    kernel: str | None = Field(
        default=None, pattern=r"^[^/\s]+/[^/\s]+$", description="kaggle, notebooks only: OWNER/NOTEBOOK to submit"
    )
    solution: str | None = Field(
        default=None, description="local: file with id, labels and Usage (Public, Private or Ignored)"
    )
    daily_limit: int = Field(default=5, ge=1, description="submissions per UTC day")


class CompetitionDeclaration(Declaration):
    """The whole of competition.toml."""

    name: str = Field(min_length=1, description="shown in tables and submission messages")
    task: TaskName = Field(default="multilabel", description="what is predicted")
    metric: str = Field(
        default="", description='what the competition scores, by name or as "my_metric.py:score"; default: by the task'
    )
    metric_wants: Wants | None = Field(default=None, description="own metric: what the function is given")
    metric_greater_is_better: bool | None = Field(default=None, description="own metric: whether higher scores win")
    size: Size = Field(
        default="full", description="which checkpoints: the recipe's own, small real ones, or random miniatures"
    )
    data: Data = Field(description="the files, and how to read them")
    folds: Folds = Field(default=Folds(), description="the shared fold plan")
    training: Training = Field(default=Training(), description="what `compete train-base --all` trains")
    execution: Execution = Field(default=Execution(), description="where `compete train-base` has its jobs done")
    tracking: Tracking = Field(default=Tracking(), description="who is told of trainings while they run")
    checkpoints: dict[str, str] = Field(
        default_factory=dict, description="a checkpoint's name -> the local folder that holds it"
    )
    submission: Submission = Field(default=Submission(), description="where `compete submit` sends its files")

    @property
    def metric_name(self) -> str:
        """As it is written, or the task's default."""
        return self.metric or DEFAULT_METRICS[self.task]

    @property
    def keeps_weights(self) -> bool:
        """Whether whole fine-tuned models are kept: as declared, and always where a test set is still to come."""
        return self.training.keep_weights or self.data.hidden_test

    @property
    def own_metric(self) -> tuple[str, str] | None:
        """File and function of a metric of the user's own."""
        if not is_own(self.metric):
            return None
        file, _, function = self.metric.rpartition(":")
        return file, function

    def metric_source(self, workspace: Workspace) -> str:
        """What a score of a metric of the user's own depends on, its file and what is said of it; empty for another."""
        if self.own_metric is None:
            return ""
        try:
            file = sha256_file(workspace.root / self.own_metric[0])[:16]
            return f"{file} {self.metric_wants} {self.metric_greater_is_better}"
        except OSError as error:
            raise UserError(
                f"competition.toml: metric: {self.own_metric[0]} cannot be read: {error.strerror}"
            ) from None

    @property
    def metric_info(self) -> MetricInfo:
        """What the metric is called, what it looks at, and which direction is better."""
        if self.own_metric is not None:
            assert self.metric_wants is not None  # a declaration without is refused
            greater = self.metric_greater_is_better is True
            return MetricInfo(self.own_metric[1], (self.task,), self.metric_wants, greater)
        info = metric_info(self.metric_name)
        assert info is not None  # an unknown one is refused
        return info

    @property
    def top(self) -> dict[str, object]:
        """What stands above all tables, for a declaration that is written anew; None for what is not declared."""
        return {
            "name": self.name,
            "task": self.task,
            "metric": self.metric_name,
            "metric_wants": self.metric_wants,
            "metric_greater_is_better": self.metric_greater_is_better,
            "size": self.size,
        }

    @property
    def text_columns(self) -> TextColumns:
        return TextColumns.of(self.data.text)


def hidden_test_said(rows: int | None = None) -> str:
    """What is said wherever the test set is not there yet. rows: that can be seen."""
    seen = "the rows of test" if rows is None else f"the {rows} rows of test"
    return (
        f"the test set is hidden: {seen} are those that can be seen, every model keeps what it trained, and a notebook "
        "predicts the others (`compete pack`)"
    )


def read_declaration(workspace: Workspace) -> CompetitionDeclaration:
    """Read competition.toml; raises DeclarationError that lists every problem of the file."""
    raw = read_toml(workspace.declaration)
    if workspace.size is not None:
        raw = {**raw, "size": workspace.size}
    declaration, problems = validate(CompetitionDeclaration, raw)
    problems = [*problems, *_impossible(raw), *_of_the_metric(raw), *_no_slug(raw)]
    if declaration is not None:
        problems += [*_of_the_task(declaration), *_of_the_folds(declaration)]
    refuse(Path(workspace.declaration.name), problems)
    assert declaration is not None
    return declaration


def _no_slug(raw: Mapping[str, Any]) -> Iterator[Problem]:
    submission = raw.get("submission")
    if isinstance(submission, Mapping) and submission.get("target") == "kaggle" and "kaggle" not in submission:
        yield Problem(
            "submission.kaggle", 'is missing: target = "kaggle" needs the SLUG of kaggle.com/competitions/SLUG'
        )


def _of_the_metric(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """A metric that there is none of, or that does not score the task; of the raw file, as `_impossible`."""
    task, name = raw.get("task", "multilabel"), raw.get("metric", "")
    if task not in KINDS or not isinstance(name, str):
        return
    own = {key: raw.get(key) for key in ("metric_wants", "metric_greater_is_better")}
    if is_own(name):
        missing = [key for key, value in own.items() if value is None]
        yield from (Problem(key, f"is missing: {name} is your own, and only you know") for key in missing)
        file = name.rpartition(":")[0]
        if not stays_inside(file):
            yield Problem("metric", f"the file {shown(file)} lies outside the workspace: put it into the workspace")
        return
    for key in (key for key, value in own.items() if value is not None):
        yield Problem(key, 'is for a metric of your own, metric = "file.py:function"')
    info, known = metric_info(name or DEFAULT_METRICS[task]), metric_names(task)
    if info is None:
        guess = nearest(name, known)
        hint = f"; did you mean {guess!r}?" if guess else ""
        yield Problem("metric", f'found "{name}", allowed: {", ".join(known)}, or your own as "file.py:function"{hint}')
    elif task not in info.tasks:
        yield Problem("metric", f'"{name}" is for {", ".join(info.tasks)}; for {task} there are {", ".join(known)}')


def _of_the_task(declared: CompetitionDeclaration) -> Iterator[Problem]:
    """Keys of [data] that mean nothing in the task, and more columns than it has."""
    data, task = declared.data, declared.task
    several = len(data.labels or []) > 1
    if task == "binary" and several:
        yield Problem("data.labels", f"names {len(data.labels or [])} columns; binary has one: is it multilabel?")
    if data.label_separator is not None and (task != "multilabel" or data.labels is None or several):
        yield Problem("data.label_separator", "is for multilabel with one column, which data.labels has to name")
    if data.grades is not None and task != "ordinal":
        yield Problem("data.grades", f"is for ordinal, and the task is {task}")
    if data.grades is not None and any(b <= a for a, b in zip(data.grades, data.grades[1:], strict=False)):
        yield Problem("data.grades", "must increase")


def _of_the_folds(declared: CompetitionDeclaration) -> Iterator[Problem]:
    """Ways to make folds that exclude each other, and columns with two meanings."""
    folds, data = declared.folds, declared.data
    if folds.column is not None and folds.time is not None:
        yield Problem("folds.time", "and folds.column exclude each other: both say the fold of every row")
    taken = {"data.id": {data.id}, "data.text": set(declared.text_columns.names), "data.labels": set(data.labels or [])}
    roles = {"folds.groups": folds.groups, "folds.column": folds.column, "folds.time": folds.time}
    for key, columns in {**{k: [c] for k, c in roles.items() if c}, "data.features": data.features}.items():
        # A text may be a group of rows, as where several things are asked of it.
        others = {role: names for role, names in taken.items() if (key, role) != ("folds.groups", "data.text")}
        for column in columns:
            yield from (Problem(key, f"{column!r} is also {role}") for role, names in others.items() if column in names)


def _impossible(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Combinations of keys that cannot work; checked on the raw file, so that wrong types hide none."""
    data = raw.get("data")
    if not isinstance(data, Mapping):
        return
    texts = _text_names(data.get("text"))
    if isinstance(data.get("text"), list) and len(texts) != 2:
        yield Problem("data.text", 'a pair has two columns; more are put together as "{first} {second}"')
    if isinstance(data.get("id"), str) and data.get("id") in texts:
        yield Problem("data.text", f"is {data['id']!r}, the same column as data.id")
    labels = _as_list(data.get("labels"))
    if not isinstance(labels, list):
        return
    for role, names in (("id", [data.get("id")]), ("text", texts)):
        for name in names:
            if name in labels:
                yield Problem("data.labels", f"contains {name!r}, which is the {role} column")
    repeated = sorted({str(label) for label in labels if labels.count(label) > 1})
    if repeated:
        yield Problem("data.labels", f"names a column twice: {', '.join(repeated)}")


def _text_names(text: object) -> list[str]:
    if isinstance(text, str):
        return list(TextColumns.of(text).names)
    return [name for name in text if isinstance(name, str)] if isinstance(text, list) else []
