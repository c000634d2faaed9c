"""Writing a miniature: a tiny checkpoint, its tokenizer trained on the texts it is made for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from compete.base_models.miniatures.architectures import MAX_LENGTH, MINIATURES, Miniature

VOCABULARY = 2000


def write_miniature(
    architecture: str, texts: Sequence[str], folder: Path, seed: int, words: Sequence[str] = ()
) -> None:
    """Write a tiny checkpoint into `folder`, as a real one lies on the disk: weights, configuration, tokenizer.

    words: what a byte-level tokenizer has a token for besides what is frequent in `texts`, as a large vocabulary has
    for common words.
    """
    miniature = MINIATURES[architecture]
    tokenizer = _train_tokenizer(miniature, texts, words)
    numbers = tokenizer.get_vocab()
    ids = {role: numbers[token] for role, token in miniature.roles.items()}
    config = miniature.config(tokenizer.get_vocab_size(), ids)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        miniature.model.from_config(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
        chat_template=miniature.chat_template,
        **miniature.roles,
    ).save_pretrained(folder)
    if miniature.prompts is not None:
        said = json.dumps({"prompts": miniature.prompts, "default_prompt_name": None}, indent=2)
        (folder / "config_sentence_transformers.json").write_text(said, encoding="utf-8")
    if miniature.code is not None:
        _lay_out_as_stella(folder, miniature.code)


def _lay_out_as_stella(folder: Path, code: str) -> None:
    """The files as transformers 4 wrote them: its names of settings, and classes that the repository's code defines."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    config["torch_dtype"] = config.pop("dtype")
    for later in ("head_dim", "layer_types", "pad_token_id"):
        config.pop(later, None)
    config |= {"architectures": ["Qwen2ForSequenceClassification"], "transformers_version": "4.42.3"}
    config["auto_map"] = {
        "AutoModel": "modeling_qwen.Qwen2Model",
        "AutoModelForCausalLM": "modeling_qwen.Qwen2ForCausalLM",
        "AutoModelForSequenceClassification": "modeling_qwen.Qwen2ForSequenceClassification",
    }
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config |= {"tokenizer_class": "Qwen2Tokenizer", "add_eos_token": True}
    config["auto_map"] = {"AutoTokenizer": ["tokenization_qwen.Qwen2Tokenizer", "tokenization_qwen.Qwen2TokenizerFast"]}
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    for name in ("modeling_qwen.py", "tokenization_qwen.py"):
        (folder / name).write_text(code, encoding="utf-8")


def _train_tokenizer(miniature: Miniature, texts: Sequence[str], words: Sequence[str]) -> Tokenizer:
    special = list(miniature.special)
    if miniature.wordpiece:
        tokenizer = _wordpiece(texts, special)
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
        # Large vocabularies have a token for each answer of a yes/no question, so a miniature has too.
        tokenizer.train_from_iterator([*texts, *[" yes no", *words] * 100], trainer)
    before, after = miniature.wrap
    parts = [part for part in (before, "$A", after) if part]
    tokens = [(token, tokenizer.token_to_id(token)) for token in (before, after) if token]
    template = {"single": " ".join(parts), **({"pair": miniature.pair} if miniature.pair else {})}
    tokenizer.post_processor = processors.TemplateProcessing(**template, special_tokens=tokens)
    return tokenizer


def _wordpiece(texts: Sequence[str], special: Sequence[str]) -> Tokenizer:
    """Letters, inner letters and the most frequent words: the library's trainer numbers ties by chance."""
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    letters = sorted({letter for word in words for letter in word})
    frequent = sorted(words, key=lambda word: (-words[word], word))[:VOCABULARY]
    pieces = dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *frequent])
    numbers = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab=numbers, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    return tokenizer
