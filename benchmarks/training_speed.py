"""Training of a sequence classifier on a CPU: compete's against transformers' Trainer with its defaults, in turn.

    python benchmarks/training_speed.py --checkpoint FOLDER --train train.csv [--rows 3000] [--epochs 3]

Two halves of the rows are held out in turn, as two folds would be. The plain Trainer (float32, random batches of
16, dynamic padding) trains them one after the other with all cores; compete trains them as its jobs run, one core
each at the same time. Same checkpoint, rows, epochs and rate; the score is macro-F1 over the held-out rows with
thresholds fitted on the other half. Rows per second count training alone, without opening the model.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.families import FitContext
from compete.competition.metrics import METRICS
from compete.execution.local import usable_cores
from compete.stacking.ensemble.cross_fitting import as_it_is
from compete.stacking.ensemble.evaluation import evaluate
from rows import Rows, read_rows

MAX_LENGTH = 96


def plain(options: argparse.Namespace, rows: Rows, train: NDArray[np.int64], held_out: NDArray[np.int64]) -> Any:
    """Seconds of `Trainer.train` with its defaults, and probabilities of the held-out rows."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    torch.set_num_threads(usable_cores())
    tokenizer = AutoTokenizer.from_pretrained(options.checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(
        options.checkpoint, num_labels=len(rows.names), problem_type="multi_label_classification"
    )
    encoded = tokenizer(rows.texts, truncation=True, max_length=MAX_LENGTH)["input_ids"]
    targets = rows.labels.astype(np.float32)

    def dataset(chosen: NDArray[np.int64]) -> Any:
        return [{"input_ids": encoded[row], "labels": targets[row]} for row in chosen]

    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            per_device_train_batch_size=16,
            num_train_epochs=options.epochs,
            learning_rate=options.rate,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=dataset(train),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
        logits = np.asarray(trainer.predict(dataset(held_out)).predictions)
    return seconds, 1 / (1 + np.exp(-logits))


def ours(options: argparse.Namespace, rows: Rows, train: NDArray[np.int64], held_out: NDArray[np.int64]) -> Any:
    """The same through compete's family with one thread."""
    from compete.base_models.pretrained.trainer import OwnTrainer

    settings = SequenceClassifierSettings(
        checkpoint=options.checkpoint,
        epochs=options.epochs,
        learning_rate=options.rate,
        batch_size=options.batch_size,
        max_length=MAX_LENGTH,
        validation_share=0.05,
    )
    spent: list[float] = []
    train_whole = OwnTrainer.train

    def timed(trainer: Any, *arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        result = train_whole(trainer, *arguments, **named)
        spent.append(time.perf_counter() - start)
        return result

    context = FitContext(labels=rows.names, seed=1, threads=1)
    with mock.patch.object(OwnTrainer, "train", timed):
        model = SequenceClassifier(settings).fit([rows.texts[row] for row in train], rows.labels[train], context)
    return spent[0], model.predict_proba([rows.texts[row] for row in held_out])


def one(options: argparse.Namespace) -> None:
    """One half in a process of its own; writes seconds and probabilities."""
    rows = read_rows(Path(options.train), options.rows)
    half = np.arange(len(rows.texts)) % 2 == options.half
    run = plain if options.what == "plain" else ours
    seconds, probabilities = run(options, rows, np.flatnonzero(~half), np.flatnonzero(half))
    np.save(Path(options.answer), np.asarray(probabilities, dtype=np.float32), allow_pickle=False)
    Path(options.answer).with_suffix(".json").write_text(json.dumps(seconds), encoding="utf-8")


def run_halves(what: str, *, together: bool) -> tuple[float, list[NDArray[np.float32]]]:
    """Seconds in which both halves are trained, and what each gives for its held-out rows."""
    with tempfile.TemporaryDirectory() as scratch:
        answers = [Path(scratch) / f"{half}.npy" for half in (0, 1)]
        running: list[subprocess.Popen[bytes]] = []
        for half, answer in enumerate(answers):
            more = ["--what", what, "--half", str(half), "--answer", str(answer)]
            process = subprocess.Popen([sys.executable, *sys.argv, *more], stderr=subprocess.DEVNULL)
            running.append(process)
            if not together:
                process.wait()
        if any(process.wait() for process in running):
            raise SystemExit(f"the run {what!r} failed")
        seconds = [json.loads(answer.with_suffix(".json").read_text(encoding="utf-8")) for answer in answers]
        found = [np.load(answer, allow_pickle=False) for answer in answers]
    return (max(seconds) if together else sum(seconds)), found


def score(rows: Rows, found: list[NDArray[np.float32]]) -> float:
    """Macro-F1 of all rows, each half cut at thresholds fitted on the other."""
    folds = (np.arange(len(rows.texts)) % 2).astype(np.int16)
    probabilities = np.empty(rows.labels.shape, dtype=np.float32)
    for half in (0, 1):
        probabilities[folds == half] = found[half]
    return evaluate(METRICS["f1_macro"], rows.labels, [as_it_is(probabilities, folds)], probabilities).honest


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--train", required=True)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--batch-size", type=int, default=32)
    for hidden in ("--what", "--half", "--answer"):
        parser.add_argument(hidden, type=int if hidden == "--half" else str, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what:
        one(options)
        return
    rows = read_rows(Path(options.train), options.rows)
    trained = len(rows.texts) * options.epochs  # two halves, each trained on the other
    print(f"{platform.machine()}, {usable_cores()} cores, torch {torch.__version__}; {len(rows.texts)} rows\n")
    print("| | rows per second | ratio | honest macro-F1 |\n|---|---|---|---|")
    seconds, found = run_halves("plain", together=False)
    print(f"| Trainer, defaults | {trained / seconds:.1f} | 1 | {score(rows, found):.4f} |", flush=True)
    faster, found = run_halves("ours", together=True)
    print(f"| compete | {trained / faster:.1f} | {seconds / faster:.2f} | {score(rows, found):.4f} |")


if __name__ == "__main__":
    main()
