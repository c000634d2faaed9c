"""Options that several commands share; imports nothing heavy."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Annotated, TextIO

import typer

# Where a command's one JSON document goes; None: none was asked for.
DOCUMENT: ContextVar[TextIO | None] = ContextVar("DOCUMENT", default=None)


@contextlib.contextmanager
def _for_the_document_alone() -> Iterator[None]:
    """Keep standard output for the document; all else, even what a user's own family prints, goes to standard error."""
    token = DOCUMENT.set(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        DOCUMENT.reset(token)


def _clear_the_way(context: typer.Context, wanted: bool) -> bool:
    if wanted:
        context.with_resource(_for_the_document_alone())
    return wanted


SizeOption = Annotated[
    str | None, typer.Option("--size", help="full, laptop or miniature, in place of competition.toml's.")
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        callback=_clear_the_way,
        help="Print one JSON document, in full precision, in place of tables; all else goes to standard error.",
    ),
]
