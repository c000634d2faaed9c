"""Scoring every label of a text against one forward pass over its prompt, in turn.

    python benchmarks/label_scoring.py --checkpoint FOLDER --train train.csv [--rows 48]

The same texts, prompts and batches: once the language model reads the prompt and gives the logits of the next
token; once it reads the prompt and a slot per label (`compete.base_models.generator.label_slots`); once every label
has a pass of its own. Median of three, the passes per label once; float32, one thread. All read whole prompts and have
the whole output layer; what is saved there is measured by `generator_speed.py`.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from compete.base_models.generator import beginning
from compete.base_models.generator.label_slots import LabelSlots, SlotScorer
from compete.base_models.generator.prompts import Prompt
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.objectives import Objective
from compete.base_models.pretrained.batching import in_batches
from compete.base_models.pretrained.checkpoints import open_generator, open_tokenizer, source_of
from compete.execution.local import usable_cores
from rows import Rows, read_rows

PROMPTS = {
    "text alone": "{text}",
    "labels and text": "Which of these apply to the post: {labels}? Answer yes or no for each.\nPost: {text}\n",
}
REPEATS = 3
BATCH = 16


def seconds(run: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - start


def prompt_alone(scorer: SlotScorer, texts: Sequence[str]) -> None:
    """One pass over the prompt and the logits of the token after it."""
    slots = scorer.slots
    rows = slots.rows(texts)
    pad = int(slots.prompt.tokenizer.pad_token_id)
    with torch.inference_mode():
        for numbers in in_batches([row["length"] for row in rows], BATCH):
            chosen = [rows[number]["input_ids"] for number in numbers]
            longest = max(map(len, chosen))
            ids = torch.tensor([[pad] * (longest - len(row)) + row for row in chosen])
            mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in chosen])
            scorer.model(input_ids=ids, attention_mask=mask, logits_to_keep=1)


def scorers(options: argparse.Namespace, rows: Rows, template: str) -> tuple[SlotScorer, SlotScorer]:
    """The same model with all slots behind one prompt, and with a pass per label."""
    settings = LabelGeneratorSettings(checkpoint=options.checkpoint, prompt=template, eval_batch_size=BATCH)
    source = source_of(settings, rows.texts, 0)
    tokenizer = open_tokenizer(source, padding_side="left")
    model = open_generator(source, int(tokenizer.pad_token_id), four_bits=False).eval()
    beginning.LEAST = 10**9  # tokens: no prompt begins with so many, and all are read whole
    labels = Objective("labels", len(rows.names), (), "bce")
    prompt = Prompt(tokenizer, settings, rows.names)
    together, apart = (SlotScorer(source, model, LabelSlots(prompt), labels) for _ in range(2))
    apart.slots.shared = False
    return together, apart


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--train", required=True)
    parser.add_argument("--rows", type=int, default=48)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = read_rows(Path(options.train), options.rows)
    print(f"{platform.machine()}, 1 of {usable_cores()} cores; {len(rows.texts)} rows, {len(rows.names)} labels\n")
    print("| prompt | tokens | slots' tokens | prompt, s | all labels, s | ratio | a pass per label, s | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for name, template in PROMPTS.items():
        together, apart = scorers(options, rows, template)
        prompt_alone(together, rows.texts[:BATCH])  # the first pass of a process is slower
        times = [
            (seconds(prompt_alone, together, rows.texts), seconds(together.predict_proba, rows.texts))
            for _ in range(REPEATS)
        ]
        alone, slots = (statistics.median(column) for column in zip(*times, strict=True))
        passes = seconds(apart.predict_proba, rows.texts)
        tokens = statistics.mean(row["length"] for row in together.slots.rows(rows.texts))
        print(
            f"| {name} | {tokens:.0f} | {together.slots.width} | {alone:.1f} | {slots:.1f} | {slots / alone:.2f} | "
            f"{passes:.1f} | {passes / alone:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
