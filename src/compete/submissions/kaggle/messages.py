"""The message that goes with a submission; its tag finds the submission again in Kaggle's list."""

from __future__ import annotations

import re
import secrets

from compete.score_text import score_text


def new_message(title: str, metric: str, validation: float | None) -> str:
    """Recipe, honest score and a tag that no other submission carries."""
    score = "" if validation is None else f", honest {metric} {score_text(validation)}"
    return f"[{secrets.token_hex(4)}] {title}{score}"


def tag_of(message: str) -> str:
    """The tag of a message, or "\\0", which is in no message, if it has none."""
    found = re.search(r"\[[0-9a-f]{8}\]", message)
    return found.group() if found else "\0"
