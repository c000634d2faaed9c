"""Prompts: a recipe's template and a checkpoint's chat template, as token ids around a text."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.competition.text_columns import as_one
from compete.errors import UserError

_TEXT = "\x1aTEXT\x1a"  # stands for the text while templates are rendered; no template writes control characters


class Prompt:
    """Everything a model reads before its answer.

    The text is tokenised on its own, so that it can be cut without touching the template, and so that a text that
    spells a special token cannot end its own input.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        settings: LabelGeneratorSettings,
        labels: Sequence[str],
        grades: Sequence[float] = (),
    ) -> None:
        self.tokenizer = tokenizer
        self.settings = settings
        self.labels = tuple(labels)
        self.grades = tuple(grades)
        before, after = self._rendered().split(_TEXT)
        self.before = self._start_tokens() + self.tokens(before)
        self.after = self.tokens(after)

    def encode(self, texts: Sequence[str], spare: int) -> list[list[int]]:
        """Token ids of the whole prompt for every text; a long text is cut so that `spare` tokens still fit."""
        limit = min(self.settings.max_length, self.tokenizer.model_max_length)
        room = limit - len(self.before) - len(self.after) - spare
        if room < 1:
            raise UserError(
                f"max_length = {limit} leaves no room for a text: prompt and answers take {limit - room} tokens. "
                "Raise max_length, or shorten the prompt."
            )
        encoded = self.tokenizer(
            [as_one(text) or " " for text in texts],
            add_special_tokens=False,
            truncation=True,
            max_length=room,
            split_special_tokens=True,
        )["input_ids"]
        return [[*self.before, *ids, *self.after] for ids in encoded]

    def tokens(self, text: str) -> list[int]:
        """Token ids of a part of the template, special tokens read as such."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _rendered(self) -> str:
        grades = ", ".join(f"{grade:g}" for grade in self.grades)
        prompt = self.settings.prompt.format(text=_TEXT, labels=", ".join(self.labels), grades=grades)
        if not self._is_chat():
            return prompt
        messages = [{"role": "user", "content": prompt}]
        if self.settings.system is not None:
            messages.insert(0, {"role": "system", "content": self.settings.system})
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def _is_chat(self) -> bool:
        has_template = self.tokenizer.chat_template is not None
        if self.settings.chat and not has_template:
            raise UserError(f"chat = true: {self.settings.checkpoint} has no chat template; leave `chat` out")
        return has_template if self.settings.chat is None else self.settings.chat

    def _start_tokens(self) -> list[int]:
        """The token that the tokenizer begins every text with, unless a chat template writes it."""
        start = self.tokenizer.bos_token_id
        if self._is_chat() or start is None:
            return []
        # A tokenizer may name such a token and not write it: only a look at what it does tells.
        return [start] if list(self.tokenizer("a")["input_ids"])[:1] == [start] else []
