"""The report as a parser reads it: elements, tables by their titles, and the rows of the error table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import compete
from compete.competition.workspace import Workspace
from compete.reporting.figures.catalogue import Catalogue
from compete.reporting.page.report import render_page

MODEL_TABLE = "Every base model"
SCORE_TABLE = "Honest and naive score"
SUBMISSION_TABLE = "Every submission"


@dataclass
class ReportPage(HTMLParser):
    """elements: tag and attributes; tables: rows of cells under the title above them, headers first."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    sections: dict[str, str] = field(default_factory=dict)  # id -> everything that is written in it
    headings: dict[str, list[str]] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._section, self._title, self._inside = "", "", list[str]()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.elements.append((tag, found))
        if tag == "section":
            self._section = found["id"]
        elif tag in ("h1", "h2", "h3", "title", "text"):
            self.headings.setdefault(tag, []).append("")
        elif tag == "table":
            self.tables[found.get("id", self._title)] = []
        elif tag == "tr" and self.tables:
            self._rows().append([])
        elif tag in ("td", "th"):
            self._rows()[-1].append("")
        elif tag == "script":
            self.scripts.append("")
        self._inside.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        self._inside.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag == "h3":
            self._title = self.headings["h3"][-1]
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        inside = self._inside[-1] if self._inside else ""
        if inside == "script":
            self.scripts[-1] += data
            return
        if inside == "style":
            return
        self.words.append(data)
        self.sections[self._section] = self.sections.get(self._section, "") + data
        for tag in ("h1", "h2", "h3", "title", "text"):
            if tag in self._inside:
                self.headings[tag][-1] += data
        if "td" in self._inside or "th" in self._inside:
            self._rows()[-1][-1] += data

    def _rows(self) -> list[list[str]]:
        return self.tables[next(reversed(self.tables))]

    def count(self, tag: str) -> int:
        return sum(found == tag for found, _ in self.elements)

    def row(self, title: str, name: str) -> dict[str, str]:
        """The row of a table that begins with `name`, by column."""
        header, *rows = self.tables[title]
        return dict(zip(header, next(row for row in rows if row[0] == name), strict=True))

    def hard_rows(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(next(text for text in self.scripts if text.lstrip().startswith("{")))
        return found


def read_page(page: Path | str) -> ReportPage:
    """From a file, or from what would be written into one."""
    found = ReportPage()
    found.feed(page.read_text(encoding="utf-8") if isinstance(page, Path) else page)
    found.close()
    return found


def without_figures(workspace: Workspace, size: str | None = None) -> ReportPage:
    """The page of today; drawing is what takes its time."""
    return read_page(render_page(compete.open(workspace.root, size=size), Catalogue(), {}))
