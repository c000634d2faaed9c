"""Options that several commands share; imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

import typer

SizeOption = Annotated[
    str | None, typer.Option("--size", help="full, laptop or miniature, in place of competition.toml's.")
]
