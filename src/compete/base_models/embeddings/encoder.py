"""What a checkpoint that stays as it is says of a text: its tokens' hidden states, pooled to one row of numbers.

Texts of one length are read together, so that no text is padded and what is said of it depends on the text alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.pretrained.adaptation import PROMPTS, layers_of
from compete.base_models.pretrained.attention import attend_in_both_directions
from compete.base_models.pretrained.batching import Batch, Row
from compete.base_models.pretrained.checkpoints import (
    Source,
    has_token_types,
    open_body,
    open_classifiers_tokenizer,
)
from compete.base_models.pretrained.computing import computing_in
from compete.base_models.pretrained.device import Precision, place, trained_in
from compete.base_models.pretrained.fine_tuning import predict
from compete.base_models.pretrained.text_rows import TYPES, text_rows
from compete.errors import UserError

# How sentence-transformers' files call a prompt for what is done here; the first that is there counts.
_NAMES = ("multilabelclassification", "classification")


@dataclass
class Encoder:
    """An opened checkpoint and what is read of it."""

    source: Source
    tokenizer: Any
    model: Any
    prompt: str
    with_types: bool
    layers: tuple[int, ...]
    """From 1 for the lowest."""
    precision: Precision

    @classmethod
    def open(cls, source: Source) -> Encoder:
        """Raises UserError for what the checkpoint does not have."""
        settings = _settings(source)
        tokenizer = open_classifiers_tokenizer(source)
        prompt = _own_prompt(source) if settings.prompt is None else settings.prompt
        _check_length(tokenizer, prompt, settings)
        model: Any = open_body(source, int(tokenizer.pad_token_id))
        if settings.attention == "bidirectional":
            attend_in_both_directions(model, settings.checkpoint)
        layers = _layers(settings, len(layers_of(model)))
        model = place(model.eval().requires_grad_(False))
        precision = trained_in(model, settings.precision)
        _halve(model, precision)
        return cls(source, tokenizer, model, prompt, has_token_types(source), layers, precision)

    @property
    def width(self) -> int:
        """Numbers of a text."""
        return len(self.layers) * int(self.model.config.hidden_size)

    @property
    def identity(self) -> str:
        """Hash of all that a text's numbers depend on besides its tokens, 24 hex digits."""
        settings = _settings(self.source)
        said = [self.layers, settings.pooling, settings.attention, self.precision]
        state = hashlib.sha256(json.dumps(said).encode())
        for name, weight in self.model.state_dict().items():
            state.update(name.encode())
            state.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return state.hexdigest()[:24]

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """Texts, or pairs, as tokens behind the prompt."""
        limit = _settings(self.source).max_length
        return text_rows(self.tokenizer, texts, limit, with_types=self.with_types, prompt=self.prompt)

    def numbers(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """(len(rows), width) of rows of one length."""
        where = next(self.model.parameters()).device
        # Copies in half precision, where autocast makes any, stay for all batches of a length.
        with computing_in(self.precision, where):
            return predict(rows, _settings(self.source).eval_batch_size, _collate, self._pooled, self.width)

    def _pooled(self, batch: Batch) -> Tensor:
        where = next(self.model.parameters()).device
        inputs = {name: values.to(where) for name, values in batch.items()}
        states = self.model(**inputs, output_hidden_states=True).hidden_states
        pooling = _settings(self.source).pooling
        read = [states[layer].float() for layer in self.layers]
        pooled = [hidden.mean(dim=1) if pooling == "mean" else hidden[:, _place(pooling)] for hidden in read]
        return torch.cat(pooled, dim=1)


def _place(pooling: str) -> int:
    return 0 if pooling == "first" else -1


def _settings(source: Source) -> EmbeddingsSettings:
    assert isinstance(source.settings, EmbeddingsSettings)
    return source.settings


def _collate(rows: Sequence[Row]) -> Batch:
    columns = [name for name in ("input_ids", TYPES) if any(name in row for row in rows)]
    blank = [0] * rows[0]["length"]  # the types of a text that is no pair
    batch: Batch = {name: torch.tensor([row.get(name, blank) for row in rows]) for name in columns}
    return {**batch, "attention_mask": torch.ones_like(batch["input_ids"])}


def _layers(settings: EmbeddingsSettings, depth: int) -> tuple[int, ...]:
    """From 1 for the lowest; raises UserError for one that is not there."""
    absent = [layer for layer in settings.layers if not 1 <= abs(layer) <= depth]
    if absent:
        raise UserError(
            f"settings.layers: {settings.checkpoint} has {depth} layers, and {', '.join(map(str, absent))} is none of "
            f"them: take numbers from 1 to {depth}, or from -1 down to -{depth}"
        )
    return tuple(layer if layer > 0 else depth + 1 + layer for layer in settings.layers)


def _check_length(tokenizer: Any, prompt: str, settings: EmbeddingsSettings) -> None:
    taken = len(tokenizer(prompt)["input_ids"]) if prompt else 0
    if taken >= settings.max_length:
        raise UserError(
            f"settings.max_length: the prompt alone has {taken} tokens, which leaves no room for a text; raise it"
        )


def _own_prompt(source: Source) -> str:
    """What the checkpoint's own files want before a text that is to be classified; empty where they say nothing."""
    try:
        prompts = json.loads(_file(source, PROMPTS).read_text(encoding="utf-8"))["prompts"]
        named = {str(name).lower(): str(prompt) for name, prompt in prompts.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return ""
    return next((named[name] for name in _NAMES if name in named), "")


def _file(source: Source, name: str) -> Path:
    """A file of the checkpoint, fetched where it is the hub's; raises OSError where there is none."""
    if Path(source.path).is_dir():
        return Path(source.path) / name
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(source.path, name, revision=source.settings.revision or None))


def _halve(model: Any, precision: Precision) -> None:
    """Keep what mixed precision multiplies in half precision: the same to the bit, and no copy for every batch."""
    if precision not in ("bfloat16", "float16"):
        return
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float16
    for module in layers_of(model).modules():
        if isinstance(module, nn.Linear):
            for weight in module.parameters(recurse=False):
                with contextlib.suppress(RuntimeError):  # quantised weights stay as they are
                    weight.data = weight.data.to(dtype)
