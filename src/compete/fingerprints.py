"""Short hashes that tell whether two things are the same, and sentences that tell what differs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

_DIGEST = re.compile(r"[0-9a-f]{16}")


def digest(parts: Iterable[str | bytes]) -> str:
    """16 hex digits over a sequence; where one part ends and the next begins counts."""
    state = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        state.update(len(content).to_bytes(8, "little"))
        state.update(content)
    return state.hexdigest()[:16]


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """What changed between two sets of named values: 'folds.k: 5 -> 10', or 'train texts changed' for hashes."""
    changes = []
    for name in [*old, *(name for name in new if name not in old)]:
        before, after = old.get(name, "not set"), new.get(name, "not set")
        if before == after:
            continue
        is_hash = _DIGEST.fullmatch(before) or _DIGEST.fullmatch(after)
        changes.append(f"{name} changed" if is_hash else f"{name}: {before} -> {after}")
    return changes
