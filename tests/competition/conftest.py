from __future__ import annotations

from pathlib import Path

import pytest

from compete.competition.data import Competition, load_competition
from compete.competition.workspace import Workspace
from support.small_files import DECLARATION, SAMPLE, TEST, TRAIN, Load


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a workspace of three training and two test rows, with the given files in place of the good ones."""

    def load(toml: str = DECLARATION, **files: str) -> Competition:
        contents = {"train": TRAIN, "test": TEST, "sample": SAMPLE, **files}
        for name, content in contents.items():
            (tmp_path / f"{name}.csv").write_bytes(content.encode())
        (tmp_path / "competition.toml").write_text(toml, encoding="utf-8")
        return load_competition(Workspace(tmp_path))

    return load
