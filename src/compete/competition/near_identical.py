"""Texts that differ in case, white space, user mentions and links only: who saw one has seen the other."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MENTION = re.compile(r"@\w+")


# What a link consists of (RFC 3986): of a text in Chinese, what follows it without a blank is no part of it.
_URL = re.compile(r"(?:https?://|www\.)[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+", re.IGNORECASE)


def near_identical_key(text: str) -> str:
    """Equal for texts that differ in case, white space, user mentions and URLs only.

    A text of nothing but links and mentions is told by them.
    """
    # No link or mention is without these characters, and a look for them is quicker than for the pattern.
    kept = _URL.sub(" ", text) if "://" in text or "." in text else text
    kept = _MENTION.sub(" ", kept) if "@" in kept else kept
    return " ".join(kept.split()).casefold() or " ".join(text.split()).casefold()


def near_identical_groups(texts: Sequence[str]) -> NDArray[np.intp]:
    """A group number for every text, equal for near-identical ones, in order of first appearance."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(near_identical_key(text), len(numbers)) for text in texts], dtype=np.intp)


def large_groups(texts: Sequence[str], groups: NDArray[np.intp], share: float = 0.01) -> list[tuple[int, str]]:
    """How many rows share a near-identical text, and the first of these texts, for groups of more than `share` of all.

    groups: of `near_identical_groups`. All rows of one lie in one fold. The largest first; fewer than ten are none.
    """
    _, first, sizes = np.unique(groups, return_index=True, return_counts=True)
    large = np.flatnonzero(sizes > max(9, share * len(texts)))
    return [(int(sizes[i]), texts[first[i]]) for i in large[np.argsort(-sizes[large], kind="stable")]]
