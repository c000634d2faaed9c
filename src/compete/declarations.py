"""Declarations: TOML files that a user writes, validated so that every problem is reported at once."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from compete.errors import DeclarationError


class Declaration(BaseModel):
    """Base of everything read from TOML: immutable, and no key passes unread."""

    model_config = ConfigDict(extra="forbid", frozen=True)


D = TypeVar("D", bound=BaseModel)
_MOST_BYTES = 4 * 2**20
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a declaration."""

    key: str
    """The dotted key it is at."""
    message: str
    """What to do about it."""


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; a syntax error names its line."""
    if path.exists() and not path.is_file():  # a pipe would never answer
        raise DeclarationError(f"{path} is no file")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DeclarationError(f"{path} has {path.stat().st_size:,} bytes, at most {_MOST_BYTES:,} are read")
        # Some editors begin a file with a byte order mark, which TOML does not know.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DeclarationError(f"{path} does not exist") from None
    except RecursionError:
        raise DeclarationError(f"{path} is not valid TOML: it is nested too deeply") from None
    except ValueError as error:  # of syntax, of letters, and of numbers with thousands of digits
        raise DeclarationError(f"{path} is not valid TOML: {error}") from None


def validate(model: type[D], raw: Mapping[str, Any], prefix: str = "") -> tuple[D | None, list[Problem]]:
    """The validated declaration, or None and every problem found, each under its dotted key."""
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        return None, [_problem(model, raw, dict(detail), prefix) for detail in error.errors()]


def refuse(path: Path, problems: Sequence[Problem]) -> None:
    """Raise one DeclarationError that lists all problems, if there are any."""
    if problems:
        lines = "\n".join(f"  {problem.key}: {problem.message}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise DeclarationError(f"{path}: {count}\n{lines}")


def to_toml(top: Mapping[str, object], tables: Mapping[str, Mapping[str, object]]) -> str:
    """A TOML file of text, numbers, booleans and lists of them; what is None is left out."""
    lines = _toml_lines(top)
    for title, table in tables.items():
        lines += ["", f"[{title}]", *_toml_lines(table)]
    return "\n".join(lines) + "\n"


def nested_toml(table: Mapping[str, Any], path: str = "", kind: str = "[{}]") -> str:
    """A TOML file of whatever `read_toml` reads but dates: tables within tables, and lists of tables."""
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    lists = {key: value for key, value in table.items() if _is_list_of_tables(value)}
    plain = {key: value for key, value in table.items() if key not in inner and key not in lists}
    lines = _toml_lines(plain)
    if path and (lines or not (inner or lists)):
        lines = ["", kind.format(path), *lines]
    parts = ["\n".join(lines)] if lines else []
    for key, value in inner.items():
        parts.append(nested_toml(value, _dotted(path, key)).rstrip("\n"))
    for key, each in [(key, each) for key, values in lists.items() for each in values]:
        parts.append(nested_toml(each, _dotted(path, key), "[[{}]]").rstrip("\n"))
    return "\n".join(parts) + "\n"


def _is_list_of_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _dotted(path: str, key: str) -> str:
    return ".".join(filter(None, [path, key if _BARE.fullmatch(key) else _toml(key)]))


def _toml_lines(table: Mapping[str, object]) -> list[str]:
    written = {key: key if _BARE.fullmatch(key) else _toml(key) for key in table}
    return [f"{written[key]} = {_toml(value)}" for key, value in table.items() if value is not None]


def _toml(value: object) -> str:
    # JSON's strings and lists are TOML's, but for a sign that JSON does not escape.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name a user most probably meant, or None when nothing is close."""
    found = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return found[0] if found else None


def unknown_name(name: str, valid: Iterable[str]) -> str:
    """'did you mean ...? (known: ...)' for a name that is not among the valid ones."""
    names = sorted(valid)
    guess = nearest(name, names)
    hint = f"did you mean {guess!r}? " if guess else ""
    return f"{hint}(known: {', '.join(names) or 'none'})"


def _problem(model: type[BaseModel], raw: Mapping[str, Any], detail: dict[str, Any], prefix: str) -> Problem:
    *inside, last = detail["loc"] or ("",)
    location = [part for part in inside if isinstance(part, int) or not _is_union_branch(part)]
    # The key that is unknown may be called like a branch, which it is none of.
    if detail["type"] == "extra_forbidden" or isinstance(last, int) or not _is_union_branch(last):
        location.append(last)
    key = (prefix + ".".join(str(part) for part in location)).rstrip(".")
    if detail["type"] == "extra_forbidden":
        owner = _model_at(model, location[:-1])
        valid = list(owner.model_fields) if owner else []
        return Problem(key, f"unknown key; {unknown_name(str(location[-1]), valid)}")
    if detail["type"] == "missing":
        return Problem(key, "is required and missing")
    found = _shown(detail.get("input"))
    if detail["type"] == "literal_error":
        allowed = _literal_values(model, [part for part in location if isinstance(part, str)])  # of a list's items, too
        guess = nearest(str(detail.get("input")), allowed)
        hint = f"; did you mean {guess!r}?" if guess else ""
        return Problem(key, f"found {found}, allowed: {', '.join(allowed)}{hint}")
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    return Problem(key, f"found {found}, {message}")


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _is_union_branch(part: str) -> bool:
    """pydantic names the branch of a union it tried ('str', 'list[str]') as if it were a key."""
    return part in {"str", "int", "float", "bool"} or "[" in part


def _model_at(model: type[BaseModel], location: Sequence[int | str]) -> type[BaseModel] | None:
    """The declaration class that a dotted key leads into."""
    for part in location:
        if isinstance(part, int) or part not in model.model_fields:
            return None
        annotation = model.model_fields[part].annotation
        inner = [t for t in (annotation, *get_args(annotation)) if isinstance(t, type) and issubclass(t, BaseModel)]
        if not inner:
            return None
        model = inner[0]
    return model


def _literal_values(model: type[BaseModel], location: Sequence[str]) -> list[str]:
    owner = _model_at(model, location[:-1])
    field = owner.model_fields.get(location[-1]) if owner else None
    values: list[str] = []
    pending: list[Any] = [field.annotation] if field else []
    while pending:
        annotation = pending.pop(0)
        for argument in get_args(annotation):
            if isinstance(argument, (str, int, float)):
                values.append(str(argument))
            else:
                pending.append(argument)
    return values
