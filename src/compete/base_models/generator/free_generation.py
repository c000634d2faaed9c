"""Free generation: the model writes the labels' names, which are then read; for comparison with the report.

It gives answers, not probabilities: a row holds ones and zeros. Of classes one is written: a row holds a single one, or
all classes alike where no name can be read. The slots of `label_slots` are the better way.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from compete.base_models.generator.prompts import Prompt
from compete.base_models.pretrained.adaptation import save_trained
from compete.base_models.pretrained.batching import Batch, Row
from compete.base_models.pretrained.checkpoints import Source
from compete.base_models.pretrained.fine_tuning import predict
from compete.competition.task import Kind

NOTHING = "none"
_IGNORED = -100


class FreeAnswers:
    """How labels become an answer to learn, and a written answer labels."""

    def __init__(self, prompt: Prompt, kind: Kind = "labels") -> None:
        self.prompt = prompt
        self.kind = kind
        self.end = prompt.tokenizer.eos_token_id

    def rows(self, texts: Sequence[str], labels: NDArray[np.int8], weights: Tensor) -> list[Row]:
        """Prompt and answer; only the answer is learnt, and a label's name weighs what its positives weigh."""
        answers = [self._answer(row, weights) for row in labels]
        prompts = self.prompt.encode(texts, spare=max(len(tokens) for tokens, _ in answers))
        return [
            {
                "input_ids": [*ids, *tokens],
                "targets": [_IGNORED] * len(ids) + tokens,
                "weights": [0.0] * len(ids) + weight,
                "length": len(ids) + len(tokens),
            }
            for ids, (tokens, weight) in zip(prompts, answers, strict=True)
        ]

    def _answer(self, row: NDArray[np.int8], weights: Tensor) -> tuple[list[int], list[float]]:
        """Tokens and weights of "anger, joy" and the end of the answer."""
        chosen = [number for number, is_on in enumerate(row) if is_on]
        tokens: list[int] = []
        weight: list[float] = []
        for place, number in enumerate(chosen):
            name = self.prompt.tokens((", " if place else "") + self.prompt.labels[number])
            tokens += name
            weight += [float(weights[number])] * len(name)
        if not chosen:
            tokens = self.prompt.tokens(NOTHING)
            weight = [1.0] * len(tokens)
        return [*tokens, self.end], [*weight, 1.0]

    def collate(self, rows: Sequence[Row]) -> Batch:
        """Padded on the left, so that answers end together and what is written goes on from the prompt."""
        longest = max(len(row["input_ids"]) for row in rows)
        pad = int(self.prompt.tokenizer.pad_token_id)

        def column(name: str, filler: float) -> Tensor:
            return torch.tensor([[filler] * (longest - len(row[name])) + row[name] for row in rows])

        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        mask = torch.arange(longest)[None] >= (longest - lengths)[:, None]
        batch: Batch = {"input_ids": column("input_ids", pad), "attention_mask": mask.long()}
        if "targets" in rows[0]:
            batch |= {"targets": column("targets", _IGNORED), "weights": column("weights", 0.0)}
        return batch

    def loss(self, model: Any, batch: Batch) -> Tensor:
        """Weighted cross-entropy of the answers' tokens."""
        targets, weights = batch["targets"], batch["weights"]
        # The logits before an answer's first token are the first that count.
        keep = int((targets != _IGNORED).sum(dim=1).max()) + 1
        positions = (batch["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        logits = model(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            position_ids=positions,
            use_cache=False,
            logits_to_keep=keep,
        ).logits
        cells = functional.cross_entropy(
            logits[:, :-1].float().flatten(0, 1),
            targets[:, 1 - keep :].flatten(),
            ignore_index=_IGNORED,
            reduction="none",
        )
        kept = weights[:, 1 - keep :].flatten()
        loss: Tensor = (cells * kept).sum() / kept.sum()
        return loss

    def read(self, answer: str) -> NDArray[np.float32]:
        """Ones for the labels that a written answer names, each piece taken for the nearest name; or for one class."""
        names = {label.lower(): number for number, label in enumerate(self.prompt.labels)}
        found = np.zeros(len(names), dtype=np.float32)
        for piece in re.split(r"[,;\n]|\band\b", answer.lower()):
            word = re.sub(r"[^\w\s-]", "", piece).strip()
            nearest = difflib.get_close_matches(word, list(names), n=1, cutoff=0.6)
            if not nearest or (word == NOTHING and self.kind == "labels"):
                continue
            found[names[nearest[0]]] = 1.0
            if self.kind == "classes":
                return found
        return found if self.kind == "labels" else np.full_like(found, 1 / len(found))


@dataclass
class FreeGenerator:
    """A fine-tuned language model that writes the labels' names."""

    source: Source
    model: Any
    answers: FreeAnswers

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Ones and zeros, float32 (len(texts), n_labels)."""
        prompt = self.answers.prompt
        if not texts:
            return np.empty((0, len(prompt.labels)), dtype=np.float32)
        encoded = prompt.encode(texts, spare=prompt.settings.max_new_tokens)
        rows: list[Row] = [{"input_ids": ids, "length": len(ids)} for ids in encoded]
        return predict(rows, prompt.settings.eval_batch_size, self.answers.collate, self._write, len(prompt.labels))

    def _write(self, batch: Batch) -> Tensor:
        prompt = self.answers.prompt
        device = next(self.model.parameters()).device
        written = self.model.generate(
            **{name: values.to(device) for name, values in batch.items()},
            max_new_tokens=prompt.settings.max_new_tokens,
            no_repeat_ngram_size=prompt.settings.no_repeat_ngram_size,
            do_sample=False,
            use_cache=True,
            pad_token_id=prompt.tokenizer.pad_token_id,
            eos_token_id=self.answers.end,
        )
        new = written[:, batch["input_ids"].shape[1] :].tolist()
        answers = prompt.tokenizer.batch_decode(new, skip_special_tokens=True)
        return torch.from_numpy(np.stack([self.answers.read(answer) for answer in answers]))

    def save(self, folder: Path, *, whole: bool) -> bool:
        """Adapters or whole model, with the tokenizer."""
        return save_trained(self.source, self.answers.prompt.tokenizer, self.model, folder, whole=whole)
