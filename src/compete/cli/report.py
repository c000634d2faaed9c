"""compete report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compete.cli.options import SizeOption


def command(
    folder: Annotated[
        Path | None, typer.Option(file_okay=False, help="Where to write it; default: report/ in the workspace.")
    ] = None,
    size: SizeOption = None,
) -> None:
    """Write report/index.html, one page that needs no network, and every figure as PNG and SVG."""
    from compete.cli.opening import console, here, say
    from compete.workflows.report import report

    workspace, out = here(size), console()
    with out.status("reading the workspace") as status:
        written = report(workspace, folder, say=say, progress=lambda fraction, doing: status.update(doing))
    out.print(
        f"{workspace.shown(written.page)}: {written.megabytes:.1f} MB, {written.figures} figures beside it as PNG and "
        "SVG",
        markup=False,
        soft_wrap=True,
    )
