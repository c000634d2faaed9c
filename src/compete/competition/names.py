"""Names that become paths: of base models, stacks, submissions and whatever else has a file or a folder of its name.

A name is typed, or comes in a file that somebody else wrote: a recipe, a manifest, a ledger, a job's archive. Each is
checked here, by `Workspace`, before it is put behind a folder; so none leads out of it, hides a file, or reads as an
option of a command.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath

from compete.errors import UserError
from compete.printable import shown

NAME_RULE = "letters, digits, '_' and '-', a letter or digit first, at most 100 of them"
# Of folders beside those of base models, in oof/.
RESERVED_NAMES = frozenset({"stacks"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
# Of a submission made elsewhere, whose name Kaggle's list has: letters of any language, no folder, not hidden.
_SUBMISSION = re.compile(r"\w[\w .()+@=-]{0,199}")


def is_name(text: object) -> bool:
    """Whether a text may be the name of a base model, a stack, or anything else with a file of its own."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def is_model_name(text: object) -> bool:
    """The same of a base model, whose folder lies beside others in oof/."""
    return is_name(text) and text not in RESERVED_NAMES


def checked_name(text: str, what: str) -> str:
    """The name itself; raises UserError for what is none. what: whose it is, as "base model"."""
    if not is_name(text):
        raise UserError(f"{shown(text)} cannot be a {what}'s name: {NAME_RULE}")
    return text


def checked_model_name(text: str) -> str:
    """The same of a base model."""
    if not is_model_name(text):
        raise UserError(f"{shown(text)} cannot be a model's name: {NAME_RULE}; and not 'stacks'")
    return text


def is_submission_file(text: object) -> bool:
    """Whether a text may be the name of a file in submissions/."""
    return isinstance(text, str) and _SUBMISSION.fullmatch(text) is not None


def checked_submission_file(text: str) -> str:
    """The name of a file in submissions/; raises UserError for one that would lie elsewhere."""
    if not is_submission_file(text):
        raise UserError(f"{shown(text)} cannot be the name of a file in submissions/, as 001_mean.csv is")
    return text


def stays_inside(file: str) -> bool:
    """Whether a file's path, relative to a folder, leads into it: neither absolute, nor by "..", nor by a drive."""
    posix, windows = PurePosixPath(file), PureWindowsPath(file)
    rooted = posix.is_absolute() or bool(windows.drive or windows.root)
    return not rooted and ".." not in posix.parts and ".." not in windows.parts and "\0" not in file
