"""What can be counted in a text without a model: length, shouting, emoji, hashtags."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_COUNTED = {
    "words": re.compile(r"\S+"),
    "exclamation marks": re.compile("!"),
    "question marks": re.compile(r"\?"),
    "other punctuation": re.compile(r"[.,;:\"'()\-…]"),
    "capitals": re.compile(r"[A-Z]"),
    "shouted words": re.compile(r"\b[A-Z]{3,}\b"),
    "digits": re.compile(r"\d"),
    "hashtags": re.compile(r"#\w+"),
    "mentions": re.compile(r"@\w+"),
    "links": re.compile(r"https?://"),
    "runs of a letter": re.compile(r"(\w)\1\1"),
    # Pictographs and the older symbols that are drawn as emoji.
    "emoji": re.compile("(?:[\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff][\u200d\ufe0f]*)"),
}
NAMES = ("characters", *_COUNTED)


def row_features(texts: Sequence[str]) -> NDArray[np.float32]:
    """log(1 + count) of everything in NAMES, float32 (len(texts), len(NAMES))."""
    counts = [[len(text), *(len(pattern.findall(text)) for pattern in _COUNTED.values())] for text in texts]
    return np.log1p(np.array(counts, dtype=np.float32).reshape(-1, len(NAMES)))
