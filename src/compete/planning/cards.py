"""GPUs that people have, for a plan of a machine that is not here: `--device "2x T4"`.

Peaks are those of the vendor's data sheets: TFLOP/s without sparsity, in float32 outside of tensor cores (PyTorch's
default: TF32 has to be asked for), and in half precision with sums in float32, in tensor cores where there are any.

None of the data sheets was at hand; the figures were compared with what others take from them:
T4 (951643), V100 SXM2 (1165301-r5), A100 (1758950-r4) and H100 SXM: PyTorch Lightning's table, which names these sheets
(src/lightning/fabric/utilities/throughput.py). P100 PCIe: reports of its announcement. L4: tables of its data sheet's
figures, 30.3 and 242 with sparsity. RTX 3090 and 4090: tables with the figures of the whitepapers on GA102 and on Ada.
A10G: nothing was found that has its figures, only that it computes more than the A10 (31.2 and 125) outside of tensor
cores and less in them.

Memory is what a driver reports of it, rounded; that is less than the name says where error correction lies in it. One
report was found to compare with: A100-40, 42,298,834,944 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from compete.errors import UserError
from compete.kernels import without_kernels

MOST = 16  # of one kind in a machine
PROCESSOR = "cpu"
# What the wheels on PyPI bring kernels for since CUDA 13; older GPUs need the wheels of an older CUDA.
CUDA_WHEELS = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
# Names with these are another card: the 3090 Ti, a slice of an A100, the H100 of two boards.
_ANOTHER_CARD = {"TI", "SUPER", "LAPTOP", "MIG", "NVL", "D"}
_ALIKE = 0.1  # by how much the memory of a card may differ from the table's
# The share of a card's peak that is reached: an assumption. Large trainings that were tuned for it are said to reach
# 0.21 (GPT-3) to 0.46 (PaLM), Chowdhery et al. 2022, table 3; short rows in small batches reach rather less than more.
UTILISATION = 0.25
# With weights in NF4, which are written out in half precision before every product: an assumption too. QLoRA is said
# to take some 40 % longer than LoRA (Raschka 2023, "Practical Tips for Finetuning LLMs Using LoRA").
FOUR_BIT_UTILISATION = 0.18
# Seconds until the kernels of one layer are launched, which no card makes shorter: an assumption as well. Without it a
# small model on a large card would seem to be done in seconds.
LAUNCH = 0.001


@dataclass(frozen=True)
class Card:
    """A GPU as its data sheet has it."""

    name: str
    words: tuple[str, ...]
    """All of them are in the name that a driver gives it."""
    memory: int
    """Bytes."""
    capability: tuple[int, int]
    float32: float
    """TFLOP/s."""
    half: float
    """TFLOP/s in bfloat16 or, before Ampere, float16."""

    @property
    def bfloat16(self) -> bool:
        return self.capability >= (8, 0)  # Ampere was the first generation with it


CARDS = (
    Card("T4", ("T4",), 15_800_000_000, (7, 5), 8.1, 65.0),
    Card("P100", ("P100",), 17_070_000_000, (6, 0), 9.3, 18.7),
    Card("V100-16", ("V100",), 16_930_000_000, (7, 0), 15.7, 125.0),
    Card("V100-32", ("V100",), 34_080_000_000, (7, 0), 15.7, 125.0),
    Card("L4", ("L4",), 23_700_000_000, (8, 9), 30.3, 121.0),
    Card("A10G", ("A10G",), 23_800_000_000, (8, 6), 35.0, 70.0),
    Card("RTX-3090", ("RTX", "3090"), 25_400_000_000, (8, 6), 35.6, 71.0),
    Card("RTX-4090", ("RTX", "4090"), 25_400_000_000, (8, 9), 82.6, 165.2),
    Card("A100-40", ("A100",), 42_300_000_000, (8, 0), 19.5, 312.0),
    Card("A100-80", ("A100",), 84_900_000_000, (8, 0), 19.5, 312.0),
    Card("H100-80", ("H100", "HBM3"), 84_900_000_000, (9, 0), 67.0, 989.0),
)


@dataclass(frozen=True)
class Asked:
    """What `--device` names."""

    card: Card | None
    """None: the processor of this machine, without its GPUs."""
    count: int

    @property
    def name(self) -> str:
        if self.card is None:
            return PROCESSOR
        return self.card.name if self.count == 1 else f"{self.count}x {self.card.name}"


@dataclass(frozen=True)
class AbsentDevice:
    """A GPU that is not here."""

    name: str
    memory: int
    bfloat16: bool
    unsupported: str
    kind: str = "gpu"


def parse_device(text: str) -> Asked:
    """ "2x T4", "a100-80", "cpu"; raises UserError for what is not known."""
    found = re.fullmatch(r"\s*(?:(\d+)\s*[x*]\s*)?(.*?)\s*", text, flags=re.IGNORECASE)
    assert found is not None
    count, name = int(found[1] or 1), found[2]
    if _key(name) in (PROCESSOR, "processor"):
        if count != 1:
            raise UserError(f"--device {text!r}: there is one processor; write {PROCESSOR!r}")
        return Asked(None, 1)
    card = _named(text, name)
    if not 1 <= count <= MOST:
        raise UserError(f"--device {text!r}: from 1 to {MOST} of a kind")
    return Asked(card, count)


def absent_devices(asked: Asked, architectures: Sequence[str]) -> list[AbsentDevice]:
    """The GPUs that were asked for. architectures: of the installed torch; one made for processors has none."""
    card = asked.card
    assert card is not None
    torch = "this torch" if architectures else "PyPI's torch"
    unsupported = without_kernels(card.capability, architectures or CUDA_WHEELS, torch)
    return [
        AbsentDevice(f"GPU {number} {card.name}", card.memory, card.bfloat16, unsupported)
        for number in range(asked.count)
    ]


def card_of(device: str, memory: int) -> Card | None:
    """The card that a device is, by the name that its driver gives it and by its memory; None if the table lacks it."""
    words = set(re.split(r"[^A-Z0-9]+", device.upper()))
    for card in CARDS:
        exact = device.endswith(f" {card.name}")
        named = set(card.words) <= words and not _ANOTHER_CARD & words
        if (exact or named) and abs(memory / card.memory - 1) <= _ALIKE:
            return card
    return None


def _named(text: str, name: str) -> Card:
    key = _key(name)
    # Without its memory where there is one of the name: "H100", "4090".
    found = [card for card in CARDS if _key(card.name) == key]
    found = found or [card for card in CARDS if key and key in (_key(card.words[0]), _key(card.words[-1]))]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"--device {text!r}: say which one: {' or '.join(card.name for card in found)}")
    known = ", ".join([PROCESSOR, *(card.name for card in CARDS)])
    raise UserError(f'--device {text!r}: not known; known: {known}, and "2x T4" for two')


def _key(name: str) -> str:
    return re.sub(r"nvidia|tesla|geforce|[\s_-]", "", name.lower()).removesuffix("gb")
