"""`compete init`: a new workspace, with what can be read from the user's files filled in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import compete
from compete import atomic
from compete.competition.reading import default_separator, read_table
from compete.competition.workspace import DECLARATION, Workspace
from compete.errors import DataError, UserError

RECIPE_FOLDERS = ("base_models", "stacking")
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
    separator: str | None = None
    quoting: str | None = None


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
    for name in RECIPE_FOLDERS:
        for recipe in sorted((starter_folder() / name).glob("*.toml")):
            copy = workspace.root / name / recipe.name
            if not copy.exists():
                atomic.write_bytes(copy, recipe.read_bytes())
    atomic.write_text(workspace.declaration, declaration_text(workspace.root.name, found, kaggle))
    return workspace, found


def starter_folder() -> Path:
    """Where the shipped recipes lie: inside an installed wheel, or at the top of the repository."""
    package = Path(compete.__file__).parent
    installed = package / "starter"
    return installed if installed.is_dir() else package.parents[1]


def look_at_files(root: Path, train: Path | None, test: Path | None, sample: Path | None) -> Found:
    """Names of id, text and label columns, separator and quoting, as far as the files tell them."""
    tables, reading = {}, {}
    for role, path in (("train", train), ("test", test), ("sample", sample)):
        if path is not None:
            tables[role], reading[role] = _read_somehow(path)
    columns = {role: [str(column) for column in table.columns] for role, table in tables.items()}
    id_column = _id_column(columns)
    text = _text_column(tables, columns, id_column)
    labels = [column for column in columns.get("sample", []) if column != id_column]
    labels = labels or [column for column in columns.get("train", []) if column not in (id_column, text)]
    separator, _ = reading.get("train", (None, None))
    return Found(
        train=_path_text(root, train),
        test=_path_text(root, test),
        sample=_path_text(root, sample),
        id=id_column,
        text=text,
        labels=tuple(labels) if columns.get("sample") or columns.get("train") else (),
        separator=separator if train and separator != default_separator(train) else None,
        quoting="none" if any(how == "none" for _, how in reading.values()) else None,
    )


def declaration_text(name: str, found: Found, kaggle: str | None = None) -> str:
    """A commented competition.toml; what could not be told is left to fill in, and marked so."""
    lines = [
        f"name = {_quoted(name)}",
        'metric = "f1_macro"   # or f1_micro, f1_samples, jaccard_samples, roc_auc_macro, log_loss',
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
        f"labels = [{labels}]" if labels else "# labels = [...]   # default: every other column of train",
        _optional("separator", found.separator, ";", "default: by the file's ending and header"),
        _optional("quoting", found.quoting, "none", "a quote is a character like any other"),
    ]


def _size() -> str:
    """What this machine can train: the full checkpoints want a GPU, which comes with its driver's command."""
    return "full" if shutil.which("nvidia-smi") else "laptop"


def _read_somehow(path: Path) -> tuple[pd.DataFrame, tuple[str, str]]:
    """The table, and the (separator, quoting) it was read with: the header decides, then what parses."""
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    if path.suffix == ".parquet":
        return read_table(path), (default_separator(path), "minimal")
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text: write competition.toml by hand, with data.encoding") from None
    separator = max(",\t;|", key=header.count)
    errors = []
    for quoting in ("minimal", "none"):
        try:
            return read_table(path, separator, quoting), (separator, quoting)
        except DataError as error:
            errors.append(error)
    raise errors[0]


def _id_column(columns: dict[str, list[str]]) -> str | None:
    """The column that all given files share and that comes first; texts are not in a sample submission."""
    if not columns:
        return None
    shared = set.intersection(*(set(names) for names in columns.values()))
    first = columns.get("sample") or columns.get("test") or columns["train"]
    return next((name for name in first if name in shared), None)


def _text_column(tables: dict[str, pd.DataFrame], columns: dict[str, list[str]], id_column: str | None) -> str | None:
    """The column with the longest values that is in train and test alike."""
    given = [role for role in ("train", "test") if role in tables]
    if not given:
        return None
    shared = set.intersection(*(set(columns[role]) for role in given)) - {id_column} - set(columns.get("sample", []))
    table = tables[given[0]]
    return max(sorted(shared), key=lambda name: table[name].str.len().mean(), default=None)


def _path_text(root: Path, path: Path | None) -> str | None:
    if path is None:
        return None
    resolved = path.resolve()
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else str(resolved)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _filled(key: str, value: str | None, example: str, note: str = "") -> str:
    comment = note if value else f"fill in{': ' * bool(note)}{note}"
    return f"{key} = {_quoted(value or example)}" + (f"   # {comment}" if comment else "")


def _optional(key: str, value: str | None, example: str, note: str = "") -> str:
    line = f"{key} = {_quoted(value or example)}" + (f"   # {note}" if note else "")
    return line if value else f"# {line}"


def missing_columns(found: Found) -> Sequence[str]:
    """Keys of [data] that the user still has to fill in."""
    return [key for key in ("train", "test", "id", "text") if getattr(found, key) is None]
