"""Answers per label with and without what spares work: two rows of the output layer, and the beginning read once.

    python benchmarks/generator_speed.py [--hidden 128] [--layers 4] [--vocabulary 151936] [--rows 64] [--batch 16]

A Qwen2 of the given width with random weights and LoRA adapters, ten labels, the shipped prompt; posts of random
words. All variants are timed in turn, `--repeats` times, and the fastest of each counts; without a GPU it is the
processor's time that is counted, not the clock's, so that other work beside it matters less. Predictions are made in
float32; a training step is forward, backward and AdamW, in the precision that training would choose, without dropout.
The beginning once for a batch in training is measured here alone: compete does not do it (docs/benchmarks.md says why).
"""

from __future__ import annotations

import argparse
import copy
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, Qwen2Config

from compete.base_models.generator import beginning
from compete.base_models.generator.answer_head import keep_answers
from compete.base_models.generator.label_slots import LabelSlots, SlotScorer
from compete.base_models.generator.prompts import Prompt
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.objectives import Objective
from compete.base_models.pretrained.adaptation import add_adapters
from compete.base_models.pretrained.checkpoints import Source, attention_on, open_tokenizer, source_of
from compete.base_models.pretrained.device import device, training_precision
from compete.base_models.pretrained.fine_tuning import computing_in
from compete.execution.local import usable_cores

LABELS = ("anger", "anticipation", "disgust", "fear", "joy", "love", "optimism", "pessimism", "sadness", "surprise")
PROMPT = "Which of these apply to the post: {labels}? Answer yes or no for each.\nPost: {text}\n"
WORDS = [f"word{number}" for number in range(300)]


def posts(rows: int) -> list[str]:
    random = Random(1)
    return [" ".join(random.choice(WORDS) for _ in range(random.randint(6, 30))) for _ in range(rows)]


def scorers(options: argparse.Namespace, texts: list[str]) -> dict[bool, SlotScorer]:
    """The same model with two rows of its output layer (True), and with all of it."""
    settings = LabelGeneratorSettings.model_validate(
        {
            "checkpoint": "miniature:qwen2",
            "prompt": PROMPT,
            "chat": False,
            "eval_batch_size": options.batch,
            "lora": {"dropout": 0.0},
        }
    )
    source: Source = source_of(settings, texts, 0, words=[*LABELS, *WORDS])
    slots = LabelSlots(Prompt(open_tokenizer(source, padding_side="left"), settings, LABELS))
    config = Qwen2Config(
        vocab_size=options.vocabulary,
        hidden_size=options.hidden,
        intermediate_size=4 * options.hidden,
        num_hidden_layers=options.layers,
        num_attention_heads=options.hidden // 64,
        num_key_value_heads=max(1, options.hidden // 256),
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    attention = attention_on(settings.max_length, gpu=torch.cuda.is_available())
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=attention)
    whole = add_adapters(model, settings, task="CAUSAL_LM", four_bits=False)
    two_rows = copy.deepcopy(whole)
    keep_answers(two_rows, slots.answers)
    labels = Objective("labels", len(slots.slots), (), "bce")
    return {rows: SlotScorer(source, m.to(device()), slots, labels) for rows, m in ((True, two_rows), (False, whole))}


def predict(scorer: SlotScorer, texts: list[str], *, once: bool) -> Any:
    scorer.model.eval()
    with mock.patch.object(beginning, "LEAST", beginning.LEAST if once else 10**9):
        return scorer.predict_proba(texts)


def gradients(scorer: SlotScorer, texts: list[str], options: argparse.Namespace, *, once: bool) -> list[Tensor]:
    """Of one batch, to the adapters."""
    slots, model = scorer.slots, scorer.model.train()
    where = next(model.parameters()).device
    rows = slots.rows(texts[: options.batch])
    targets = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (len(rows), len(LABELS)))).float().to(where)
    model.zero_grad()
    with computing_in(training_precision(options.precision), where):
        begun = beginning.read_beginning(model, slots.prompt.before) if once else None
        batch = slots.collate(rows, known=begun.length if begun else 0)
        odds = slots.logits(model, {name: values.to(where) for name, values in batch.items()}, begun)
    torch.autograd.backward(functional.binary_cross_entropy_with_logits(odds, targets))
    return [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]


def train(scorer: SlotScorer, texts: list[str], options: argparse.Namespace, *, once: bool) -> None:
    optimiser = torch.optim.AdamW([w for w in scorer.model.parameters() if w.requires_grad], lr=0.0)
    for start in range(0, len(texts), options.batch):
        gradients(scorer, texts[start : start + options.batch], options, once=once)
        optimiser.step()


def now() -> float:
    """Seconds: of the clock when a GPU has finished, of this process without one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def fastest(variants: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Seconds of every variant, run in turn; the fastest of `repeats`."""
    times: list[list[float]] = [[] for _ in variants]
    for _ in range(repeats):
        for number, run in enumerate(variants):
            start = now()
            run()
            times[number].append(now() - start)
    return [min(seconds) for seconds in times]


def main() -> None:
    """Print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("hidden", 128), ("layers", 4), ("vocabulary", 151_936), ("rows", 64), ("batch", 16)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="auto", help="of training")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    texts = posts(options.rows)
    made = scorers(options, texts)
    slots = made[True].slots
    tokens = np.mean([row["length"] for row in slots.rows(texts)])
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    print(f"{where}, {options.threads} threads on {usable_cores()} cores; torch {torch.__version__}")
    print(f"hidden {options.hidden}, {options.layers} layers, {options.vocabulary:,} tokens; {options.rows} rows,")
    print(f"batches of {options.batch}; prompts of {tokens:.0f} tokens, {len(slots.prompt.before)} of them shared;")
    print(f"slots of {slots.width}; training in {training_precision(options.precision)}")
    variants = [(rows, once) for rows in (False, True) for once in (False, True)]
    for title, run in (("prediction", predict), ("training", partial(train, options=options))):
        runs = [partial(run, made[rows], texts, once=once) for rows, once in variants]
        runs[0]()  # the first pass of a process is slower
        seconds = fastest(runs, options.repeats)
        print(f"\n| {title} | beginning | rows per second | ratio |\n|---|---|---|---|")
        for (rows, once), spent in zip(variants, seconds, strict=True):
            head, begun = "two rows" if rows else "whole layer", "once" if once else "for every row"
            print(f"| {head} | {begun} | {len(texts) / spent:.1f} | {seconds[0] / spent:.2f} |", flush=True)
    plain = predict(made[False], texts, once=False)
    print(f"\nlargest difference of probabilities: {np.abs(predict(made[True], texts, once=True) - plain).max():.1e}")
    options.precision = "float32"
    both = [gradients(made[True], texts, options, once=once) for once in (False, True)]
    apart = max(float((a - b).abs().max()) for a, b in zip(*both, strict=True))
    largest = max(float(a.abs().max()) for a in both[0])
    print(f"largest difference of gradients, beginning once or not: {apart:.1e} of {largest:.1e} (float32, no dropout)")


if __name__ == "__main__":
    main()
