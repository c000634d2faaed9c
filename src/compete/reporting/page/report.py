"""The report: one self-contained HTML page, and every figure beside it as PNG and SVG."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jinja2
from markupsafe import Markup

import compete
from compete import atomic
from compete.printable import printable
from compete.progress import Progress, unseen
from compete.reporting.figures.catalogue import Catalogue, catalogue
from compete.reporting.figures.picture import Picture
from compete.reporting.figures.style import css_variables, drawn, png, svg, themed
from compete.reporting.page.hard_rows import HardRows, hard_rows
from compete.reporting.page.sections import PageFigure, facts, sections_of
from compete.reporting.view import View

PAGE, FIGURES = "index.html", "figures"


def write_report(view: View, folder: Path | None = None, progress: Progress = unseen) -> Path:
    """Write index.html and figures/*.png, *.svg into `folder`, by default report/ in the workspace; the page's path.

    Figures of an earlier report that are no longer there are removed. The page is written last.
    """
    folder = view.workspace.report if folder is None else folder
    atomic.sweep_dead(folder)
    found = catalogue(view)
    figures, earlier = folder / FIGURES, _drawn_earlier(folder / PAGE)
    drawings = {}
    for number, picture in enumerate(found.pictures):
        progress(number / len(found.pictures), f"figure {number + 1} of {len(found.pictures)}")
        drawings[picture.name] = _write_figure(figures, picture)
    for name in earlier.difference(drawings):
        (figures / f"{name}.png").unlink(missing_ok=True)
        (figures / f"{name}.svg").unlink(missing_ok=True)
    # Until the new page is there, the earlier one still tells which figures are compete's to remove.
    page = render_page(view, found, drawings)
    atomic.write_text(folder / PAGE, page)
    return folder / PAGE


def _write_figure(folder: Path, picture: Picture) -> PageFigure:
    figure = drawn(picture.draw)
    text = svg(figure, picture.name)
    figure.set_layout_engine("none")  # it is laid out now; to do it again would take a quarter of the time
    atomic.write_bytes(folder / f"{picture.name}.png", png(figure))
    atomic.write_text(folder / f"{picture.name}.svg", text)
    return PageFigure(picture.name, picture.title, picture.caption, Markup(themed(text)))


def _drawn_earlier(page: Path) -> set[str]:
    """Names of the figures of an earlier report; what else lies in the folder is not compete's to remove."""
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return set()
    names = (unquote(link) for link in re.findall(r'<a href="figures/([^"]+)\.svg">', text))
    return {name for name in names if "/" not in name}


def render_page(view: View, found: Catalogue, drawings: dict[str, PageFigure]) -> str:
    """The whole page, nothing outside of it needed."""
    hard = hard_rows(view, view.chosen) if view.chosen else None
    templates = resources.files("compete.reporting.page") / "templates"
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_seen,
    )
    template = environment.from_string((templates / "report.html").read_text(encoding="utf-8"))
    return template.render(
        title=view.name,
        metric=view.competition.metric.title,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=compete.__version__,
        facts=facts(view),
        sections=sections_of(view, found, drawings),
        hard=hard,
        hard_json=Markup(_json_for_script(_rows_of(hard))) if hard else None,
        light=Markup(css_variables(dark=False)),
        dark=Markup(css_variables(dark=True)),
        style=Markup((templates / "report.css").read_text(encoding="utf-8")),
        script=Markup((templates / "report.js").read_text(encoding="utf-8")),
    )


def _seen(value: object) -> object:
    """What a template puts on the page: a text with what acts in place of being seen written out, markup as it is."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _rows_of(hard: HardRows) -> dict[str, Any]:
    told = {"labels": list(hard.labels), "models": hard.models, "ids": hard.ids, "texts": hard.texts, "rows": hard.rows}
    return {**told, "kind": hard.kind, "ranges": hard.ranges}


def _json_for_script(value: object) -> str:
    """JSON that no text in it can break out of a script element with."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
