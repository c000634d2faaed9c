"""Opening checkpoints: a hub's name, a local folder or a miniature; padding decided in this one place.

| checkpoints | pad token |
|---|---|
| RoBERTa, BERT, DistilBERT, MPNet, Gemma, Qwen2, Stella | their own |
| Llama 3, which names none | `<|finetune_right_pad_id|>`, kept in its vocabulary for this |
| others that name none | a reserved or unknown token, else end-of-text |

Classifiers pad on the right, generators on the left. No embedding matrix is ever resized: a pad token is one that
the checkpoint has. The attention mask hides it, and a decoder's head reads the last token that is no pad, which its
configuration is told.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import processors
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils.hub import HF_MODULES_CACHE

from compete import atomic
from compete.base_models.families import MINIATURE
from compete.base_models.memory import is_out_of_memory
from compete.base_models.miniatures.architectures import MINIATURES
from compete.base_models.miniatures.writing import write_miniature
from compete.base_models.pretrained.device import TYPES, training_precision
from compete.base_models.pretrained.settings import CheckpointSettings
from compete.declarations import unknown_name
from compete.errors import UserError

_KEPT_MINIATURE = "miniature"
_SHORT = 512  # tokens
_SPARE_TOKENS = ("<|finetune_right_pad_id|>", "<pad>", "[PAD]", "<|pad|>", "<|reserved_special_token_0|>", "<unk>")
# Heads are trained in full precision, so they are never quantised; architectures name them differently.
HEADS = ["score", "classifier", "pre_classifier", "classification_head"]


class Scratch:
    """A temporary folder that is gone once nothing refers to it any more."""

    def __init__(self) -> None:
        self.path = atomic.new_scratch()
        # transformers copies the code of a checkpoint into a folder named like the checkpoint's.
        code = Path(HF_MODULES_CACHE) / "transformers_modules" / self.path.name
        for folder in (self.path, code):
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)


@dataclass(frozen=True)
class Source:
    """Where a checkpoint is loaded from."""

    settings: CheckpointSettings
    path: str
    """What transformers is given."""
    scratch: Scratch | None = None
    """Holds a miniature's files for as long as they are needed."""

    @property
    def name(self) -> str:
        """Of the checkpoint, for what lies on top of it: a folder's own, of a miniature the one it is kept in."""
        if self.scratch is not None:
            return _KEPT_MINIATURE
        return Path(self.path).name if Path(self.path).is_dir() else self.settings.checkpoint

    def keep(self, folder: Path) -> None:
        """Copy a miniature beside what was trained on top of it: no other place has it."""
        if self.scratch is not None:
            shutil.copytree(self.path, folder / _KEPT_MINIATURE)

    def options(self) -> dict[str, Any]:
        """What every `from_pretrained` is told."""
        return {"revision": self.settings.revision or None, "trust_remote_code": self.settings.remote_code}


def source_of(settings: CheckpointSettings, texts: Sequence[str], seed: int, words: Sequence[str] = ()) -> Source:
    """The name or folder itself, or the folder of a miniature made for `texts` and `words`."""
    if not settings.checkpoint.startswith(MINIATURE):
        return Source(settings, settings.checkpoint)
    architecture = settings.checkpoint.removeprefix(MINIATURE)
    if architecture not in MINIATURES:
        raise UserError(f"no miniature {architecture!r}; {unknown_name(architecture, MINIATURES)}")
    scratch = Scratch()
    write_miniature(architecture, texts, scratch.path, seed, words)
    return Source(settings, str(scratch.path), scratch)


def holds_whole_model(folder: Path) -> bool:
    """Whether a model was written into the folder as a whole, and not what was trained on top of another."""
    return (folder / "config.json").is_file()


def kept_source(settings: CheckpointSettings, folder: Path) -> Source:
    """Where what was trained into `folder` finds its checkpoint: a whole model is one itself."""
    if holds_whole_model(folder):
        return Source(settings.model_copy(update={"revision": None}), str(folder))
    if settings.checkpoint.startswith(MINIATURE):
        scratch = Scratch()
        shutil.copytree(folder / _KEPT_MINIATURE, scratch.path, dirs_exist_ok=True)
        return Source(settings, str(scratch.path), scratch)
    return Source(settings, settings.checkpoint)


def open_tokenizer(source: Source, *, padding_side: str = "right") -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer, with a pad token."""
    with _explained(source):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source.path, **source.options())
    if is_made_up(tokenizer, Path(source.path)):
        raise UserError(
            f"the checkpoint {source.settings.checkpoint!r} has no tokenizer files (tokenizer.json): copy or download "
            "it again"
        )
    if tokenizer.pad_token_id is None:
        vocabulary = tokenizer.get_vocab()
        tokenizer.pad_token = next((token for token in _SPARE_TOKENS if token in vocabulary), tokenizer.eos_token)
    tokenizer.padding_side = padding_side
    return tokenizer


def open_classifiers_tokenizer(source: Source) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer, with a pad token; texts end as the checkpoint was trained to read them.

    Stella's tokenizer leaves the end-of-text token to code of its repository, which transformers 5 cannot run, and its
    own class passes over `add_eos_token`. Not for generators, whose texts go on.
    """
    tokenizer = open_tokenizer(source)
    with _explained(source):
        config = get_tokenizer_config(source.path, **source.options())
    left_to_code = config.get("add_eos_token") and "auto_map" in config and not source.settings.remote_code
    end, number = tokenizer.eos_token, tokenizer.eos_token_id
    if left_to_code and end is not None and tokenizer("a")["input_ids"][-1:] != [number]:
        inner: Any = tokenizer.backend_tokenizer
        last = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, number)])
        inner.post_processor = processors.Sequence([*filter(None, [inner.post_processor]), last])
    return tokenizer


def is_made_up(tokenizer: PreTrainedTokenizerBase, folder: Path) -> bool:
    """Whether transformers had no file of a tokenizer in the folder, for which it makes one of five tokens."""
    files = {"tokenizer.json", *tokenizer.vocab_files_names.values()}
    return folder.is_dir() and not any((folder / name).is_file() for name in files)


def open_classifier(source: Source, pad_token_id: int, width: int, *, four_bits: bool) -> PreTrainedModel:
    """The checkpoint with a new head of `width` outputs; float32, or NF4 but for the head."""
    with _explained(source):
        config = AutoConfig.from_pretrained(source.path, num_labels=width, **source.options())
        config.problem_type = "multi_label_classification"
        return _open(AutoModelForSequenceClassification, source, config, pad_token_id, four_bits)


def open_body(source: Source, pad_token_id: int) -> PreTrainedModel:
    """The checkpoint without a head, float32."""
    with _explained(source):
        config = AutoConfig.from_pretrained(source.path, **source.options())
        return _open(AutoModel, source, config, pad_token_id, four_bits=False)


def has_token_types(source: Source) -> bool:
    """Whether the checkpoint tells a first segment from a second by the type of its tokens."""
    with _explained(source):
        config = AutoConfig.from_pretrained(source.path, **source.options())
    return int(getattr(config, "type_vocab_size", None) or 0) > 1


def open_generator(source: Source, pad_token_id: int, *, four_bits: bool) -> PreTrainedModel:
    """The checkpoint as a language model; float32, or NF4 but for the output layer."""
    with _explained(source):
        config = AutoConfig.from_pretrained(source.path, **source.options())
        if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
            raise UserError(
                f"the checkpoint {source.settings.checkpoint!r} is an encoder ({config.model_type}), no language model "
                "that writes on from a text: label_generator needs one; sequence_classifier takes encoders"
            )
        return _open(AutoModelForCausalLM, source, config, pad_token_id, four_bits)


def open_filler(source: Source, pad_token_id: int, *, four_bits: bool) -> PreTrainedModel:
    """An encoder with the layer that fills in masked tokens; drawn by chance where the files have none."""
    with _explained(source):
        config = AutoConfig.from_pretrained(source.path, **source.options())
        return _open(AutoModelForMaskedLM, source, config, pad_token_id, four_bits)


def _open(auto: Any, source: Source, config: Any, pad_token_id: int, four_bits: bool) -> PreTrainedModel:
    config.pad_token_id = pad_token_id
    config.use_cache = False  # of past keys, which only free generation needs and turns on itself
    model, loading = auto.from_pretrained(
        source.path,
        config=config,
        dtype=torch.float32,
        attn_implementation=attention_on(source.settings.max_length, gpu=torch.cuda.is_available()),
        use_safetensors=True,
        quantization_config=_nf4(source.settings, config.model_type) if four_bits else None,
        device_map="auto" if source.settings.model_parallel else None,
        output_loading_info=True,
        **source.options(),
    )
    _refuse_made_up_weights(model, loading["missing_keys"], source)
    opened: PreTrainedModel = model
    return opened


def _refuse_made_up_weights(model: PreTrainedModel, missing: Iterable[str], source: Source) -> None:
    """Raise UserError if transformers drew weights below the head by chance, for want of them in the files.

    It does so with a warning. A pooling layer is part of the head: language models come without one.
    """
    body = "" if model.base_model is model else f"{model.base_model_prefix}."
    made_up = sorted(name for name in missing if name.startswith(body) and "pooler." not in name)
    if made_up:
        raise UserError(
            f"the checkpoint {source.settings.checkpoint!r} lacks {len(made_up)} of the weights of its architecture "
            f"({model.config.model_type}), {made_up[0]} for one: copy or download it again; what is written in another "
            "layout has to be converted"
        )


def attention_on(max_length: int, *, gpu: bool) -> str | None:
    """Which attention transformers computes; None: its own choice.

    On a processor and for texts as short as posts, PyTorch's fused attention is slower than the plain products:
    training took 1.2 times as long with it (MiniLM, Gemma 3, SmolLM2; AVX-512, bfloat16).
    """
    return "eager" if not gpu and max_length <= _SHORT else None


def _nf4(settings: CheckpointSettings, architecture: str) -> BitsAndBytesConfig:
    """QLoRA's storage: 4-bit NormalFloat, the scales quantised too (Dettmers et al. 2023)."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=TYPES[training_precision(settings.precision, architecture)],
        llm_int8_skip_modules=[*HEADS, "lm_head"],
    )


@contextlib.contextmanager
def _explained(source: Source) -> Iterator[None]:
    """Turn what goes wrong with a checkpoint into what to do about it."""
    name = source.settings.checkpoint
    try:
        yield
    except (OSError, ValueError, ImportError, SafetensorError, KeyError, RuntimeError) as error:
        remedy = _remedy(name, error)
        if remedy is None:
            raise
        raise UserError(f"the checkpoint {name!r} {remedy}") from error


def _remedy(name: str, error: Exception) -> str | None:
    """What is wrong with the checkpoint and what to do; None if the trouble is not the checkpoint's."""
    if is_out_of_memory(error) or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
        return None
    said = f"{type(error).__name__}: {error}"
    for known, remedy in _REMEDIES:
        if any(part in said for part in known):
            return remedy
    if isinstance(error, ImportError):
        return f"needs a package that is not installed: {_first_line(error)}"
    folder = Path(name)
    if folder.is_dir() and not (folder / "config.json").is_file():
        return "has no config.json: the folder is no checkpoint, or was copied by half"
    if folder.is_dir():
        return f"cannot be read ({_first_line(error)}): copy or download the folder again"
    if name.startswith(("/", ".", "~")):
        return "does not exist: there is no such folder"
    if isinstance(error, OSError):
        return f"cannot be opened: {_first_line(error)}"
    return None


_STAND_IN = "a folder that holds it can stand in, under [checkpoints] in competition.toml"
# What the libraries say, and what it means for a user; the first that fits counts.
_REMEDIES = (
    (
        ("gated repo", "GatedRepo"),
        "is gated: accept its licence on its page of the hub and log in with `hf auth login`",
    ),
    (
        ("trust_remote_code", "requires you to execute"),
        'runs Python code of its own: write remote_code = true and revision = "COMMIT" into the recipe\'s settings '
        "(for a folder, its path with ./ and no revision), and allow the recipe under [training] remote_code in "
        "competition.toml",
    ),
    (
        ("requires bitsandbytes", "install bitsandbytes", "install -U bitsandbytes"),
        'cannot be read in 4 bits without bitsandbytes: `pip install bitsandbytes`, or adaptation = "lora"',
    ),
    (
        ("No module named 'transformers.", "from 'transformers"),
        "brings code that was written for another version of transformers: remote_code = false takes transformers' own "
        'class; text encoders made of Qwen2, as Stella is, then want attention = "bidirectional" and pooling = "mean"',
    ),
    (
        ("does not recognize this architecture",),
        "has an architecture that the installed transformers does not know: `pip install --upgrade transformers`, or "
        "another checkpoint",
    ),
    (
        ("Unrecognized configuration class",),
        "has an architecture that this family cannot use: sequence_classifier takes encoders and language models, "
        "label_generator language models",
    ),
    (("SafetensorError",), "has weights that are cut off or damaged (*.safetensors): copy or download it again"),
    (
        ("no file named model.safetensors", "does not appear to have a file named model.safetensors"),
        "has no weights as safetensors, and others are not loaded, since they can run code: convert them, or take "
        "another checkpoint",
    ),
    (("valid git identifier",), "has no such revision: check `revision` in the recipe"),
    (
        ("couldn't connect", "offline mode", "LocalEntryNotFound"),
        f"is not on this machine and cannot be fetched, there is no network; {_STAND_IN}",
    ),
    (
        ("is not a valid model identifier", "Repository Not Found", "RepositoryNotFound"),
        f"does not exist, neither as a folder nor on the hub; {_STAND_IN}",
    ),
    (("instantiate the backend tokenizer",), "has no tokenizer files (tokenizer.json): copy or download it again"),
)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return first if len(first) <= 160 else first[:157] + "..."
