"""A slot per label behind one prompt: all labels of a text are scored in one pass, each on its own.

So are classes, and the grades of every target: a slot each.

The tokens of a batch are laid out as

    pad pad  prompt and text   | anger: | joy: | trust: ...

and a slot attends to the prompt and to itself, never to another slot; its positions go on from the prompt's. So
each slot reads what it would read if it stood behind the prompt alone, and the prompt is paid for once. In prediction
the beginning that all prompts share (`beginning`) stands before the padding and is read once for all texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from compete.base_models.generator.beginning import Beginning, read_beginning
from compete.base_models.generator.prompts import Prompt
from compete.base_models.generator.settings import asked_for
from compete.base_models.objectives import Objective
from compete.base_models.pretrained.adaptation import save_trained
from compete.base_models.pretrained.batching import Batch, Row
from compete.base_models.pretrained.checkpoints import Source
from compete.base_models.pretrained.device import Precision, predicted_in
from compete.base_models.pretrained.fine_tuning import predict
from compete.errors import UserError


class LabelSlots:
    """How texts become batches with a slot per label, and a model's output logits per label."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.shared = prompt.settings.shared_prefix
        names = asked_for(prompt.labels, prompt.grades)
        self.slots = [prompt.tokens(prompt.settings.slot.format(label=name)) for name in names]
        self.answers = answer_tokens(prompt)
        self.width = sum(map(len, self.slots))
        self.owner = torch.tensor([number for number, slot in enumerate(self.slots) for _ in slot])
        self.offset = torch.tensor([place for slot in self.slots for place in range(len(slot))])
        self.last = torch.tensor(np.cumsum([len(slot) for slot in self.slots]) - 1)

    def rows(self, texts: Sequence[str], learnt: NDArray[np.float32] | None = None) -> list[Row]:
        """Token ids of every prompt; with what each slot is to learn, (len(texts), n_slots), where it is known."""
        encoded = self.prompt.encode(texts, spare=max(map(len, self.slots)))
        rows: list[Row] = [{"input_ids": ids, "length": len(ids)} for ids in encoded]
        if learnt is not None:
            for row, target in zip(rows, learnt, strict=True):
                row["labels"] = target
        return rows

    def collate(self, rows: Sequence[Row], known: int = 0) -> Batch:
        """Prompts padded on the left, then the slots; without the `known` first tokens of every prompt."""
        batch = self._shared(rows, known) if self.shared else self._separate(rows)
        if "labels" in rows[0]:
            batch["labels"] = torch.from_numpy(np.stack([row["labels"] for row in rows]))
        return batch

    def logits(self, model: Any, batch: Batch, beginning: Beginning | None = None) -> Tensor:
        """Log-odds of yes against no, float32 (n_rows, n_slots).

        beginning: what the batch's prompts were collated without.
        """
        inputs = {"input_ids": batch["input_ids"], "position_ids": batch["position_ids"], "use_cache": False}
        inputs |= beginning.options if beginning else {}
        mask = batch["attention_mask"]
        if self.shared:
            # The slots end the row. Logits over a vocabulary are large: only those at each slot's last token are made.
            keep = batch["input_ids"].shape[1] - self.width + self.last
            scores = model(
                **inputs, attention_mask=_for_model(model, mask, batch["position_ids"]), logits_to_keep=keep
            ).logits
        else:
            scores = model(**inputs, attention_mask=mask, logits_to_keep=1).logits
            scores = scores.reshape(-1, len(self.slots), scores.shape[-1])
        return self.odds(scores)

    def odds(self, scores: Tensor) -> Tensor:
        """Log-odds from logits of the answers alone, in their order, or of the whole vocabulary."""
        yes, no = (0, 1) if scores.shape[-1] == len(self.answers) else self.answers
        odds: Tensor = (scores[..., yes] - scores[..., no]).float()
        return odds

    def _shared(self, rows: Sequence[Row], known: int) -> Batch:
        prompts = [row["input_ids"][known:] for row in rows]
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        longest = int(lengths.max())
        ids = torch.full((len(rows), longest + self.width), self._pad)
        ids[:, longest:] = torch.tensor([token for slot in self.slots for token in slot])
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) : longest] = torch.tensor(prompt)
        place = torch.arange(longest)[None] - (longest - lengths)[:, None]  # negative: padding
        positions = known + torch.cat([place.clamp(min=0), lengths[:, None] + self.offset[None]], dim=1)
        visible = functional.pad(self._visible(place >= 0), (known, 0), value=True)
        return {"input_ids": ids, "position_ids": positions, "attention_mask": visible}

    def _visible(self, is_text: Tensor) -> Tensor:
        """Which token (third axis) sees which (last axis), bool (n_rows, 1, n_tokens, n_tokens)."""
        count, longest = is_text.shape
        total = longest + self.width
        owner = torch.cat([torch.full((longest,), -1), self.owner])
        earlier = torch.ones(total, total, dtype=torch.bool).tril()
        related = (owner[None] == -1) | (owner[None] == owner[:, None])
        seen = torch.cat([is_text, torch.ones(count, self.width, dtype=torch.bool)], dim=1)
        visible = (earlier & related)[None] & seen[:, None, :]
        visible |= torch.eye(total, dtype=torch.bool)[None]  # padding sees itself: a row that sees nothing gives NaN
        return visible[:, None]

    def _separate(self, rows: Sequence[Row]) -> Batch:
        """Every label's prompt is a row of its own; the same answers at many times the price."""
        texts = [[*row["input_ids"], *slot] for row in rows for slot in self.slots]
        longest = max(map(len, texts))
        ids = torch.tensor([[self._pad] * (longest - len(text)) + text for text in texts])
        lengths = torch.tensor([len(text) for text in texts])
        place = torch.arange(longest)[None] - (longest - lengths)[:, None]
        return {"input_ids": ids, "position_ids": place.clamp(min=0), "attention_mask": (place >= 0).long()}

    @property
    def _pad(self) -> int:
        return int(self.prompt.tokenizer.pad_token_id)


@dataclass
class SlotScorer:
    """A fine-tuned language model that answers for every label."""

    source: Source
    model: Any
    slots: LabelSlots
    objective: Objective

    @property
    def precision(self) -> Precision:
        """Of its predictions."""
        return predicted_in(self.model)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Predictions from yes against no, float32 (len(texts), n_outputs): see `competition/task.py`."""
        of_labels = self.objective.kind == "labels"
        if not texts:
            return np.empty((0, len(self.slots.prompt.labels)), dtype=np.float32)
        device = next(self.model.parameters()).device
        prompt = self.slots.prompt
        with torch.inference_mode():
            beginning = read_beginning(self.model, prompt.before) if self.slots.shared else None

        def collate(rows: Sequence[Row]) -> Batch:
            return self.slots.collate(rows, known=beginning.length if beginning else 0)

        def compute(batch: Batch) -> Tensor:
            placed = {name: values.to(device) for name, values in batch.items()}
            odds = self.slots.logits(self.model, placed, beginning)
            return torch.sigmoid(odds) if of_labels else odds

        rows, n_slots = self.slots.rows(texts), len(self.slots.slots)
        found = predict(rows, prompt.settings.eval_batch_size, collate, compute, n_slots)
        return found if of_labels else self.objective.predictions(found).astype(np.float32)

    def save(self, folder: Path, *, whole: bool) -> bool:
        """Adapters or whole model, with the tokenizer."""
        return save_trained(self.source, self.slots.prompt.tokenizer, self.model, folder, whole=whole)


def _for_model(model: Any, visible: Tensor, positions: Tensor) -> Any:
    """The mask as an architecture with sliding windows wants it: one per kind of layer."""
    config = model.config

    def finished(mask: Tensor) -> Tensor:
        # PyTorch's own attention takes what is seen as it is; the others add the mask to their scores.
        if config._attn_implementation == "sdpa":
            return mask
        return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, torch.finfo(torch.float32).min)

    kinds = set(getattr(config, "layer_types", None) or ())
    if "sliding_attention" not in kinds:
        return finished(visible)
    # By positions, not by places in the row: every slot stands right behind the prompt.
    known = torch.arange(visible.shape[-1] - positions.shape[1], device=positions.device)
    seen = torch.cat([known.expand(len(positions), -1), positions], dim=1)
    near = (positions[:, :, None] - seen[:, None, :]).abs() < config.sliding_window
    return {"full_attention": finished(visible), "sliding_attention": finished(visible & near[:, None])}


def answer_tokens(prompt: Prompt) -> tuple[int, int]:
    """The tokens that tell the two answers apart; each answer's first token has to be its own."""
    yes, no = (prompt.tokens(answer) for answer in prompt.settings.answers)
    if not yes or not no or yes[0] == no[0]:
        raise UserError(
            f"answers = {list(prompt.settings.answers)}: {prompt.settings.checkpoint} begins both with the same token; "
            'choose others, such as [" yes", " no"] or ["yes", "no"]'
        )
    return yes[0], no[0]
