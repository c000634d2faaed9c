"""What of a checkpoint is trained, and keeping it: adapters, heads, whole models; safetensors only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from compete.base_models.checkpoints import HEADS
from compete.base_models.transformer_settings import TransformerSettings

HEAD = "head.safetensors"


def add_adapters(model: Any, settings: TransformerSettings, *, task: str, four_bits: bool, frozen: int = 0) -> Any:
    """LoRA through peft, on all layers but the `frozen` lowest; a classification head is trained as a whole."""
    from peft import LoraConfig, TaskType, get_peft_model, prepare_model_for_kbit_training

    if four_bits:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=settings.gradient_checkpointing)
    targets = settings.lora.targets
    lower = "|".join(map(str, range(frozen)))
    left_out = [rf".*\b({'|'.join(HEADS)})\b.*"] + ([rf".*\blayers?\.({lower})\..*"] if frozen else [])
    adapters = LoraConfig(
        task_type=TaskType[task],  # SEQ_CLS keeps the head trainable and saves it with the adapters
        r=settings.lora.r,
        lora_alpha=settings.lora.alpha,
        lora_dropout=settings.lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        exclude_modules="|".join(left_out),
        bias=settings.lora.bias,
    )
    adapted = get_peft_model(model, adapters)
    if settings.gradient_checkpointing:
        adapted.enable_input_require_grads()
    return adapted


def layers_of(model: nn.Module) -> nn.ModuleList:
    """The stack of an encoder's or decoder's layers: the first list of modules in it."""
    return next(module for module in model.modules() if isinstance(module, nn.ModuleList))


def freeze_lowest(model: Any, count: int) -> None:
    """Freeze the embeddings and the `count` lowest layers, which then compute the same in training: no dropout."""
    base = model.base_model
    frozen: list[nn.Module] = [base.embeddings if hasattr(base, "embeddings") else base.get_input_embeddings()]
    frozen += layers_of(base)[:count]
    for module in frozen:
        module.requires_grad_(False)
        for part in module.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
            if isinstance(getattr(part, "attention_dropout", None), float):
                setattr(part, "attention_dropout", 0.0)  # noqa: B010


def save_trained(model: Any, folder: Path, *, whole: bool) -> bool:
    """Write what was trained; returns False for a model trained as a whole that is not to be kept.

    Adapters as peft writes them, a whole model as transformers writes it, so that either can be loaded without
    compete; a head on a frozen checkpoint as its tensors by name.
    """
    from peft import PeftModel

    if isinstance(model, PeftModel):
        model.save_pretrained(str(folder))
        return True
    if any(weight.requires_grad for weight in layers_of(model).parameters()):
        if whole:
            model.save_pretrained(folder)
        return whole
    head = {name: weight.detach().contiguous() for name, weight in model.named_parameters() if weight.requires_grad}
    save_file(head, folder / HEAD)
    return True


def holds_whole_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def load_trained(model: Any, folder: Path) -> None:
    """Put kept adapters or a head back onto a freshly opened checkpoint."""
    from peft import PeftModel
    from peft.utils import load_peft_weights, set_peft_model_state_dict

    if isinstance(model, PeftModel):
        set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))
        return
    with torch.no_grad():
        parameters = dict(model.named_parameters())
        for name, weight in load_file(folder / HEAD).items():
            parameters[name].copy_(weight)
