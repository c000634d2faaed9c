"""Predicted against measured peak memory: what `compete plan` says, and what training then takes.

    python benchmarks/plan_memory.py --minilm FOLDER --smollm2 FOLDER --train train.csv

FOLDER holds the checkpoint (sentence-transformers/all-MiniLM-L6-v2, HuggingFaceTB/SmolLM2-135M-Instruct); train.csv has
an id, a text and label columns, in this order. Every case trains in a process of its own, through the family's own
code, on one thread. The table below that compares the parameters that are counted with those that the recipes quote.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from compete.execution.local import usable_cores

ROWS = 200
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "MiniLM, full": ("minilm", {"batch_size": 32, "epochs": 2}),
    "SmolLM2-135M-Instruct, LoRA": ("smollm2", {"batch_size": 16, "epochs": 2, "adaptation": "lora"}),
    "SmolLM2-135M-Instruct, QLoRA": ("smollm2", {"batch_size": 16, "epochs": 2, "adaptation": "qlora"}),
}


def predict_and_measure(folder: str, train: str, settings: dict[str, Any]) -> dict[str, float]:
    """Megabytes that are predicted for a training on the first rows, and those that it takes."""
    import torch

    from compete.base_models.classifier.family import SequenceClassifier
    from compete.base_models.classifier.settings import SequenceClassifierSettings
    from compete.base_models.families import FitContext
    from compete.execution.devices import find_devices
    from compete.planning.footprint import BatchSize, anatomy, footprint
    from compete.planning.longest_rows import longest_row
    from compete.planning.model_plan import rows_to_plan
    from compete.planning.probe import peak_memory

    torch.set_num_threads(1)
    labels, texts, targets = _read(Path(train))
    chosen = SequenceClassifierSettings.model_validate({"checkpoint": folder, **settings})
    SequenceClassifier(chosen).fit(texts, targets, FitContext(labels, seed=1, threads=1)).predict_proba(texts)
    measured = peak_memory()  # before the prediction, whose own imports are not the training's

    from transformers import AutoTokenizer

    length = longest_row(chosen, rows_to_plan(labels, texts, []), AutoTokenizer.from_pretrained(folder))
    raw = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    files = sum(file.stat().st_size for file in Path(folder).glob("*.safetensors"))
    batch = BatchSize(chosen.batch_size, chosen.eval_batch_size, length.tokens)
    half = find_devices()[0].bfloat16
    predicted = footprint(anatomy(raw, chosen, len(labels)), chosen, batch, half=half, gpu=False, files=files).resident
    return {"tokens": length.tokens, "predicted": predicted / 1e6, "measured": measured / 1e6}


def _read(path: Path) -> tuple[tuple[str, ...], list[str], np.ndarray[tuple[int, ...], np.dtype[np.int8]]]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))[: ROWS + 1]
    return tuple(header[2:]), [row[1] for row in rows], np.array([row[2:] for row in rows], dtype=np.int8)


def parameter_table() -> None:
    """Counted against quoted parameters of every checkpoint that the recipes describe."""
    from compete.base_models.classifier.settings import SequenceClassifierSettings
    from compete.base_models.generator.settings import LabelGeneratorSettings
    from compete.base_models.recipes import RecipeDeclaration
    from compete.declarations import read_toml
    from compete.planning.footprint import anatomy

    families = {"sequence_classifier": SequenceClassifierSettings, "label_generator": LabelGeneratorSettings}

    print("\n| recipe | checkpoint | counted | published | ratio |\n|---|---|---|---|---|")
    root = Path(__file__).parents[1]
    for path in sorted((root / "base_models").glob("*.toml")):
        declaration = RecipeDeclaration.model_validate(read_toml(path))
        for checkpoint, architecture in declaration.architectures.items():
            settings = families[declaration.family](checkpoint=checkpoint)
            counted = anatomy(architecture.config, settings, 11).parameters
            ratio = counted / architecture.parameters
            print(f"| {path.stem} | {checkpoint} | {counted:,} | {architecture.parameters:,} | {ratio:.4f} |")


def main() -> None:
    """Print two Markdown tables."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(predict_and_measure(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("minilm", "smollm2", "train"):
        parser.add_argument(f"--{name}", required=True)
    given = vars(parser.parse_args())
    print(f"{platform.machine()}, {usable_cores()} cores, Python {platform.python_version()}, {ROWS} rows, 1 thread\n")
    print("| case | rows x tokens | predicted, MB | measured, MB | predicted / measured |\n|---|---|---|---|---|")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    for title, (checkpoint, settings) in CASES.items():
        command = [sys.executable, __file__, "--one", given[checkpoint], given["train"], json.dumps(settings)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout
        r = json.loads(answer.splitlines()[-1])
        rows = f"{settings['batch_size']} x {r['tokens']}"
        ratio = r["predicted"] / r["measured"]
        print(f"| {title} | {rows} | {r['predicted']:.0f} | {r['measured']:.0f} | {ratio:.2f} |", flush=True)
    parameter_table()


if __name__ == "__main__":
    main()
