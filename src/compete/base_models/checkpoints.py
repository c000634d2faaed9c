"""Opening checkpoints: a hub's name, a local folder or a miniature; padding decided in this one place.

| checkpoints | pad token |
|---|---|
| RoBERTa, BERT, DistilBERT, MPNet, Gemma, Qwen2 | their own |
| Llama 3, which names none | `<|finetune_right_pad_id|>`, kept in its vocabulary for this |
| others that name none | a reserved or unknown token, else end-of-text |

Classifiers pad on the right. No embedding matrix is ever resized: a pad token is one that the checkpoint has. The
attention mask hides it, and a decoder's head reads the last token that is no pad, which its configuration is told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from compete.base_models.miniatures import MINIATURES, write_miniature
from compete.declarations import unknown_name
from compete.errors import UserError

MINIATURE = "miniature:"
_SPARE_TOKENS = ("<|finetune_right_pad_id|>", "<pad>", "[PAD]", "<|pad|>", "<|reserved_special_token_0|>", "<unk>")
# Heads are trained in full precision, so they are never quantised; architectures name them differently.
HEADS = ["score", "classifier", "pre_classifier", "classification_head"]


@contextlib.contextmanager
def located(checkpoint: str, texts: Sequence[str], scratch: Path, seed: int) -> Iterator[str]:
    """What transformers can load: the name or folder itself, or the folder of a miniature made for `texts`."""
    if not checkpoint.startswith(MINIATURE):
        with _explained(checkpoint):
            yield checkpoint
        return
    architecture = checkpoint.removeprefix(MINIATURE)
    if architecture not in MINIATURES:
        raise UserError(f"no miniature {architecture!r}; {unknown_name(architecture, MINIATURES)}")
    write_miniature(architecture, texts, scratch / architecture, seed)
    yield str(scratch / architecture)


def open_tokenizer(location: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer, with a pad token and padding on the right."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        location, revision=revision, trust_remote_code=False
    )
    if tokenizer.pad_token_id is None:
        vocabulary = tokenizer.get_vocab()
        tokenizer.pad_token = next((token for token in _SPARE_TOKENS if token in vocabulary), tokenizer.eos_token)
    tokenizer.padding_side = "right"
    return tokenizer


def open_classifier(
    location: str, revision: str | None, pad_token_id: int, n_labels: int, *, four_bits: bool
) -> PreTrainedModel:
    """The checkpoint with a new head for `n_labels`; float32, or NF4 but for the head."""
    config = AutoConfig.from_pretrained(location, revision=revision, trust_remote_code=False, num_labels=n_labels)
    config.problem_type = "multi_label_classification"
    config.pad_token_id = pad_token_id
    model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
        location,
        revision=revision,
        config=config,
        dtype=torch.float32,
        use_safetensors=True,
        trust_remote_code=False,
        quantization_config=_nf4() if four_bits else None,
    )
    return model


def _nf4() -> BitsAndBytesConfig:
    """QLoRA's storage: 4-bit NormalFloat, the scales quantised too (Dettmers et al. 2023)."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=HEADS,
    )


@contextlib.contextmanager
def _explained(checkpoint: str) -> Iterator[None]:
    """Turn what goes wrong with a checkpoint into what to do about it."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"the checkpoint {checkpoint!r} cannot be opened: {reason} A local folder may stand in for it."
        ) from error
