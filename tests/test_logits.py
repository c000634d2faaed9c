from __future__ import annotations

import numpy as np
import pytest

from compete.logits import EPSILON, logits, sigmoid


def test_logits_are_finite_and_clipped_at_both_ends() -> None:
    found = logits(np.array([0.0, EPSILON / 10, 0.5, 0.75, 1 - EPSILON / 10, 1.0]))
    end = np.log(EPSILON) - np.log1p(-EPSILON)
    assert found.dtype == np.float32
    assert found[:4].tolist() == pytest.approx([end, end, 0.0, np.log(3)], rel=1e-6)
    assert found[4:].tolist() == pytest.approx([-end, -end], rel=1e-6)


def test_logits_of_float32_stay_exact_near_one() -> None:
    one = np.float32(1)
    near_one = np.array([one, np.nextafter(one, np.float32(0)), one - np.float32(2e-6)], dtype=np.float32)
    found = logits(near_one)
    assert found[0] == found[1]  # 1 - 6e-8 is beyond the clip
    assert found[2] == pytest.approx(-np.log(2e-6), abs=0.02)


def test_the_sigmoid_undoes_logits_and_never_overflows() -> None:
    probabilities = np.array([EPSILON, 0.001, 0.5, 0.75, 1 - EPSILON])
    assert sigmoid(logits(probabilities)) == pytest.approx(probabilities, rel=1e-6)
    assert sigmoid(np.array([-1e6, -800.0, 0.0, 800.0, 1e6])).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert sigmoid(np.array([0.5], dtype=np.float32)).dtype == np.float64
