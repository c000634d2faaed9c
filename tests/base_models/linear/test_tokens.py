from __future__ import annotations

from compete.base_models.linear.tokens import tokenise


def test_tokens_keep_what_carries_feeling() -> None:
    assert tokenise("@Ann SOOOO happy!! #Joy &lt;3 :-) 😂😂 don’t") == [
        *("@user", "soo", "happy", "!", "!", "#joy", "joy", "<3", ":-)", "😂", "😂", "don't")
    ]
