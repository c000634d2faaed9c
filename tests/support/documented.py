"""A small workspace in which the examples of the documentation run: its names, quick models under them."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from compete.cli.main import main

# Every name that an example trains. Their families learn words in milliseconds, and leave out different ones, so that
# no two of them send the same submission.
MODELS = ("linear", "nbsvm", "ffnn", "distilbert_base_uncased")
FAMILY = """

import json


class Some(Words):
    class Settings(Words.Settings):
        leave_out: int = 0

    def fit(self, texts, labels, context):
        super().fit(texts, labels, context)
        left_out = self.settings.leave_out
        self.odds = {w: v for w, v in self.odds.items() if not w[1:].isdigit() or int(w[1:]) % 5 != left_out}
        return self

    def save(self, folder, *, whole):
        odds = {w: v.tolist() for w, v in self.odds.items()}
        parts = {"rate": self.rate.tolist(), "bias": self.bias.tolist(), "odds": odds}
        (folder / "words.json").write_text(json.dumps(parts))
        return True

    def load(self, folder, context):
        parts = json.loads((folder / "words.json").read_text())
        self.rate, self.bias = np.array(parts["rate"]), np.array(parts["bias"])
        self.odds = {w: np.array(v) for w, v in parts["odds"].items()}
        return self
"""
STACKS = {
    "mean": 'method = "mean"\n',
    "blend": 'method = "blend"\n',
    "logistic": 'method = "logistic"\nC = 0.05\n',
}

Type = Callable[[Path, Sequence[str]], tuple[int, str]]


def command_line(monkeypatch: pytest.MonkeyPatch) -> Type:
    """Runs `compete WORDS...` in a folder, in this process: the exit code and everything that was printed.

    Jobs run in this process too; other tests start processes for them.
    """
    monkeypatch.setattr("compete.workflows.executors.default_workers", lambda recipes, gpus: 0)
    monkeypatch.setattr("compete.workflows.executors.usable_cores", lambda: 1)  # two threads wait for each other

    def run(folder: Path, words: Sequence[str]) -> tuple[int, str]:
        printed = io.BytesIO()
        both = io.TextIOWrapper(printed, encoding="utf-8", write_through=True)
        with (
            monkeypatch.context() as changed,
            contextlib.redirect_stdout(both),
            contextlib.redirect_stderr(both),
        ):
            changed.chdir(folder)
            changed.setattr(sys, "argv", ["compete", *words])
            try:
                main()
            except SystemExit as ended:
                return int(ended.code or 0), printed.getvalue().decode()
        raise AssertionError("a command always ends with an exit code")

    return run


def write_recipes(root: Path) -> None:
    """base_models/ and stacking/ with the names that the examples use."""
    for folder in ("base_models", "stacking"):
        shutil.rmtree(root / folder, ignore_errors=True)
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(MODELS):
        recipe = f'family = "families.py:Some"\n[settings]\nleave_out = {number}\n'
        (root / "base_models" / f"{name}.toml").write_text(recipe, encoding="utf-8")
    for name, text in STACKS.items():
        (root / "stacking" / f"{name}.toml").write_text(text, encoding="utf-8")


def build_documented(untouched: Path, root: Path) -> None:
    """Fill `root` with the tiny workspace of all tests, under the examples' names: trained, stacked, two sent."""
    shutil.copytree(untouched, root, dirs_exist_ok=True)
    write_recipes(root)
    with (root / "families.py").open("a", encoding="utf-8") as file:
        file.write(FAMILY)
    with (root / "competition.toml").open("a", encoding="utf-8") as file:
        file.write("daily_limit = 50\n")
    (root / "sample_submission.csv").write_bytes((root / "sample.csv").read_bytes())
    (root / "new.csv").write_bytes((root / "test.csv").read_bytes())
    with pytest.MonkeyPatch.context() as changed:
        run = command_line(changed)
        for words in (["train-base", *MODELS[:3]], ["stack"], ["submit", "ffnn"], ["submit", "mean"]):
            code, printed = run(root, words)
            assert code == 0, printed
