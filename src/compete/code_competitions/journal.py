"""What was sent to Kaggle and what came of it: written before and after every step that makes something there.

A step is "intent" from before its call to after its answer. A crash, a time-out or a cut connection leaves it so, and
whoever comes next asks Kaggle what became of it before he sends anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from compete import atomic
from compete.errors import CompeteError, KaggleError, StoreError, UserError
from compete.printable import shown
from compete.stored_json import read_json
from compete.submissions.kaggle.client import PATIENCE, UnknownOutcome

FORMAT = 1
# Seconds after which a call that was cut off, and that Kaggle knows nothing of, will not arrive any more.
SETTLED = 60.0
BETWEEN_LOOKS = 5.0
State = Literal["intent", "done", "failed"]
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Noted:
    """What is known of a step."""

    state: State
    since: datetime
    facts: Facts
    """What came of it; of a failed one, what not to take for its success."""


class Journal:
    """A JSON file, written as a whole at every step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def steps(self) -> dict[str, Noted]:
        """Every step that was begun; raises StoreError for a file that compete did not write."""
        try:
            found = read_json(self.path)
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise self._unreadable(str(error)) from None
        if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("steps"), dict):
            raise self._unreadable(f"it has no steps of format {FORMAT}")
        return {name: self._noted(name, each) for name, each in found["steps"].items()}

    def noted(self, step: str) -> Noted | None:
        return self.steps().get(step)

    def note(self, step: str, state: State, facts: Facts | None = None) -> None:
        """Write down how a step stands; what is known of it otherwise is replaced."""
        steps = self.steps() | {step: Noted(state, datetime.now(UTC), facts or {})}
        record = {
            name: {"state": each.state, "since": each.since.isoformat(timespec="milliseconds"), "facts": each.facts}
            for name, each in steps.items()
        }
        atomic.write_json(self.path, {"format": FORMAT, "steps": record})

    def _noted(self, name: str, each: object) -> Noted:
        try:
            assert isinstance(each, dict)
            noted = Noted(each["state"], datetime.fromisoformat(each["since"]), each["facts"])
            if noted.state in get_args(State) and isinstance(noted.facts, dict) and noted.since.tzinfo:
                return noted
        except (AssertionError, KeyError, TypeError, ValueError):
            pass
        raise self._unreadable(f"its step {shown(name)} is none")

    def _unreadable(self, why: str) -> StoreError:
        return StoreError(
            f"{self.path} cannot be read ({why}), and with it what was sent to Kaggle before: put it back, or remove "
            "it, and what lies on Kaggle already is looked for by its content"
        )


@dataclass(frozen=True)
class Step:
    """Something that is to be made on Kaggle once."""

    name: str
    """In the journal."""
    what: str
    """For messages."""
    find: Callable[[], Facts | None]
    """Asks Kaggle whether it is there."""
    do: Callable[[], Facts]
    """Makes it; raises UnknownOutcome where it may have been made."""
    longest: float = PATIENCE
    """Seconds that `do` may take."""


def once(journal: Journal, step: Step, say: Callable[[str], None], *, trust: bool = True) -> Facts:
    """What came of the step, done now or before. trust: the journal, where that says done.

    Raises KaggleError where it did not arrive, or nobody can tell yet; the same call goes on from there.
    """
    noted = journal.noted(step.name)
    if noted is not None and noted.state == "done" and trust:
        return noted.facts
    found = step.find()
    if found is None and noted is not None and noted.state == "intent":
        say(f"{step.what} was cut off: asking Kaggle whether it arrived ({SETTLED:.0f} s at most)")
        found = _settled(step, noted.since + timedelta(seconds=step.longest))
    if found is None:
        found = _made(journal, step, noted.facts if noted is not None else {})
    journal.note(step.name, "done", found)
    return found


def _made(journal: Journal, step: Step, facts: Facts) -> Facts:
    journal.note(step.name, "intent", facts)
    try:
        return step.do()
    except UnknownOutcome as error:
        found = _after_all(step, error)
        if found is not None:
            return found
        journal.note(step.name, "failed", facts)
        raise KaggleError(
            f"{error}. Kaggle knows nothing of {step.what}: it did not arrive, and the same command sends it"
        ) from None
    except CompeteError:
        # Refused, perhaps because somebody was first: another command of the same content.
        found = step.find()
        if found is not None:
            return found
        journal.note(step.name, "failed", facts)
        raise


def _after_all(step: Step, error: UnknownOutcome) -> Facts | None:
    try:
        return _settled(step, datetime.now(UTC))
    except (KaggleError, UserError) as silent:
        raise KaggleError(
            f"{error}, and whether {step.what} arrived is not known yet ({silent}) The same command asks Kaggle before "
            "it sends anything"
        ) from None


def _settled(step: Step, since: datetime) -> Facts | None:
    """What Kaggle knows of a step that was cut off; asked until it will not arrive any more."""
    # `since` may lie ahead, where the longest call would have ended; the process that made it has ended already.
    since = min(since, datetime.now(UTC))
    while True:
        found = step.find()
        left = SETTLED - (datetime.now(UTC) - since).total_seconds()
        if found is not None or left <= 0:
            return found
        time.sleep(min(left, BETWEEN_LOOKS))
