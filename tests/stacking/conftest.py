from __future__ import annotations

from pathlib import Path

import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.planned import Planned
from compete.competition.workspace import Workspace
from compete.oof.fold_plan import with_plan
from support.lived_in import copied


@pytest.fixture
def trained(trained_once: Workspace, tmp_path: Path) -> Competition:
    return load_competition(copied(trained_once, tmp_path))


@pytest.fixture
def planned(trained: Competition) -> Planned:
    return with_plan(trained)


@pytest.fixture
def stacked(stacked_once: Workspace, tmp_path: Path) -> Competition:
    """A copy of it, to be changed."""
    return load_competition(copied(stacked_once, tmp_path))
