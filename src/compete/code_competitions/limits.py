"""What Kaggle allows, with where it is said. Kaggle changes such numbers: they are looked at here alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compete.errors import PackError

GB = 10**9


@dataclass(frozen=True)
class Limit:
    """A limit and its source."""

    what: str
    most: float
    unit: str
    source: str

    def __str__(self) -> str:
        return f"{self.what}: {self.most:g} {self.unit} ({self.source})"


PRIVATE_DATA = Limit(
    "all private datasets of an account",
    100,
    "GB",
    "G. Preda, Developing Kaggle Notebooks, Packt 2023, chapter 1: over 100 GB; yours stands in your account",
)
SESSION_MEMORY = Limit(
    "memory of a session with two T4", 31, "GiB", "31.36 GiB in machine records of Kaggle sessions of March 2024"
)
CARD_MEMORY = Limit("memory of a T4", 15, "GiB", "16,106,127,360 bytes in the same records")


def refuse_too_large(sizes: Mapping[str, int]) -> None:
    """Raise PackError for a pack that Kaggle would not take, with its largest parts."""
    if sizes["total"] <= PRIVATE_DATA.most * GB:
        return
    parts = sorted(((size, name) for name, size in sizes.items() if name != "total"), reverse=True)
    listed = ", ".join(f"{name} {size / GB:.1f} GB" for size, name in parts[:5])
    raise PackError(
        f"the pack has {sizes['total'] / GB:.1f} GB, and Kaggle's limit is {PRIVATE_DATA}. Largest: {listed}. Leave "
        "models out (`compete stack --without NAME`), or refer to checkpoints that Kaggle has (--kaggle-model "
        "NAME=OWNER/MODEL/FRAMEWORK/VARIATION/VERSION)"
    )
