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
    from compete.reporting.page.report import write_report
    from compete.reporting.view import View

    workspace = here(size)
    view = View(workspace)
    for warning in view.competition.warnings:
        say(f"warning: {warning}")
    out = console()
    with out.status("reading the workspace") as status:
        page = write_report(view, folder, lambda done, of: status.update(f"figure {done + 1} of {of}"))
    figures = page.read_text(encoding="utf-8").count("<figure ")
    megabytes = page.stat().st_size / 1e6
    out.print(
        f"{workspace.shown(page)}: {megabytes:.1f} MB, {figures} figures beside it as PNG and SVG",
        markup=False,
        soft_wrap=True,
    )
