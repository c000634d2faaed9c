from __future__ import annotations

import pytest

from support.small_classifier import fit

pytestmark = pytest.mark.slow


def test_a_miniatures_tokenizer_is_trained_on_the_training_texts_only() -> None:
    model, _ = fit("miniature:distilbert")
    words = model.tokenizer.get_vocab()
    assert "sunny" in words
    assert "mood" not in words
