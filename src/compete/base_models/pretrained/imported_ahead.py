"""What a process imports from which jobs of pretrained models are forked (`Family.imports`).

Beside the libraries themselves, a table that transformers makes out of a thousand regular expressions on the first
checkpoint that it opens: a quarter of a second in every process, twice per fold.
"""

from __future__ import annotations

import contextlib

import peft  # noqa: F401 - to have been imported

with contextlib.suppress(ImportError, AttributeError):  # where a version has no such table, nothing is lost
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    get_checkpoint_conversion_mapping("llama")
