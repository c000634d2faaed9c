"""Tiny workspaces whose models can be kept, and so packed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compete.competition.workspace import Workspace
from conftest import build_workspace
from support.lived_in import build_stacks, train_models, write_linear_models

FFNN = 'family = "ffnn"\n[settings]\nembedding_size = 8\nhidden = [8]\nepochs = 1\nmembers = 2\n'


def keeping(root: Path, *more: tuple[str, str]) -> Workspace:
    """A workspace of linear, nbsvm and other recipes, in two folds."""
    workspace = build_workspace(root, models=())
    write_linear_models(workspace)
    for name, recipe in more:
        (workspace.recipes / f"{name}.toml").write_text(recipe, encoding="utf-8")
    text = workspace.declaration.read_text(encoding="utf-8").replace("k = 3", "k = 2")
    workspace.declaration.write_text(f"{text}\n[training]\nkeep_weights = true\n", encoding="utf-8")
    return workspace


def trained(root: Path, *more: tuple[str, str], stacks: Sequence[str] = ()) -> Workspace:
    workspace = keeping(root, *more)
    train_models(workspace)
    build_stacks(workspace, stacks)
    return workspace
