"""What this machine computes on: the processor with its memory, and every GPU."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compete.kernels import without_kernels

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
    unsupported: str = ""
    """Why nothing can be computed on it."""


def find_devices() -> list[Device]:
    """The processor, then every GPU; imports torch."""
    import torch

    # Emulated in software, bfloat16 is slower than float32.
    native = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    devices = [Device("processor", "processor", processor_memory(), native)]
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        devices.append(
            Device(
                name=f"GPU {number} {properties.name}",
                kind="gpu",
                memory=properties.total_memory,
                bfloat16=properties.major >= 8,  # Ampere was the first generation with it
                unsupported=without_kernels((properties.major, properties.minor), torch.cuda.get_arch_list()),
            )
        )
    return devices


def ask_driver(what: str) -> tuple[str, ...]:
    """What the GPUs' driver says of each by its own command; nothing where it does not answer, or there is none."""
    query = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(found.stdout.split())


def driver_version() -> str:
    """Of the GPUs' driver; empty where there is none."""
    return next(iter(ask_driver("driver_version")), "")


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
