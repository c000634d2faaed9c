"""What training one fold of a base model takes of a machine."""

from __future__ import annotations

from compete.base_models.recipes import Recipe
from compete.execution.jobs import Resources

# A pretrained model's training on a processor takes some gigabytes (`compete plan` says how many): bytes per job.
PRETRAINED_MEMORY = 8 * 10**9


def needs_of(recipe: Recipe, threads: int) -> Resources:
    """A GPU for a checkpoint of full size; what stands in for it on a laptop, or starts from nothing, takes none."""
    pretrained = recipe.needs.is_pretrained
    gpus = 1 if pretrained and recipe.size == "full" else 0
    return Resources(gpus, threads, PRETRAINED_MEMORY if pretrained else 0)
