"""Frozen layers: what they compute is computed once, and reused by every epoch and fold.

The N lowest layers of `frozen_layers = N` never change, so the hidden states of a text above them never change either.
They are kept on the disk by what they depend on (the weights of these layers, the text's tokens), and handed to the
model in place of its lower layers. Hidden states are computed and kept in float32. Where the disk has no room for them
they are computed in every epoch, in the precision of the training.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor, nn

from compete import atomic
from compete.base_models.families import FitContext
from compete.base_models.pretrained.adaptation import layers_of, lower_parameters
from compete.base_models.pretrained.attention import is_bidirectional
from compete.base_models.pretrained.batching import Batch, Collate, Row, in_batches
from compete.base_models.pretrained.text_rows import TYPES

ROW = "hidden_states"
_ATTRIBUTE = "compete_frozen_layers"
_BATCH = 64
_SPARE = 2 * 10**9  # bytes that the rest of a run may need
_VALUES, _INDEX = "hidden.f32", "index.json"


@dataclass
class _Replaced:
    """What a model without its frozen layers needs."""

    layers: nn.ModuleList
    """All places, stand-ins in the lowest."""
    frozen: list[nn.Module]
    """The layers to put back."""
    hook: torch.utils.hooks.RemovableHandle
    """Takes the hidden states out of the model's input."""
    store: HiddenStates
    """Where the frozen layers' results lie."""


def replaced(model: Any, count: int, rows: Sequence[Row], collate: Collate, context: FitContext) -> Any:
    """Give every row its hidden states above the `count` lowest layers, and make the model start from those.

    The model as it is where nothing is to be kept, or where there is no room for it.
    """
    if context.cache is None:
        return model
    layers = layers_of(model)
    frozen = list(layers[:count])
    store = HiddenStates(context.cache / _digest(model, count), model.eval(), layers[count - 1])
    if not store.has_room(rows, collate):
        context.warnings.append("no room on the disk for what the frozen layers compute: it is computed in every epoch")
        return model
    store.attach(rows, collate)
    # A stand-in for each, so that the layers above keep their numbers, and their weights their names.
    given = _Given(store.as_tuple)
    _place(layers, [*(_Skipped(store.as_tuple) for _ in range(count - 1)), given])
    hook = model.register_forward_pre_hook(given.take, with_kwargs=True)
    setattr(model, _ATTRIBUTE, _Replaced(layers, frozen, hook, store))
    return model


def extend(model: Any, rows: Sequence[Row], collate: Collate) -> None:
    """Give rows their hidden states, if the model wants them; where there is no room, it computes all of it again."""
    state = getattr(model, _ATTRIBUTE, None)
    if state is None:
        return
    with _whole(state):
        has_room = state.store.has_room(rows, collate)
        if has_room:
            state.store.attach(rows, collate)
    if not has_room:
        restored(model)


def restored(model: Any) -> Any:
    """The model with its own lower layers again, as it is kept."""
    state = getattr(model, _ATTRIBUTE, None)
    if state is not None:
        state.hook.remove()
        _put_back(state)
        delattr(model, _ATTRIBUTE)
    return model


def padded(rows: Sequence[Row], attention_mask: Tensor) -> Tensor:
    """Hidden states (n_rows, n_tokens, width) where the mask has tokens, zeros elsewhere."""
    values = torch.from_numpy(np.concatenate([row[ROW] for row in rows]))
    hidden = torch.zeros(*attention_mask.shape, values.shape[1])
    hidden[attention_mask.bool()] = values
    return hidden


class HiddenStates:
    """Hidden states on the disk, by tokens; several processes may read and add to one folder."""

    def __init__(self, folder: Path, model: Any, top: nn.Module) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.model = model
        self.top = top
        self.as_tuple = False
        self.width = 0

    def has_room(self, rows: Sequence[Row], collate: Collate) -> bool:
        """Whether the disk takes the hidden states of those of these rows that are not there yet."""
        if not self.width:
            self._probe(rows[0], collate)
        known = self._index()["rows"]
        needed = sum(int(row["length"]) for row in rows if _key(row) not in known) * self.width * 4
        return needed == 0 or shutil.disk_usage(self.folder).free - needed > _SPARE

    def attach(self, rows: Sequence[Row], collate: Collate) -> None:
        """Set row["hidden_states"], float32 (n_tokens, width), computing what is not there yet."""
        keys = [_key(row) for row in rows]
        with FileLock(self.folder / ".lock"):
            index = self._index()
            missing = {key: row for key, row in zip(keys, rows, strict=True) if key not in index["rows"]}
            if missing:
                self._add(index, missing, collate)
        # No further than the index goes: what a killed process added lies behind it.
        values = np.memmap(self.folder / _VALUES, dtype=np.float32, mode="r", shape=(index["tokens"], self.width))
        for key, row in zip(keys, rows, strict=True):
            start, length = index["rows"][key]
            row[ROW] = values[start : start + length]

    def _index(self) -> dict[str, Any]:
        path = self.folder / _INDEX
        return json.loads(path.read_text()) if path.is_file() else {"tokens": 0, "rows": {}}

    def _probe(self, row: Row, collate: Collate) -> None:
        """Learn how the layer hands on its result, and how wide it is."""
        self.width = int(self._compute([row], collate)[0].shape[1])

    def _add(self, index: dict[str, Any], missing: dict[str, Row], collate: Collate) -> None:
        rows, keys = list(missing.values()), list(missing)
        with atomic.disk_full_is_said(self.folder), (self.folder / _VALUES).open("ab") as file:
            file.truncate(index["tokens"] * self.width * 4)  # what a killed process added is not in the index
            for numbers in in_batches([row["length"] for row in rows], _BATCH):
                for number, hidden in zip(numbers, self._compute([rows[n] for n in numbers], collate), strict=True):
                    index["rows"][keys[number]] = (index["tokens"], len(hidden))
                    index["tokens"] += len(hidden)
                    file.write(hidden.tobytes())
        atomic.write_text(self.folder / _INDEX, json.dumps(index))

    def _compute(self, rows: Sequence[Row], collate: Collate) -> list[NDArray[np.float32]]:
        device = next(self.model.parameters()).device
        plain = [{name: row[name] for name in ("input_ids", TYPES, "length") if name in row} for row in rows]
        batch = {name: values.to(device) for name, values in collate(plain).items()}
        with torch.inference_mode(), _stopping_after(self.top) as stopped, contextlib.suppress(_PassedError):
            self.model(**batch)
        self.as_tuple, hidden = stopped.as_tuple, stopped.hidden
        mask = batch["attention_mask"].bool()
        return [hidden[row][mask[row]].float().cpu().numpy() for row in range(len(rows))]


def _key(row: Row) -> str:
    tokens = [*row["input_ids"], *row.get(TYPES, ())]
    return hashlib.sha256(np.asarray(tokens, dtype=np.int64).tobytes()).hexdigest()[:24]


class _PassedError(Exception):
    """Ends a forward pass once the frozen layers are through."""


@dataclass
class _Stopped:
    hidden: Any = None
    as_tuple: bool = False


@contextlib.contextmanager
def _stopping_after(layer: nn.Module) -> Iterator[_Stopped]:
    stopped = _Stopped()

    def stop(_: nn.Module, __: Any, output: Any) -> None:
        stopped.as_tuple = isinstance(output, tuple)
        stopped.hidden = output[0] if stopped.as_tuple else output
        raise _PassedError

    handle = layer.register_forward_hook(stop)
    try:
        yield stopped
    finally:
        handle.remove()


@contextlib.contextmanager
def _whole(state: _Replaced) -> Iterator[None]:
    """The frozen layers in their places for a while."""
    replacements = list(state.layers[: len(state.frozen)])
    _put_back(state)
    try:
        yield
    finally:
        _place(state.layers, replacements)


def _put_back(state: _Replaced) -> None:
    """The frozen layers in their places, on the device to which training moved the model without them."""
    model = state.store.model
    if getattr(model, "hf_device_map", None) is None:  # a model on several GPUs lies where it was loaded
        device = next(model.parameters()).device
        for layer in state.frozen:
            layer.to(device)
    _place(state.layers, state.frozen)


def _place(layers: nn.ModuleList, lowest: Sequence[nn.Module]) -> None:
    for number, layer in enumerate(lowest):
        layers[number] = layer


class _Given(nn.Module):
    """Stands in for the highest frozen layer."""

    def __init__(self, as_tuple: bool) -> None:
        super().__init__()
        self.as_tuple = as_tuple
        self.hidden: Tensor | None = None

    def take(self, _: nn.Module, positional: Any, named: Batch) -> tuple[Any, Batch]:
        """A hook before the model's forward pass: takes the hidden states out of its input, if they are there."""
        if ROW in named:
            self.hidden = named.pop(ROW)
        return positional, named

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Any:
        assert self.hidden is not None
        hidden, self.hidden = self.hidden.to(hidden_states.device), None
        return (hidden,) if self.as_tuple else hidden


class _Skipped(nn.Module):
    """Stands in for the other frozen layers."""

    def __init__(self, as_tuple: bool) -> None:
        super().__init__()
        self.as_tuple = as_tuple

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Any:
        return (hidden_states,) if self.as_tuple else hidden_states


def _digest(model: Any, count: int) -> str:
    """Of all weights that the hidden states depend on, and of what tokens see."""
    base = getattr(model, "get_base_model", lambda: model)().base_model
    state = hashlib.sha256(b"bidirectional" if is_bidirectional(base) else b"")
    for name, weight in lower_parameters(base, count).items():
        state.update(name.encode())
        state.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return state.hexdigest()[:24]
