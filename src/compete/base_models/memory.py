"""Memory that ran out or may be given back, on a processor and on a GPU; light: torch is never imported for it."""

from __future__ import annotations

import gc
import sys

# Besides torch.OutOfMemoryError, which the caching allocator raises: the driver's own refusal, cuBLAS and cuDNN
# without room for a workspace, and the processor's allocator.
_SAID = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "can't allocate memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU or the processor's allocator had no memory left."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _SAID)


def release() -> None:
    """Give back what nothing refers to any more, before another model is opened beside it."""
    gc.collect()
    if uses_gpu():
        sys.modules["torch"].cuda.empty_cache()


def uses_gpu() -> bool:
    """Whether this process has computed on a GPU."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())
