"""How long a competition's rows are in a checkpoint's tokens, longest and mean: counted if its tokenizer is here.

Without the tokenizer the longest is an upper bound, from the texts' bytes and the recipe's max_length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compete.base_models.generator.free_generation import NOTHING
from compete.base_models.generator.label_slots import LabelSlots
from compete.base_models.generator.prompts import Prompt
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.pretrained.settings import CheckpointSettings
from compete.planning.model_plan import Rows

_BYTES_PER_TOKEN = 2  # of the longest texts, which are full of rare words and emoji; most have 3 to 4
_MEAN_BYTES_PER_TOKEN = 3.5  # of typical texts
_CHAT_TOKENS = 40  # what a chat template writes around a prompt


@dataclass(frozen=True)
class Length:
    """How long the longest row is."""

    tokens: int
    """Of the longest row."""
    kept: int
    """Places of a row at which a generator's logits are computed."""
    counted: bool
    """By the checkpoint's own tokenizer, not estimated."""
    mean: float = 0.0
    """Tokens of a typical row; 0 where the data are not there."""


def longest_row(settings: CheckpointSettings, rows: Rows, tokenizer: Any, prompt: str = "") -> Length:
    """Length of the longest training row; tokenizer: the checkpoint's, None where it is not here.

    prompt: what texts are read behind by a model with a head; a generator's settings hold its own. Raises UserError if
    max_length leaves no room behind a generator's prompt.
    """
    if isinstance(settings, LabelGeneratorSettings):
        counted = tokenizer is not None and rows.longest is not None
        return _counted_prompt(settings, rows, tokenizer) if counted else _estimated_prompt(settings, rows)
    limit = settings.max_length
    if rows.longest is None:
        return Length(limit, 0, counted=False)
    longest, typical = ([prompt + text for text in texts] for texts in (rows.longest, rows.typical))
    if tokenizer is not None:
        tokens = _longest(tokenizer(longest)["input_ids"])
        lengths = [min(len(ids), limit) for ids in tokenizer(typical or [""])["input_ids"]]
        return Length(min(tokens, limit), 0, counted=True, mean=_mean(lengths))
    mean = _mean([min(_typical_tokens(text), limit) for text in typical])
    return Length(min(_most_tokens(longest), limit), 0, counted=False, mean=mean)


def _counted_prompt(settings: LabelGeneratorSettings, rows: Rows, tokenizer: Any) -> Length:
    assert rows.longest is not None
    prompt = Prompt(tokenizer, settings, rows.labels, rows.grades)
    if settings.decoding == "generate":
        answer = _answer_tokens(rows)
        # One place more than the answer has tokens: its first token is predicted by the one before it.
        longest, mean = _counted_texts(prompt, rows, spare=answer)
        return Length(longest + answer, answer + 1, counted=True, mean=mean + answer)
    slots = LabelSlots(prompt)
    widest = _longest(slots.slots)
    behind = slots.width if slots.shared else widest
    kept = len(slots.slots) if slots.shared else 1
    longest, mean = _counted_texts(prompt, rows, spare=widest)
    return Length(longest + behind, kept, counted=True, mean=mean + behind)


def _counted_texts(prompt: Prompt, rows: Rows, spare: int) -> tuple[int, float]:
    """Tokens of the longest prompt and of a typical one."""
    typical = [len(ids) for ids in prompt.encode(rows.typical or ("",), spare=spare)]
    return _longest(prompt.encode(rows.longest or (), spare=spare)), _mean(typical)


def _estimated_prompt(settings: LabelGeneratorSettings, rows: Rows) -> Length:
    # Three bytes per token, not two: prompts and labels are plain words.
    around = len(_question(settings, rows).encode()) // 3 + _CHAT_TOKENS
    limit = settings.max_length
    tokens = min(limit, around + (limit if rows.longest is None else _most_tokens(rows.longest)))
    mean = _mean([min(limit, around + _typical_tokens(text)) for text in rows.typical])
    if settings.decoding == "generate":
        return Length(tokens, _answer_tokens(rows) + 1, counted=False, mean=mean)
    if not settings.shared_prefix:
        return Length(tokens, 1, counted=False, mean=mean)
    asked = sum(len(settings.slot.format(label=name).encode()) // 3 + 1 for name in rows.asked)
    return Length(tokens + asked, len(rows.asked), counted=False, mean=mean + asked if mean else 0.0)


def _question(settings: LabelGeneratorSettings, rows: Rows) -> str:
    """The prompt without its text."""
    grades = ", ".join(f"{grade:g}" for grade in rows.grades)
    return settings.prompt.format(text="", labels=", ".join(rows.labels), grades=grades)


def _longest(sequences: Sequence[Sequence[int]]) -> int:
    return max(map(len, sequences), default=1)


def _answer_tokens(rows: Rows) -> int:
    """Tokens of the longest answer that is learnt: every label's name."""
    return max(len(", ".join(rows.labels).encode()) // 3, len(NOTHING)) + 1


def _most_tokens(texts: Sequence[str]) -> int:
    """More tokens than the longest of these texts has; two special ones included."""
    return math.ceil(max((len(text.encode()) for text in texts), default=0) / _BYTES_PER_TOKEN) + 2


def _typical_tokens(text: str) -> float:
    return len(text.encode()) / _MEAN_BYTES_PER_TOKEN + 2


def _mean(lengths: Sequence[float]) -> float:
    return sum(lengths) / len(lengths) if lengths else 0.0
