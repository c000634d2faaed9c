"""Which GPUs the installed torch can compute on."""

from __future__ import annotations

from collections.abc import Sequence


def without_kernels(capability: tuple[int, int], architectures: Sequence[str], torch: str = "this torch") -> str:
    """Why torch cannot compute on a GPU of this compute capability; empty if it can.

    architectures: as torch.cuda.get_arch_list() gives them. "sm_75" is machine code, which newer GPUs of the same
    generation run too; "compute_75" is code that the driver translates for any newer GPU. torch: what it is called.
    """
    major, minor = capability
    for architecture in architectures:
        kind, _, digits = architecture.partition("_")
        digits = digits.rstrip("af")  # sm_90a: code for this GPU alone
        if not digits.isdigit():
            continue
        of = (int(digits[:-1]), int(digits[-1]))
        if of <= (major, minor) and (kind == "compute" or of[0] == major):
            return ""
    return f"{torch} has no kernels for compute capability {major}.{minor} (it has {', '.join(architectures)})"
