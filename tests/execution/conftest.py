from __future__ import annotations

import os
from pathlib import Path

import pytest

from compete.execution import local
from compete.execution.jobs import Job
from compete.execution.processes import Forked, Spawned
from support.jobs import TARGETS, MakeJob


@pytest.fixture(scope="module", autouse=True)
def _warm_once() -> None:
    """Processes come from where compete takes them: that is what is tested here."""


@pytest.fixture(params=[Forked, Spawned])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are forked from a warm one, as on Linux, or started anew, as elsewhere."""
    if request.param is Forked and not hasattr(os, "fork"):
        pytest.skip("needs fork")
    monkeypatch.setattr(local, "processes", request.param)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeJob:
    """Makes a job of one of the targets; the name is the target's unless given."""
    (tmp_path / "local_targets.py").write_text(TARGETS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    def make(target: str, name: str | None = None, **payload: str) -> Job:
        name = name or target
        return Job(name, f"local_targets:{target}", dict(payload), tmp_path / "logs" / f"{name}.log")

    return make
