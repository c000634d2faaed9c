"""Going on with a checkpoint's own pretraining on texts without labels: masked or next-token language modelling.

An encoder fills in tokens that are hidden from it (Devlin et al. 2019; hidden anew in every pass, Liu et al. 2019), a
decoder predicts the next one. What is kept is the body: a checkpoint of its own, without the layer over the vocabulary.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, DataCollatorForLanguageModeling, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from compete.base_models.families import FitContext
from compete.base_models.pretrained.adaptation import save_body
from compete.base_models.pretrained.attention import is_bidirectional
from compete.base_models.pretrained.batching import Batch, Row
from compete.base_models.pretrained.checkpoints import (
    Source,
    open_classifiers_tokenizer,
    open_filler,
    open_generator,
    source_of,
)
from compete.base_models.pretrained.device import place
from compete.base_models.pretrained.fine_tuning import Task, fine_tune
from compete.base_models.pretrained.settings import TransformerSettings
from compete.base_models.pretrained.text_rows import text_rows
from compete.errors import UserError

_NOT_LEARNT = -100  # what transformers' losses pass over


def adapt(
    settings: TransformerSettings, masked: float, prompt: str, texts: Sequence[str], context: FitContext
) -> Callable[[Path], None]:
    """Train on the texts; what is returned writes the checkpoint into a folder.

    masked: share of the tokens that an encoder fills in. prompt: what the recipe's models read before a text, so that
    they find it again. Raises UserError for a checkpoint that can be trained in neither way.
    """
    source = source_of(settings, texts, context.seed)
    tokenizer = open_classifiers_tokenizer(source)
    fills_in = _fills_in(source, tokenizer)
    rows = text_rows(tokenizer, texts, settings.max_length, with_types=False, prompt=prompt)
    order = np.random.default_rng(context.seed).permutation(len(rows))
    held_out = max(1, round(settings.validation_share * len(rows)))

    def build() -> Any:
        open_it = open_filler if fills_in else open_generator
        model = open_it(source, int(tokenizer.pad_token_id), four_bits=False)
        if settings.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        return place(model)

    def collate(rows: Sequence[Row]) -> Batch:
        padded = tokenizer.pad({"input_ids": [row["input_ids"] for row in rows]}, return_tensors="pt")
        return {name: padded[name] for name in ("input_ids", "attention_mask")}

    loss = _Filling(tokenizer, masked) if fills_in else _going_on
    model = fine_tune(
        Task(build, rows, collate, loss), settings, np.sort(order[held_out:]), np.sort(order[:held_out]), context
    )
    return lambda folder: save_body(source, model, tokenizer, folder)


def _fills_in(source: Source, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the checkpoint fills in what is masked; raises UserError where it can do neither that nor go on."""
    config: Any = AutoConfig.from_pretrained(source.path, **source.options())
    name = source.settings.checkpoint
    if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        if tokenizer.mask_token_id is None:
            raise UserError(f"the checkpoint {name!r} has no mask token: it cannot learn to fill in what is hidden")
        return True
    if is_bidirectional(_Configured(config)):
        raise UserError(
            f"the checkpoint {name!r} is a decoder whose tokens see those behind them: it would predict every next "
            "token by looking at it. Pretrain it on labelled rows (`workspace`), or take another checkpoint"
        )
    return False


class _Configured:
    """A model of which only the configuration is looked at."""

    def __init__(self, config: Any) -> None:
        self.config = config


class _Filling:
    """The loss of filling in, a mean over the hidden tokens of a batch."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, masked: float) -> None:
        self.hiding = DataCollatorForLanguageModeling(tokenizer=tokenizer, mlm=True, mlm_probability=masked)
        self.special = torch.tensor(sorted(tokenizer.all_special_ids))

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        where = batch["input_ids"].device
        shown, hidden = self._hide(batch["input_ids"].cpu(), anew=model.training)
        logits = model(input_ids=shown.to(where), attention_mask=batch["attention_mask"]).logits
        return _mean_loss(logits, hidden.to(where))

    def _hide(self, ids: Tensor, *, anew: bool) -> tuple[Tensor, Tensor]:
        """Tokens with some of them hidden, and what those were; for validation always the same ones."""
        with contextlib.ExitStack() as entered:
            if not anew:
                entered.enter_context(torch.random.fork_rng(devices=[]))
                torch.manual_seed(int(ids.sum()) % 2**31)
            shown, hidden = self.hiding.torch_mask_tokens(ids.clone(), torch.isin(ids, self.special))
            return shown, hidden


def _going_on(model: Any, batch: Batch) -> Tensor:
    """The loss of the next token, a mean over all that are no padding."""
    logits = model(**batch).logits[:, :-1]
    wanted = batch["input_ids"][:, 1:].masked_fill(batch["attention_mask"][:, 1:] == 0, _NOT_LEARNT)
    return _mean_loss(logits, wanted)


def _mean_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy; 0 where a batch has nothing to learn, which a mean over nothing would not be."""
    total = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), wanted.flatten(), ignore_index=_NOT_LEARNT, reduction="sum"
    )
    return total / (wanted != _NOT_LEARNT).sum().clamp(min=1)
