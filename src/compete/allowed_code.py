"""Which Python files their reader has allowed to run here: remembered outside of every workspace.

A family of one's own runs when it is trained, and whoever trains a stranger's workspace wants that. A metric would run
whenever something is scored, looking at a stack or a report included. So it is run only after somebody who has read it
said so, and what was allowed is its content: an edited file is another one, a copy is the same (as direnv has it).
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from compete import atomic
from compete.errors import UserError
from compete.stored_json import read_json

CONFIG = "COMPETE_CONFIG"
"""An environment variable, which no workspace can set: the folder of what is remembered of all of them."""


def allowed_files() -> Path:
    """Where it is remembered: under $COMPETE_CONFIG, $XDG_CONFIG_HOME/compete or ~/.config/compete."""
    named = os.environ.get(CONFIG)
    above = os.environ.get("XDG_CONFIG_HOME")
    folder = Path(named) if named else (Path(above) if above else Path.home() / ".config") / "compete"
    return folder / "allowed.json"


def allow(file: Path) -> None:
    """From now on a file of just this content may run; raises UserError if it cannot be read or remembered."""
    entry = {"file": str(file), "allowed": datetime.now(UTC).isoformat(timespec="seconds")}
    remembered = allowed_files()
    try:
        atomic.write_json(remembered, {**_remembered(), _content(file): entry})
    except OSError as error:
        raise UserError(
            f"{remembered} cannot be written: {error.strerror}; {CONFIG}=FOLDER has it elsewhere"
        ) from error


def is_allowed(file: Path) -> bool:
    """Whether a file of this content was ever allowed; raises UserError if it cannot be read."""
    return _content(file) in _remembered()


def check_allowed(file: Path) -> None:
    """Raises UserError, with what to do, if nobody has allowed the file as it is now."""
    if not is_allowed(file):
        raise UserError(not_allowed(file))


def not_allowed(file: Path) -> str:
    return (
        f"{file.name} is code of this workspace that nobody has allowed to run here: read it, then `compete allow` "
        "(and again after every change of it)"
    )


def _content(file: Path) -> str:
    try:
        return atomic.sha256_file(file)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error


def _remembered() -> dict[str, object]:
    """By hash. A file that is broken allows nothing: what was in it is asked again."""
    try:
        found = read_json(allowed_files())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
