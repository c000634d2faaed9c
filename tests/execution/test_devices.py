"""The machine's devices: the processor is always one, and a container's limit counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from compete.execution.devices import driver_version, find_devices, processor_memory

GIB = 2**30


def test_the_processor_comes_first_with_its_memory() -> None:
    processor = find_devices()[0]
    assert processor.kind == "processor"
    assert processor.memory == processor_memory()
    assert processor.memory > GIB // 4


@pytest.mark.parametrize(
    ("written", "expected"), [("max\n", 64 * GIB), (f"{8 * GIB}\n", 8 * GIB), (str(2**63 - 4096), 64 * GIB)]
)
def test_a_containers_limit_counts_where_it_is_less_than_what_is_installed(
    tmp_path: Path, written: str, expected: int
) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(written)
    assert processor_memory((tmp_path / "absent", limit), installed=64 * GIB) == expected


@dataclass(frozen=True)
class Properties:
    name: str
    total_memory: int
    major: int
    minor: int


def test_a_gpu_that_torch_has_no_kernels_for_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [
        Properties("Tesla P100", 16 * GIB, 6, 0),
        Properties("Tesla T4", 15 * GIB, 7, 5),
        Properties("A100", 80 * GIB, 8, 0),
    ]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: cards[number])
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "sm_90"])
    p100, t4, a100 = find_devices()[1:]
    assert "no kernels for compute capability 6.0" in p100.unsupported
    assert t4.unsupported == a100.unsupported == ""
    assert (t4.bfloat16, a100.bfloat16) == (False, True)


def test_the_drivers_version_is_asked_of_its_own_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert driver_version() == ""
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\necho 570.86.15\necho 570.86.15\n")
    command.chmod(0o755)
    assert driver_version() == "570.86.15"
