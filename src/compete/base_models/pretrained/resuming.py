"""Going on inside a fold: all that a training needs to be continued where it was interrupted, in safetensors and JSON.

state.safetensors     trained weights, the optimiser's moments, the best epoch's weights, an average of weights, torch's
                      random numbers
state.json            scheduler, order of rows, other random numbers, running losses, curves, rows at once
trainer_state.json    the Trainer's own counts

On a processor the continued training ends with the bytes of one that was not interrupted. The Trainer's own checkpoints
would be pickles.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from compete import atomic

_TENSORS, _PLAIN, _TRAINER = "state.safetensors", "state.json", "trainer_state.json"


class Kept:
    """A state that was read; None of what it holds has been put back yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tensors = load_file(folder / _TENSORS)
        self.plain: dict[str, Any] = json.loads((folder / _PLAIN).read_text(encoding="utf-8"))

    def part(self, name: str) -> dict[str, Tensor]:
        """Tensors below a name."""
        return {
            key.removeprefix(f"{name}."): value for key, value in self.tensors.items() if key.startswith(f"{name}.")
        }


def read_state(folder: Path) -> Kept | None:
    """What an interrupted training left; None if there is nothing, or nothing that can be read."""
    try:
        return Kept(folder)
    except (OSError, ValueError, KeyError, SafetensorError):
        return None


def write_state(
    folder: Path, trainer: Any, more: Mapping[str, Any], beside: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Write a training's state, in place of an earlier one.

    more: JSON that the caller wants back; beside: weights of other moments, as of the best epoch so far, by a name.
    """
    optimizer = trainer.optimizer.state_dict()
    moments = {
        f"{index}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, values in optimizer["state"].items()
        for name, value in values.items()
    }
    trained = {name: weight.detach() for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    named = {"model": trained, "optimizer": moments, "random": _torch_states(), **beside}
    tensors = {
        f"{group}.{name}": value.cpu().contiguous().clone()
        for group, values in named.items()
        for name, value in values.items()
    }
    scaler = getattr(trainer.accelerator, "scaler", None)
    plain = {
        **more,
        "groups": optimizer["param_groups"],
        "scheduler": trainer.lr_scheduler.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else None,
        "random": [random.getstate(), _numpy_state()],
        "losses": [float(trainer._tr_loss), trainer._total_loss_scalar, trainer._globalstep_last_logged],
    }
    with atomic.new_folder(folder) as new:
        save_file(tensors, new / _TENSORS)
        atomic.write_text(new / _PLAIN, json.dumps(plain))
        trainer.state.save_to_json(str(new / _TRAINER))


def put_back_weights(kept: Kept, model: Any) -> None:
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in kept.part("model").items():
            weights[name].copy_(value)


def put_back_optimizer(kept: Kept, trainer: Any) -> None:
    """The optimiser's moments, the scheduler's place, and in float16 the scale of the loss."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in kept.part("optimizer").items():
        index, _, what = name.partition(".")
        state.setdefault(int(index), {})[what] = value
    trainer.optimizer.load_state_dict({"state": state, "param_groups": kept.plain["groups"]})
    trainer.lr_scheduler.load_state_dict(kept.plain["scheduler"])
    if kept.plain["scaler"] is not None:
        trainer.accelerator.scaler.load_state_dict(kept.plain["scaler"])


def put_back_random(kept: Kept, trainer: Any) -> None:
    """All random numbers but the order of rows, and the losses since they were last logged."""
    (version, numbers, gauss), (name, *rest) = kept.plain["random"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state((name, np.array(rest[0], dtype=np.uint32), *rest[1:]))
    states = kept.part("random")
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
    running, trainer._total_loss_scalar, trainer._globalstep_last_logged = kept.plain["losses"]
    trainer._tr_loss = torch.tensor(running, device=trainer.args.device)


def _torch_states() -> dict[str, Tensor]:
    cuda = {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {}
    return {"torch": torch.get_rng_state(), **cuda}


def _numpy_state() -> list[Any]:
    name, numbers, *rest = np.random.get_state(legacy=True)
    return [name, np.asarray(numbers).tolist(), *rest]
