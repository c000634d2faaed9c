"""A tiny workspace whose models can be kept, trained once, and the pack of its stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from compete.competition.workspace import Workspace
from compete.workflows.pack import pack
from support.lived_in import copied
from support.packs import FFNN, trained


@pytest.fixture(scope="package")
def packed_once(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """linear, nbsvm and a small net; the stack logistic of them, packed."""
    workspace = trained(tmp_path_factory.mktemp("packed"), ("net", FFNN))
    pack(workspace, "logistic")
    return workspace


@pytest.fixture
def packed(packed_once: Workspace, tmp_path: Path) -> Workspace:
    """A copy of it, to be changed."""
    return copied(packed_once, tmp_path / "copy")
