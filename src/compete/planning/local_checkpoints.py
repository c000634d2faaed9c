"""Where a checkpoint lies on this machine: in a folder the user named, or in the hub's cache. Fetches nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import constants, try_to_load_from_cache

from compete.base_models.checkpoint_files import weight_files
from compete.base_models.embeddings.prompts import prompt_in
from compete.base_models.embeddings.settings import EmbeddingsSettings
from compete.base_models.pretrained.settings import PROMPTS, CheckpointSettings
from compete.base_models.recipes import Recipe
from compete.errors import UserError
from compete.stored_json import read_json

_USUAL_PROMPT = "task: classification | query: "


def is_on_machine(recipe: Recipe) -> bool:
    """Whether the checkpoint's weights lie in a local folder or, all of them, in the hub's cache."""
    return recipe.folder is not None or _cached_weights(_settings(recipe)) is not None


def hub_cache() -> tuple[Path, int]:
    """Where the hub's files are kept, and the bytes that are free there."""
    folder = Path(constants.HF_HUB_CACHE)
    # Nothing may have been downloaded yet, and only of a folder that exists can the free bytes be asked.
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return folder, shutil.disk_usage(existing).free


def configuration_of(recipe: Recipe) -> Mapping[str, Any] | None:
    """config.json of the folder or the cache, or what the recipe says of its checkpoint."""
    settings = _settings(recipe)
    folder = recipe.folder / "config.json" if recipe.folder is not None else None
    architecture = recipe.declaration.architectures.get(settings.checkpoint)
    if folder is not None and folder.is_file():
        found: Path | None = folder
    elif architecture is not None:
        return architecture.config
    else:
        found = _cached(settings, "config.json")
    if found is None:
        return None
    try:
        raw = read_json(found)
    except (OSError, ValueError) as error:
        raise UserError(f"{found}: cannot be read as a checkpoint's configuration ({error})") from None
    return raw if isinstance(raw, Mapping) and "model_type" in raw else None


def weight_bytes(recipe: Recipe) -> int | None:
    """Bytes of the checkpoint's weight files, where they are or as the recipe says; None if nothing tells."""
    if recipe.folder is not None:
        files: list[Path] | None = sorted(recipe.folder.glob("*.safetensors"))
    else:
        files = _cached_weights(_settings(recipe))
    if files:
        return sum(file.stat().st_size for file in files)
    architecture = recipe.declaration.architectures.get(_settings(recipe).checkpoint)
    return round(architecture.download_gb * 1e9) if architecture is not None else None


def tokenizer_of(recipe: Recipe) -> Any:
    """The checkpoint's tokenizer if it is on this machine and needs no code of its own."""
    settings = _settings(recipe)
    if recipe.folder is None and _cached(settings, "tokenizer.json") is None:
        return None
    # Seconds, which a plan of models without checkpoints does without.
    from transformers import AutoTokenizer

    from compete.base_models.pretrained.checkpoints import is_made_up

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(recipe.folder or settings.checkpoint),
            revision=settings.revision or None,
            local_files_only=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, ImportError, KeyError):
        return None  # training will say what is wrong with it; here an estimate stands in
    return None if recipe.folder is not None and is_made_up(tokenizer, recipe.folder) else tokenizer


def prompt_of(recipe: Recipe) -> str:
    """What texts are read behind; one as long as they usually are where only a checkpoint that is not here knows it."""
    said = getattr(_settings(recipe), "prompt", "")
    if said is not None or not isinstance(_settings(recipe), EmbeddingsSettings):
        return str(said or "")
    if not is_on_machine(recipe):
        return _USUAL_PROMPT
    file = recipe.folder / PROMPTS if recipe.folder is not None else _cached(_settings(recipe), PROMPTS)
    try:
        return "" if file is None or not file.is_file() else prompt_in(file)
    except (OSError, ValueError):
        return ""  # training will say what is wrong with it


def _settings(recipe: Recipe) -> CheckpointSettings:
    assert isinstance(recipe.settings, CheckpointSettings)
    return recipe.settings


def _cached(settings: CheckpointSettings, name: str) -> Path | None:
    if settings.checkpoint.count("/") > 1 or settings.checkpoint.startswith((".", "~", "/")):
        return None  # a path that is no folder: nothing the hub could hold
    found = try_to_load_from_cache(settings.checkpoint, name, revision=settings.revision or None)
    return Path(found) if isinstance(found, str) else None


def _cached_weights(settings: CheckpointSettings) -> list[Path] | None:
    """All weight files of the checkpoint in the hub's cache; None if any of them is missing."""
    single = _cached(settings, "model.safetensors")
    if single is not None:
        return [single]
    index = _cached(settings, "model.safetensors.index.json")
    if index is None:
        return None
    names = weight_files(index)
    if names is None:
        return None
    files = [_cached(settings, name) for name in names]
    return [file for file in files if file is not None] if all(files) else None
