"""JSON that lies in a folder which somebody else may have filled: read within bounds, or not at all.

A manifest may be a pipe that never answers, gigabytes long, or nested so deeply that a parser runs out of stack. All of
that is a ValueError here, as a syntax error is: whoever reads a file says what a broken one means.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MOST_BYTES = 64 * 2**20
MOST_LEVELS = 64


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """What a file holds; raises OSError if it cannot be read, ValueError if it is no JSON within these bounds."""
    size = path.stat().st_size
    if not path.is_file():  # a pipe or a device may never end, or never answer
        raise ValueError("it is no file")
    if size > most_bytes:
        raise ValueError(f"it has {size:,} bytes, at most {most_bytes:,} are read")
    return parsed_json(path.read_bytes())


def parsed_json(text: str | bytes) -> Any:
    """The same of a text that is here already."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [found]
    for _ in range(MOST_LEVELS):
        level = [inner for each in level for inner in _inside(each) if isinstance(inner, dict | list)]
        if not level:
            return found
    raise ValueError("it is nested too deeply")


def _inside(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
