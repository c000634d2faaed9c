"""The recipes that a new workspace starts with: the shipped ones, as the task needs them."""

from __future__ import annotations

import tomllib
from pathlib import Path

from compete.competition.task import KINDS, TaskName, are_probabilities

FOLDERS = ("base_models", "stacking")
# Families that answer with a label or grade, of which there is none where any number may be right.
_NOT_OF_NUMBERS = ("label_generator",)

# Of numbers and grades, in place of the shipped stacks, which are of probabilities.
_OF_NUMBERS = {
    "mean": """\
# The plain mean of the base models: what every other stack has to beat.
method = "mean"
description = "mean of the base models"
""",
    "blend": """\
# A weighted mean: models are added one after the other, each time the one that raises the score most.
method = "blend"
description = "greedy weighted mean"
per = "competition"   # or "label": weights of its own for every target
# negative = true   # a model may also be taken away
""",
    "ridge": """\
# One linear regression per target over the base models' numbers for all targets.
method = "ridge"
description = "ridge regression over all numbers"
alpha = [1.0, 10.0, 100.0]   # strength of the penalty; the best is chosen inside, without the rows that are scored
""",
    "lightgbm": """\
# Small trees that learn what the mean of the base models misses; how many is chosen on an inner slice.
method = "lightgbm"
description = "LightGBM over all numbers"
row_features = true   # also length, punctuation, emoji, hashtags of the text
""",
    "second_level": """\
# A weighted mean of the other stacks.
method = "blend"
description = "greedy weighted mean of stacks"
stacks = ["blend", "ridge", "lightgbm"]
""",
}


def starter_recipes(shipped: Path, task: TaskName) -> dict[str, bytes]:
    """Contents of the recipes by their place in the workspace, as "stacking/mean.toml".

    shipped: the folder that holds base_models/ and stacking/. What the task would refuse is not among them.
    """
    found = {
        f"{folder}/{file.name}": file.read_bytes()
        for folder in FOLDERS
        for file in sorted((shipped / folder).glob("*.toml"))
    }
    if are_probabilities(KINDS[task]):
        return found
    base = {name: content for name, content in found.items() if name.startswith(FOLDERS[0])}
    if task == "regression":
        base = {name: content for name, content in base.items() if _family(content) not in _NOT_OF_NUMBERS}
    return {**base, **{f"{FOLDERS[1]}/{name}.toml": text.encode() for name, text in _OF_NUMBERS.items()}}


def _family(recipe: bytes) -> object:
    return tomllib.loads(recipe.decode("utf-8")).get("family")
