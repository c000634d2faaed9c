"""Texts and pairs as token ids: two segments where a tokenizer parts them, one text with a line each elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM, PreTrainedTokenizerBase

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.families import FitContext
from compete.base_models.miniatures.writing import write_miniature
from compete.base_models.pretrained.checkpoints import has_token_types, source_of
from compete.base_models.pretrained.text_rows import TYPES, text_rows
from compete.competition.text_columns import PAIR
from support.small_classifier import posts, settings

TEXTS = [f"sunny day{PAIR}rotten", "sunny day", f"{PAIR}", ""]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Miniatures on the disk, and "bert", with the tokenizer of distilbert and a model that reads types of tokens."""
    made = {name: tmp_path_factory.mktemp(name) for name in ("roberta", "distilbert", "llama", "bert")}
    for name, folder in made.items():
        write_miniature("distilbert" if name == "bert" else name, posts()[0], folder, seed=1)
    size = len(AutoTokenizer.from_pretrained(made["bert"]))
    small: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    torch.manual_seed(1)
    BertForMaskedLM(BertConfig(vocab_size=size, **small)).save_pretrained(made["bert"])
    return made


def tokenizer_of(folders: dict[str, Path], name: str) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folders[name])
    return tokenizer


def shown(tokenizer: Any, row: dict[str, Any]) -> list[str]:
    return [token.strip("Ġ") for token in tokenizer.convert_ids_to_tokens(row["input_ids"])]


@pytest.mark.parametrize(
    ("name", "pair", "single"),
    [
        ("roberta", ["<s>", "sunny", "day", "</s>", "</s>", "rotten", "</s>"], ["<s>", "sunny", "day", "</s>"]),
        ("distilbert", ["[CLS]", "sunny", "day", "[SEP]", "rotten", "[SEP]"], ["[CLS]", "sunny", "day", "[SEP]"]),
    ],
)
def test_an_encoder_reads_a_pair_as_two_segments(
    folders: dict[str, Path], name: str, pair: list[str], single: list[str]
) -> None:
    tokenizer = tokenizer_of(folders, name)
    rows = text_rows(tokenizer, TEXTS, 32, with_types=False)
    assert [shown(tokenizer, row) for row in rows[:2]] == [pair, single]
    assert [row["length"] for row in rows] == [len(row["input_ids"]) for row in rows]
    assert not any(TYPES in row for row in rows)
    for text, row in zip(TEXTS, rows, strict=True):
        assert text_rows(tokenizer, [text], 32, with_types=False) == [row]


def test_tokens_have_the_type_of_their_segment_where_the_model_reads_types(folders: dict[str, Path]) -> None:
    row = text_rows(tokenizer_of(folders, "distilbert"), TEXTS, 32, with_types=True)[0]
    assert row[TYPES] == [0, 0, 0, 0, 1, 1]
    reads = {name: has_token_types(source_of(settings(str(path)), [], 1)) for name, path in folders.items()}
    assert reads == {"roberta": False, "distilbert": False, "llama": False, "bert": True}


def test_the_longer_segment_is_cut_first(folders: dict[str, Path]) -> None:
    tokenizer = tokenizer_of(folders, "distilbert")
    for text in (f"{'sunny ' * 50}{PAIR}rotten day", f"rotten day{PAIR}{'sunny ' * 50}"):
        (row,) = text_rows(tokenizer, [text], 12, with_types=False)
        tokens = shown(tokenizer, row)
        assert len(tokens) == 12
        assert tokens.count("rotten") == tokens.count("day") == 1
        assert tokens.count("sunny") == 7


def test_what_spells_a_special_token_stays_text_in_both_segments(folders: dict[str, Path]) -> None:
    tokenizer = tokenizer_of(folders, "roberta")
    (row,) = text_rows(tokenizer, [f"a </s> b{PAIR}c <s> d"], 64, with_types=False)
    assert row["input_ids"].count(tokenizer.sep_token_id) == 3
    assert row["input_ids"].count(tokenizer.bos_token_id) == 1


def test_a_decoder_reads_a_pair_as_lines_of_one_text(folders: dict[str, Path]) -> None:
    tokenizer = tokenizer_of(folders, "llama")
    pair, lines = text_rows(tokenizer, [f"sunny day{PAIR}rotten", "sunny day\nrotten"], 32, with_types=False)
    assert pair == lines


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [0, 1])
def test_a_model_learns_which_segment_says_it(folders: dict[str, Path], tmp_path: Path, frozen: int) -> None:
    """A row's label is on where "rotten" stands in the second segment, in rows that have it in one of both."""
    second = np.arange(96) % 2
    texts = [f"day{PAIR}rotten filler{n}" if n % 2 else f"rotten filler{n}{PAIR}day" for n in range(96)]
    learning: dict[str, Any] = {"epochs": 12, "learning_rate": 5e-3, "scheduler": "constant", "pooling": "mean"}
    chosen = settings(str(folders["bert"]), frozen_layers=frozen, **learning)
    context = FitContext(labels=("second",), seed=3, cache=tmp_path / "cache")
    model: Any = SequenceClassifier(chosen).fit(texts, second[:, None].astype(np.int8), context)
    asked = [f"day{PAIR}rotten", f"rotten{PAIR}day"]
    is_second, is_first = model.predict_proba(asked)[:, 0]
    among_others = model.predict_proba([*asked, "a text that is no pair"])[:2, 0]
    np.testing.assert_allclose(among_others, [is_second, is_first], atol=1e-5)
    assert is_second > 0.7 > 0.3 > is_first
    (tmp_path / "kept").mkdir()
    model.save(tmp_path / "kept", whole=True)
    again = SequenceClassifier(chosen).load(tmp_path / "kept", context).predict_proba(asked)
    np.testing.assert_allclose(again[:, 0], [is_second, is_first], atol=1e-5)
