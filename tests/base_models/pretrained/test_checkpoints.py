"""Checkpoints are opened with the pad token they were made for: padding, on whichever side, changes no probability."""

from __future__ import annotations

import functools
import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn.modules import Linear4bit
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast, Qwen2ForSequenceClassification

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.families import FitContext
from compete.base_models.generator.family import LabelGenerator
from compete.base_models.generator.label_slots import SlotScorer
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.miniatures.architectures import MINIATURES
from compete.base_models.miniatures.writing import write_miniature
from compete.base_models.pretrained.checkpoints import (
    Source,
    open_classifier,
    open_classifiers_tokenizer,
    open_tokenizer,
    source_of,
)
from compete.base_models.pretrained.device import predicted_in
from compete.errors import UserError
from support import small_classifier

pytestmark = pytest.mark.slow

Posts = tuple[list[str], NDArray[np.int8]]
Fitted = Callable[[str], Any]

LABELS = ("joy", "anger")
ENCODERS, DECODERS = ("roberta", "distilbert"), ("gemma2", "llama", "qwen2", "stella")
GENERATORS = ("llama_instruct", "qwen2_instruct")
UNSEEN = ["such a sunny day", "rotten", "", "sunny " * 60, "a day, rotten and sunny 😀 #mood"]
PAD = {
    "roberta": "<pad>",
    "distilbert": "[PAD]",
    "gemma2": "<pad>",
    "gemma3_embedding": "<pad>",
    "llama": "<|finetune_right_pad_id|>",
    "llama_instruct": "<|finetune_right_pad_id|>",
    "qwen2": "<|endoftext|>",
    "qwen2_instruct": "<|endoftext|>",
    "stella": "<|endoftext|>",
}
END = {
    "roberta": "</s>",
    "gemma2": "<eos>",
    "gemma3_embedding": "<eos>",
    "llama": "<|end_of_text|>",
    "llama_instruct": "<|eot_id|>",
    "qwen2": "<|endoftext|>",
    "qwen2_instruct": "<|im_end|>",
    "stella": "<|endoftext|>",
}


def options(architecture: str) -> dict[str, Any]:
    small = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "precision": "float32"}
    return {**small, "checkpoint": f"miniature:{architecture}"}


def classifier(posts: Posts, architecture: str) -> Any:
    # Encoders begin with weights so small that hardly any two texts differ.
    quick = {"epochs": 6, "learning_rate": 0.01} if architecture in ENCODERS else {}
    as_trained = {"attention": "bidirectional", "pooling": "mean"} if architecture == "stella" else {}
    as_trained = {"pooling": "mean"} if architecture == "gemma3_embedding" else as_trained
    chosen = SequenceClassifierSettings(**{**options(architecture), **quick, **as_trained}, max_length=32)
    return SequenceClassifier(chosen).fit(*posts, FitContext(labels=LABELS, seed=3))


def generator(posts: Posts, architecture: str) -> SlotScorer:
    chosen = LabelGeneratorSettings(**options(architecture), adaptation="full", prompt="{text}\n", max_length=64)
    model = LabelGenerator(chosen).fit(*posts, FitContext(labels=LABELS, seed=3))
    assert isinstance(model, SlotScorer)
    return model


@pytest.fixture(scope="module")
def fitted(posts: Posts) -> Fitted:
    """A fitted model per miniature, made once."""
    return functools.cache(
        lambda architecture: (generator if architecture in GENERATORS else classifier)(posts, architecture)
    )


def padded_on(model: Any, side: str) -> NDArray[np.float32]:
    usual, model.tokenizer.padding_side = model.tokenizer.padding_side, side
    probabilities: NDArray[np.float32] = model.predict_proba(UNSEEN)
    model.tokenizer.padding_side = usual
    return probabilities


def slots_padded_on_the_right(model: SlotScorer) -> NDArray[np.float32]:
    """Each prompt with one slot is a row of its own, the padding behind it, the answer read from its last token."""
    slots = model.slots
    texts = [[*row["input_ids"], *slot] for row in slots.rows(UNSEEN) for slot in slots.slots]
    pad, longest = model.slots.prompt.tokenizer.pad_token_id, max(map(len, texts))
    ids = torch.tensor([text + [pad] * (longest - len(text)) for text in texts])
    lengths = torch.tensor([len(text) for text in texts])
    mask = (torch.arange(longest)[None] < lengths[:, None]).long()
    with torch.inference_mode():
        scores = model.model(input_ids=ids, attention_mask=mask).logits[torch.arange(len(texts)), lengths - 1]
    probabilities: NDArray[np.float32] = torch.sigmoid(slots.odds(scores)).reshape(-1, len(LABELS)).numpy()
    return probabilities


@pytest.mark.parametrize("architecture", ENCODERS + DECODERS)
def test_a_classifier_answers_the_same_alone_and_padded(fitted: Fitted, architecture: str) -> None:
    model = fitted(architecture)
    assert model.tokenizer.padding_side == "right"
    alone = np.concatenate([model.predict_proba([text]) for text in UNSEEN])
    assert np.ptp(alone[:, 0]) > 3e-3  # texts are told apart, by more than the tolerance
    np.testing.assert_allclose(padded_on(model, "right"), alone, atol=1e-3)
    if architecture in DECODERS:  # an encoder counts absolute positions, pads included
        np.testing.assert_allclose(padded_on(model, "left"), alone, atol=1e-3)


@pytest.mark.parametrize("architecture", GENERATORS)
def test_a_generator_answers_the_same_alone_and_padded(fitted: Fitted, architecture: str) -> None:
    model = fitted(architecture)
    assert model.slots.prompt.tokenizer.padding_side == "left"
    alone = np.concatenate([model.predict_proba([text]) for text in UNSEEN])
    assert np.ptp(alone[:, 0]) > 3e-3
    np.testing.assert_allclose(model.predict_proba(UNSEEN), alone, atol=1e-3)
    np.testing.assert_allclose(slots_padded_on_the_right(model), alone, atol=1e-3)


@pytest.mark.parametrize("architecture", MINIATURES)
def test_no_embedding_matrix_is_resized(fitted: Fitted, architecture: str) -> None:
    model = fitted(architecture)
    checkpoint = AutoModel.from_pretrained(model.source.path)
    embeddings = model.model.get_input_embeddings().weight
    assert embeddings.shape == checkpoint.get_input_embeddings().weight.shape
    assert model.model.config.vocab_size == embeddings.shape[0]
    assert model.model.config.pad_token_id < embeddings.shape[0]


@pytest.mark.parametrize("architecture", MINIATURES)
def test_pad_and_end_are_the_tokens_of_the_family(posts: Posts, architecture: str) -> None:
    source = source_of(SequenceClassifierSettings(**options(architecture)), posts[0], seed=1)
    for side in ("right", "left"):
        tokenizer = open_tokenizer(source, padding_side=side)
        assert tokenizer.padding_side == side
        assert tokenizer.pad_token == PAD[architecture]
        assert tokenizer.eos_token == END.get(architecture)


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_the_model_is_told_the_pad_token_that_the_tokenizer_uses(fitted: Fitted, architecture: str) -> None:
    model = fitted(architecture)
    assert model.model.config.pad_token_id == model.tokenizer.pad_token_id
    assert model.tokenizer.convert_tokens_to_ids(PAD[architecture]) == model.tokenizer.pad_token_id


@pytest.mark.parametrize(
    ("vocabulary", "pad"),
    [
        (("<end>", "<unk>", "<|reserved_special_token_0|>", "[PAD]"), "[PAD]"),
        (("<end>", "<unk>", "<|reserved_special_token_0|>"), "<|reserved_special_token_0|>"),
        (("<end>", "<unk>"), "<unk>"),
        (("<end>", "day"), "<end>"),
    ],
)
def test_a_tokenizer_that_names_no_pad_token_gets_one_it_has(
    tmp_path: Path, vocabulary: tuple[str, ...], pad: str
) -> None:
    words = models.WordLevel({word: number for number, word in enumerate(vocabulary)}, unk_token=vocabulary[0])
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), eos_token="<end>").save_pretrained(tmp_path)
    tokenizer = open_tokenizer(Source(SequenceClassifierSettings(checkpoint=str(tmp_path)), str(tmp_path)))
    assert tokenizer.pad_token == pad
    assert len(tokenizer) == len(vocabulary)


@pytest.mark.parametrize("architecture", MINIATURES)
def test_the_pad_token_is_one_the_checkpoint_has(tmp_path: Path, architecture: str) -> None:
    write_miniature(architecture, small_classifier.posts()[0], tmp_path, seed=1)
    size = AutoModel.from_pretrained(tmp_path).get_input_embeddings().weight.shape[0]
    tokenizer = open_tokenizer(Source(small_classifier.settings(str(tmp_path)), str(tmp_path)))
    assert tokenizer.pad_token_id is not None
    assert tokenizer.pad_token_id < size == len(tokenizer)
    named = AutoTokenizer.from_pretrained(tmp_path).pad_token
    assert (named is None) == architecture.startswith("llama")
    assert tokenizer.pad_token == (named or "<|finetune_right_pad_id|>")


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no-such-folder' does not exist"):
        small_classifier.fit(str(tmp_path / "no-such-folder"))
    with pytest.raises(UserError, match="no miniature 'robberta'; did you mean 'roberta'"):
        small_classifier.fit("miniature:robberta")


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_weights_in_four_bits_compute_in_the_precision_that_was_asked_for(precision: str, dtype: torch.dtype) -> None:
    chosen = small_classifier.settings("miniature:llama", adaptation="qlora", precision=precision)
    source = source_of(chosen, small_classifier.posts()[0], seed=1)
    model: Any = open_classifier(source, 0, 2, four_bits=True)
    assert model.config.quantization_config.bnb_4bit_compute_dtype is dtype
    assert {layer.compute_dtype for layer in model.modules() if isinstance(layer, Linear4bit)} == {dtype}
    assert predicted_in(model, precision) == precision


# Stella: files of transformers 4, with code that transformers 5 cannot run


def stella(folder: Path, **more: Any) -> Source:
    write_miniature("stella", small_classifier.posts()[0], folder, seed=1)
    return Source(small_classifier.settings(str(folder), **more), str(folder))


@pytest.fixture
def _nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(question: str) -> str:
        raise AssertionError(question)

    monkeypatch.setattr("builtins.input", ask)


@pytest.fixture
def _own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that transformers copies goes where it is removed."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))


@pytest.mark.usefixtures("_own_modules")
def test_code_for_transformers_4_cannot_run(tmp_path: Path) -> None:
    source = stella(tmp_path, remote_code=True)
    for name in ("modeling_qwen.py", "tokenization_qwen.py"):
        with pytest.raises(ImportError):
            runpy.run_path(str(tmp_path / name))
    with pytest.raises(
        UserError, match=r"code that was written for another version of transformers: remote_code = false"
    ):
        open_classifier(source, 0, 2, four_bits=False)


@pytest.mark.usefixtures("_nobody_to_ask")
@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("four_bits", [False, True])
def test_all_weights_are_loaded_without_that_code(tmp_path: Path, prefix: str, four_bits: bool) -> None:
    source = stella(tmp_path)
    torch.manual_seed(0)
    written = {
        name: weight + 0.01 * torch.randn(weight.shape)  # unlike what a new model begins with: norms of 1, biases of 0
        for name, weight in load_file(tmp_path / "model.safetensors").items()
    }
    assert {"embed_tokens.weight", "layers.0.self_attn.q_proj.weight", "norm.weight"} <= written.keys()
    renamed = {prefix + name: weight for name, weight in written.items()}
    save_file(renamed, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model: Any = open_classifier(source, 0, 2, four_bits=four_bits)
    assert type(model) is Qwen2ForSequenceClassification
    loaded = dict(model.base_model.named_parameters())
    assert loaded.keys() == written.keys()
    for name, weight in loaded.items():
        whole = dequantize_4bit(weight, weight.quant_state) if hasattr(weight, "quant_state") else weight
        torch.testing.assert_close(whole, written[name], atol=0.1 if four_bits else 0.0, rtol=0.0)


@pytest.mark.parametrize("lost", ["layers.1.mlp.up_proj.weight", "embed_tokens.weight"])
def test_a_weight_that_is_missing_is_no_random_one(tmp_path: Path, lost: str) -> None:
    source = stella(tmp_path)
    written = load_file(tmp_path / "model.safetensors")
    del written[lost]
    save_file(written, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        UserError, match=rf"lacks 1 of the weights of its architecture \(qwen2\), model\.{lost} for one"
    ):
        open_classifier(source, 0, 2, four_bits=False)


@pytest.mark.usefixtures("_nobody_to_ask")
def test_texts_end_in_the_token_that_its_code_would_add(tmp_path: Path) -> None:
    source = stella(tmp_path / "first")
    tokenizer = open_classifiers_tokenizer(source)
    words = open_tokenizer(source)("sunny day")["input_ids"]
    end = tokenizer.eos_token_id
    assert end not in words
    assert tokenizer("sunny day")["input_ids"] == [*words, end]
    assert tokenizer("sunny day", truncation=True, max_length=2)["input_ids"] == [words[0], end]
    kept = shutil.copytree(tmp_path / "first", tmp_path / "second")
    tokenizer.save_pretrained(kept)
    again = open_classifiers_tokenizer(Source(source.settings, str(kept)))
    assert again("sunny day")["input_ids"] == [*words, end]


@pytest.mark.usefixtures("_own_modules")
def test_code_that_is_allowed_is_run(tmp_path: Path) -> None:
    folder = tmp_path / "with_code"
    write_miniature("qwen2", small_classifier.posts()[0], folder, seed=1)
    code = (
        "from transformers import Qwen2ForSequenceClassification\n\nclass Own(Qwen2ForSequenceClassification): pass\n"
    )
    (folder / "modeling_own.py").write_text(code, encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["auto_map"] = {"AutoModelForSequenceClassification": "modeling_own.Own"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for allowed, name in ((True, "Own"), (False, "Qwen2ForSequenceClassification")):
        settings = small_classifier.settings(str(folder), remote_code=allowed)
        model = open_classifier(Source(settings, str(folder)), 0, 2, four_bits=False)
        assert type(model).__name__ == name
