"""Jobs of many tests are forked from one warm process, which has imported torch and the like once and not once a test.

What a test hands to it is forked as ever: a process of its own, as good as new. Tests of where processes come from
(`tests/execution`) start theirs anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from compete.execution.processes import Forked, Process, Processes

_AT_MOST = 2  # with torch in it, each takes half a gigabyte
_OF_PYTEST = "PYTEST_CURRENT_TEST"  # another one for every test


class WarmOnce:
    """In place of `processes.processes`: where folder and environment are the same, so is the warm process."""

    def __init__(self) -> None:
        self.kept: dict[tuple[Path, frozenset[tuple[str, str]]], Forked] = {}

    def __call__(self, environment: Mapping[str, str]) -> Processes:
        key = Path.cwd(), frozenset(item for item in environment.items() if item[0] != _OF_PYTEST)
        found = self.kept.pop(key, None)
        if found is None or found.warm.poll() is not None:
            found = Forked(environment)
        self.kept[key] = found
        while len(self.kept) > _AT_MOST:
            self.kept.pop(next(iter(self.kept))).close()
        return _Lent(found)

    def close(self) -> None:
        for forked in self.kept.values():
            forked.close()
        self.kept.clear()


class _Lent:
    """Of a run: what it closes goes on for the next one."""

    def __init__(self, forked: Forked) -> None:
        self.forked = forked

    def start(self, environment: Mapping[str, str], imports: Sequence[str]) -> Process:
        return self.forked.start(environment, imports)

    def close(self) -> None:
        pass
