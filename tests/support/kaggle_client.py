"""Kaggle's client for many tests: one process, that lives as long as the module's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from compete.submissions.kaggle.client import KaggleClient
from support.kaggle_service import KaggleService
from support.kaggle_toy import PASSWORD, SLUG


class LastingClient(KaggleClient):
    """Closed by `lasting_client` alone, and not by the command that was given it."""

    def __exit__(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def lasting_client(service: KaggleService, home: Path) -> Iterator[KaggleClient]:
    client = LastingClient(SLUG, service.environment(home) | PASSWORD)
    try:
        yield client
    finally:
        client.close()
