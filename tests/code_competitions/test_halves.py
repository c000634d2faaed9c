"""Weights in half the bytes come back as float32, within float16's precision."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from compete.code_competitions.halves import halve, raised


def test_weights_come_back_as_they_were_but_for_their_last_digits(tmp_path: Path) -> None:
    before = {
        "weights": torch.randn(64, 32, generator=torch.Generator().manual_seed(0)),
        "large": torch.tensor([1e6, 1.0]),
        "numbers": torch.arange(5),
        "nothing": torch.zeros(0, 3),
    }
    source, packed, again = tmp_path / "source", tmp_path / "packed", tmp_path / "again"
    (source / "inside").mkdir(parents=True)
    save_file(before, source / "inside" / "model.safetensors", {"format": "pt"})
    (source / "config.json").write_text("{}", encoding="utf-8")
    halve(source, packed)
    raised(packed, again)
    after = load_file(again / "inside" / "model.safetensors")
    assert {name: tensor.dtype for name, tensor in after.items()} == {n: t.dtype for n, t in before.items()}
    assert torch.equal(after["large"], before["large"]), "float16 holds no million"
    assert torch.equal(after["numbers"], before["numbers"])
    assert 0 < (after["weights"] - before["weights"]).abs().max() < 2e-3
    small = load_file(packed / "inside" / "model.safetensors")
    assert small["weights"].dtype == torch.float16
    assert small["large"].dtype == torch.float32
    with safe_open(again / "inside" / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt"}, "transformers looks for it"
    assert (again / "config.json").read_text(encoding="utf-8") == "{}"
