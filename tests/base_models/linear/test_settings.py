from __future__ import annotations

import pytest
from pydantic import ValidationError

from compete.base_models.linear.settings import LinearSettings


def test_settings_without_features_are_refused() -> None:
    with pytest.raises(ValidationError, match="both empty"):
        LinearSettings(word_ngrams=(), char_ngrams=())
    for lengths in [(3, 1), (2,), (0, 1), (1, 2, 3)]:
        with pytest.raises(ValidationError, match="shortest"):
            LinearSettings(word_ngrams=lengths)
