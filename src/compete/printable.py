"""Text of strangers as a terminal, a page or a drawing may show it.

A label, a file's name or a message may hold what a terminal takes for a command (an escape sequence that clears the
screen, renames the window or types for the user), what turns the direction of a line round, and letters that XML has
not. What a reader cannot see is written as Python would write it in a string: \\x1b, \\u202e.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# C0 but for tab and line break, DEL and C1; marks that embed, override or isolate a direction; line and paragraph
# separators; single halves of surrogates, which no encoding has; the last two of the plane, which XML has not.
# The joiners of emojis and of Arabic letters are none of these.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_LONGEST = 80


def printable(text: str) -> str:
    """The text with every letter in it that acts in place of being seen written out; tabs and line breaks stay."""
    return _UNSEEN.sub(_written_out, text)


def on_one_line(text: str) -> str:
    """The same without line breaks and tabs, for a place that has one line."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def shown(text: object, most: int = _LONGEST) -> str:
    """Something that somebody wrote, quoted as Python does and cut to what a message has room for."""
    found = text if isinstance(text, str) else repr(text)
    cut = found if len(found) <= most else f"{found[: most - 1]}…"
    return printable(repr(cut))


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names with commas between them; of very many, the first and how many more."""
    found = list(names)
    more = f" and {len(found) - most:,} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def json_printable(document: str) -> str:
    """A JSON document that says the same, with what is not to be seen as escapes; it occurs in strings alone."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
