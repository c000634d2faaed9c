"""A pack on its way to a scored submission, against the stand-in with the unmodified client."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from compete.code_competitions import journal as journal_module
from compete.code_competitions import shipping
from compete.competition.workspace import Workspace
from compete.errors import CompeteError
from compete.submissions.kaggle import kaggle_leaderboard
from compete.submissions.kaggle.client import KaggleClient
from compete.workflows.ship import Shipped, ship
from support.kaggle_service import KaggleService
from support.kaggle_toy import PASSWORD, SLUG
from support.shipped import assert_shipped_once, code_competition, make_pack, make_workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service() -> Iterator[KaggleService]:
    with code_competition() as running:
        yield running


class Lasting(KaggleClient):
    """One process for all tests of a module: it is closed at the end of it alone."""

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def client(service: KaggleService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KaggleClient]:
    made = Lasting(SLUG, service.environment(tmp_path_factory.mktemp("home")) | PASSWORD)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch, service: KaggleService) -> None:
    monkeypatch.setattr(kaggle_leaderboard, "SETTLED", 0.05)
    monkeypatch.setattr(kaggle_leaderboard, "_BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr(journal_module, "SETTLED", 0.05)
    monkeypatch.setattr(journal_module, "BETWEEN_LOOKS", 0.02)
    monkeypatch.setattr(shipping, "FIRST_LOOK", 0.02)
    monkeypatch.setattr(shipping, "READY_WITHIN", 0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("ship") / "ws")


@pytest.fixture
def workspace(made: Workspace) -> Workspace:
    """One that has sent nothing yet."""
    shutil.rmtree(made.submissions, ignore_errors=True)
    shutil.rmtree(made.root / "packs")
    make_pack(made)
    return made


def test_from_a_pack_to_a_scored_submission(service: KaggleService, client: KaggleClient, workspace: Workspace) -> None:
    found = ship(workspace, yes=True, client=client, say=print)
    print(found.table.to_string())
    print(service.endpoints())
    assert_shipped_once(service, workspace)
