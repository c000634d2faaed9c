"""`compete init`: a new workspace, with what can be read from the user's files filled in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

import compete
from compete import atomic
from compete.competition.columns import guess_columns
from compete.competition.data_files import kind_of
from compete.competition.guessed_metric import guess_metric
from compete.competition.metric_names import DEFAULT_METRICS, metric_names
from compete.competition.reading import default_separator, header_line, read_table
from compete.competition.starter_recipes import starter_recipes
from compete.competition.task import KINDS, TaskName
from compete.competition.workspace import DECLARATION, Workspace
from compete.errors import DataError, UserError

_LOCAL = (
    'target = "local"   # or "kaggle", with kaggle = "SLUG" of kaggle.com/competitions/SLUG',
    '# solution = "data/solution.csv"   # id, labels and Usage (Public or Private); without it nothing is scored',
)


@dataclass(frozen=True)
class Found:
    """What was read from the user's files; None where nothing was given or nothing could be told."""

    train: str | None = None
    test: str | None = None
    sample: str | None = None
    id: str | None = None
    text: str | None = None
    labels: tuple[str, ...] = ()
    """Columns of what is predicted."""
    task: TaskName | None = None
    label_separator: str | None = None
    separator: str | None = None
    quoting: str | None = None
    metric: str | None = None
    """Only where the task or the sample submission says more than "0 or 1"."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Columns of train that are nothing, and why."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Of id, text, labels, task and metric."""
    to_make_labels: str | None = None
    """What to do where labels are held in another way."""


def make_workspace(
    folder: Path,
    train: Path | None = None,
    test: Path | None = None,
    sample: Path | None = None,
    kaggle: str | None = None,
) -> tuple[Workspace, Found]:
    """Write competition.toml and copies of the recipes; files that are there already are kept.

    kaggle: the competition to submit to; without it, the local leaderboard.

    Raises UserError if `folder` is a workspace already, DataError if a given file cannot be read.
    """
    workspace = Workspace(folder.resolve())
    if workspace.declaration.exists():
        raise UserError(
            f"{folder / DECLARATION} is there already: this is a workspace. Edit it, or choose another folder."
        )
    found = look_at_files(workspace.root, train, test, sample)
    for name, content in starter_recipes(starter_folder(), found.task or "multilabel").items():
        copy = workspace.root / name
        if not copy.exists():
            atomic.write_bytes(copy, content)
    # Last, since it makes the folder a workspace: what is killed before can be started again.
    atomic.write_text(workspace.declaration, declaration_text(workspace.root.name, found, kaggle))
    return workspace, found


def starter_folder() -> Path:
    """Where the shipped recipes lie: inside an installed wheel, or at the top of the repository."""
    package = Path(compete.__file__).parent
    installed = package / "starter"
    return installed if installed.is_dir() else package.parents[1]


def look_at_files(root: Path, train: Path | None, test: Path | None, sample: Path | None) -> Found:
    """Names of id, text and label columns, separator and quoting, as far as the files tell them."""
    given = {role: path for role, path in (("train", train), ("test", test), ("sample", sample)) if path is not None}
    if not given:
        return Found()
    tables, quoting = _read_somehow(given)
    columns = guess_columns(**tables)
    separator = None if train is None else _separator(train)
    metric, why = guess_metric(tables.get("train"), tables.get("sample"), columns)
    return Found(
        train=_path_text(root, train),
        test=_path_text(root, test),
        sample=_path_text(root, sample),
        id=columns.id,
        text=columns.text,
        labels=columns.labels,
        task=columns.task,
        label_separator=columns.separator,
        separator=separator if train and separator != default_separator(kind_of(train)[1]) else None,
        quoting=quoting,
        metric=metric,
        left_out=columns.left_out,
        reasons={**columns.reasons, **({"metric": why} if metric else {})},
        to_make_labels=columns.to_make_labels,
    )


def declaration_text(name: str, found: Found, kaggle: str | None = None) -> str:
    """A commented competition.toml; what could not be told is left to fill in, and marked so."""
    lines = [
        f"name = {_quoted(name)}",
        *task_lines(found),
        *metric_lines(found),
        f'size = "{_size()}"   # full (for a GPU), laptop (small checkpoints) or miniature (to try it all)',
        "",
        *data_lines(found),
        "",
        "[folds]   # one plan for all base models",
        "k = 5",
        "seed = 42",
        "",
        "[submission]",
        *(_LOCAL if kaggle is None else ['target = "kaggle"', f"kaggle = {_quoted(kaggle)}"]),
        "public_fraction = 0.5   # of the test set: what the public leaderboard scores",
        "daily_limit = 5" if kaggle is None else "# daily_limit = 5   # a limit of your own beside Kaggle's",
    ]
    return "\n".join(lines) + "\n"


def data_lines(found: Found) -> list[str]:
    """The section [data]."""
    labels = ", ".join(_quoted(label) for label in found.labels)
    return [
        "[data]   # paths are relative to this file",
        _filled("train", found.train, "data/train.csv", "a file, or a list of files that are read as one"),
        _filled("test", found.test, "data/test.csv"),
        _optional("sample_submission", found.sample, "data/sample_submission.csv"),
        _filled("id", found.id, "id"),
        _filled("text", found.text, "text"),
        *[f"# {_one_line(line)}" for line in _left_out(found)],
        f"labels = [{labels}]" if labels else _no_labels(found),
        *([f"label_separator = {_quoted(found.label_separator)}"] if found.label_separator else []),
        _optional("separator", found.separator, ";", "default: by the file's ending and header"),
        _optional("quoting", found.quoting, "none", "a quote is a character like any other"),
    ]


def task_lines(found: Found) -> list[str]:
    """The key `task`, with its reason where it is a guess."""
    task = found.task or "multilabel"
    lines = [f'task = "{task}"   # or {", ".join(name for name in KINDS if name != task)}']
    if task != "multilabel" and "task" in found.reasons:
        lines.insert(0, f"# A guess: {_one_line(found.reasons['task'])}.")
    return lines


def metric_lines(found: Found) -> list[str]:
    """The key `metric`, with its reason where it is a guess."""
    task = found.task or "multilabel"
    metric = found.metric or DEFAULT_METRICS[task]
    others = ", ".join(name for name in metric_names(task) if name != metric)
    lines = [f"metric = {_quoted(metric)}   # or {others}"]
    if found.metric:
        another = "; log_loss is another" if task == "multilabel" else ""
        lines.insert(0, f"# A guess: {found.reasons['metric']}. What the competition says counts{another}.")
    return lines


def _left_out(found: Found) -> list[str]:
    """A line for every reason why columns are no labels."""
    groups: dict[str, list[str]] = {}
    for name, why in found.left_out.items():
        groups.setdefault(why, []).append(name or "''")
    return [f"no labels: {', '.join(names)} ({why})" for why, names in groups.items()]


def _no_labels(found: Found) -> str:
    why = found.reasons.get("labels") if found.train else None
    return "# labels = [...]   # " + (f"fill in: {_one_line(why)}" if why else "default: every other column of train")


def _one_line(text: str) -> str:
    """For a comment: no names of columns end it."""
    return " ".join(text.split())


def _size() -> str:
    """What this machine can train: the full checkpoints want a GPU, which comes with its driver's command."""
    return "full" if shutil.which("nvidia-smi") else "laptop"


def _read_somehow(given: Mapping[str, Path]) -> tuple[dict[str, pd.DataFrame], str | None]:
    """The tables, and the quoting that reads all of them: the header decides on separators, then what parses."""
    errors = []
    for quoting in (None, "none"):
        try:
            return {
                # A sample submission has no texts, and is read without a word on quotes everywhere.
                role: read_table(path, _separator(path), None if role == "sample" else quoting)
                for role, path in given.items()
            }, quoting
        except DataError as error:
            errors.append(error)
    raise errors[0]


def _separator(path: Path) -> str | None:
    if not path.is_file():
        raise DataError(f"{path} {'is no file' if path.exists() else 'does not exist'}")
    if kind_of(path)[0] != "text":
        return default_separator(path)
    try:
        header = header_line(path)
    except DataError as error:
        raise DataError(
            f"{error}. `compete init` reads UTF-8 and what a byte order mark announces: save the file so, or fill in "
            "competition.toml by hand, data.encoding and all (without files, `compete init` makes one)"
        ) from None
    return max(",\t;|", key=header.count)


def _path_text(root: Path, path: Path | None) -> str | None:
    if path is None:
        return None
    resolved = path.resolve()
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else str(resolved)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _filled(key: str, value: str | None, example: str, note: str = "") -> str:
    comment = f"fill in{': ' * bool(note)}{note}" if value is None else note
    return f"{key} = {_quoted(example if value is None else value)}" + (f"   # {comment}" if comment else "")


def _optional(key: str, value: str | None, example: str, note: str = "") -> str:
    line = f"{key} = {_quoted(value or example)}" + (f"   # {note}" if note else "")
    return line if value else f"# {line}"


def missing_columns(found: Found) -> Sequence[str]:
    """Keys of [data] that the user still has to fill in."""
    missing = [key for key in ("train", "test", "id", "text") if getattr(found, key) is None]
    return missing + ["labels"] * bool(found.train and not found.labels)


def said(found: Found) -> list[str]:
    """Sentences on what was guessed and why, and on what could not be."""
    given = found.train or found.test or found.sample
    if not given:
        return []
    lines = [f"id {_told(found.id)}, text {_told(found.text)}, {_counted(found)}{', '.join(found.labels)}"]
    if found.task not in (None, "multilabel") or found.label_separator:
        parted = f", label_separator = {_quoted(found.label_separator)}" if found.label_separator else ""
        lines.append(f'task = "{found.task}"{parted}')
    keys = ("id", "text", "labels", "task", "metric")
    lines += [f"{key}: {found.reasons[key]}" for key in keys if key in found.reasons]
    lines += [*_left_out(found), *([found.to_make_labels] if found.to_make_labels else [])]
    if found.metric:
        lines.append(f"metric = {_quoted(found.metric)} is a guess: see what the competition says")
    return lines


def _counted(found: Found) -> str:
    plain = found.task in (None, "multilabel") and not found.label_separator
    noun = "label" if plain else "label column"
    return f"{len(found.labels)} {noun}{'s' * (len(found.labels) > 1)}: " if found.labels else "no labels"


def _told(column: str | None) -> str:
    return "not told" if column is None else repr(column)
