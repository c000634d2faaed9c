"""Fine-tuning any model: batches that shrink until they fit, and the precision a machine can compute."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.optimizer import register_optimizer_step_pre_hook
from transformers import TrainerControl, TrainerState, TrainingArguments

from compete.base_models.families import FitContext
from compete.base_models.pretrained import fine_tuning
from compete.base_models.pretrained.batching import Batch, Row
from compete.base_models.pretrained.callbacks import Course
from compete.base_models.pretrained.fine_tuning import Task, fine_tune, predict
from compete.base_models.pretrained.settings import TransformerSettings
from compete.base_models.pretrained.trainer import DivergedError
from compete.errors import CompeteError

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


def test_out_of_memory_methods_begin_anew_with_the_model() -> None:
    methods: dict[str, Any] = {"ema": 0.9, "adversarial": "awp", "adversarial_epsilon": 0.1}
    weights, context = Memory(limit=4).fit(**methods)
    begun_small, quiet = Memory(limit=72).fit(micro_batch_size=4, **methods)
    np.testing.assert_array_equal(weights, begun_small)
    assert context.curves == quiet.curves
    assert not np.array_equal(weights, Memory(limit=4).fit()[0])


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


def fitting(memory: Memory, **more: int) -> tuple[fine_tuning.Batches, FitContext, nn.Module]:
    """What is found out before the first step."""
    model, context = memory.build(), FitContext(labels=("joy",), seed=3)
    longest = fine_tuning.Longest.of(memory.rows, FITTED, INNER)
    asked = fine_tuning.Batches(**{"micro": 16, "accumulated": 1, "evaluated": 8, **more})
    return fine_tuning.batches_that_fit(memory.task(), model, longest, asked, "float32", context), context, model


@pytest.mark.parametrize(("limit", "found"), [(16, (16, 1, 8)), (5, (4, 4, 2)), (1, (1, 16, 1))])
def test_what_fits_is_found_before_the_first_step_and_the_model_is_opened_once(
    limit: int, found: tuple[int, int, int]
) -> None:
    memory = Memory(limit)
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    batches, context, model = fitting(memory)
    assert tuple(batches) == found
    assert memory.built == 1
    assert len(context.warnings) == (16 // found[0]).bit_length() - 1
    assert all(weight.grad is None for weight in model.parameters())
    torch.manual_seed(3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_copies_of_weights_that_methods_hold_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[None] = []
    monkeypatch.setattr(torch, "empty_like", lambda weight: held.append(None))
    memory, context = Memory(limit=72), FitContext(labels=("joy",), seed=3)
    longest = fine_tuning.Longest.of(memory.rows, FITTED, INNER)
    batches = fine_tuning.Batches(4, 4, 2)
    fine_tuning.batches_that_fit(memory.task(), memory.build(), longest, batches, "float32", context, copies=2)
    assert len(held) == 2 * 5  # a matrix and a vector: two moments, the best epoch's, and two copies


def test_the_longest_rows_are_tried() -> None:
    memory, seen = Memory(limit=72), []

    def looking(rows: Sequence[Row]) -> Batch:
        seen.append([row["length"] for row in rows])
        return collate(rows)

    task = Task(memory.build, memory.rows, looking, memory.loss)
    longest = fine_tuning.Longest.of(memory.rows, FITTED, INNER)
    context = FitContext(labels=("joy",), seed=3)
    fine_tuning.batches_that_fit(task, memory.build(), longest, fine_tuning.Batches(4, 4, 2), "float32", context)
    assert seen == [[5] * 4, sorted((memory.rows[row]["length"] for row in INNER), reverse=True)[:2]]


def test_on_a_gpu_training_begins_with_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tuning, "device", lambda: torch.device("cuda", 0))
    memory = Memory(limit=4)
    weights, context = memory.fit()
    assert memory.built == 1  # where nothing was tried, it is opened three times
    assert len(context.warnings) == 2
    monkeypatch.undo()
    np.testing.assert_array_equal(weights, Memory(limit=72).fit(micro_batch_size=4)[0])


def test_a_model_that_cannot_even_be_opened_is_not_opened_again() -> None:
    class TooLarge(Memory):
        def build(self) -> nn.Module:
            self.built += 1
            raise self.error

    too_large = TooLarge(limit=72)
    with pytest.raises(fine_tuning.OutOfMemoryError, match="the weights alone"):
        too_large.fit()
    assert too_large.built == 1


def test_one_job_computes_on_one_device_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up: Any = vars(TrainingArguments)["_setup_devices"]

    def two_gpus(self: TrainingArguments) -> torch.device:
        where: torch.device = set_up.func(self)
        self._n_gpu = 2
        return where

    expected = Memory(limit=72).fit()[0]
    changed = functools.cached_property(two_gpus)
    changed.__set_name__(TrainingArguments, "_setup_devices")
    monkeypatch.setattr(TrainingArguments, "_setup_devices", changed)
    memory = Memory(limit=72)
    np.testing.assert_array_equal(memory.fit()[0], expected)
    assert set(memory.batches) == {16}  # not 32, and no DataParallel around the model


@pytest.mark.parametrize("epochs", [2])
def test_a_loss_that_is_no_number_ends_the_training_in_its_first_steps(epochs: int, steps: list[None]) -> None:
    class Overflows(Memory):
        def loss(self, model: Any, batch: Batch) -> Tensor:
            return super().loss(model, batch) * float("nan")

    with pytest.raises(DivergedError, match=r"no number any more at step 3 \(computed in float32\)"):
        Overflows(limit=72).fit(epochs=epochs)
    assert len(steps) == 2


def test_a_single_batch_that_overflows_ends_nothing() -> None:
    class Once(Memory):
        def loss(self, model: Any, batch: Batch) -> Tensor:
            loss = super().loss(model, batch)
            # In float16 the scaling of the loss passes such a step over.
            return torch.tensor(float("inf"), requires_grad=True) if len(self.batches) == 2 else loss

    assert len(Once(limit=72).fit()[1].curves) == 2


def test_how_a_training_goes_is_told_with_its_loss_and_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, str]] = []

    class Even(Memory):
        def loss(self, model: Any, batch: Batch) -> Tensor:
            # 1 and 3 in turn: what is told is their mean.
            return super().loss(model, batch) * 0 + (1 + 2 * (len(self.batches) % 2))

    memory = Even(limit=72)
    context = FitContext(labels=("joy",), seed=3, progress=lambda fraction, doing="": told.append((fraction, doing)))
    small: dict[str, Any] = {"epochs": 3, "batch_size": 4, "learning_rate": 0.05, "precision": "float32"}
    fine_tune(memory.task(), TransformerSettings(checkpoint="none", **small), FITTED, INNER, context)
    assert [fraction for fraction, _ in told] == [10 / 48, 20 / 48, 30 / 48, 40 / 48]
    assert all(re.fullmatch(r"loss \d\.\d{3}, [\d.,]+ rows/s", doing) for _, doing in told)
    assert told[0][1].startswith("loss 2.000, ")


def test_slow_steps_are_told_one_by_one_and_what_comes_between_epochs_is_not_counted() -> None:
    now, told = [0.0], list[str]()
    context = FitContext(labels=("joy",), seed=3, progress=lambda fraction, doing="": told.append(doing))
    course = Course(context, rows=16, clock=lambda: now[0])
    state, control = TrainerState(), TrainerControl()
    state.max_steps = 8
    now[0] = 100.0
    course.on_epoch_begin(None, state, control)
    for step, seconds in ((1, 8.0), (2, 2.0), (3, 2.0), (4, 2.0)):
        now[0] += seconds
        state.global_step = step
        course.see(torch.tensor(0.5 * step, requires_grad=True))
        course.on_step_end(None, state, control)
    assert told == ["loss 0.500, 2 rows/s", "loss 1.500, 8 rows/s"]


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
