"""What a checkpoint that stays as it is says of a text: its tokens' hidden states, pooled to one row of numbers.

Texts of one length are read together, so that no text is padded. In float32 what is said of a text depends on it alone,
to the bit; a processor's bfloat16 rounds batches of other sizes otherwise: EmbeddingGemma's numbers then differed by
0.3 % in length, as much as they do from those in float32.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compete.base_models.embeddings.prompts import prompt_in
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.pretrained.adaptation import keep_in_bfloat16, layers_of
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
from compete.base_models.pretrained.settings import PROMPTS
from compete.base_models.pretrained.text_rows import TYPES, text_rows
from compete.errors import CompeteError, UserError

_NO_PART = ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype")


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
    def open(cls, source: Source, prompt: str | None = None) -> Encoder:
        """prompt: what texts were read behind before, of a kept model. Raises UserError for what there is not."""
        settings = _settings(source)
        tokenizer = open_classifiers_tokenizer(source)
        if prompt is None:
            prompt = own_prompt(source) if settings.prompt is None else settings.prompt
        model: Any = open_body(source, int(tokenizer.pad_token_id))
        if model.config.is_encoder_decoder:
            raise UserError(
                f"the checkpoint {settings.checkpoint!r} is an encoder with a decoder ({model.config.model_type}), and "
                "family embeddings reads encoders and language models: take one of these"
            )
        if settings.attention == "bidirectional":
            attend_in_both_directions(model, settings.checkpoint)
        layers = _layers(settings, len(layers_of(model)))
        model = place(model.eval().requires_grad_(False))
        precision = trained_in(model, settings.precision)
        halve(model, precision)
        return cls(source, tokenizer, model, prompt, has_token_types(source), layers, precision)

    @property
    def width(self) -> int:
        """Numbers of a text."""
        return len(self.layers) * int(self.model.config.hidden_size)

    @cached_property
    def identity(self) -> str:
        """Hash of all that a text's numbers depend on besides its tokens, 24 hex digits."""
        settings = _settings(self.source)
        config = {key: value for key, value in self.model.config.to_dict().items() if key not in _NO_PART}
        said = [self.layers, settings.pooling, settings.attention, self.precision, config]
        state = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode())
        for name, weight in self.model.state_dict().items():
            state.update(name.encode())
            state.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return state.hexdigest()[:24]

    @property
    def limit(self) -> int:
        """Tokens to which longer texts are cut."""
        return min(_settings(self.source).max_length, int(self.tokenizer.model_max_length))

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """Texts, or pairs, as tokens behind the prompt; raises UserError for one that leaves no room."""
        return text_rows(self.tokenizer, texts, self.limit, with_types=self.with_types, prompt=self.prompt)

    def numbers(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """(len(rows), width) of rows of one length; raises CompeteError where they are no numbers."""
        where = next(self.model.parameters()).device
        # Copies in half precision, where autocast makes any, stay for all batches of a length.
        with computing_in(self.precision, where):
            found = predict(rows, _settings(self.source).eval_batch_size, _collate, self._pooled, self.width)
        if not np.isfinite(found).all():
            raise CompeteError(
                f"the checkpoint {_settings(self.source).checkpoint!r} gives infinite values, or none, in "
                f'{self.precision}: its weights are damaged, or precision = "float32" holds them'
            )
        return found

    def _pooled(self, batch: Batch) -> Tensor:
        where = next(self.model.parameters()).device
        inputs = {name: values.to(where) for name, values in batch.items()}
        states = self.model(**inputs, output_hidden_states=True).hidden_states
        pooling = _settings(self.source).pooling
        read = [states[layer].float().to(where) for layer in self.layers]  # which may lie on several GPUs
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


def own_prompt(source: Source) -> str:
    """What the checkpoint's own files want before a text that is to be classified; empty where they say nothing.

    Raises UserError where that cannot be told: without it, texts would be read in another way than elsewhere.
    """
    name, say = source.settings.checkpoint, 'write `prompt` into the recipe\'s settings, "" for none'
    file = _prompt_file(source)
    if file is None:
        return ""
    try:
        return prompt_in(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{PROMPTS} of the checkpoint {name!r} cannot be read ({error}): {say}") from None


def _prompt_file(source: Source) -> Path | None:
    """Fetched where it is the hub's; None where there is none."""
    if Path(source.path).is_dir():
        file = Path(source.path) / PROMPTS
        return file if file.is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(source.path, PROMPTS, revision=source.settings.revision or None))
    except LocalEntryNotFoundError:
        raise UserError(
            f"whether the checkpoint {source.settings.checkpoint!r} has a prompt of its own ({PROMPTS}) is not known "
            'on this machine, and the hub cannot be asked: write `prompt` into the recipe\'s settings, "" for none'
        ) from None
    except EntryNotFoundError:
        return None


def halve(model: Any, precision: Precision) -> None:
    """Keep what mixed precision multiplies in bfloat16: the same to the bit, and no copy for every batch.

    Not in float16: what leaves its range is computed again in float32, for which whole weights have to be there. Nor of
    a model that lies on several GPUs, which stays as it was opened there.
    """
    if precision != "bfloat16" or getattr(model, "hf_device_map", None):
        return
    keep_in_bfloat16(model)
