"""What of a checkpoint is trained, and keeping it: adapters, heads, whole models; safetensors only."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedTokenizerBase

from compete.base_models.pretrained.checkpoints import HEADS, Source, holds_whole_model
from compete.base_models.pretrained.device import may_halve_base, mixed_in
from compete.base_models.pretrained.settings import PROMPTS, TransformerSettings
from compete.errors import UserError

HEAD = "head.safetensors"
_BEHIND_THE_LAYERS = ("pooler", "norm", "final_layernorm")


def add_adapters(model: Any, settings: TransformerSettings, *, task: str, four_bits: bool, frozen: int = 0) -> Any:
    """LoRA through peft, on all layers but the `frozen` lowest; a classification head is trained as a whole."""
    from peft import LoraConfig, TaskType, get_peft_model, prepare_model_for_kbit_training

    if four_bits:
        model = prepare_model_for_kbit_training(
            model,
            use_gradient_checkpointing=settings.gradient_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
        )
        train_in_four_bits(model)
    left_out = rf".*\b({'|'.join(HEADS)})\b.*" if task == "SEQ_CLS" else None
    if frozen:
        lower = rf".*\blayers?\.({'|'.join(map(str, range(frozen)))})\..*"
        left_out = f"{left_out}|{lower}" if left_out else lower
    targets = settings.lora.targets
    adapters = LoraConfig(
        task_type=TaskType[task],  # SEQ_CLS keeps the head trainable and saves it with the adapters
        r=settings.lora.r,
        lora_alpha=settings.lora.alpha,
        lora_dropout=settings.lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        exclude_modules=left_out,
        bias=settings.lora.bias,
    )
    adapted = get_peft_model(model, adapters)
    if settings.gradient_checkpointing:
        adapted.enable_input_require_grads()
    if frozen:
        freeze_lowest(adapted.get_base_model(), frozen)  # lora.bias has made the lower biases trainable
    return adapted


def halve_base(model: Any, settings: TransformerSettings) -> None:
    """Keep the frozen weights under adapters in bfloat16, where a GPU trains in it; changes `model`.

    Those of the layers' linear parts: mixed precision multiplies them in bfloat16 whatever they are kept in, so that
    results are the same to the bit, without a copy. Embeddings and norms stay float32, whose results it leaves alone,
    and what is trained does too. Not in float16: what leaves its range is computed again in float32, for which whole
    weights have to be there.
    """
    if not may_halve_base(settings) or mixed_in(model, settings.precision) != "bfloat16":
        return
    keep_in_bfloat16(model)


def keep_in_bfloat16(model: nn.Module) -> None:
    """The frozen weights of the layers' linear parts; a checkpoint that is quantised itself stays as it is."""
    for module in layers_of(model).modules():
        if isinstance(module, nn.Linear):
            for weight in module.parameters(recurse=False):
                if not weight.requires_grad and weight.is_floating_point():
                    weight.data = weight.data.bfloat16()


def train_in_four_bits(model: nn.Module) -> None:
    """Keep bitsandbytes from packing 4-bit weights for inference, as it does on a CPU once it has predicted.

    The packed weights have no backward pass: after the first evaluation of the validation rows the adapters' gradients
    would be zero.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            setattr(module, "support_avx512bf16_for_cpu", False)  # noqa: B010


def layers_of(model: nn.Module) -> nn.ModuleList:
    """The stack of an encoder's or decoder's layers: the first list of modules in it."""
    return next(module for module in model.modules() if isinstance(module, nn.ModuleList))


def check_depth(model: nn.Module, count: int, settings: TransformerSettings, adaptation: str) -> None:
    """Raise UserError if `count` layers cannot be frozen, or if nothing would be left for the adapters."""
    depth = len(layers_of(model))
    if count > depth or (count == depth and adaptation in ("lora", "qlora")):
        room = "" if count > depth else ", and adapters need one that is not frozen"
        raise UserError(f"{count} frozen layers: {settings.checkpoint} has {depth}{room}. Lower frozen_layers.")


def lower_parameters(base: nn.Module, count: int) -> dict[str, nn.Parameter]:
    """All weights that the output of the `count` lowest layers depends on, by name.

    That is everything but the upper layers and what follows them; MPNet, for one, has position weights beside its
    embeddings that every layer reads.
    """
    upper = [*layers_of(base)[count:], *(getattr(base, name, None) for name in _BEHIND_THE_LAYERS)]
    above = {id(weight) for module in upper if isinstance(module, nn.Module) for weight in module.parameters()}
    return {name: weight for name, weight in base.named_parameters() if id(weight) not in above}


def freeze_lowest(model: Any, count: int) -> None:
    """Freeze the embeddings and the `count` lowest layers, which then compute the same in training: no dropout."""
    base = model.base_model
    for weight in lower_parameters(base, count).values():
        weight.requires_grad_(False)
    inputs = base.embeddings if hasattr(base, "embeddings") else base.get_input_embeddings()
    for module in (inputs, *layers_of(base)[:count]):
        for part in module.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
            # Decoders have no module for it: they hand the rate to the function that computes attention.
            if isinstance(getattr(part, "attention_dropout", None), float):
                setattr(part, "attention_dropout", 0.0)  # noqa: B010


def save_trained(source: Source, tokenizer: PreTrainedTokenizerBase, model: Any, folder: Path, *, whole: bool) -> bool:
    """Write what was trained, with the tokenizer; returns False for a model trained as a whole that is not to be kept.

    Adapters as peft writes them, a whole model as transformers writes it, so that either can be loaded without
    compete; a head on a frozen checkpoint as its tensors by name. What lies on a miniature takes the miniature along.
    """
    from peft import PeftModel

    if isinstance(model, PeftModel):
        # peft writes down where the checkpoint lay, which on another machine is elsewhere.
        model.peft_config["default"].base_model_name_or_path = source.name
        model.save_pretrained(str(folder), save_embedding_layers=False)  # which nothing here resizes or trains
        (folder / "README.md").unlink(missing_ok=True)  # peft's, with that place in it too
    elif any(weight.requires_grad for weight in layers_of(model).parameters()):
        if not whole:
            return False
        model.save_pretrained(folder)
    else:
        head = {name: weight.detach().contiguous() for name, weight in model.named_parameters() if weight.requires_grad}
        save_file(head, folder / HEAD)
    keep_beside(source, tokenizer, folder)
    return True


def save_body(source: Source, model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the trained body as a checkpoint of its own, float32, adapters merged into it, with the tokenizer."""
    from peft import PeftModel

    whole = model.merge_and_unload() if isinstance(model, PeftModel) else model
    whole.base_model.float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    prompts = Path(source.path) / PROMPTS
    if prompts.is_file():
        shutil.copyfile(prompts, folder / PROMPTS)


def keep_beside(source: Source, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """The tokenizer, and a miniature where what is kept lies on top of one."""
    tokenizer.save_pretrained(folder)
    if not holds_whole_model(folder):
        source.keep(folder)


def load_trained(model: Any, folder: Path) -> None:
    """Put kept adapters or a head back onto a freshly opened checkpoint; a whole model was opened with its weights."""
    from peft import PeftModel
    from peft.utils import load_peft_weights, set_peft_model_state_dict

    if holds_whole_model(folder):
        return
    if isinstance(model, PeftModel):
        set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))
        return
    with torch.no_grad():
        parameters = dict(model.named_parameters())
        for name, weight in load_file(folder / HEAD).items():
            parameters[name].copy_(weight)
