"""Texts as token ids for a model with a head: one text, or a pair as two segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from compete.base_models.pretrained.batching import Row
from compete.competition.text_columns import PAIR, as_one, segments
from compete.errors import UserError

TYPES = "token_type_ids"


def text_rows(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int, *, with_types: bool, prompt: str = ""
) -> list[Row]:
    """Token ids of every text, cut at `max_length`, never empty.

    A pair is read as two segments where the tokenizer has a token that parts them, the longer one cut first; else, as
    by decoders, as one text with a line each. with_types: with the segment of every token, for a model that reads it.
    prompt: what every text is read behind; raises UserError where it leaves no room for one.
    """
    limit = min(max_length, tokenizer.model_max_length)
    if prompt:
        taken = len(tokenizer(prompt)["input_ids"])
        if taken >= limit:
            raise UserError(
                f"settings.prompt: it has {taken} tokens, and with a limit of {limit} (max_length, or the checkpoint's "
                "own) none are left for a text: shorten it, or raise max_length"
            )
        texts = [prompt + text for text in texts]
    as_pairs = tokenizer.sep_token_id is not None
    rows: list[Row] = [{}] * len(texts)
    pairs = [number for number, text in enumerate(texts) if as_pairs and PAIR in text]
    single = [number for number, text in enumerate(texts) if not as_pairs or PAIR not in text]
    # An empty text of a tokenizer without special tokens has no token at all: a blank stands in for it.
    if single:
        read = _read(tokenizer, limit, [as_one(texts[number]) or " " for number in single])
        for number, ids in zip(single, read["input_ids"], strict=True):
            rows[number] = _row(ids or [tokenizer.pad_token_id])
    if pairs:
        first, second = zip(*(segments(texts[number]) for number in pairs), strict=True)
        read = _read(tokenizer, limit, list(first), list(second))
        for place, number in enumerate(pairs):
            types = {TYPES: read[TYPES][place]} if with_types else {}
            rows[number] = {**_row(read["input_ids"][place]), **types}
    return rows


def _read(tokenizer: PreTrainedTokenizerBase, limit: int, *texts: list[str]) -> Any:
    # A text that spells a special token is text: a post must not be able to end its own input.
    return tokenizer(*texts, truncation=True, max_length=limit, split_special_tokens=True, return_token_type_ids=True)


def _row(ids: list[int]) -> Row:
    return {"input_ids": ids, "length": len(ids)}
