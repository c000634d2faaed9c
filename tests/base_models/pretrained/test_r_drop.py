"""R-drop: the divergence of two passes, and the same as without where two passes say the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, kl_divergence

from compete.base_models.classifier.family import SequenceClassifier
from compete.base_models.pretrained.r_drop import r_drop, symmetric_divergence
from support.small_classifier import settings
from support.task_posts import task_context, task_posts

ONE = torch.tensor([[2.0, -1.0, 0.5], [-3.0, 0.5, 0.0]])
OTHER = torch.tensor([[1.0, 0.0, 0.5], [-2.0, 1.5, 4.0]])


def test_the_divergence_of_classes_by_hand() -> None:
    # Odds of 3 to 1, and of 1 to 1: KL(p | q) = 0.75 log 1.5 + 0.25 log 0.5, KL(q | p) = 0.5 log(2/3) + 0.5 log 2.
    one, other = torch.log(torch.tensor([[0.75, 0.25]])), torch.log(torch.tensor([[0.5, 0.5]]))
    expected = (0.75 * np.log(1.5) + 0.25 * np.log(0.5) + 0.5 * np.log(2 / 3) + 0.5 * np.log(2)) / 2
    assert float(symmetric_divergence(one, other, "classes")) == pytest.approx(expected, rel=1e-5)
    label = torch.tensor([[np.log(3.0)]])  # the same as a label, 0.75 against 0.5
    assert float(symmetric_divergence(label, torch.zeros(1, 1), "labels")) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["labels", "classes"])
def test_the_divergence_is_that_of_torch_averaged_as_losses_are(kind: Any) -> None:
    make: Any = Bernoulli if kind == "labels" else Categorical
    p, q = make(logits=ONE), make(logits=OTHER)
    expected = (kl_divergence(p, q) + kl_divergence(q, p)).mean() / 2
    torch.testing.assert_close(symmetric_divergence(ONE, OTHER, kind), expected)
    assert symmetric_divergence(ONE, ONE, kind) == 0


def test_losses_are_averaged_and_the_divergence_is_weighted() -> None:
    passes = iter([ONE, OTHER])

    def loss(raw: Tensor) -> Tensor:
        return raw.sum()

    found = r_drop(lambda: next(passes), loss, "labels", 0.7)
    expected = (ONE.sum() + OTHER.sum()) / 2 + 0.7 * symmetric_divergence(ONE, OTHER, "labels")
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_without_dropout_it_changes_nothing_and_with_dropout_it_does(task: Any) -> None:
    texts, targets = task_posts(task, 48)

    def fit(**more: Any) -> Any:
        family = SequenceClassifier(settings("miniature:distilbert", **more))
        return family.fit(texts, targets, task_context(task)).predict_proba(texts)

    np.testing.assert_allclose(fit(r_drop=1.0), fit(), atol=1e-6)
    dropped: dict[str, Any] = {"adaptation": "lora", "lora": {"dropout": 0.4}}
    assert np.abs(fit(r_drop=1.0, **dropped) - fit(**dropped)).max() > 1e-5
