"""The machine's devices: the processor is always one, and a container's limit counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from compete.execution.devices import find_devices, processor_memory

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
