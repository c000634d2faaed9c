from __future__ import annotations

import pytest
from pydantic import ValidationError

from support.generators import settings


def test_prompt_and_slot_have_to_name_the_text_and_the_label() -> None:
    wrong = {
        "prompt": ("no field", "{text} {text}", "{text} {mood}", "{text} {", "{label} {text}"),
        "slot": ("no field:", "{label} {text}"),
    }
    for key, templates in wrong.items():
        for template in templates:
            with pytest.raises(ValidationError, match=key):
                settings("qwen2", **{key: template})
