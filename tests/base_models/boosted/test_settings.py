from __future__ import annotations

import pytest
from pydantic import ValidationError

from compete.base_models.boosted.settings import BoostedSettings


def test_lengths_of_ngrams_come_shortest_first_or_not_at_all() -> None:
    assert BoostedSettings(word_ngrams=(), char_ngrams=()).word_ngrams == ()
    for lengths in [(3, 1), (2,), (0, 1), (1, 2, 3)]:
        with pytest.raises(ValidationError, match="shortest"):
            BoostedSettings(char_ngrams=lengths)
