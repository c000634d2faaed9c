"""What a model is trained on and predicts with: one device, and the precision that it computes there.

GPUs before Ampere (T4, V100) have no bfloat16 and compute in float16, which ends at 65,504. The activations of Gemma 3
are larger (transformers #36822), and of Gemma 1 and 2 nothing shows that theirs are not: they compute in float32 there.
Qwen2 keeps within it with fused attention, which GPUs take. With any other, a loss that is no number ends the job in
its first steps.

TF32 rounds what is multiplied to 10 bits behind the point, as float16 does, and keeps the range of float32. It is taken
where it is asked for: under "auto" a GPU that has it computes in bfloat16, and no product of size is left in float32.
"""

from __future__ import annotations

from typing import Any, Literal

import torch

from compete.errors import UserError
from compete.kernels import without_kernels

Precision = Literal["float32", "tf32", "bfloat16", "float16"]
TYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def device() -> torch.device:
    """The first GPU that this process may use, or the processor; raises UserError for a GPU without kernels."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    lacking = without_kernels(torch.cuda.get_device_capability(), torch.cuda.get_arch_list())
    if lacking:
        raise UserError(
            f"{torch.cuda.get_device_name()}: {lacking}. Install an older torch, whose wheels still have them, or hide "
            'the GPU (CUDA_VISIBLE_DEVICES="")'
        )
    return torch.device("cuda", 0)


def on_gpu() -> bool:
    """Whether models of this process compute on a GPU."""
    return device().type == "cuda"


def place(model: Any) -> Any:
    """The model on its device; one that is quantised there or lies on several GPUs stays where it is."""
    if getattr(model, "hf_device_map", None) or getattr(model, "is_quantized", False):
        return model
    return model.to(device())


def predicted_in(model: Any, precision: str) -> Precision:
    """What a model computes its predictions in. precision: as the settings have it.

    On a GPU what it was trained in; on a processor float32, but for weights in 4 bits.
    """
    if on_gpu():
        return mixed_in(model, precision)
    quantised = getattr(getattr(model, "config", None), "quantization_config", None)
    computed = getattr(quantised, "bnb_4bit_compute_dtype", torch.float32)
    return next((name for name, dtype in TYPES.items() if dtype == computed), "float32")


def mixed_in(model: Any, precision: str) -> Precision:
    """Under which mixed precision predictions are made: that of the training on a GPU, none on a processor."""
    return trained_in(model, precision) if on_gpu() else "float32"


def trained_in(model: Any, precision: str) -> Precision:
    """What a model is trained in, here."""
    return training_precision(precision, str(getattr(getattr(model, "config", None), "model_type", "")))


def may_halve_base(settings: Any) -> bool:
    """Whether frozen weights are kept in bfloat16 where a GPU trains in it: those that LoRA's adapters lie on.

    Not of a model that is laid over several GPUs, which is opened there as it is; nor of one that writes its answers,
    which predicts in float32: a last digit may change a word.
    """
    writes = getattr(settings, "decoding", "slots") == "generate"
    return bool(settings.adaptation == "lora" and not settings.model_parallel and not writes)


def overflows_float16(architecture: str) -> bool:
    """Whether activations of an architecture, by its model_type, may be too large for float16."""
    return architecture.startswith("gemma")


def training_precision(precision: str, architecture: str = "") -> Precision:
    """What "auto" means here, or what was asked for; raises UserError for what is not computed.

    architecture: the configuration's model_type.
    """
    if torch.cuda.is_available():
        return _on_gpu(precision, architecture)
    if precision in ("float16", "tf32"):
        raise UserError(f'precision = "{precision}" needs a GPU; use "auto"')
    if precision == "auto":
        # Emulated in software, bfloat16 is slower than float32.
        return "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"
    return "bfloat16" if precision == "bfloat16" else "float32"


def _on_gpu(precision: str, architecture: str) -> Precision:
    native = bool(torch.cuda.is_bf16_supported(including_emulation=False))
    name, overflows = torch.cuda.get_device_name(), overflows_float16(architecture)
    if precision == "bfloat16" and not native:
        raise UserError(
            f'precision = "bfloat16": {name} does not compute it; '
            'use "auto", which takes float16 on such a GPU, or "float32"'
        )
    if precision == "float16" and overflows:
        raise UserError(
            f'precision = "float16": the activations of {architecture} can leave its range; use "auto", which takes '
            'bfloat16 or float32, or "float32"'
        )
    if precision == "tf32" and not native:  # both came with Ampere
        raise UserError(f'precision = "tf32": {name} does not compute it; use "auto" or "float32"')
    if precision == "tf32":
        return "tf32"
    if precision == "auto":
        return "bfloat16" if native else "float32" if overflows else "float16"
    return "bfloat16" if precision == "bfloat16" else "float16" if precision == "float16" else "float32"
