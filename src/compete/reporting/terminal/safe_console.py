"""A console on which no text acts: names and texts of strangers go through it on their way to the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from compete.printable import printable


class SafeConsole(Console):
    """Rich's, which passes on whatever escape sequence stands in a text, with them written out in its place."""

    def render_str(self, text: str, **how: Any) -> Text:
        """Before it is laid out, so that columns stay where they are."""
        return super().render_str(printable(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Whatever came another way; what rich itself tells the terminal, as to move the cursor, stays."""
        for segment in super().render(renderable, options):
            seen = segment.text if segment.control else printable(segment.text)
            yield segment if seen == segment.text else Segment(seen, segment.style)
