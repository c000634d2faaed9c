"""How much of what somebody else made is read: far beyond every competition, and short of what fills a machine.

Each is asked before the bytes are there: of a header, of what an archive says of itself, or of a stream while it runs.
"""

from __future__ import annotations

MOST_COLUMNS = 10_000
MOST_ROWS = 50_000_000
MOST_CELLS = 1_000_000_000
LONGEST_LINE = 32 * 2**20
"""Bytes of a text file without a line end. A text of a post has some hundreds, a book two millions."""
DEEPEST_PACKING = 4
"""Archives within archives: train.csv in a tar in a gz in a zip."""
_MOST_TIMES = 250
"""Text packs to a fifth, a column of zeros beside ids to a twentieth; gzip can promise a thousand times its size."""
_NEVER_A_BOMB = 256 * 2**20


def is_bomb(packed: int, unpacked: int) -> bool:
    """Whether so few bytes give so many that no data does."""
    return unpacked > max(_NEVER_A_BOMB, _MOST_TIMES * packed)
