"""Which rows a student learns from, and what each counts."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from compete.base_models.pseudo_labels import PseudoLabels, confidence, soft_rows


def _declared(**more: object) -> PseudoLabels:
    return PseudoLabels.model_validate({"teachers": ["a"], **more})


def test_confidence_by_hand() -> None:
    labels = np.array([[0.5, 0.5], [1.0, 0.0], [0.9, 0.5]], dtype=np.float32)
    np.testing.assert_allclose(confidence(labels, "labels"), [0, 1, 0.4], atol=1e-6)
    classes = np.array([[1 / 3, 1 / 3, 1 / 3], [1, 0, 0], [0.6, 0.2, 0.2]], dtype=np.float32)
    np.testing.assert_allclose(confidence(classes, "classes"), [0, 1, 0.4], atol=1e-6)
    np.testing.assert_array_equal(confidence(np.array([[3.0], [-2.0]], dtype=np.float32), "numbers"), [1, 1])


def test_the_surest_share_is_taken_in_the_order_of_the_rows_and_weighs_by_confidence() -> None:
    targets = np.array([[0.9], [0.5], [0.0], [0.7]], dtype=np.float32)
    rows = soft_rows(_declared(share=0.5, weight=2.0), ["a", "b", "c", "d"], targets, "labels")
    assert rows.texts == ["a", "c"]
    np.testing.assert_array_equal(rows.targets, targets[[0, 2]])
    np.testing.assert_allclose(rows.weights, [1.6, 2.0], atol=1e-6)
    alike = soft_rows(_declared(share=0.5, weight=2.0, by_confidence=False), list("abcd"), targets, "labels")
    np.testing.assert_array_equal(alike.weights, [2, 2])


def test_a_share_of_next_to_nothing_is_one_row() -> None:
    rows = soft_rows(_declared(share=0.01), ["a", "b"], np.array([[0.5], [0.6]], dtype=np.float32), "labels")
    assert rows.texts == ["b"]


@pytest.mark.parametrize(
    "wrong", [{"teachers": []}, {"teachers": ["a", "a"]}, {"share": 0}, {"weight": 0}, {"row": "x"}]
)
def test_what_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _declared(**wrong)
