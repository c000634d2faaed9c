"""The site: it builds without a warning, every page is in it, and it asks no other machine for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from mkdocs.utils.yaml import yaml_load

import generate
from support.pages import DOCS, ROOT

# What a browser fetches by itself; a link that the reader may follow is not among it.
FETCHED = {
    "link": ("href",),
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "object": ("data",),
    "use": ("href",),
}
NOT_FETCHED = {"canonical", "next", "prev"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


def declared() -> dict[str, Any]:
    settings: dict[str, Any] = yaml_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    return settings


def in_nav(entry: object) -> Iterator[str]:
    """Every page that mkdocs.yml lists, however deep."""
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, dict):
        yield from in_nav(list(entry.values()))
    elif isinstance(entry, list):
        for each in entry:
            yield from in_nav(each)


class Fetched(HTMLParser):
    """Addresses that a browser fetches to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") in NOT_FETCHED:
            return
        self.found += [value for name in FETCHED.get(tag, ()) if (value := given.get(name))]


def fetched_by(page: Path) -> list[str]:
    parser = Fetched()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.found


def is_elsewhere(address: str) -> bool:
    return bool(re.match(r"(?:[a-z]+:)?//", address))


def test_every_page_is_in_the_navigation_and_in_the_site(site: Path) -> None:
    listed = set(in_nav(declared()["nav"]))
    assert listed == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    for page in listed:
        assert (site / page).with_suffix(".html").is_file(), page
    for name in generate.command_names():
        assert f"commands/{name}.md" in listed


def test_no_page_asks_another_machine_for_anything(site: Path) -> None:
    for page in site.rglob("*.html"):
        addresses = fetched_by(page)
        assert addresses
        assert [address for address in addresses if is_elsewhere(address)] == [], page.name
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        loaded = re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s;]+)", text)
        assert [address for address in loaded if is_elsewhere(address)] == [], sheet.name


def test_what_a_page_fetches_is_there(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue  # its addresses begin at the root of the site
        for address in fetched_by(page):
            if not address.startswith("data:"):
                assert (page.parent / address.partition("#")[0].partition("?")[0]).is_file(), (page.name, address)


def test_the_check_sees_what_it_is_to_find(tmp_path: Path) -> None:
    """The control: without it, a check that finds nothing anywhere would pass."""
    page = tmp_path / "page.html"
    page.write_text(
        '<link rel="stylesheet" href="https://a.example/x.css"><script src="//b.example/y.js"></script>'
        '<a href="https://c.example">a link</a><img src="assets/z.png">',
        encoding="utf-8",
    )
    assert [is_elsewhere(address) for address in fetched_by(page)] == [True, True, False]


def test_it_has_a_search_and_both_palettes(site: Path) -> None:
    assert (site / "search" / "search_index.json").is_file()
    assert "search" in declared()["plugins"]
    assert {each["scheme"] for each in declared()["theme"]["palette"]} == {"default", "slate"}
    assert declared()["strict"] is True
    assert declared()["theme"]["font"] is False


def test_the_built_site_is_not_versioned() -> None:
    assert f"/{declared()['site_dir']}/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert not list(DOCS.rglob("*.html"))
