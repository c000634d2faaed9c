"""Allow the competition's own metric, a Python file of the workspace, to run here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compete.allowed_code import allow as remember
from compete.allowed_code import allowed_files
from compete.competition.declaration import read_declaration
from compete.competition.workspace import Workspace
from compete.errors import UserError


@dataclass(frozen=True)
class Allowed:
    """What may run from now on."""

    file: Path
    remembered_in: Path


def allow(workspace: Workspace) -> Allowed:
    """Of the metric's file as it is now; raises UserError where there is none, or it cannot be remembered."""
    declared = read_declaration(workspace).own_metric
    if declared is None:
        raise UserError("competition.toml names no metric of the workspace's own: there is nothing to allow")
    file = workspace.root / declared[0]
    remember(file)
    return Allowed(file, allowed_files())
