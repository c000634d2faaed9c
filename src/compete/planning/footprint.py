"""What training a model takes, in bytes, from its configuration alone: nothing is downloaded and nothing is loaded.

The model is built without storage (PyTorch's meta device), so that its parameters are counted, not guessed. What
they cost follows from how compete trains: weights in float32, bfloat16 or NF4, AdamW's two moments, mixed precision
with half precision copies of what is multiplied, and what a layer keeps for its backward pass. The terms of
`_layer_bytes` are the tensors that autograd was seen to save, layer by layer; what comes on top (allocator, scratch
space) is measured: `python benchmarks/plan_memory.py` compares the sum with real runs.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
)

from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.generator.answer_head import AnswerHead, keep_answers
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.pretrained.adaptation import add_adapters, freeze_lowest, layers_of
from compete.base_models.pretrained.checkpoints import HEADS, attention_on
from compete.base_models.pretrained.costs import passes_at_once, weight_copies
from compete.base_models.pretrained.device import may_halve_base

# Settings of what is trained from a checkpoint: both say how much of it.
Adapted = SequenceClassifierSettings | LabelGeneratorSettings
Planned = Adapted | EmbeddingsSettings

FLOAT = 4
HALF = 2
# NF4: 4 bits, an 8-bit scale for every 64 weights, and a 32-bit one for every 256 scales (Dettmers et al. 2023, 3).
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
# Python, torch, transformers and peft, resident, with the code and scratch space that a first step adds: bytes.
LIBRARIES = 690_000_000
GPU_CONTEXT = 800_000_000  # what a CUDA context and its kernels take of a GPU before the first tensor
# glibc's highest threshold: a larger block is always mapped on its own, and unmapped when it is freed.
_MAPPED_ALONE = 32 * 2**20
# Over what autograd saves: gradients on their way, copies between layouts, and memory that is free but in pieces, of
# which batches of ever other lengths leave much on a processor (measured: 1.2 after three steps, 1.5 to 1.7 after
# twenty). A GPU's caching allocator leaves less; that number is an assumption, no GPU was there to measure on.
SLACK = 1.5
GPU_SLACK = 1.2


@dataclass(frozen=True)
class Layer:
    """One layer of an encoder or decoder, as far as its activations go; widths in elements per token."""

    hidden: int
    attention: int
    """All heads together."""
    heads: int
    wide: int
    """Width inside the feed-forward part."""
    gated: bool
    """Whether two such are multiplied."""
    linears: tuple[int, ...]
    """Inputs of its linear layers."""
    norms: int
    """Sum of the widths that are normed."""
    norm_keeps_output: bool
    weights: int
    """Of its linear layers."""
    drops_attention: bool
    drops_hidden: bool
    eager: bool


@dataclass(frozen=True)
class Anatomy:
    """A model's counts."""

    parameters: int
    """Of the checkpoint, without adapters."""
    held: int
    """Those of them that are there in training and prediction: of an output layer perhaps two rows."""
    adapters: int
    """Parameters that LoRA adds."""
    trained: int
    """All parameters that move."""
    linear: int
    """Weights of linear layers, which mixed precision copies."""
    quantisable: int
    """Those of them that QLoRA keeps in 4 bits."""
    layers: int
    layer: Layer
    logits: int
    """For every place: the vocabulary, or the answers alone."""
    output: int
    """Weights that they are multiplied with."""
    largest: int
    """Weights of the largest linear layer that QLoRA quantises."""


@dataclass(frozen=True)
class BatchSize:
    """The largest batch."""

    rows: int
    """At once in training."""
    predicted: int
    """At once in prediction."""
    tokens: int
    """Of each row."""
    kept: int = 0
    """Places of each row at which a generator's logits are computed."""


@dataclass(frozen=True)
class Footprint:
    """What training takes, in bytes."""

    runtime: int
    weights: int
    copies: int
    gradients: int
    optimiser: int
    best_epoch: int
    activations: int
    prediction: int
    retained: int
    """What the allocator keeps of weights that were quantised."""
    mapped: int
    """The checkpoint's files, which lie in memory while the model is opened, as far as there is room for them."""
    opening: int = 0
    """Weights that are read and let go of before anything is computed."""
    methods: int = 0
    """Copies of the trained weights that optional methods hold in training."""

    @property
    def training(self) -> int:
        """What training adds to the weights, activations aside."""
        return self.gradients + self.optimiser + self.best_epoch + self.methods

    @property
    def peak(self) -> int:
        """The most that has to be there at any time: in training, in prediction, or when the model has been opened."""
        trained = self.training + self.copies + self.activations
        predicted = self.best_epoch + self.prediction
        return self.runtime + self.weights + self.retained + max(trained, predicted, self.opening)

    @property
    def resident(self) -> int:
        """The peak that the system reports (ru_maxrss): mapped files count, though they would make room for others."""
        return max(self.peak, self.runtime + self.weights + self.retained + self.opening + self.mapped)

    def spread_over(self, gpus: int) -> int:
        """The peak of one of `gpus` GPUs that share the layers; a tenth more, since layers do not divide evenly."""
        alone = self.peak - self.runtime
        return self.peak if gpus == 1 else self.runtime + round(1.1 * alone / gpus)


def configuration(raw: Mapping[str, Any]) -> PretrainedConfig:
    """The configuration that a config.json, or the part of it that fixes the shape, stands for.

    Raises ValueError or KeyError for an architecture that transformers does not know.
    """
    values = {key: value for key, value in raw.items() if key not in ("model_type", "architectures", "auto_map")}
    config: PretrainedConfig = AutoConfig.for_model(raw["model_type"], **values)
    return config


def anatomy(raw: Mapping[str, Any], settings: Planned, n_labels: int) -> Anatomy:
    """Count the model of a configuration as `settings` would have it trained."""
    config = configuration(raw)
    auto: Any
    if isinstance(settings, EmbeddingsSettings):
        auto = AutoModel
    elif isinstance(settings, LabelGeneratorSettings):
        auto = AutoModelForCausalLM
    else:
        config.num_labels = n_labels
        auto = AutoModelForSequenceClassification
    with torch.device("meta"):
        model = auto.from_config(config)
    layers = layers_of(model.base_model)
    linears = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    stored = [part.weight.numel() for name, part in linears.items() if not {*HEADS, "lm_head"} & set(name.split("."))]
    parameters = _count(model)
    layer = _layer(layers[-1], model.config)
    everything = sum(part.weight.numel() for part in linears.values())
    if isinstance(settings, EmbeddingsSettings):
        adapted, trained = model, _head(settings, layer, n_labels)
    else:
        adapted, trained = _adapted(model, settings)
    whole = _count(adapted)
    # A classifier has as many as labels: they count as none.
    logits, output = _output(adapted, settings) if isinstance(settings, LabelGeneratorSettings) else (0, 0)
    dropped = whole - _count(adapted)
    return Anatomy(
        parameters=parameters,
        held=parameters - dropped,
        adapters=whole - parameters,
        trained=trained,
        linear=everything,
        quantisable=sum(stored),
        layers=len(layers),
        layer=layer,
        logits=logits,
        output=output,
        largest=max(stored, default=0),
    )


def footprint(
    shape: Anatomy,
    settings: Adapted,
    batch: BatchSize,
    *,
    half: bool,
    gpu: bool,
    files: int,
    bfloat16: bool = False,
) -> Footprint:
    """Bytes that training takes.

    half: in bfloat16 or float16; bfloat16: in that, on a GPU; files: bytes of the checkpoint's weight files.
    """
    adaptation = settings.adaptation
    four_bits = adaptation == "qlora"
    halved = half and gpu and bfloat16 and may_halve_base(settings)
    lowest = _frozen_layers(settings)
    active = 0 if adaptation == "frozen" else max(shape.layers - lowest, 0)
    one_layer = _layer_bytes(shape.layer, settings, batch.tokens, half=half, gpu=gpu) * batch.rows * batch.tokens
    inputs = FLOAT * shape.layer.hidden * batch.rows * batch.tokens
    # With checkpointing every layer's input is kept, and the rest is computed again layer by layer.
    kept = active * inputs + one_layer if settings.gradient_checkpointing else max(active, 1) * one_layer
    slack, passes = GPU_SLACK if gpu else SLACK, passes_at_once(settings)
    held = FLOAT * shape.held - (HALF * shape.layers * shape.layer.weights if halved else 0)
    full = FLOAT * (shape.held - shape.quantisable) + round(NF4 * shape.quantisable)
    return Footprint(
        runtime=GPU_CONTEXT if gpu else LIBRARIES,
        weights=(full if four_bits else held) + FLOAT * shape.adapters,
        copies=_copies(shape, settings, active, four_bits=four_bits, half=half, halved=halved),
        gradients=FLOAT * shape.trained,
        optimiser=2 * FLOAT * shape.trained,
        best_epoch=FLOAT * shape.trained if settings.epochs > 1 else 0,  # of a single epoch, gradients are gone first
        activations=round(slack * passes * (kept + _logit_bytes(shape, batch.rows * batch.kept, half=half))),
        prediction=round(slack * prediction_bytes(shape, batch, gpu=gpu)),
        retained=_retained(shape) if four_bits and not gpu else 0,
        mapped=0 if gpu else files,  # a GPU is filled from the processor's memory, tensor by tensor
        opening=max(FLOAT * (shape.parameters - shape.held), 0),
        methods=FLOAT * shape.trained * weight_copies(settings),
    )


def kept_bytes(shape: Anatomy, settings: Adapted, *, whole: bool) -> int:
    """Bytes that one fold leaves in oof/: adapters or a head; all weights only if they are to be kept."""
    if settings.adaptation == "full":
        return FLOAT * shape.parameters if whole else 0
    return FLOAT * shape.trained


def _retained(shape: Anatomy) -> int:
    """Float32 weights are freed once they are quantised, but small blocks may stay with the allocator: from a
    twentieth to four fifths of them were seen to, from run to run. Blocks above 32 MiB return to the system at once.
    """
    return FLOAT * shape.quantisable // 3 if FLOAT * shape.largest < _MAPPED_ALONE else 0


def _adapted(model: Any, settings: Adapted) -> tuple[Any, int]:
    """The model with adapters, and how many parameters are trained; changes `model` as training would."""
    adaptation = settings.adaptation
    lowest = _frozen_layers(settings)
    if lowest:
        freeze_lowest(model, lowest)
    if adaptation in ("lora", "qlora"):
        task = "CAUSAL_LM" if isinstance(settings, LabelGeneratorSettings) else "SEQ_CLS"
        plain = settings.model_copy(update={"gradient_checkpointing": False})
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what peft says of a model is said when it is trained
            model = add_adapters(model, plain, task=task, four_bits=False, frozen=lowest)
    elif adaptation == "frozen":
        model.base_model.requires_grad_(False)
    # peft keeps a frozen copy of a head that it trains; it is a few thousand weights and left out of no sum.
    return model, sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def numbers_read(shape: Anatomy, settings: EmbeddingsSettings) -> int:
    """Of one text."""
    return len(settings.layers) * shape.layer.hidden


def _head(settings: EmbeddingsSettings, layer: Layer, n_outputs: int) -> int:
    """Parameters on top of what is read; neighbours and trees have none that could be counted beforehand."""
    sums = (len(settings.layers) * layer.hidden + 1) * n_outputs
    return {"linear": sums, "svm": 3 * sums}.get(settings.head, 0)


def _output(model: Any, settings: LabelGeneratorSettings) -> tuple[int, int]:
    """Logits of a place and the weights they are multiplied with; changes `model` as training would."""
    vocabulary = int(model.config.vocab_size)
    quantised = settings.adaptation == "qlora" and not hasattr(model, "lm_head")  # under another name it is
    if settings.decoding == "slots" and not quantised:
        with torch.device("meta"):
            keep_answers(model, (0, 1))
    head = model.get_output_embeddings()
    logits = len(settings.answers) if isinstance(head, AnswerHead) else vocabulary
    return logits, logits * int(model.config.hidden_size)


def _layer(module: nn.Module, config: Any) -> Layer:
    linears = [part for part in module.modules() if isinstance(part, nn.Linear)]
    # By name, since architectures bring classes of their own: LlamaRMSNorm, Gemma3RMSNorm.
    norms = [part for part in module.modules() if "Norm" in type(part).__name__]
    hidden, heads = int(config.hidden_size), int(config.num_attention_heads)
    wide = max(part.out_features for part in linears)
    head = getattr(config, "head_dim", None) or hidden // heads
    return Layer(
        hidden=hidden,
        attention=heads * int(head),
        heads=heads,
        wide=wide,
        gated=sum(part.out_features == wide for part in linears) > 1,  # the gate, and what it is multiplied with
        linears=tuple(part.in_features for part in linears),
        norms=sum(weight.numel() for part in norms for name, weight in part.named_parameters() if name == "weight"),
        norm_keeps_output=not any(isinstance(part, nn.LayerNorm) for part in norms),
        weights=sum(part.weight.numel() for part in linears),
        drops_attention=_rate(config, "attention_probs_dropout_prob", "attention_dropout") > 0,
        drops_hidden=_rate(config, "hidden_dropout_prob", "dropout") > 0,
        eager=config._attn_implementation == "eager",
    )


def _rate(config: Any, *names: str) -> float:
    return max((float(getattr(config, name, 0.0) or 0.0) for name in names), default=0.0)


def _layer_bytes(layer: Layer, settings: Adapted, tokens: int, *, half: bool, gpu: bool) -> float:
    """What one layer saves for its backward pass, bytes per token."""
    adaptation = settings.adaptation
    low = HALF if half else FLOAT
    trains_weights = adaptation in ("full", "frozen")
    # The input of a norm in float32, and its output where the norm's own weight is trained by separate operations.
    saved = float(FLOAT * layer.norms * (2 if trains_weights and layer.norm_keeps_output else 1))
    if trains_weights:
        saved += low * sum(layer.linears)  # every linear layer's input, cast for it alone
    else:
        # An adapter drops a part of its input: on a processor a float mask, on a GPU a byte; then the cast input.
        mask = 0 if settings.lora.dropout == 0 else 1 if gpu else FLOAT
        saved += (mask + low) * sum(layer.linears) + low * settings.lora.r * len(layer.linears)
    # Dequantised layers give their input's precision back, which is float32 behind a norm.
    inner = FLOAT if adaptation == "qlora" else low
    # Gated: the gate, the gate after its activation, and what that is multiplied with; else the activation's input.
    saved += (3 if layer.gated else 1) * inner * layer.wide
    written_out = layer.eager or attention_on(settings.max_length, gpu=gpu) == "eager"
    saved += _attention_bytes(layer, tokens, low, written_out=written_out or (layer.drops_attention and not gpu))
    if layer.drops_hidden:
        saved += 2 * (1 if gpu else low) * layer.hidden
    return saved


def _attention_bytes(layer: Layer, tokens: int, low: int, *, written_out: bool) -> float:
    """Queries, keys, values and the result; all weights between tokens where no fused kernel computes them."""
    if not written_out:
        return 4 * low * layer.attention
    return 3 * FLOAT * layer.attention + 3 * FLOAT * layer.heads * tokens  # weights, the dropped part, and what is left


def _copies(shape: Anatomy, settings: Adapted, active: int, *, four_bits: bool, half: bool, halved: bool) -> int:
    """Half precision copies of the weights that are multiplied, which live until the backward pass.

    halved: those of layers are kept in half precision.
    """
    outer = shape.output or shape.linear - shape.layers * shape.layer.weights
    if four_bits:  # one layer at a time is written out
        return HALF * (shape.largest + outer)
    if not half:
        return 0
    layers = 0 if halved else 1 if settings.gradient_checkpointing else max(active, 1)
    return HALF * (layers * shape.layer.weights + outer)


def _logit_bytes(shape: Anatomy, places: int, *, half: bool) -> int:
    """Logits, their gradient (twice: for either answer) and a float32 copy."""
    return places * shape.logits * (3 * (HALF if half else FLOAT) + FLOAT)


def prediction_bytes(shape: Anatomy, batch: BatchSize, *, gpu: bool) -> float:
    """The largest layer's tensors of one batch in float32, and its logits."""
    layer = shape.layer
    width = 4 * layer.hidden + 4 * layer.attention + (3 if layer.gated else 2) * layer.wide
    if layer.eager or not gpu:
        width += layer.heads * batch.tokens
    return FLOAT * batch.predicted * (batch.tokens * width + shape.logits * batch.kept)


def _frozen_layers(settings: Adapted) -> int:
    return settings.frozen_layers if isinstance(settings, SequenceClassifierSettings) else 0


def _count(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())
