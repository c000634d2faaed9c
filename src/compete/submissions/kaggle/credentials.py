"""Which credentials Kaggle's client will use, and where they lie; it prints neither, and neither do we.

The client looks in this order (kaggle 2.2.4, `KaggleApi.authenticate`): an access token, then user name and key,
then the login of `kaggle auth login`. A token is sent even after Kaggle refused it.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from compete.environments import KAGGLE_SECRETS

HELP = (
    "make a token on https://www.kaggle.com/settings (section API) and put it into ~/.kaggle/access_token "
    "or the variable KAGGLE_API_TOKEN"
)


@dataclass(frozen=True)
class Credentials:
    """What the client could log in with."""

    kind: str
    """As a message names them."""
    place: str
    """The variable or file."""
    secrets: tuple[str, ...] = field(repr=False)
    """Never shown, for `redacted`."""


def find_credentials(environment: Mapping[str, str], home: Path) -> list[Credentials]:
    """Everything the client could log in with, in the order in which it tries them; the first wins."""
    return [*_tokens(environment, home), *_name_and_key(environment, home), *_login(home)]


def redacted(text: str, environment: Mapping[str, str], home: Path) -> str:
    """The text without any of the user's secrets, and without passwords in addresses."""
    secrets = {secret for found in find_credentials(environment, home) for secret in found.secrets}
    secrets |= {environment[name] for name in KAGGLE_SECRETS if environment.get(name)}
    # The longest first: a secret that is part of another one would leave the rest of that readable.
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > 3:  # shorter ones are nobody's secret, and would tear every text apart
            text = text.replace(secret, "***")
    return re.sub(r"(\w+://)[^/\s]*@", r"\1***@", text)


def _tokens(environment: Mapping[str, str], home: Path) -> Iterator[Credentials]:
    if environment.get("KAGGLE_KERNEL_RUN_TYPE") and environment.get("KAGGLE_API_V1_TOKEN"):
        yield from _token_file(Path(environment["KAGGLE_API_V1_TOKEN"]), "the notebook's own token")
    value = environment.get("KAGGLE_API_TOKEN")
    if value:
        try:
            is_path = Path(value).exists()
        except OSError:  # too long for a file name
            is_path = False
        if is_path:
            yield from _token_file(Path(value), "the file that KAGGLE_API_TOKEN names")
            return  # the client looks no further for a token, even if that file is empty
        yield Credentials("access token", "the variable KAGGLE_API_TOKEN", (value,))
    for name in ("access_token", "access_token.txt"):
        yield from _token_file(home / ".kaggle" / name, f"~/.kaggle/{name}")


def _token_file(path: Path, place: str) -> Iterator[Credentials]:
    token = _text(path).strip()
    if token:
        yield Credentials("access token", place, (token,))


def _name_and_key(environment: Mapping[str, str], home: Path) -> Iterator[Credentials]:
    path = _config_folder(environment, home) / "kaggle.json"
    stored = _json(path)
    name = environment.get("KAGGLE_USERNAME") or stored.get("username")
    key = environment.get("KAGGLE_KEY") or stored.get("key")
    if not name or not key:
        return
    shown = f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
    variables = [variable for variable in ("KAGGLE_USERNAME", "KAGGLE_KEY") if environment.get(variable)]
    place = f"the variables {' and '.join(variables)}" if len(variables) == 2 else shown
    if len(variables) == 1:
        place = f"{shown} and the variable {variables[0]}, which goes before it"
    sent = base64.b64encode(f"{name}:{key}".encode()).decode()  # in the header of every request
    secrets = {str(each) for each in (key, stored.get("key"), sent) if each}
    yield Credentials("user name and key", place, tuple(sorted(secrets)))


def _config_folder(environment: Mapping[str, str], home: Path) -> Path:
    if environment.get("KAGGLE_CONFIG_DIR"):
        return Path(environment["KAGGLE_CONFIG_DIR"])
    if (home / ".kaggle").exists() or os.name == "nt":
        return home / ".kaggle"
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "kaggle"


def _login(home: Path) -> Iterator[Credentials]:
    stored = _json(home / ".kaggle" / "credentials.json")
    if stored.get("refresh_token"):
        secrets = tuple(str(stored[name]) for name in ("refresh_token", "access_token") if stored.get(name))
        yield Credentials("login", "~/.kaggle/credentials.json", secrets)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(_text(path))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
