"""What a checkpoint's own files want before a text that is to be classified; light, for plans ask it too."""

from __future__ import annotations

from pathlib import Path

from compete.stored_json import read_json

# How sentence-transformers' files call a prompt for what is done here; the first that is there counts.
_NAMES = ("multilabelclassification", "classification")


def prompt_in(file: Path) -> str:
    """The prompt for classification; empty where the file has none. Raises OSError or ValueError for a damaged file."""
    said = read_json(file)
    prompts = said.get("prompts") if isinstance(said, dict) else said
    if prompts is not None and not isinstance(prompts, dict):
        raise ValueError("prompts should be a table of names and texts")
    named = {str(key).lower(): str(prompt) for key, prompt in (prompts or {}).items()}
    return next((named[key] for key in _NAMES if key in named), "")
