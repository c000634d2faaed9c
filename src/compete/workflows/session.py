"""What most verbs begin with: the workspace's lock, and its rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from compete.competition.data import Competition, left_out_of_the_metric, load_competition
from compete.competition.declaration import hidden_test_said
from compete.competition.workspace import Workspace
from compete.oof.lock import exclusive
from compete.submissions.targets import what_keeps_from_scoring

Say = Callable[[str], None]
"""Takes a sentence beside the result: a warning, a notice, what is being waited for."""


def silent(sentence: str) -> None:
    """Nobody listens."""


@contextlib.contextmanager
def exclusively(workspace: Workspace, say: Say = silent, *, reading: bool = False) -> Iterator[None]:
    """The workspace's lock; says so when it has to wait for it. reading: do without where nothing can be written."""
    with stopping_said(say), locked(workspace, say, reading=reading):
        yield


@contextlib.contextmanager
def locked(workspace: Workspace, say: Say, *, reading: bool = False) -> Iterator[None]:
    """The same, where Ctrl-C is told by somebody else."""

    def waiting() -> None:
        say("another compete command is at work in this workspace: waiting until it has ended (Ctrl-C gives up)")

    with exclusive(workspace, waiting, reading=reading):
        yield


@contextlib.contextmanager
def stopping_said(say: Say) -> Iterator[None]:
    """Says what Ctrl-C means."""
    try:
        yield
    except KeyboardInterrupt:
        say("stopped: what was finished is kept, and the same command goes on from there")
        raise


def load(workspace: Workspace, say: Say = silent) -> Competition:
    """The competition's rows; warnings are said, and why nothing could be scored in the end."""
    competition = load_competition(workspace)
    problem = what_keeps_from_scoring(competition)
    for warning in (
        *competition.warnings,
        *left_out_of_the_metric(competition),
        *([f"nothing can be scored: {problem}"] if problem else []),
    ):
        say(f"warning: {warning}")
    if competition.declaration.data.hidden_test:
        say(hidden_test_said(len(competition.test_ids)))
    return competition
