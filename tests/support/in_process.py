"""The command line in this process: quicker than a process of its own, and what it imported once is there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compete.cli.main import main


@dataclass
class Ran:
    """What came of a command."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """All of standard output, parsed as the one document it must be; NaN is no JSON."""
        assert self.stdout.startswith("{\n  ") and self.stdout.endswith("\n}\n"), self.stdout
        return json.loads(self.stdout, parse_constant=pytest.fail)


Run = Callable[..., Ran]


def in_process(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `compete ARGUMENTS...` in `folder`, or in `cwd`; standard output is ours again afterwards."""

    def run(*arguments: str, cwd: Path = folder) -> Ran:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["compete", *arguments])
        before = sys.stdout
        with pytest.raises(SystemExit) as ended:
            main()
        assert sys.stdout is before
        shown = capsys.readouterr()
        return Ran(int(ended.value.code or 0), shown.out, shown.err)

    return run
