"""A workspace as Python sees it: `compete.open(path)`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compete.competition.workspace import find_workspace
from compete.errors import UserError
from compete.reporting.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Opened(View):
    """What a workspace holds, as arrays, tables and figures; made by `compete.open`."""

    def figures(self) -> list[str]:
        """Names of the figures that this workspace can give."""
        from compete.reporting.figures.catalogue import catalogue

        return [picture.name for picture in catalogue(self).pictures]

    def figure(self, name: str, *, dark: bool = False) -> Figure:
        """One figure, to show in a notebook or to save."""
        from compete.reporting.figures.catalogue import catalogue
        from compete.reporting.figures.style import drawn

        found = {picture.name: picture for picture in catalogue(self).pictures}
        if name not in found:
            raise UserError(f"no figure is called {name!r}; there are: {', '.join(found) or 'none yet'}")
        return drawn(found[name].draw, dark=dark)

    def report(self, folder: Path | str | None = None) -> Path:
        """Write the report and every figure; the path of its index.html."""
        from compete.reporting.page.report import write_report

        return write_report(self, Path(folder) if folder else None)


def open_workspace(path: Path | str = ".", *, size: str | None = None) -> Opened:
    """The workspace in this folder, or in the nearest one above it; raises UserError if there is none.

    size: full, laptop or miniature, in place of competition.toml's.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(f"{path} is no folder")
    return Opened(find_workspace(folder.resolve(), size))
