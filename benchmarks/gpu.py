"""What a GPU does with the recipes' architectures at real widths, with random weights: one JSON, under eight minutes.

    python benchmarks/gpu.py --out gpu.json
    python benchmarks/gpu.py --tiny --only llama      # the same checks on whatever there is, at miniature widths

Every case trains, keeps and reads again through the families' own code, and says what held: the loss falls, all trained
weights are finite, the head is not quantised, what is read again gives the same probabilities, one pass for all labels
gives what a pass for each gives, the peak of memory against `compete plan`, rows per second. Then a card that is too
small, frozen layers, and two jobs on one card. Last, what each saving saves: rows per second and peak memory with it
and without, of predictions in mixed precision, LoRA's base in bfloat16, products in TF32; and what it changes in
probabilities. Ends with 1 if anything did not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

LABELS = ("joy", "anger", "trust", "fear")
PEAK = (0.9, 1.3)  # measured over planned
# Widths of the recipes' checkpoints; layers are fewer, since all of them are alike.
WIDTHS: dict[str, dict[str, Any]] = {
    "gemma2": {"hidden_size": 2304, "intermediate_size": 9216, "num_attention_heads": 8, "num_key_value_heads": 4}
    | {"head_dim": 256, "vocab_size": 256_000, "query_pre_attn_scalar": 256, "sliding_window": 4096},
    "llama": {"hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32, "num_key_value_heads": 8}
    | {"head_dim": 64, "vocab_size": 128_256},
    "qwen2": {"hidden_size": 1536, "intermediate_size": 8960, "num_attention_heads": 12, "num_key_value_heads": 2}
    | {"head_dim": 128, "vocab_size": 151_936},
}
WIDTHS["stella"] = WIDTHS["qwen2"]


@dataclass(frozen=True)
class Case:
    """One training."""

    architecture: str
    family: str
    adaptation: str
    precision: str

    @property
    def name(self) -> str:
        return f"{self.architecture} {self.family} {self.adaptation} {self.precision}"


def cases(only: str, gpu: bool) -> Iterator[Case]:
    precisions = ("bfloat16", "float16") if gpu else ("float32",)
    for architecture, family, adaptation, precision in product(
        WIDTHS, ("classifier", "slots"), ("lora", "qlora"), precisions
    ):
        if only in ("", architecture) and not (architecture == "stella" and family == "slots"):
            yield Case(architecture, family, adaptation, precision)


def posts(count: int) -> tuple[list[str], NDArray[np.int8]]:
    """Posts in which a word means a label."""
    random, texts, rows = Random(5), [], []
    for _ in range(count):
        row = [int(random.random() < 0.4) for _ in LABELS]
        cues = [f"so {label}ful" for label, is_on in zip(LABELS, row, strict=True) if is_on]
        texts.append(" ".join([*cues, *(f"w{random.randrange(300)}" for _ in range(random.randrange(4, 24)))]))
        rows.append(row)
    return texts, np.array(rows, dtype=np.int8)


def write_checkpoint(architecture: str, folder: Path, texts: list[str], layers: int, *, tiny: bool) -> None:
    """A miniature's files, and in place of its weights random ones of the real width."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from compete.base_models.miniatures.writing import write_miniature

    write_miniature(architecture, texts, folder, 1, words=LABELS)
    if tiny:
        return
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    for name, value in {**WIDTHS[architecture], "num_hidden_layers": layers, "initializer_range": 0.02}.items():
        setattr(config, name, value)
    config.layer_types = None if architecture != "gemma2" else ["sliding_attention", "full_attention"] * (layers // 2)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder)


def family_of(case: Case, folder: Path, **more: Any) -> Any:
    from compete.base_models.classifier.family import SequenceClassifier
    from compete.base_models.generator.family import LabelGenerator

    settings = {"checkpoint": str(folder), "adaptation": case.adaptation, "precision": case.precision, "epochs": 2}
    settings |= {"batch_size": 16, "learning_rate": 2e-3, "max_length": 96, "scheduler": "constant", **more}
    if case.architecture == "stella":
        settings |= {"attention": "bidirectional", "pooling": "mean"}
    family: Any = SequenceClassifier if case.family == "classifier" else LabelGenerator
    return family(family.Settings.model_validate(settings))


def context(**more: Any) -> Any:
    from compete.base_models.families import FitContext

    return FitContext(labels=LABELS, seed=3, threads=2, **more)


def run(case: Case, folder: Path, rows: int) -> dict[str, Any]:
    """One case; what held, by name, and figures."""
    import torch

    from compete.base_models.memory import release

    gpu = torch.cuda.is_available()
    release()
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    texts, labels = posts(rows)
    told = context()
    start = time.perf_counter()
    fitted = family_of(case, folder).fit(texts, labels, told)
    seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated() if gpu else 0
    start = time.perf_counter()
    before = fitted.predict_proba(texts)
    predicted = time.perf_counter() - start
    losses = [row["train_loss"] for row in told.curves]
    trained = [weight for weight in fitted.model.parameters() if weight.requires_grad]
    held = {
        "loss falls": losses[-1] < losses[0],
        "weights finite": all(bool(torch.isfinite(weight).all()) for weight in trained),
        "head not quantised": head_is_whole(fitted.model),
        **parity(case, folder, fitted, before, texts),
        **one_pass_or_many(case, fitted, before, texts),
    }
    ratio = peak / planned(case, folder, texts) if gpu else None
    if ratio is not None:
        held["peak as planned"] = PEAK[0] <= ratio <= PEAK[1]
    figures = {"rows per second, training": round(2 * rows / seconds, 1), "losses": losses, "peak over plan": ratio}
    return {"held": held, **figures, "rows per second, prediction": round(rows / predicted, 1)}


def head_is_whole(model: Any) -> bool:
    """Whether the layer that answers is an ordinary one, in float32."""
    import torch

    from compete.base_models.pretrained.checkpoints import HEADS

    heads = [part for name, part in model.named_modules() if name.split(".")[-1] in (*HEADS, "lm_head", "default")]
    plain = [part for part in heads if type(part) is torch.nn.Linear]
    return bool(plain) and all(part.weight.dtype == torch.float32 for part in plain)


def parity(case: Case, folder: Path, fitted: Any, before: NDArray[np.float32], texts: list[str]) -> dict[str, bool]:
    from compete.base_models.families import TOLERANCES

    with tempfile.TemporaryDirectory() as kept:
        fitted.save(Path(kept), whole=False)
        again = family_of(case, folder).load(Path(kept), context()).predict_proba(texts)
    allowed, difference = TOLERANCES[fitted.precision], np.abs(again - before)
    return {"the same when read again": bool(difference.max() <= allowed.most and difference.mean() <= allowed.mean)}


def one_pass_or_many(case: Case, fitted: Any, before: NDArray[np.float32], texts: list[str]) -> dict[str, bool]:
    from compete.base_models.families import TOLERANCES

    if case.family != "slots":
        return {}
    fitted.slots.shared = False
    alone = fitted.predict_proba(texts[:32])
    fitted.slots.shared = True
    return {"one pass as many": bool(np.abs(alone - before[:32]).max() <= TOLERANCES[fitted.precision].most)}


def planned(case: Case, folder: Path, texts: list[str]) -> int:
    """Bytes that `compete plan` reckons, without the context that torch does not count."""
    from transformers import AutoTokenizer

    from compete.planning.footprint import BatchSize, anatomy, footprint
    from compete.planning.longest_rows import longest_row
    from compete.planning.model_plan import rows_to_plan

    settings = family_of(case, folder).settings
    length = longest_row(settings, rows_to_plan(LABELS, texts, []), AutoTokenizer.from_pretrained(folder))
    raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    batch = BatchSize(settings.batch_size, settings.eval_batch_size, length.tokens, length.kept)
    shape, halves = anatomy(raw, settings, len(LABELS)), settings.precision == "bfloat16"
    found = footprint(shape, settings, batch, half=True, gpu=True, files=0, bfloat16=halves)
    return found.peak - found.runtime


def too_small_a_card(folder: Path, rows: int) -> dict[str, Any]:
    """With a part of the card's memory the batch is halved, the model opened once, and the training ends."""
    import torch

    case = Case("llama", "classifier", "lora", "bfloat16")
    texts, labels = posts(rows)
    need, whole = planned(case, folder, texts), torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, 0.8 * need / whole))
    told = context()
    try:
        family_of(case, folder, batch_size=128, micro_batch_size=128).fit(texts, labels, told)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    return {"held": {"halved": any("tried again" in warning for warning in told.warnings)}, "warnings": told.warnings}


def frozen(folder: Path, rows: int) -> dict[str, Any]:
    """What is computed once gives what is computed in every epoch."""
    from compete.base_models.families import TOLERANCES

    texts, labels = posts(rows)
    case = Case("llama", "classifier", "lora", "float32")
    with tempfile.TemporaryDirectory() as cache:
        once = (
            family_of(case, folder, frozen_layers=1).fit(texts, labels, context(cache=Path(cache))).predict_proba(texts)
        )
    always = family_of(case, folder, frozen_layers=1).fit(texts, labels, context()).predict_proba(texts)
    difference = float(np.abs(once - always).max())
    return {"held": {"the same": difference <= TOLERANCES["float16"].most}, "difference": difference}


def measured(case: Case, folder: Path, rows: int) -> dict[str, Any]:
    """A training and its predictions: rows per second of both, peak bytes of both, and the probabilities."""
    import torch

    from compete.base_models.memory import release

    texts, labels = posts(rows)
    found: dict[str, Any] = {}

    def timed(name: str, count: int, do: Callable[[], Any]) -> Any:
        if torch.cuda.is_available():
            release()
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        result = do()
        found[f"rows per second, {name}"] = round(count / (time.perf_counter() - start), 1)
        found[f"peak, {name}"] = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        return result

    fitted = timed("training", 2 * rows, lambda: family_of(case, folder).fit(texts, labels, context()))
    fitted.predict_proba(texts)  # kernels are chosen
    found["probabilities"] = timed("prediction", rows, lambda: fitted.predict_proba(texts))
    return found


@contextlib.contextmanager
def without(saving: str) -> Iterator[None]:
    """Predictions in float32 as before, with a base to match; or that base alone."""
    from compete.base_models.classifier import training as classifier
    from compete.base_models.generator import training as generator
    from compete.base_models.pretrained import computing

    with contextlib.ExitStack() as patched:
        if saving in ("predictions", "base"):
            for module in (classifier, generator):
                patched.enter_context(mock.patch.object(module, "halve_base"))
        if saving == "predictions":
            patched.enter_context(mock.patch.object(computing, "mixed_in", return_value="float32"))
        yield


def savings(case: Case, folder: Path, rows: int, slower: tuple[str, str], faster: tuple[str, str]) -> dict[str, Any]:
    """The same training twice, each as (precision, what is left out)."""
    from compete.base_models.families import TOLERANCES

    measured(replace(case, precision=slower[0]), folder, min(rows, 32))  # what only a first training pays
    found = {}
    for name, (precision, left_out) in {"without": slower, "with": faster}.items():
        with without(left_out):
            found[name] = measured(replace(case, precision=precision), folder, rows)
    before, after = (found[name].pop("probabilities") for name in ("without", "with"))
    difference = float(np.abs(after - before).mean())
    finite = bool(np.isfinite(after).all())
    # Trainings part by their last digits, so that the means alone can be near.
    return {"held": {"finite": finite, "near": difference <= 10 * TOLERANCES[faster[0]].mean}, **found} | {
        "mean difference": difference
    }


def each_saving(folder: Path, rows: int, *, gpu: bool) -> Iterator[dict[str, Any]]:
    """All three, one after the other; without a GPU the road alone, where nothing differs."""
    half = "bfloat16" if gpu else "float32"
    for family in ("classifier", "slots"):
        case = Case("llama", family, "lora", half)
        for name, slower, faster in (
            ("predictions in mixed precision", (half, "predictions"), (half, "base")),
            ("the base of LoRA in bfloat16", (half, "base"), (half, "")),
            ("products in TF32", ("float32", ""), ("tf32" if gpu else "float32", "")),
        ):
            do = partial(savings, case, folder, rows, slower, faster)
            yield attempted(f"{name}, {family}", do)


def two_jobs(folder: Path, rows: int) -> dict[str, Any]:
    """Two processes on one card, as `--workers 2` starts them."""
    command = [sys.executable, __file__, "--alone", str(folder), "--rows", str(rows)]
    started = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
    said = [process.communicate(timeout=300)[1].decode() for process in started]
    errors = [text[-500:] for text, process in zip(said, started, strict=True) if process.returncode]
    return {"held": {"both end well": not errors}, "errors": errors}


def attempted(name: str, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A case's result; what it raised, if it did."""
    from compete.errors import UserError

    start = time.perf_counter()
    try:
        found = do()
    except UserError as error:  # such as Gemma in float16, which is what compete is to say
        found = {"held": {}, "refused": str(error)}
    except Exception as error:
        found = {"held": {"ended": False}, "error": f"{type(error).__name__}: {error}"}
    found = {"case": name, "ok": all(found["held"].values()), **found, "seconds": round(time.perf_counter() - start, 1)}
    print(f"{'ok  ' if found['ok'] else 'FAIL'} {name} ({found['seconds']} s)", flush=True)
    return found


def machine() -> dict[str, str]:
    import torch

    from compete.oof.job import versions

    gpu = {"gpu": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda)} if torch.cuda.is_available() else {}
    return {**versions(), "machine": platform.machine(), **gpu}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="the JSON; default: standard output")
    parser.add_argument("--only", default="", help="one architecture: " + ", ".join(WIDTHS))
    parser.add_argument("--rows", type=int, default=128, help="posts of every training")
    parser.add_argument("--layers", type=int, default=4, help="even; real checkpoints have 16 to 28")
    parser.add_argument("--tiny", action="store_true", help="miniature widths, also without a GPU")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    import torch

    gpu = torch.cuda.is_available()
    if chosen.alone is not None:
        run(Case("llama", "classifier", "lora", "bfloat16" if gpu else "float32"), chosen.alone, chosen.rows)
        return 0
    if not gpu and not chosen.tiny:
        parser.error("there is no GPU; --tiny runs the checks without one")
    results = []
    with tempfile.TemporaryDirectory() as root:
        folders = {name: Path(root) / name for name in WIDTHS if chosen.only in ("", name)}
        for name, folder in folders.items():
            write_checkpoint(name, folder, posts(chosen.rows)[0], chosen.layers, tiny=chosen.tiny)
        for case in cases(chosen.only, gpu):
            results.append(attempted(case.name, lambda c=case: run(c, folders[c.architecture], chosen.rows)))  # type: ignore[misc]
        if "llama" in folders:
            llama = folders["llama"]
            results.append(attempted("frozen layers", lambda: frozen(llama, chosen.rows)))
            results.append(attempted("two jobs", lambda: two_jobs(llama, chosen.rows)))
            results += each_saving(llama, 4 * chosen.rows, gpu=gpu)
            if gpu:
                results.append(attempted("too small a card", lambda: too_small_a_card(llama, chosen.rows)))
    text = json.dumps({"made_with": machine(), "layers": chosen.layers, "results": results}, indent=2)
    if chosen.out is None:
        print(text)
    else:
        chosen.out.write_text(text + "\n", encoding="utf-8")
    return 0 if all(result["ok"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
