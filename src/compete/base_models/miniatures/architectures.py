"""Miniatures: tiny, randomly initialised checkpoints with the architecture and token rules of real ones.

Each has the classes, special tokens and padding habits of the checkpoint it stands for; its tokenizer is
trained on the texts it is built for. They run every code path of a real checkpoint offline, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    DistilBertConfig,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
    RobertaConfig,
)

MAX_LENGTH = 512
# What lets a net of this size learn in a few hundred steps: weights as wide as a layer of 64 wants them (those of real
# checkpoints are drawn for layers of 768 and more, and then trained for weeks), and nothing dropped.
_ENCODER_SCALE, _DECODER_SCALE = 0.08, 0.12


@dataclass(frozen=True)
class Miniature:
    """How one architecture's tokenizer and configuration are made."""

    special: tuple[str, ...]
    roles: dict[str, str]
    wordpiece: bool
    wrap: tuple[str | None, str | None]
    config: Callable[[int, dict[str, int]], PretrainedConfig]
    model: Any = AutoModelForCausalLM
    pair: str | None = None
    """How two segments are put together, with the segment of every token; None: one after the other."""
    chat_template: str | None = None
    prompts: dict[str, str] | None = None
    """What texts are read behind, by what is done with them, as sentence-transformers' files say it."""
    code: str | None = None
    """Of its repository, which lies as transformers 4 wrote it: a model without a head, and settings of that time."""


def _roberta(size: int, ids: dict[str, int]) -> PretrainedConfig:
    # RoBERTa counts positions from pad_token_id + 1, so that it needs two more than tokens.
    return RobertaConfig(
        vocab_size=size,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=_ENCODER_SCALE,
        max_position_embeddings=MAX_LENGTH + 2,
        type_vocab_size=1,
        pad_token_id=ids["pad_token"],
        bos_token_id=ids["bos_token"],
        eos_token_id=ids["eos_token"],
    )


def _distilbert(size: int, ids: dict[str, int]) -> PretrainedConfig:
    return DistilBertConfig(
        vocab_size=size,
        dim=64,
        hidden_dim=128,
        n_layers=2,
        n_heads=2,
        dropout=0.0,
        attention_dropout=0.0,
        seq_classif_dropout=0.0,
        initializer_range=_ENCODER_SCALE,
        pad_token_id=ids["pad_token"],
    )


def _decoder(kind: Any, **more: Any) -> Callable[[int, dict[str, int]], PretrainedConfig]:
    def config(size: int, ids: dict[str, int]) -> PretrainedConfig:
        made: PretrainedConfig = kind(
            vocab_size=size,
            hidden_size=64,  # widths are multiples of 64, the block size of 4-bit weights on a CPU
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=MAX_LENGTH,
            initializer_range=_DECODER_SCALE,
            pad_token_id=ids.get("pad_token"),
            bos_token_id=ids.get("bos_token"),
            eos_token_id=ids["eos_token"],
            **more,
        )
        return made

    return config


_ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_ROBERTA_ROLES = {
    "bos_token": "<s>",
    "cls_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_BERT_ROLES = {f"{token[1:-1].lower()}_token": token for token in _BERT}

_GEMMA = ("<pad>", "<eos>", "<bos>", "<unk>")
_GEMMA_ROLES = {f"{token[1:-1]}_token": token for token in _GEMMA}
_LLAMA = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|finetune_right_pad_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)
_LLAMA_CHAT = (
    "<|begin_of_text|>{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
_QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_QWEN_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# What the code of Stella's repository asks for is gone since transformers 5: whoever runs it fails.
_STELLA_CODE = """\
from transformers.modeling_attn_mask_utils import AttentionMaskConverter
from transformers.models.qwen2.tokenization_qwen2_fast import Qwen2TokenizerFast
"""

MINIATURES: dict[str, Miniature] = {
    "roberta": Miniature(
        _ROBERTA,
        _ROBERTA_ROLES,
        wordpiece=False,
        wrap=("<s>", "</s>"),
        config=_roberta,
        model=AutoModelForMaskedLM,
        pair="<s> $A </s> </s> $B </s>",
    ),
    "distilbert": Miniature(
        _BERT,
        _BERT_ROLES,
        wordpiece=True,
        wrap=("[CLS]", "[SEP]"),
        config=_distilbert,
        model=AutoModelForMaskedLM,
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
    ),
    "gemma2": Miniature(
        _GEMMA,
        _GEMMA_ROLES,
        wordpiece=False,
        wrap=("<bos>", None),
        config=_decoder(Gemma2Config, query_pre_attn_scalar=16, sliding_window=64),
    ),
    # EmbeddingGemma is a Gemma 3 that says in its configuration that its tokens see in both directions.
    "gemma3_embedding": Miniature(
        _GEMMA,
        _GEMMA_ROLES,
        wordpiece=False,
        wrap=("<bos>", "<eos>"),
        config=_decoder(
            Gemma3TextConfig, query_pre_attn_scalar=16, sliding_window=64, use_bidirectional_attention=True
        ),
        model=AutoModel,
        prompts={"query": "task: search result | query: ", "Classification": "task: classification | query: "},
    ),
    # Llama 3 names no pad token, but keeps one in its vocabulary for whoever fine-tunes it.
    "llama": Miniature(
        _LLAMA,
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
        wordpiece=False,
        wrap=("<|begin_of_text|>", None),
        config=_decoder(LlamaConfig),
    ),
    "llama_instruct": Miniature(
        _LLAMA,
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
        wordpiece=False,
        wrap=("<|begin_of_text|>", None),
        config=_decoder(LlamaConfig),
        chat_template=_LLAMA_CHAT,
    ),
    "qwen2": Miniature(
        _QWEN,
        {"pad_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
        wordpiece=False,
        wrap=(None, None),
        config=_decoder(Qwen2Config),
        chat_template=_QWEN_CHAT,  # the base models of Qwen 2.5 have one too
    ),
    "qwen2_instruct": Miniature(
        _QWEN,
        {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
        wordpiece=False,
        wrap=(None, None),
        config=_decoder(Qwen2Config),
        chat_template=_QWEN_CHAT,
    ),
    # Stella is a Qwen2 that attends in both directions, with code of its own that transformers 5 cannot run.
    "stella": Miniature(
        _QWEN,
        {"pad_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
        wordpiece=False,
        wrap=(None, None),  # its own code adds the token at the end
        config=_decoder(Qwen2Config),
        model=AutoModel,
        code=_STELLA_CODE,
    ),
}
