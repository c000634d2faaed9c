"""What mkdocs does to a page before it is built."""

from __future__ import annotations

import re
from typing import Any

# A link out of docs/ leads to a file of the repository, which is no page of the site: its words stay, as they are.
_OUT_OF_DOCS = re.compile(r"\[([^\]]+)\]\(\.\./(?!\.\.)[^)\s]*\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    if "/" in page.file.src_uri:
        return markdown  # `..` is a page of the site there
    return _OUT_OF_DOCS.sub(r"`\1`", markdown)
