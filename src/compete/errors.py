"""The errors a user of compete can meet, and the exit code each of them ends a command with.

CompeteError
├── UserError            2  a mistake in what the user wrote, typed or laid into the workspace
│   ├── DeclarationError     competition.toml or a recipe: every problem of the file at once
│   ├── DataError            train, test, sample submission or an imported file
│   ├── StoreError           oof/ holds something damaged, foreign or stale
│   ├── SubmissionError      a submission that must not be sent
│   ├── ArchiveError         a packed job, or the result of one, that is damaged, foreign or of another version
│   ├── PackError            a pack that is damaged, foreign, too large, or cannot be made
│   ├── ClusterError         a Ray cluster that is not there, too small, or unlike this machine
│   └── DiskFullError        nothing can be written; what was finished is kept
├── KaggleError          1  Kaggle failed, or was not reached
└── JobsFailedError      1  the command ran and at least one job failed
"""

from __future__ import annotations


class CompeteError(Exception):
    """Base of every error that is shown as one message instead of a traceback."""

    exit_code = 1


class UserError(CompeteError):
    """A mistake of the user: says what is wrong, where, and what to do."""

    exit_code = 2


class DeclarationError(UserError):
    """A TOML file that cannot be used; the message lists all of its problems."""


class DataError(UserError):
    """A data file that cannot be used as it is."""


class StoreError(UserError):
    """Something in oof/ that is damaged, foreign, missing or stale."""


class SubmissionError(UserError):
    """A submission that was refused before anything was sent."""


class ArchiveError(UserError):
    """A job in a file, or what came of it, that is damaged, foreign or of another version."""


class PackError(UserError):
    """A pack for a code competition that is damaged, foreign, too large, or that cannot be made."""


class ClusterError(UserError):
    """A cluster that is not there, too small, or of other versions than this machine."""


class DiskFullError(UserError):
    """No space was left while writing; finished work is untouched."""


def is_users_mistake(error: str) -> bool:
    """Whether an error, by its class's name, is a mistake of the user: done again, it would fail again."""
    classes = [UserError]
    for each in classes:
        classes += each.__subclasses__()
    return error in {each.__name__ for each in classes}


class KaggleError(CompeteError):
    """Kaggle failed or was not reached; the same command may be tried again."""


class JobsFailedError(CompeteError):
    """At least one job failed; the others were finished and kept."""
