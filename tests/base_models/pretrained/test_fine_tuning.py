"""Fine-tuning any model: batches that shrink until they fit, and the precision a machine can compute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.optimizer import register_optimizer_step_pre_hook

from compete.base_models.families import FitContext
from compete.base_models.pretrained import fine_tuning
from compete.base_models.pretrained.fine_tuning import Batch, Row, Task, fine_tune, predict, training_precision
from compete.base_models.pretrained.settings import TransformerSettings
from compete.errors import CompeteError, UserError

FITTED, INNER = np.arange(64), np.arange(64, 72)
Numbers = NDArray[np.float32]


class Memory:
    """A task on which a machine runs out of memory with more than `limit` rows at once."""

    def __init__(self, limit: int, error: BaseException | None = None) -> None:
        self.limit = limit
        self.error = error or torch.OutOfMemoryError("CUDA out of memory")
        self.built = 0
        self.batches: list[int] = []  # rows that were computed at once in training
        values = np.random.default_rng(2).normal(size=(72, 3)).astype(np.float32)
        self.rows: list[Row] = [{"input_ids": list(range(1 + n % 5)), "length": 1 + n % 5} for n in range(72)]
        for row, x in zip(self.rows, values, strict=True):
            row |= {"x": x, "y": np.float32(x.sum() > 0)}

    def task(self) -> Task:
        return Task(self.build, self.rows, collate, self.loss)

    def build(self) -> nn.Module:
        self.built += 1
        self.batches.clear()
        return nn.Linear(3, 1)

    def loss(self, model: Any, batch: Batch) -> Tensor:
        if len(batch["y"]) > self.limit:
            raise self.error
        if model.training:
            self.batches.append(len(batch["y"]))
        return functional.binary_cross_entropy_with_logits(model(batch["x"])[:, 0], batch["y"])

    def fit(self, **more: Any) -> tuple[Numbers, FitContext]:
        """The weights after training."""
        small = {"epochs": 2, "batch_size": 16, "eval_batch_size": 1, "learning_rate": 0.05, "precision": "float32"}
        context = FitContext(labels=("joy",), seed=3)
        settings = TransformerSettings(checkpoint="none", **{**small, **more})
        model = fine_tune(self.task(), settings, FITTED, INNER, context)
        return np.concatenate([weight.detach().numpy().ravel() for weight in model.parameters()]), context


def collate(rows: Sequence[Row]) -> Batch:
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in ("x", "y")}


@pytest.fixture(autouse=True)
def no_garbage_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs its memory back, and walking all objects of the libraries takes its time."""
    monkeypatch.setattr("gc.collect", lambda: 0)


@pytest.fixture
def steps() -> Iterator[list[None]]:
    """Grows by one with every step of any optimiser."""
    taken: list[None] = []
    hook = register_optimizer_step_pre_hook(lambda *_: taken.append(None))
    yield taken
    hook.remove()


def test_out_of_memory_fewer_rows_are_computed_at_once() -> None:
    memory = Memory(limit=4)
    weights, context = memory.fit()
    assert memory.built == 3  # a fresh model for 16, 8 and 4 rows
    assert set(memory.batches) == {4}
    assert context.warnings == [
        "out of memory with 16 rows at once: tried again with 8",
        "out of memory with 8 rows at once: tried again with 4",
    ]
    assert [row["epoch"] for row in context.curves] == [1, 2]
    begun_small, quiet = Memory(limit=72).fit(micro_batch_size=4)
    np.testing.assert_array_equal(weights, begun_small)
    assert context.curves == quiet.curves and not quiet.warnings


@pytest.mark.parametrize("limit", [16, 5, 1])
def test_an_optimiser_step_sees_batch_size_rows_however_few_fit(limit: int, steps: list[None]) -> None:
    memory = Memory(limit)
    weights, _ = memory.fit()
    assert sum(memory.batches) == 2 * len(FITTED)
    assert len(steps) == 2 * len(FITTED) / 16
    np.testing.assert_allclose(weights, Memory(limit=72).fit()[0], atol=1e-3)


def test_memory_that_ends_in_a_later_epoch_leaves_no_curve_of_the_failed_attempt() -> None:
    class Later(Memory):
        def loss(self, model: Any, batch: Batch) -> Tensor:
            if self.built == 1 and len(self.batches) == 6:
                raise self.error
            return super().loss(model, batch)

    later = Later(limit=72)
    weights, context = later.fit()
    assert later.built == 2 and len(context.warnings) == 1
    assert [row["epoch"] for row in context.curves] == [1, 2]
    np.testing.assert_array_equal(weights, Memory(limit=72).fit(micro_batch_size=8)[0])


def test_one_row_that_does_not_fit_is_said() -> None:
    with pytest.raises(fine_tuning.OutOfMemoryError, match="out of memory with a single row at a time") as raised:
        Memory(limit=0).fit()
    assert isinstance(raised.value, CompeteError)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")]
)
def test_a_processor_runs_out_of_memory_as_a_gpu_does(error: BaseException) -> None:
    memory = Memory(limit=8, error=error)
    _, context = memory.fit()
    assert set(memory.batches) == {8}
    assert len(context.warnings) == 1


def test_an_error_that_has_nothing_to_do_with_memory_is_not_tried_again() -> None:
    memory = Memory(limit=8, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        memory.fit()
    assert memory.built == 1


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_prediction_halves_a_batch_that_does_not_fit(limit: int) -> None:
    tried: list[int] = []

    def compute(batch: Batch) -> Tensor:
        tried.append(len(batch["y"]))
        if len(batch["y"]) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.stack([batch["x"][:, 0], batch["x"].sum(dim=1)], dim=1)

    rows = Memory(limit).rows
    found = predict(rows, 32, collate, compute, 2)
    expected = np.stack([[row["x"][0], row["x"].sum()] for row in rows])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert max(tried) == 32
    assert sum(size for size in tried if size <= limit) == len(rows)


def test_prediction_gives_up_on_a_row_that_does_not_fit_alone() -> None:
    def compute(batch: Batch) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        predict(Memory(1).rows, 32, collate, compute, 2)


def gpu(monkeypatch: pytest.MonkeyPatch, *, computes_bfloat16: bool) -> None:
    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return including_emulation or computes_bfloat16

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")


def test_a_gpu_without_bfloat16_trains_in_float16(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, computes_bfloat16=False)
    assert training_precision("auto") == "float16"
    assert training_precision("float16") == "float16"
    assert training_precision("float32") == "float32"
    remedy = r'precision = "bfloat16": Tesla T4 does not compute it; use "auto", .* or "float32"'
    with pytest.raises(UserError, match=remedy):
        training_precision("bfloat16")


def test_a_gpu_with_bfloat16_trains_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, computes_bfloat16=True)
    assert training_precision("auto") == training_precision("bfloat16") == "bfloat16"
    assert training_precision("float16") == "float16"


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_a_processor_trains_in_bfloat16_only_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, native: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: native)
    assert training_precision("auto") == expected
    assert training_precision("bfloat16") == "bfloat16"
    with pytest.raises(UserError, match=r'precision = "float16" needs a GPU; use "auto"'):
        training_precision("float16")
