"""Weights in half the bytes: float32 tensors of safetensors files as float16, and back.

Only what float16 can hold: a tensor with a value beyond its largest, 65504, stays as it is. Tensors of other types,
those of 4-bit weights among them, stay too. The families never see it: weights are raised again before they are read.
"""

from __future__ import annotations

import shutil
from pathlib import Path

_HALVED = "compete_halved"  # in the metadata of a file: the names of its tensors that were float32
_LARGEST = 65504.0


def halve(source: Path, target: Path) -> None:
    """Copy a folder, every *.safetensors in it halved."""
    _copy(source, target, raising=False)


def raised(source: Path, target: Path) -> None:
    """The inverse: what was float32 is float32 again."""
    _copy(source, target, raising=True)


def _copy(source: Path, target: Path, *, raising: bool) -> None:
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            _raise_file(path, place) if raising else _halve_file(path, place)
        else:
            shutil.copyfile(path, place)


def _halve_file(source: Path, target: Path) -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    tensors, halved = {}, []
    with safe_open(source, framework="pt") as file:
        metadata = dict(file.metadata() or {})
        for name in file.keys():  # noqa: SIM118 - a handle of safetensors, no dictionary
            tensor = file.get_tensor(name)
            small = tensor.numel() == 0 or bool(tensor.abs().max() <= _LARGEST)
            if tensor.dtype == torch.float32 and small:
                tensor = tensor.to(torch.float16)
                halved.append(name)
            tensors[name] = tensor
    save_file(tensors, target, {**metadata, _HALVED: "\n".join(halved)})


def _raise_file(source: Path, target: Path) -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(source, framework="pt") as file:
        metadata = dict(file.metadata() or {})
        halved = set(metadata.pop(_HALVED, "").split("\n"))
        tensors = {
            name: file.get_tensor(name).to(torch.float32) if name in halved else file.get_tensor(name)
            for name in file.keys()  # noqa: SIM118
        }
    save_file(tensors, target, metadata or None)
