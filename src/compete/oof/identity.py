"""Whether a result is still what would be made now: rows, fold plan, recipe, and the checkpoint it starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compete.base_models.checkpoint_files import Checkpoint
from compete.fingerprints import differences

# What a checkpoint is called, and where it lies.
_NAMED = ("settings.checkpoint", "settings.revision")


def changes_since(record: Mapping[str, Any], identity: Mapping[str, str], checkpoint: str = "") -> list[str]:
    """What differs between what a stored record was made from and what is there now, in sentences.

    checkpoint: hash of its files; empty where they are not on this machine, which is no difference. Where both hashes
    are known they alone count: the same files may be fetched by name on one machine and lie in a folder on another.
    """
    then, made = dict(record["identity"]), files_of(record)
    now, found = {"size": "full", **identity}, []
    then = {"size": "full", **then}  # the full size goes without saying
    if made and checkpoint:
        then, now = ({k: v for k, v in each.items() if k not in _NAMED} for each in (then, now))
        found = ["the checkpoint's files changed"] if made != checkpoint else []
    return [*found, *differences(then, now)]


def files_of(record: Mapping[str, Any]) -> str:
    """The hash of the checkpoint's files that a record was made from; empty where it is not known, or there is none."""
    return str(record.get("checkpoint", {}).get("files", ""))


def hash_of_files(checkpoint: Checkpoint | None) -> str:
    return "" if checkpoint is None else checkpoint.files
