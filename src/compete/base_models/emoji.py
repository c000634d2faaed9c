"""Emoji in words, for tokenizers that know none.

A WordPiece vocabulary of 30,000 tokens has hardly any emoji: each becomes the one unknown token, and a post loses what
it says most plainly. Byte-level vocabularies (RoBERTa, Llama, Qwen) read them as they are.
"""

from __future__ import annotations

import re
import unicodedata

# Pictographs and the older symbols that are drawn as emoji, with what shapes them (skin tones, joiners, selectors).
EMOJI = re.compile(r"(?:[\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff]|[\u200d\ufe0f])+")
_SHAPE = re.compile("[\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")


def emoji_named(text: str) -> str:
    """The text with every emoji replaced by its Unicode name in small letters, a run of the same one named once."""
    return EMOJI.sub(_names, text)


def _names(run: re.Match[str]) -> str:
    emoji = list(dict.fromkeys(_SHAPE.sub("", run.group())))
    # A symbol that is newer than this Python's Unicode tables has no name there, and stays.
    return " " + " ".join(unicodedata.name(each, each).lower().replace("-", " ") for each in emoji) + " "
