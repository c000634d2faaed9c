"""What `--device` understands, and which card a driver's name stands for."""

from __future__ import annotations

import pytest

from compete.errors import UserError
from compete.planning.cards import CARDS, absent_devices, card_of, parse_device


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("T4", "T4"),
        ("2x T4", "2x T4"),
        ("2xt4", "2x T4"),
        (" 2 X tesla t4 ", "2x T4"),
        ("A100-80", "A100-80"),
        ("a100 80gb", "A100-80"),
        ("nvidia-a100_40", "A100-40"),
        ("rtx 4090", "RTX-4090"),
        ("3090", "RTX-3090"),
        ("h100", "H100-80"),
        ("16x L4", "16x L4"),
        ("CPU", "cpu"),
        ("1x cpu", "cpu"),
    ],
)
def test_a_device_is_named_in_many_ways(text: str, name: str) -> None:
    assert parse_device(text).name == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("B9000", "not known; known: cpu, T4, P100, V100-16, V100-32, L4, A10G, RTX-3090, RTX-4090, A100-40, A100-80"),
        ("", "not known"),
        ("2x", "not known"),
        ("A100", "say which one: A100-40 or A100-80"),
        ("0x T4", "from 1 to 16"),
        ("17x T4", "from 1 to 16"),
        ("-2x T4", "not known"),
        ("2x cpu", "there is one processor"),
    ],
)
def test_a_device_that_is_not_known_is_a_mistake(text: str, said: str) -> None:
    with pytest.raises(UserError, match=r"--device '.*': ") as raised:
        parse_device(text)
    assert said in str(raised.value)


def test_two_cards_are_two_devices_with_the_data_sheets_memory() -> None:
    first, second = absent_devices(parse_device("2x T4"), [])
    assert (first.name, second.name, first.kind) == ("GPU 0 T4", "GPU 1 T4", "gpu")
    assert (first.memory, first.bfloat16, first.unsupported) == (15_800_000_000, False, "")
    assert absent_devices(parse_device("L4"), [])[0].bfloat16


def test_a_card_without_kernels_says_whose_it_lacks() -> None:
    p100 = parse_device("P100")
    assert absent_devices(p100, [])[0].unsupported.startswith("PyPI's torch has no kernels for compute capability 6.0")
    assert absent_devices(p100, ["sm_80"])[0].unsupported.startswith("this torch has no kernels for")
    assert absent_devices(p100, ["sm_60", "sm_80"])[0].unsupported == ""
    unsupported = [card.name for card in CARDS if absent_devices(parse_device(card.name), [])[0].unsupported]
    assert unsupported == ["P100", "V100-16", "V100-32"]


@pytest.mark.parametrize(
    ("device", "gib", "name"),
    [
        ("GPU 0 Tesla T4", 14.74, "T4"),
        ("GPU 1 NVIDIA A100-SXM4-80GB", 79.15, "A100-80"),
        ("GPU 0 NVIDIA A100-PCIE-40GB", 39.39, "A100-40"),
        ("GPU 0 NVIDIA GeForce RTX 3090", 23.69, "RTX-3090"),
        ("GPU 0 NVIDIA H100 80GB HBM3", 79.11, "H100-80"),
        ("GPU 0 A100-40", 39.4, "A100-40"),
        # Other cards, with other peaks.
        ("GPU 0 NVIDIA GeForce RTX 3090 Ti", 23.69, None),
        ("GPU 0 NVIDIA L40S", 44.5, None),
        ("GPU 0 NVIDIA H100 PCIe", 79.11, None),
        ("GPU 0 NVIDIA A100-SXM4-40GB MIG 1g.5gb", 4.75, None),
        ("GPU 0 made up", 24.0, None),
    ],
)
def test_a_card_is_told_by_its_drivers_name_and_its_memory(device: str, gib: float, name: str | None) -> None:
    found = card_of(device, round(gib * 2**30))
    assert (found and found.name) == name


def test_half_precision_is_never_slower_and_names_are_unique() -> None:
    assert all(card.half > card.float32 for card in CARDS)
    assert len({card.name for card in CARDS}) == len(CARDS)
    assert all(parse_device(card.name).card is card for card in CARDS)
