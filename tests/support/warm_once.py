"""Jobs of many tests are forked from one warm process, which has imported torch and the like once and not once a test.

What a test hands to it is forked as ever: a process of its own, as good as new. Tests of where processes come from
(`tests/execution`) start theirs anew.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from compete.execution.processes import Forked, Process, Processes

_AT_MOST = 2  # with torch in it, each takes half a gigabyte
_OF_PYTEST = "PYTEST_CURRENT_TEST"  # another one for every test
# What is forked stands where the test stands, as it would if the process were started there.
_FOLDER = "WARM_ONCE_FOLDER"
_MAIN = f"""

from compete.execution import warm

fork = warm._fork

def forked(message):
    folder = message["environment"].pop("{_FOLDER}")
    process = fork(message)
    if process == 0:
        os.chdir(folder)
    return process

warm._fork = forked
warm.main()
"""


class WarmOnce:
    """In place of `compete.execution.processes.processes`: for one environment, the same warm process again."""

    def __init__(self) -> None:
        self.kept: dict[frozenset[tuple[str, str]], Forked] = {}

    def __call__(self, environment: Mapping[str, str]) -> Processes:
        key = frozenset((name, value) for name, value in environment.items() if name != _OF_PYTEST)
        found = self.kept.pop(key, None)
        if found is None or found.warm.poll() is not None:
            with pytest.MonkeyPatch.context() as changed:
                changed.setattr("compete.execution.processes._PYTHON", (sys.executable, "-P", "-c", _MAIN))
                found = Forked(dict(key))
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
        return self.forked.start({**environment, _FOLDER: str(Path.cwd())}, imports)

    def close(self) -> None:
        pass
