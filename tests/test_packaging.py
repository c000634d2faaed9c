"""What is installed is what the sources say."""

from __future__ import annotations

from importlib.metadata import version

import compete


def test_what_is_installed_says_the_same_version() -> None:
    # An editable install remembers the version of its day; `make` renews it when __init__.py changes.
    assert version("compete") == compete.__version__
