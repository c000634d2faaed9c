"""One device, and the precision that it computes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compete.base_models.memory import is_out_of_memory, release
from compete.base_models.pretrained import device as devices
from compete.base_models.pretrained.device import place, training_precision
from compete.errors import UserError
from compete.kernels import without_kernels

# What torch.cuda.get_arch_list() says of a wheel for CUDA 12.8 and later, and of one that still had the P100.
TODAY = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
OLDER = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]


def gpu(
    monkeypatch: pytest.MonkeyPatch,
    *,
    computes_bfloat16: bool,
    name: str = "Tesla T4",
    capability: tuple[int, int] = (7, 5),
) -> None:
    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return including_emulation or computes_bfloat16

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: TODAY)


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


def test_tf32_is_computed_where_it_is_asked_for_and_the_gpu_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, computes_bfloat16=True)
    assert training_precision("tf32") == training_precision("tf32", "gemma2") == "tf32"
    gpu(monkeypatch, computes_bfloat16=False)
    with pytest.raises(UserError, match=r'precision = "tf32": Tesla T4 does not compute it; use "auto" or "float32"'):
        training_precision("tf32")


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


@pytest.mark.parametrize("architecture", ["gemma", "gemma2", "gemma3_text"])
def test_what_may_overflow_float16_is_computed_in_float32_where_there_is_no_bfloat16(
    monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    gpu(monkeypatch, computes_bfloat16=False)
    assert training_precision("auto", architecture) == training_precision("float32", architecture) == "float32"
    with pytest.raises(UserError, match=rf'"float16": the activations of {architecture} can leave its range'):
        training_precision("float16", architecture)
    gpu(monkeypatch, computes_bfloat16=True)
    assert training_precision("auto", architecture) == "bfloat16"


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "roberta", "distilbert", ""])
def test_others_are_computed_in_float16_there(monkeypatch: pytest.MonkeyPatch, architecture: str) -> None:
    gpu(monkeypatch, computes_bfloat16=False)
    assert training_precision("auto", architecture) == "float16"


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((7, 5), TODAY, True),  # T4
        ((8, 0), TODAY, True),  # A100
        ((8, 9), TODAY, True),  # L4 runs what was made for 8.0 and 8.6
        ((9, 0), ["sm_90a"], True),
        ((6, 0), TODAY, False),  # P100
        ((6, 0), OLDER, True),
        ((7, 0), TODAY, False),  # V100: code for 7.5 is newer
        ((12, 0), OLDER, False),
        ((12, 0), [*OLDER, "compute_90"], True),  # translated by the driver
        ((6, 0), ["compute_70"], False),
    ],
)
def test_a_gpu_needs_kernels_of_its_generation(
    capability: tuple[int, int], architectures: list[str], runs: bool
) -> None:
    why = without_kernels(capability, architectures)
    assert (why == "") == runs
    if not runs:
        assert f"compute capability {capability[0]}.{capability[1]}" in why and architectures[0] in why


def test_a_gpu_without_kernels_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, computes_bfloat16=False, name="Tesla P100-PCIE-16GB", capability=(6, 0))
    with pytest.raises(UserError, match=r"Tesla P100.*no kernels for compute capability 6\.0.*CUDA_VISIBLE_DEVICES"):
        devices.device()
    gpu(monkeypatch, computes_bfloat16=False)
    assert devices.device() == torch.device("cuda", 0)


def test_a_model_goes_where_it_is_computed_and_one_that_was_laid_out_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "device", lambda: torch.device("meta"))
    assert place(nn.Linear(2, 2)).weight.device.type == "meta"
    for name, value in {"hf_device_map": {"": 0}, "is_quantized": True}.items():
        laid_out = nn.Linear(2, 2)
        setattr(laid_out, name, value)
        assert place(laid_out).weight.device.type == "cpu"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_memory_ends_in_many_words(error: BaseException) -> None:
    assert is_out_of_memory(error)


def test_memory_of_a_gpu_is_given_back_once_nothing_refers_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr("gc.collect", lambda: done.append("collected"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append("emptied"))
    release()
    assert done == ["collected"]  # and no GPU is opened for it
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    release()
    assert done[1:] == ["collected", "emptied"]


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: an illegal memory access"), ValueError("out of memory")])
def test_another_error_is_none_of_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error)
