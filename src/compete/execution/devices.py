"""What this machine computes on: the processor with its memory, and every GPU."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# A container's limit, under version 2 and version 1 of control groups.
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class Device:
    """Something that models are trained on."""

    name: str
    kind: Literal["processor", "gpu"]
    memory: int
    """Bytes, all of it."""
    bfloat16: bool
    """Computed natively, not emulated."""


def find_devices() -> list[Device]:
    """The processor, then every GPU; imports torch."""
    import torch

    # Emulated in software, bfloat16 is slower than float32.
    native = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    devices = [Device("processor", "processor", processor_memory(), native)]
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        # Ampere, compute capability 8, was the first generation with bfloat16.
        devices.append(Device(f"GPU {number} {properties.name}", "gpu", properties.total_memory, properties.major >= 8))
    return devices


def processor_memory(limits: tuple[Path, ...] = _CGROUP_LIMITS, installed: int | None = None) -> int:
    """Bytes of RAM this process may use: what is installed, or a container's limit where that is less."""
    total = _installed() if installed is None else installed
    for file in limits:
        try:
            text = file.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) > 0:  # "max" means no limit
            total = min(total, int(text))
    return total


def _installed() -> int:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return _installed_on_windows()


def _installed_on_windows() -> int:
    import ctypes

    size = ctypes.c_ulonglong(0)  # kibibytes
    library = getattr(ctypes, "windll").kernel32  # noqa: B009 - the attribute is there on Windows only
    library.GetPhysicallyInstalledSystemMemory(ctypes.byref(size))
    return size.value * 1024
