"""Settings that every family of pretrained transformers shares; light, so that reading a recipe stays quick."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from compete.base_models.class_weights import ClassWeights
from compete.base_models.task_losses import LossName
from compete.base_models.task_settings import added_later, only_for
from compete.declarations import Declaration

# What a text encoder of sentence-transformers wants to read before a text, beside its weights.
PROMPTS = "config_sentence_transformers.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Lora(Declaration):
    """[settings.lora]: low-rank adapters (Hu et al. 2021), for adaptation = "lora" and "qlora"."""

    r: int = Field(default=16, ge=1, description="rank")
    alpha: int = Field(default=32, ge=1, description="scale: the adapter's output is multiplied by alpha / r")
    dropout: float = Field(default=0.05, ge=0, lt=1, description="share of an adapter's inputs dropped in training")
    targets: str | tuple[str, ...] = Field(default="all-linear", description="names of the layers that get adapters")
    bias: Literal["none", "all", "lora_only"] = Field(
        default="none",
        description="which biases of the checkpoint are trained too: none, all, those of layers with adapters",
    )


class CheckpointSettings(Declaration):
    """Which checkpoint is opened, and how it reads and computes."""

    checkpoint: str = Field(min_length=1, description='name on the hub, a local folder, or "miniature:ARCHITECTURE"')
    revision: str | None = Field(default=None, description="commit of the hub's repository")
    remote_code: bool = Field(default=False, description="the checkpoint runs code of its repository, at `revision`")
    model_parallel: bool = Field(
        default=False, description="lay the layers over all GPUs, for a model too large for one"
    )
    max_length: int = Field(default=128, ge=4, description="tokens; longer texts are cut at their end")
    eval_batch_size: int = Field(default=64, ge=1, description="rows predicted at once")
    precision: Literal["auto", "float32", "tf32", "bfloat16", "float16"] = Field(
        default="auto",
        description="of the training, and on a GPU of predictions; auto: bfloat16 or float16, where it is computed "
        "natively and holds; tf32: float32 whose products have 10 bits behind the point, on GPUs from Ampere on",
    )

    @field_validator("remote_code")
    @classmethod
    def _code_is_pinned(cls, remote_code: bool, info: ValidationInfo) -> bool:
        checkpoint, revision = info.data.get("checkpoint") or "", info.data.get("revision") or ""
        is_here = checkpoint.startswith(("miniature:", "/", ".", "~"))
        if remote_code and not is_here and not _COMMIT.fullmatch(revision):
            raise ValueError("needs `revision`, a commit of 40 hex digits: code changes under a name")
        return remote_code


class TransformerSettings(CheckpointSettings):
    """What is trained of a checkpoint, on what, for how long."""

    lora: Lora = Field(default=Lora(), description='the adapters of adaptation = "lora" and "qlora"')
    epochs: int = Field(
        default=3, ge=1, description="passes over the rows; the one with the best validation loss is kept"
    )
    batch_size: int = Field(default=32, ge=1, description="rows per optimiser step")
    micro_batch_size: int | None = Field(default=None, ge=1, description="rows at once; the rest is accumulated")
    learning_rate: float = Field(default=5e-5, gt=0, description="of the optimiser, at its highest")
    weight_decay: float = Field(default=0.01, ge=0, description="of the optimiser")
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of the steps in which the rate rises")
    scheduler: Literal["linear", "cosine", "constant", "plateau"] = Field(
        default="linear",
        description="how the rate falls after its warm-up; plateau: when the validation loss stops falling",
    )
    max_grad_norm: float = Field(default=1.0, gt=0, description="longer gradients are cut to this length")
    gradient_checkpointing: bool = Field(
        default=False, description="compute activations again in the backward pass: less memory, more time"
    )
    loss: LossName | None = Field(
        default=None,
        description="of labels bce (binary cross-entropy), focal (Lin et al. 2017) or asymmetric (Ridnik et al. "
        "2021); of classes cross_entropy or focal; of numbers mse, mae, huber or pearson; of grades cumulative (every "
        "step up), cross_entropy (every grade), mse, mae or huber; default: the first of them that the family has",
    )
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of a row that is spread over all classes, or, with loss bce, of a cell over yes and no "
        "(Szegedy et al. 2016)",
        json_schema_extra={**only_for("labels", "classes"), **added_later("labels")},
    )
    class_weights: ClassWeights = Field(
        default="sqrt",
        description="weight of a label's positives: 1, negatives / positives, or its square root; of a class's rows: "
        "1, rows / (classes * its rows), or its square root",
        json_schema_extra=only_for("labels", "classes"),
    )
    validation_share: float = Field(
        default=0.1, gt=0, lt=0.5, description="share of the training rows that choose the epoch"
    )
    patience: int | None = Field(
        default=None, ge=1, description="stop after so many epochs without a better validation loss"
    )

    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="the learning rate of a layer is that of the layer above it times this, and the embeddings' that "
        "of the lowest layer times this (Howard and Ruder 2018; Sun et al. 2019); 1: one rate for all",
        json_schema_extra=added_later(),
    )
    ema: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="decay, as 0.999, of an exponential moving average of the trained weights, which is what is "
        "validated and kept in place of the last weights (Polyak and Juditsky 1992); 0: off",
        json_schema_extra=added_later(),
    )
    adversarial: Literal["fgm", "awp"] | None = Field(
        default=None,
        description="train on the worst nearby, too: of the embedded tokens (fgm, Miyato et al. 2017) or of the "
        "trained weight matrices (awp, Wu et al. 2020); a second pass forward and back",
        json_schema_extra=added_later(),
    )
    adversarial_epsilon: float | None = Field(
        default=None,
        gt=0,
        description="how far away: length of what is added to a text's embedded tokens (fgm, default: 1.0), or share "
        "of a matrix's length (awp, default: 0.005)",
        json_schema_extra=added_later(),
    )
    adversarial_from_epoch: int = Field(
        default=1,
        ge=1,
        description="the first epoch that does, counted from 1",
        json_schema_extra=added_later(),
    )
    r_drop: float = Field(
        default=0.0,
        ge=0,
        description="weight of the symmetric Kullback-Leibler divergence between two passes with other dropout, whose "
        "losses are averaged (R-drop, Liang et al. 2021); 0: one pass",
        json_schema_extra={**only_for("labels", "classes"), **added_later()},
    )
