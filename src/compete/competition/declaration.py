"""competition.toml: what a user declares about a competition, validated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from compete.competition.workspace import Workspace
from compete.declarations import Declaration, Problem, read_toml, refuse, validate
from compete.times import seconds_of

Size = Literal["full", "laptop", "miniature"]
Tracker = Literal["tensorboard", "wandb", "mlflow", "trackio"]
MetricName = Literal["f1_macro", "f1_micro", "f1_samples", "jaccard_samples", "roc_auc_macro", "log_loss"]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Files = Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]


class Data(Declaration):
    """[data]: the files, and how to read them. Paths are relative to the workspace."""

    train: Files = Field(description="training file, or a list of files that are read as one")
    test: Files = Field(description="test file, or a list of files that are read as one")
    sample_submission: str | None = Field(default=None, description="the competition's sample submission")
    id: str = Field(description="column that names a row")
    text: str = Field(description="column that holds the text")
    labels: list[str] | None = Field(
        default=None, min_length=1, description="label columns; default: every other column of train"
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

    k: int = Field(default=5, ge=2, le=100, description="number of folds")
    seed: int = Field(default=42, ge=0, lt=2**32, description="another seed deals the rows differently")


class Training(Declaration):
    """[training]: what `compete train-base --all` trains."""

    models: list[str] | None = Field(
        default=None, description="recipe names; default: every recipe in base_models/ that is not outside_all"
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
    metric: MetricName = Field(default="f1_macro", description="what the competition scores")
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


def read_declaration(workspace: Workspace) -> CompetitionDeclaration:
    """Read competition.toml; raises DeclarationError that lists every problem of the file."""
    raw = read_toml(workspace.declaration)
    if workspace.size is not None:
        raw = {**raw, "size": workspace.size}
    declaration, problems = validate(CompetitionDeclaration, raw)
    problems = [*problems, *_impossible(raw), *_no_slug(raw)]
    refuse(Path(workspace.declaration.name), problems)
    assert declaration is not None
    return declaration


def _no_slug(raw: Mapping[str, Any]) -> Iterator[Problem]:
    submission = raw.get("submission")
    if isinstance(submission, Mapping) and submission.get("target") == "kaggle" and "kaggle" not in submission:
        yield Problem(
            "submission.kaggle", 'is missing: target = "kaggle" needs the SLUG of kaggle.com/competitions/SLUG'
        )


def _impossible(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Combinations of keys that cannot work; checked on the raw file, so that wrong types hide none."""
    data = raw.get("data")
    if not isinstance(data, Mapping):
        return
    if isinstance(data.get("id"), str) and data.get("id") == data.get("text"):
        yield Problem("data.text", f"is {data['text']!r}, the same column as data.id")
    labels = data.get("labels")
    if not isinstance(labels, list):
        return
    for role in ("id", "text"):
        if data.get(role) in labels:
            yield Problem("data.labels", f"contains {data[role]!r}, which is the {role} column")
    repeated = sorted({str(label) for label in labels if labels.count(label) > 1})
    if repeated:
        yield Problem("data.labels", f"names a column twice: {', '.join(repeated)}")
