"""What saves time and memory on a GPU, on a miniature; skipped where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from compete.base_models.families import TOLERANCES
from compete.base_models.pretrained import computing
from compete.base_models.pretrained.adaptation import layers_of
from support import small_classifier

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]

UNSEEN = ["such a sunny day", "rotten", "", "a day, rotten and sunny", "sunny " * 20]


def fit(**more: Any) -> Any:
    fitted, _ = small_classifier.fit("miniature:llama", **{"adaptation": "lora", **more})
    return fitted


def in_float32(fitted: Any, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.float32]:
    """What whole weights give without mixed precision."""
    fitted.model.float()
    with monkeypatch.context() as patch:
        patch.setattr(computing, "mixed_in", lambda model, precision: "float32")
        found: NDArray[np.float32] = fitted.predict_proba(UNSEEN)
    return found


def test_predictions_in_mixed_precision_are_near_those_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = fit(precision="auto", adaptation="full")
    assert fitted.precision in ("bfloat16", "float16")
    mixed = fitted.predict_proba(UNSEEN)
    assert 0 < np.abs(mixed - in_float32(fitted, monkeypatch)).max() <= TOLERANCES[fitted.precision].most


@pytest.mark.skipif(not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0), reason="no bfloat16")
def test_a_base_in_bfloat16_takes_less_and_predicts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = fit(precision="bfloat16")
    assert torch.bfloat16 in {weight.dtype for weight in layers_of(fitted.model).parameters()}
    halved, held = fitted.predict_proba(UNSEEN), size(fitted.model)
    fitted.model.float()
    assert size(fitted.model) > held
    assert np.abs(fitted.predict_proba(UNSEEN) - halved).max() <= TOLERANCES["bfloat16"].most
    assert np.abs(in_float32(fitted, monkeypatch) - halved).max() <= TOLERANCES["bfloat16"].most


def size(model: Any) -> int:
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())


@pytest.mark.skipif(not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 0), reason="no TF32")
def test_products_in_tf32_are_near_those_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = fit(precision="tf32", adaptation="full")
    assert fitted.precision == "tf32"
    rounded = fitted.predict_proba(UNSEEN)
    assert np.abs(rounded - in_float32(fitted, monkeypatch)).max() <= TOLERANCES["tf32"].most
