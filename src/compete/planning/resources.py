"""What every recipe needs, and whether a machine has it: memory, disk, licence, code, the smallest change that fits.

Works from configurations: nothing is fetched. Devices are handed in, so that any machine can be asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from typing import Any

from huggingface_hub import constants, get_token

from compete.base_models.classifier.settings import SequenceClassifierSettings
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.generator.settings import LabelGeneratorSettings
from compete.base_models.pretrained.batching import micro_batches
from compete.base_models.pretrained.device import overflows_float16
from compete.base_models.recipes import Recipe
from compete.errors import UserError
from compete.planning.estimates import estimate
from compete.planning.footprint import Adapted, Anatomy, BatchSize, Footprint, Planned, anatomy, footprint, kept_bytes
from compete.planning.local_checkpoints import (
    configuration_of,
    hub_cache,
    is_on_machine,
    prompt_of,
    tokenizer_of,
    weight_bytes,
)
from compete.planning.longest_rows import Length, longest_row
from compete.planning.model_plan import Disk, Estimate, Hardware, Machine, ModelPlan, Rows, Verdict
from compete.planning.reading import fewer_at_once, head_bytes, numbers_bytes, reading_footprint

# Of a device's memory: the rest is the system's, a screen's, and a step that is larger than any before it.
USABLE = 0.95
CARDS = (24, 40, 80)  # GiB of the GPUs that are commonly rented
_MOST_GPUS = 64


def plan_model(recipe: Recipe, rows: Rows, machine: Machine) -> ModelPlan:
    """What a recipe with a checkpoint needs on every device of a machine."""
    settings = recipe.settings
    assert isinstance(settings, SequenceClassifierSettings | LabelGeneratorSettings | EmbeddingsSettings)
    try:
        raw = configuration_of(recipe)
        if raw is None:
            return ModelPlan(recipe.name, settings.checkpoint, aside=_unknown(recipe, settings.checkpoint))
        length = longest_row(settings, rows, tokenizer_of(recipe), prompt_of(recipe))
        fitted = rows.n_train * (machine.folds - 1) // machine.folds
        # What is read takes a weighted sum per output: a grade has none of its own.
        outputs = len(rows.labels) if isinstance(settings, EmbeddingsSettings) else len(rows.asked)
        sizes = _Sizes(raw, outputs, length, weight_bytes(recipe) or 0, fitted)
        shape = sizes.shape(settings)
    except (UserError, ValueError, KeyError, AttributeError, TypeError) as error:  # the other models are still shown
        return ModelPlan(recipe.name, settings.checkpoint, aside=f"cannot be counted: {_reason(error)}")
    verdicts = tuple(_judged(sizes, settings, device, rows, machine) for device in machine.devices)
    too_large = any(not verdict.possible and not verdict.refused for verdict in verdicts)
    return ModelPlan(
        name=recipe.name,
        checkpoint=settings.checkpoint,
        settings=settings,
        shape=shape,
        batch=sizes.batch(settings),
        tokens_counted=length.counted,
        disk=_disk(recipe, settings, shape, rows, machine),
        on_machine=_is_there(recipe, machine),
        notices=tuple(_notices(recipe, settings, machine)),
        verdicts=verdicts,
        cards=_cards(sizes, settings) if too_large else {},
    )


def variants(settings: Planned, shape: Anatomy) -> Iterator[dict[str, Any]]:
    """Sets of changes that save memory, small sets first; of equal ones those that cost least first."""
    if isinstance(settings, EmbeddingsSettings):
        yield from fewer_at_once(settings)
        return
    rows = _rows_at_once(settings)
    smaller: list[dict[str, Any]] = []
    while rows > 1:
        rows = micro_batches(settings.batch_size, rows // 2)[0]
        smaller.append({"micro_batch_size": rows})
    again: list[dict[str, Any]] = [] if settings.gradient_checkpointing else [{"gradient_checkpointing": True}]
    lighter: list[dict[str, Any]] = [{"adaptation": name} for name in _lighter(settings, shape)]
    # No change at all comes first: what fits as it is written is found by that.
    for count in range(4):
        for kinds in combinations((smaller, again, lighter), count):
            for parts in product(*kinds):
                yield {key: value for part in parts for key, value in part.items()}


def roomier(settings: Planned) -> Iterator[dict[str, Any]]:
    """Sets of changes that take more memory and less time, those that save most first; the optimiser sees the same."""
    if isinstance(settings, EmbeddingsSettings):  # texts of one length are read together: few batches are full
        return
    rows, limit = _rows_at_once(settings), settings.batch_size
    larger = [micro for micro in range(limit, rows, -1) if limit % micro == 0]
    if settings.gradient_checkpointing:
        again = {"gradient_checkpointing": False}
        yield from ({**again, "micro_batch_size": micro} for micro in larger)
        yield again
    yield from ({"micro_batch_size": micro} for micro in larger)


def computes_half(settings: Planned, device: Hardware, architecture: str) -> bool:
    """Whether training on the device is in bfloat16 or float16. architecture: its model_type."""
    if settings.precision != "auto":
        return settings.precision not in ("float32", "tf32")
    return device.bfloat16 or (device.kind == "gpu" and not overflows_float16(architecture))


@dataclass
class _Sizes:
    """Footprints of one configuration under changing settings; counting is done once per adaptation."""

    raw: Mapping[str, Any]
    n_labels: int
    length: Length
    files: int
    fitted: int
    """Texts of a fold's fit."""
    _shapes: dict[str, Anatomy] = field(default_factory=dict)

    def shape(self, settings: Planned) -> Anatomy:
        adaptation = "" if isinstance(settings, EmbeddingsSettings) else settings.adaptation
        if adaptation not in self._shapes:
            self._shapes[adaptation] = anatomy(self.raw, settings, self.n_labels)
        return self._shapes[adaptation]

    def batch(self, settings: Planned) -> BatchSize:
        if isinstance(settings, EmbeddingsSettings):
            return BatchSize(settings.eval_batch_size, settings.eval_batch_size, self.length.tokens)
        rows, predicted = _rows_at_once(settings), settings.eval_batch_size
        if isinstance(settings, LabelGeneratorSettings) and settings.decoding == "slots" and not settings.shared_prefix:
            rows, predicted = rows * self.n_labels, predicted * self.n_labels  # a prompt per label
        return BatchSize(rows, predicted, self.length.tokens, self.length.kept)

    def footprint(self, settings: Planned, *, half: bool, gpu: bool, bfloat16: bool) -> Footprint:
        """bfloat16: whether the device computes it, if it is what is asked for."""
        batch, wanted = self.batch(settings), bfloat16 and settings.precision != "float16"
        shape = self.shape(settings)
        if isinstance(settings, EmbeddingsSettings):
            kinds = {"half": half, "gpu": gpu, "bfloat16": wanted}
            return reading_footprint(shape, settings, batch, self.fitted, **kinds, files=self.files)
        return footprint(shape, settings, batch, half=half, gpu=gpu, files=self.files, bfloat16=wanted)


def _judged(sizes: _Sizes, settings: Planned, device: Hardware, rows: Rows, machine: Machine) -> Verdict:
    """Whether a model fits, what there would be room for, and the hours of both."""
    verdict = _with_room(_verdict(sizes, settings, device, machine), sizes, settings, machine)
    return _with_hours(verdict, sizes, settings, rows, machine)


def _verdict(sizes: _Sizes, settings: Planned, device: Hardware, machine: Machine) -> Verdict:
    architecture = str(sizes.raw["model_type"])
    gpu, half = device.kind == "gpu", computes_half(settings, device, architecture)
    written = sizes.footprint(settings, half=half, gpu=gpu, bfloat16=device.bfloat16)
    refused = _refused(settings, device, architecture)
    room = USABLE * device.memory
    alike = [other.memory for other in machine.devices if other.kind == "gpu"] if gpu else [device.memory]
    if settings.model_parallel and gpu and written.spread_over(len(alike)) <= USABLE * min(alike):
        return Verdict(device, written, fits=True, gpus=len(alike), refused=refused)
    needed = written.peak
    # One GPU first, whatever has to change for it: a model that lies on all of them is trained one fold at a time.
    for gpus in (1, len(alike)) if len(alike) > 1 else (1,):
        for change in variants(settings, sizes.shape(settings)):
            over_all = {"model_parallel": True} if gpus > 1 else {}
            changed = settings.model_copy(update={**change, **over_all})
            found = sizes.footprint(changed, half=half, gpu=gpu, bfloat16=device.bfloat16)
            needed = min(needed, found.peak)
            if found.spread_over(gpus) <= (room if gpus == 1 else USABLE * min(alike)):
                changes = {**change, "model_parallel": True} if gpus > 1 and not settings.model_parallel else change
                at_once = 1 if gpu else min(int(room // found.peak), machine.workers)
                fewer = not gpu and at_once < machine.workers
                return Verdict(
                    device,
                    written,
                    fits=not changes,
                    changes=changes,
                    needed=found.peak,
                    gpus=gpus,
                    at_once=at_once,
                    fewer=fewer,
                    refused=refused,
                )
    return Verdict(device, written, fits=False, needed=needed, refused=refused)


def _with_hours(verdict: Verdict, sizes: _Sizes, settings: Planned, rows: Rows, machine: Machine) -> Verdict:
    """The verdict, with an estimate of what the model takes with the changes that make it fit."""
    if not verdict.possible:
        return verdict
    half = computes_half(settings, verdict.device, str(sizes.raw["model_type"]))

    def with_changes(changes: Mapping[str, Any]) -> Estimate | None:
        changed = settings.model_copy(update=dict(changes))
        return estimate(sizes.shape(changed), changed, sizes.length, rows, verdict.device, machine, half=half)

    more = with_changes(verdict.room_for) if verdict.room_for else None
    return replace(verdict, estimate=with_changes(verdict.changes), roomier=more)


def _with_room(verdict: Verdict, sizes: _Sizes, settings: Planned, machine: Machine) -> Verdict:
    """The verdict, with what a GPU would have room for besides, where the model fits as it is written."""
    device = verdict.device
    if not verdict.fits or verdict.refused or device.kind != "gpu":
        return verdict
    half = computes_half(settings, device, str(sizes.raw["model_type"]))
    gpus = [other.memory for other in machine.devices if other.kind == "gpu"]
    room = USABLE * (device.memory if verdict.gpus == 1 else min(gpus))
    for change in roomier(settings):
        changed = settings.model_copy(update=change)
        found = sizes.footprint(changed, half=half, gpu=True, bfloat16=device.bfloat16)
        if found.spread_over(verdict.gpus) <= room:
            return replace(verdict, room_for=change)
    return verdict


def _refused(settings: Planned, device: Hardware, architecture: str) -> str:
    if device.unsupported:
        return f"cannot: {device.unsupported}"
    if settings.precision == "float16" and overflows_float16(architecture):
        return f'cannot: precision = "float16" is too small for {architecture}; "auto" takes another'
    if settings.precision == "bfloat16" and device.kind == "gpu" and not device.bfloat16:
        return 'cannot: precision = "bfloat16" is not computed there; "auto" takes float16'
    if settings.precision == "tf32" and device.kind == "gpu" and not device.bfloat16:  # both came with Ampere
        return 'cannot: precision = "tf32" is not computed there; "auto" takes another'
    if settings.precision in ("float16", "tf32") and device.kind != "gpu":
        return f'cannot: precision = "{settings.precision}" needs a GPU; "auto" takes what is there'
    return ""


def _cards(sizes: _Sizes, settings: Planned) -> dict[int, int]:
    """How many GPUs of each common size hold the model with the least that helps: as written, if it can be."""
    numbers = {}
    smallest = min(
        (settings.model_copy(update=change) for change in variants(settings, sizes.shape(settings))),
        key=lambda changed: sizes.footprint(changed, half=True, gpu=True, bfloat16=True).peak,
    )
    over_all = smallest.model_copy(update={"model_parallel": True})
    alone, shared = (sizes.footprint(one, half=True, gpu=True, bfloat16=True) for one in (smallest, over_all))
    peaks = [alone.peak, *(shared.spread_over(n) for n in range(2, _MOST_GPUS + 1))]
    for card in CARDS:
        enough = (n for n, peak in enumerate(peaks, 1) if peak <= USABLE * card * 2**30)
        count = next(enough, None)
        if count is not None:
            numbers[card] = count
    return numbers


def _lighter(settings: Adapted, shape: Anatomy) -> tuple[str, ...]:
    adaptation = settings.adaptation
    # bitsandbytes' 4 bits are for decoders here: an encoder is small, and its pieces are not block-sized.
    quantised = ("qlora",) if shape.layer.gated else ()
    return {"full": ("lora", *quantised), "lora": quantised}.get(adaptation, ())


def _rows_at_once(settings: Adapted) -> int:
    return micro_batches(settings.batch_size, settings.micro_batch_size or settings.batch_size)[0]


def _reason(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _unknown(recipe: Recipe, checkpoint: str) -> str:
    base = recipe.shown
    return (
        f"its shape is not known: {checkpoint} is not on this machine. "
        f'[architectures."{checkpoint}"] in {base}, or the checkpoint\'s folder under [checkpoints], would tell'
    )


def _disk(recipe: Recipe, settings: Planned, shape: Anatomy, rows: Rows, machine: Machine) -> Disk:
    files = weight_bytes(recipe)
    hidden = 0
    if isinstance(settings, SequenceClassifierSettings) and settings.frozen_layers:
        # A token has three bytes or more in most texts, and its hidden states are float32.
        hidden = rows.total_bytes // 3 * shape.layer.hidden * 4
    if isinstance(settings, EmbeddingsSettings):
        hidden = numbers_bytes(shape, settings, rows.n_train + rows.n_test)
        fold = head_bytes(shape, settings, rows.n_train * (machine.folds - 1) // machine.folds)
    else:
        fold = kept_bytes(shape, settings, whole=machine.keep_weights)
    kept = machine.folds * fold
    free = None if machine.absent else hub_cache()[1]
    return Disk(files, 0 if _is_there(recipe, machine) else files, kept, hidden, free)


def _is_there(recipe: Recipe, machine: Machine) -> bool:
    """Whether the checkpoint is on the machine; on one that is absent nothing is."""
    return not machine.absent and is_on_machine(recipe)


def _more_work(recipe: Recipe) -> Iterator[str]:
    """What the hours and the memory of one training do not tell."""
    declared = recipe.declaration
    if declared.seeds > 1:
        yield (
            f"seeds = {declared.seeds}: hours are of one training of a fold, of which there are {declared.seeds}; "
            "their models lie in memory together until the fold ends"
        )
    if declared.pretrain_on:
        yield "[[pretrain_on]]: trained once before the folds, which the hours leave out"
    if declared.pseudo_labels is not None:
        yield "[pseudo_labels]: its rows are trained on too, which the hours leave out"


def _notices(recipe: Recipe, settings: Planned, machine: Machine) -> Iterator[str]:
    architecture = recipe.declaration.architectures.get(settings.checkpoint)
    fetched = not _is_there(recipe, machine)
    if recipe.absent and not machine.absent:
        yield f"competition.toml: checkpoints.{settings.checkpoint}: the folder {recipe.absent} does not exist"
    if architecture is not None and architecture.gated and fetched:
        token = "a hub token is there" if get_token() is not None else "no hub token is there: `hf auth login`"
        here = "" if machine.absent else f"; {token}"
        yield f"gated: its licence has to be accepted on its page of the hub{here}"
    if settings.remote_code:
        allowed = "allowed" if recipe.remote_code_allowed else "not allowed yet, see [training] remote_code"
        yield f"runs code of its own repository: {allowed}"
    yield from _more_work(recipe)
    if fetched and constants.HF_HUB_OFFLINE and not machine.absent:
        yield "HF_HUB_OFFLINE is set: it cannot be fetched"
