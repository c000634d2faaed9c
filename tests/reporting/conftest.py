from __future__ import annotations

from pathlib import Path

import pytest

from compete.competition.workspace import Workspace
from support.lived_in import copied


@pytest.fixture
def lived(worked_in: Workspace, tmp_path: Path) -> Workspace:
    """A copy to spoil."""
    return copied(worked_in, tmp_path)
