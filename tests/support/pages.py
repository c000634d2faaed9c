"""The documentation as its tests see it: pages, and the fenced blocks on them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

_NAMED = re.compile(r"# (\S+\.(?:py|toml))$")
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line of its first line, its language and what is in it."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{shown(self.page)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the block is, where its first line is a comment that names one."""
        found = _NAMED.match(self.text.split("\n")[0])
        return found.group(1) if found else None

    def commands(self) -> list[list[str]]:
        """The words of every command line; comments and a prompt are left out."""
        lines = (line.removeprefix("$ ") for line in self.text.splitlines())
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def shown(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> Iterator[Block]:
    """Every fenced block of a page, in order."""
    language, start, lines = None, 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.startswith("```"):
            lines.append(line)
        elif language is None:
            language, start, lines = line.removeprefix("```").strip(), number + 1, []
        else:
            yield Block(page, start, language, "\n".join(lines) + "\n")
            language = None
    assert language is None, f"{shown(page)}: the block at line {start} is not closed"


def spans_of(page: Path) -> Iterator[str]:
    """What stands between single backticks outside of the blocks, each on one line."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for paragraph in prose.split("\n\n"):
        yield from (" ".join(span.split()) for span in _SPAN.findall(paragraph))
