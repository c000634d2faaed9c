"""How a model computes: mixed precision in training and, on a GPU, in predictions; what stays in float32 there.

Predictions run in what the training ran in, under the same autocast. Logits do not: a bfloat16 of theirs has 8 bits, so
that texts would share a probability by the dozen. The layer that gives them computes in float32, on hidden states as
they come.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn

from compete.base_models.pretrained.checkpoints import HEADS
from compete.base_models.pretrained.device import TYPES, Precision, mixed_in


def computing_in(
    precision: Precision, where: torch.device, *, keep_copies: bool = True
) -> contextlib.AbstractContextManager[Any]:
    """Mixed precision as the Trainer's; float32, its products in TF32 or as they are.

    keep_copies: of trained weights in half precision, as long as the context lasts.
    """
    if precision == "tf32":
        return products_in_tf32()
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(where.type, dtype=TYPES[precision], cache_enabled=keep_copies)


@contextlib.contextmanager
def products_in_tf32() -> Iterator[None]:
    """Products of float32 matrices with 10 bits behind the point in place of 23, sums in float32; the GPU's alone."""
    matmul: Any = torch.backends.cuda.matmul
    # torch before 2.9 has the older name alone; the later ones warn of it, and take one or the other.
    name, value = ("fp32_precision", "tf32") if hasattr(torch.backends, "fp32_precision") else ("allow_tf32", True)
    before = getattr(matmul, name)
    setattr(matmul, name, value)
    try:
        yield
    finally:
        setattr(matmul, name, before)


@contextlib.contextmanager
def predicting(model: Any, precision: str) -> Iterator[None]:
    """Predictions in what training computed in, on a GPU; on a processor as the weights are.

    precision: as the settings have it.
    """
    chosen = mixed_in(model, precision)
    if chosen == "float32":
        yield
        return
    where = next(model.parameters()).device
    with contextlib.ExitStack() as entered:
        # Copies would stay until the last batch, beside the weights that the model has already.
        entered.enter_context(computing_in(chosen, where, keep_copies=False))
        for head in _heads(model):
            entered.enter_context(_computed_in_float32(head))
        yield


@contextlib.contextmanager
def in_float32() -> Iterator[None]:
    """No mixed precision for a while."""
    with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
        yield


def _heads(model: Any) -> list[nn.Module]:
    """What gives the logits: a classification head, or the output layer of a language model."""
    plain: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    named = [getattr(plain, name, None) for name in HEADS]
    return [head for head in named if isinstance(head, nn.Module)] or [plain.get_output_embeddings()]


@contextlib.contextmanager
def _computed_in_float32(head: Any) -> Iterator[None]:
    forward, own = head.forward, vars(head).get("forward")  # layers on several GPUs have one of their own

    def in_full(*inputs: Any, **named: Any) -> Any:
        with in_float32():
            return forward(*map(_full, inputs), **{name: _full(value) for name, value in named.items()})

    head.forward = in_full
    try:
        yield
    finally:
        if own is None:
            del head.forward
        else:
            head.forward = own


def _full(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value
