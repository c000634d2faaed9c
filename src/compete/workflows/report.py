"""Write the report: one page that needs no network, and every figure as PNG and SVG."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compete.competition.workspace import Workspace
from compete.errors import UserError
from compete.progress import Progress, unseen
from compete.reporting.page.report import write_report
from compete.reporting.view import View
from compete.workflows.session import Say, silent


@dataclass(frozen=True)
class WrittenReport:
    """What was written."""

    page: Path
    figures: int

    @property
    def megabytes(self) -> float:
        """Size of the page, 10^6 bytes."""
        return self.page.stat().st_size / 1e6


def report(
    workspace: Workspace, folder: Path | None = None, *, say: Say = silent, progress: Progress = unseen
) -> WrittenReport:
    """folder: default: report/ in the workspace."""
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: the report needs a folder")
    view = View(workspace)
    for warning in view.competition.warnings:
        say(f"warning: {warning}")
    page = write_report(view, folder, progress)
    return WrittenReport(page, page.read_text(encoding="utf-8").count("<figure "))
