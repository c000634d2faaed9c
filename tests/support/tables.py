"""Tables as they lie in a file."""

from __future__ import annotations

import csv
from pathlib import Path


def column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]
