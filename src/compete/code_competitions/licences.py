"""What a checkpoint's licence says of handing it on, as far as its own files tell."""

from __future__ import annotations

import re
from pathlib import Path

# Those that allow redistribution with no more than a notice, by their names on the hub.
PERMISSIVE = frozenset(
    {
        "apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-3.0", "unlicense",
        "isc", "zlib", "bsl-1.0", "pddl", "odc-by", "mpl-2.0", "cc-by-sa-4.0", "cc-by-sa-3.0",
    }
)  # fmt: skip
_MOST = 256 * 2**10
_FRONT = re.compile(r"^---\s*\n(.*?)\n---", re.S)
_LINE = re.compile(r"(?m)^license:\s*[\"']?([A-Za-z0-9._-]{1,60})")


def licence_of(folder: Path) -> str | None:
    """The licence that README.md names, as the hub writes it ("apache-2.0"); None where it says nothing."""
    path = folder / "README.md"
    if not path.is_file() or path.stat().st_size > _MOST:
        return None
    front = _FRONT.match(path.read_text(encoding="utf-8", errors="replace"))
    found = _LINE.search(front[1]) if front else None
    return found[1].lower() if found else None


def may_be_taken_along(licence: str | None) -> bool:
    """Whether a licence is known to allow it."""
    return licence in PERMISSIVE
