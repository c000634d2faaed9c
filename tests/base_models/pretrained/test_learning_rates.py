"""Learning rates by depth: of which weights, how high, and that nothing changes where they are all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from peft import LoraConfig, get_peft_model
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from compete.base_models.pretrained.learning_rates import LearningRates
from support.small_classifier import fit

SIZES: dict[str, Any] = {"vocab_size": 20, "dim": 8, "hidden_dim": 16, "n_heads": 2, "n_layers": 3}
RATES = LearningRates(top=0.1, layer_decay=0.5, head=0.7)


def model() -> Any:
    return DistilBertForSequenceClassification(DistilBertConfig(**SIZES))


def test_every_layer_has_the_rate_of_the_one_above_it_times_the_decay() -> None:
    rates = RATES.by_name(model())
    expected = {
        "distilbert.transformer.layer.2.attention.q_lin.weight": 0.1,
        "distilbert.transformer.layer.1.ffn.lin1.bias": 0.05,
        "distilbert.transformer.layer.0.sa_layer_norm.weight": 0.025,
        "distilbert.embeddings.word_embeddings.weight": 0.0125,
        "distilbert.embeddings.LayerNorm.bias": 0.0125,
        "pre_classifier.weight": 0.7,
        "classifier.bias": 0.7,
    }
    assert {name: rates[name] for name in expected} == pytest.approx(expected)
    assert set(rates.values()) == {0.1, 0.05, 0.025, 0.0125, 0.7}


def test_adapters_have_the_rate_of_their_layer() -> None:
    adapted = get_peft_model(model(), LoraConfig(task_type="SEQ_CLS", target_modules=["q_lin"]))
    rates = RATES.by_name(adapted)
    layers = {name: rate for name, rate in rates.items() if "lora" in name}
    assert len(layers) == 6
    for name, rate in layers.items():
        assert rate == pytest.approx({"2": 0.1, "1": 0.05, "0": 0.025}[name.split("layer.")[1][0]])
    assert {rate for name, rate in rates.items() if "lora" not in name} == {0.7}


def test_an_optimiser_gets_every_trained_weight_once_and_the_top_layer_first() -> None:
    net = model()
    net.distilbert.embeddings.requires_grad_(False)
    trained = {name: weight for name, weight in net.named_parameters() if weight.requires_grad}
    decayed = {name for name in trained if name.endswith("weight") and "norm" not in name.lower()}
    groups = RATES.groups(net, decayed, weight_decay=0.01)
    ids = [id(weight) for group in groups for weight in group["params"]]
    assert len(ids) == len(set(ids)) and set(ids) == {id(weight) for weight in trained.values()}
    assert groups[0]["lr"] == 0.1
    of = {id(weight): group for group in groups for weight in group["params"]}
    for name, weight in trained.items():
        assert of[id(weight)]["weight_decay"] == (0.01 if name in decayed else 0.0)
        assert of[id(weight)]["lr"] == RATES.by_name(net)[name]


@pytest.mark.slow
def test_one_rate_for_all_is_what_it_is_without() -> None:
    plain, curves = fit("miniature:distilbert")
    grouped, same = fit("miniature:distilbert", head_learning_rate=1e-3)  # as everywhere
    np.testing.assert_array_equal(plain.predict_proba(["sunny day"]), grouped.predict_proba(["sunny day"]))
    assert curves.curves == same.curves


@pytest.mark.slow
def test_what_lies_low_hardly_moves_and_a_head_moves_by_its_own_rate() -> None:
    moved = {}
    cases: dict[str, dict[str, Any]] = {
        "plain": {},
        "decayed": {"layer_decay": 1e-3},
        "still": {"layer_decay": 1e-3, "head_learning_rate": 1e-9},
    }
    for name, more in cases.items():
        first = fit("miniature:distilbert", learning_rate=1e-9)[0].model.state_dict()  # where all begin
        last = fit("miniature:distilbert", **more)[0].model.state_dict()
        moved[name] = {key: float((last[key] - first[key]).abs().max()) for key in last}
    low, top, head = (
        "distilbert.embeddings.word_embeddings.weight",
        "distilbert.transformer.layer.1.ffn.lin1.weight",
        "classifier.weight",
    )
    assert moved["decayed"][low] < 1e-5 < 1e-4 < moved["plain"][low]
    assert moved["decayed"][top] > 1e-4 and moved["decayed"][head] > 1e-4
    assert moved["still"][head] < 1e-6 and moved["still"][top] > 1e-4
