"""The report in a real browser: what its reader sees, clicks and prints, without any network.

Without a browser these tests are skipped, or fail where COMPETE_NEEDS_BROWSER is set. COMPETE_REPORTS names folders of
other workspaces to look at too, separated as in PATH; nothing is written into them but scores that were never computed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

import compete
from compete.opened import Opened
from compete.printable import printable
from compete.reporting.figures.style import PALETTE
from compete.reporting.page.hard_rows import hard_rows
from compete.reporting.page.report import write_report
from support.every_task import CLASSES, task_workspace
from support.lived_in import LABELS, NAME, PLANTED, STRANGE_LABELS, embedded, strange, train_models

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OTHERS = [folder for folder in os.environ.get("COMPETE_REPORTS", "").split(os.pathsep) if folder]
OWN, DEMO, STRANGE = "own", "demo", "strange"


@dataclass
class Reader:
    """A page in the browser, and the workspace that it is of."""

    driver: webdriver.Chrome
    page: Path
    opened: Opened
    is_new: bool = False
    """Loaded, and nothing on it was clicked, filled or sorted since."""

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def emulate(self, *, media: str = "screen", scheme: str = "light") -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def resize(self, width: int, height: int = 1200) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def load(self) -> None:
        self.emulate()
        self.resize(1100)
        self.driver.get(self.page.as_uri())

    def is_own(self) -> bool:
        return self.opened.name == NAME

    def rows(self) -> list[dict[str, str]]:
        """The rows of the error table as they are shown."""
        found: list[dict[str, str]] = self.run(
            """return [...document.querySelectorAll("#rows tbody tr")].map((row) => ({
              loss: row.cells[0].textContent, label: row.cells[1].textContent,
              truth: row.cells[2].firstChild.textContent, marked: row.cells[2].querySelector(".mark") ? "yes" : "no",
              p: row.cells[3].textContent, text: row.cells[4].firstChild.textContent,
              id: row.cells[4].querySelector(".id").textContent, fold: row.cells[6].textContent,
              models: [...row.cells[5].querySelectorAll("li")].map((each) => each.textContent).join("|"),
            }));"""
        )
        return found

    def fill(self, name: str, value: str) -> None:
        script = """const field = document.getElementById(arguments[0]); field.value = arguments[1];
            field.dispatchEvent(new Event("input", { bubbles: true }));"""
        self.run(script, name, value)

    def tick(self) -> None:
        self.run('document.getElementById("suspects").click()')

    def show_all(self) -> None:
        all_shown = self.run(
            """const more = document.getElementById("more");
            for (let n = 0; n < 1000 && !more.hidden; n++) more.click();
            return more.hidden;"""
        )
        assert all_shown, "there is always more to show"

    def colours(self) -> tuple[str, str]:
        """Background and ink of the page, computed."""
        script = """const style = getComputedStyle(document.body); return [style.backgroundColor, style.color];"""
        background, ink = self.run(script)
        return hexadecimal(background), hexadecimal(ink)


def hexadecimal(rgb: str) -> str:
    return "#" + "".join(f"{int(channel):02x}" for channel in re.findall(r"\d+", rgb)[:3])


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def found_programs() -> tuple[str, str]:
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if browser and driver:
        return browser, driver
    reason = "chromedriver is not on the PATH" if browser else f"none of {', '.join(BROWSERS)} is on the PATH"
    if os.environ.get("COMPETE_NEEDS_BROWSER"):
        pytest.fail(f"COMPETE_NEEDS_BROWSER is set, and {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    browser, service = found_programs()
    options = Options()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.set_capability("unhandledPromptBehavior", "ignore")  # an alert is seen, not swept away
    started = webdriver.Chrome(options=options, service=Service(service))
    try:
        yield started
    finally:
        started.quit()


@pytest.fixture(scope="module", params=[OWN, DEMO, STRANGE, *OTHERS])
def reader(
    request: pytest.FixtureRequest, driver: webdriver.Chrome, tmp_path_factory: pytest.TempPathFactory
) -> Reader:
    if request.param == OWN:
        opened = request.getfixturevalue("opened")
    elif request.param == STRANGE:
        untouched = request.getfixturevalue("untouched")
        opened = compete.open(strange(untouched, tmp_path_factory.mktemp("strange")).root)
    else:
        opened = compete.open(
            embedded(tmp_path_factory.mktemp("demo")).root if request.param == DEMO else request.param
        )
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr("compete.reporting.page.report.png", lambda figure: b"")  # the page holds the SVGs
        written = opened.report(tmp_path_factory.mktemp("report"))
    return Reader(driver, written.page, opened)


@pytest.fixture
def page(reader: Reader) -> Reader:
    """Loaded anew, for a test that changes what is shown."""
    reader.load()
    reader.is_new = False
    return reader


@pytest.fixture
def seen(reader: Reader) -> Reader:
    """For a test that only looks: as another of these has left it, with all details open."""
    if not reader.is_new:
        reader.load()
        reader.run('document.querySelectorAll("details").forEach((each) => { each.open = true; })')
        reader.is_new = True
    reader.emulate()
    reader.resize(1100)
    return reader


def numbers(values: Sequence[str]) -> list[float]:
    return [float(value) for value in values]


def test_nothing_is_fetched_and_nothing_said(page: Reader) -> None:
    driver = page.driver
    driver.get("about:blank")
    for log in ("browser", "performance"):
        driver.get_log(log)  # type: ignore[no-untyped-call]
    page.load()
    page.run('document.querySelectorAll("details").forEach((each) => { each.open = true; })')
    page.run("window.scrollTo(0, document.body.scrollHeight)")
    time.sleep(0.5)
    assert driver.get_log("browser") == []  # type: ignore[no-untyped-call]
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]  # type: ignore[no-untyped-call]
    sent = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert page.page.as_uri() in sent
    assert [url for url in sent if not url.startswith("data:")] == [page.page.as_uri()]


def test_markup_in_texts_and_names_did_nothing(page: Reader) -> None:
    page.show_all()
    found = page.run(
        """return { script: document.scripts.length, img: document.images.length,
          onload: document.querySelectorAll("[onload], [onerror]").length,
          title: document.title, h1: document.querySelector("h1").textContent,
          made: document.querySelectorAll("#rows td.text > :not(.id)").length };"""
    )
    name = printable(page.opened.name)
    expected = {"script": 2, "img": 0, "onload": 0, "made": 0, "h1": name}
    assert found == {**expected, "title": f"{name}: report"}
    rows = page.rows()
    texts = page.opened.train["text"]
    for row in rows:
        assert row["text"] == texts[row["id"]]
    if page.is_own():
        for planted in PLANTED:
            assert any(planted in row["text"] for row in rows), planted
        assert {row["label"] for row in rows} == set(LABELS)
    if page.opened.labels == STRANGE_LABELS:
        assert {row["label"] for row in rows} == set(STRANGE_LABELS)


def test_a_figure_opens_alone_and_holds_nothing_that_acts(reader: Reader) -> None:
    for file in sorted((reader.page.parent / "figures").glob("*.svg")):
        text = file.read_text(encoding="utf-8")
        elements = list(ElementTree.fromstring(text).iter())
        tags = {element.tag.rpartition("}")[2] for element in elements}
        assert not tags & {"script", "foreignObject", "a"}, file.name
        links = [value for element in elements for name, value in element.attrib.items() if name.endswith("href")]
        assert all(value.startswith(("#", "data:image/png;base64,")) for value in links), file.name
        assert not [name for element in elements for name in element.attrib if name.startswith("on")], file.name
        assert printable(text) == text, file.name


def test_every_figure_is_seen(seen: Reader) -> None:
    boxes = seen.run(
        """return Object.fromEntries([...document.querySelectorAll("figure")].map((figure) => {
          const box = figure.querySelector("svg").getBoundingClientRect();
          return [figure.id, [box.width, box.height, figure.querySelectorAll("svg text").length]];
        }));"""
    )
    assert set(boxes) == {f"figure-{name}" for name in seen.opened.figures()}
    for name, (width, height, texts) in boxes.items():
        assert width > 300 and height > 80 and texts > 2, (name, width, height, texts)


def test_words_of_a_figure_lie_inside_of_it(seen: Reader) -> None:
    outside = seen.run(
        """return [...document.querySelectorAll("figure")].flatMap((figure) => {
          const box = figure.querySelector("svg").getBoundingClientRect();
          return [...figure.querySelectorAll("svg text")].filter((text) => {
            const at = text.getBoundingClientRect();
            return at.left < box.left - 14 || at.right > box.right + 14
              || at.top < box.top - 6 || at.bottom > box.bottom + 6;
          }).map((text) => `${figure.id}: ${text.textContent}`);
        });"""
    )
    assert outside == []


def test_searching_keeps_the_rows_that_hold_the_words(page: Reader) -> None:
    page.show_all()
    every = page.rows()
    assert every
    word = sorted({word for row in every for word in row["text"].split() if word.isalpha()}, key=len)[-1]
    page.fill("search", f"  {word.upper()} ")
    page.show_all()
    found = page.rows()
    expected = [row for row in every if word.lower() in f"{row['id']}\n{row['text']}".lower()]
    assert 0 < len(found) < len(every)
    assert found == expected
    assert page.run('return document.getElementById("count").textContent').startswith(f"{len(found)} of {len(every)} ")
    page.fill("search", every[0]["id"])
    assert every[0] in page.rows()
    page.fill("search", "no text holds this")
    assert page.rows() == []


def test_filters_keep_what_they_say(page: Reader) -> None:
    page.show_all()
    every = page.rows()
    for number, label in enumerate(page.opened.labels):
        page.fill("label", str(number))
        page.show_all()
        assert page.rows() == [row for row in every if row["label"] == label]
    page.fill("label", "0")
    page.fill("truth", "0")
    page.show_all()
    assert page.rows() == [row for row in every if (row["label"], row["truth"]) == (page.opened.labels[0], "no")]
    page.fill("label", "")
    page.fill("truth", "1")
    page.tick()
    page.show_all()
    expected = [row for row in every if (row["truth"], row["marked"]) == ("yes", "yes")]
    assert page.rows() == expected
    page.tick()
    page.fill("truth", "")
    page.show_all()
    assert page.rows() == every
    marked = sum(row["marked"] == "yes" for row in every)
    assert 0 < marked <= len(every)
    assert marked < len(every) or not page.is_own()  # of very many rows, the worst may all be likely errors


def test_the_highest_losses_come_first_and_more_are_shown_on_demand(page: Reader) -> None:
    first = page.rows()
    assert len(first) == 25
    losses = numbers([row["loss"] for row in first])
    assert losses == sorted(losses, reverse=True)
    page.run('document.getElementById("more").click()')
    more = page.rows()
    assert len(more) > 25
    assert more[:25] == first
    page.show_all()
    assert len(page.rows()) == int(page.run('return document.getElementById("count").textContent').split()[0])


COLUMNS = {"loss": "loss", "label": "label", "truth": "truth", "p": "p", "text": "text", "fold": "fold"}


def test_headers_of_the_error_table_sort_both_ways(page: Reader) -> None:
    for key in (*COLUMNS, "agree"):
        sorts_both_ways(page, key)


def sorts_both_ways(page: Reader, key: str) -> None:
    def click() -> tuple[str, list[dict[str, str]]]:
        script = """const header = document.querySelector(`#rows th[data-key="${arguments[0]}"]`); header.click();
            return header.getAttribute("aria-sort");"""
        direction = page.run(script, key)
        page.show_all()
        return direction, page.rows()

    def value(row: dict[str, str]) -> Any:
        if key == "agree":
            return sum((float(each.split()[0]) >= 0.5) == (row["truth"] == "yes") for each in row["models"].split("|"))
        if key == "truth":
            return row["truth"] == "yes"
        return float(row[key]) if key in ("loss", "p", "fold") else row[key]

    seen = dict(click() for _ in range(2))
    assert set(seen) == {"ascending", "descending"}
    by_letters = key in ("label", "text")
    for direction, rows in seen.items():
        values = [value(row) for row in rows]
        assert len(set(values)) > 1 or len(rows) < 2 or key == "agree"
        if by_letters:  # as the reader's language orders them
            compared = page.run(
                "const v = arguments[0]; return v.slice(1).map((each, i) => v[i].localeCompare(each));", values
            )
            assert all(c <= 0 if direction == "ascending" else c >= 0 for c in compared)
        else:
            assert values == sorted(values, reverse=direction == "descending")
    assert {row["id"] for row in seen["ascending"]} == {row["id"] for row in seen["descending"]}
    marked = page.run('return [...document.querySelectorAll("#rows th[aria-sort]")].map((each) => each.dataset.key)')
    assert marked == [key]


def test_every_model_says_its_probability_beside_a_row(seen: Reader) -> None:
    row = seen.rows()[0]
    models = [shown.name for shown in seen.opened.ranked if not shown.is_stack][:12]
    for said, name in zip(row["models"].split("|"), models, strict=True):
        assert said.endswith(f" {name}")
        p = seen.opened.oof(name).loc[row["id"], row["label"]]
        assert float(said.split()[0]) == pytest.approx(p, abs=6e-4)


def amount(cell: str) -> float | None:
    """What a cell says, as a number; None for words."""
    units = {"s": 1, "min": 60, "h": 3600}
    times = re.findall(r"([\d.]+) (s|min|h)\b", cell)
    if times and re.match(r"[\d.]+ (s|min|h)\b", cell):
        return sum(float(count) * units[unit] for count, unit in times)
    number = re.match(r"[+-]?\d[\d,]*(\.\d+)?(?= |$)", cell)
    return float(number[0].replace(",", "")) if number else None


def test_every_other_table_sorts_both_ways_by_every_column(page: Reader) -> None:
    count = page.run('return document.querySelectorAll("table.sortable").length')
    assert count >= 6
    read = """const table = document.querySelectorAll("table.sortable")[arguments[0]];
        const header = table.tHead.rows[0].cells[arguments[1]];
        if (arguments[2]) header.click();
        return [header.getAttribute("aria-sort"),
          [...table.tBodies[0].rows].map((row) => row.cells[arguments[1]].textContent)];"""
    for number in range(count):
        width = page.run(
            'return document.querySelectorAll("table.sortable")[arguments[0]].tHead.rows[0].cells.length', number
        )
        for column in range(width):
            before = page.run(read, number, column, False)[1]
            for direction in ("ascending", "descending"):
                marked, cells = page.run(read, number, column, True)
                assert marked == direction
                assert sorted(cells) == sorted(before)
                known = [cell for cell in cells if cell != "-"]
                assert cells == known + ["-"] * (len(cells) - len(known))  # what is not known comes last
                values = [value for cell in known if (value := amount(cell)) is not None]
                if len(values) == len(known):
                    assert values == sorted(values, reverse=direction == "descending"), (number, column)
                elif re.match(r"\d{4}-\d\d-\d\d", known[0]):
                    assert known == sorted(known, reverse=direction == "descending")
        assert page.run(read, number, 0, True)[0] == "ascending"


def test_headers_sort_from_the_keyboard_too(page: Reader) -> None:
    pressed = page.run(
        """const header = document.querySelector('#rows th[data-key="p"]'); header.focus();
        header.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
        return [document.activeElement === header, header.getAttribute("aria-sort")];"""
    )
    assert pressed == [True, "ascending"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_as_the_reader_prefers(seen: Reader, scheme: str) -> None:
    seen.emulate(scheme=scheme)
    background, ink = seen.colours()
    theme = int(scheme == "dark")
    assert (background, ink) == (PALETTE["paper"][theme], PALETTE["ink"][theme])
    script = "return getComputedStyle(document.documentElement).getPropertyValue(arguments[0]).trim()"
    colours = {name: seen.run(script, f"--{name}") for name in PALETTE}
    for name, colour in colours.items():
        least = {"ink": 4.5, "muted": 4.5, "paper": 1.0, "grid": 1.0}.get(name, 3.0)
        assert contrast(colour, background) >= least, name
    drawn = seen.run(
        """const texts = [...document.querySelectorAll("figure svg text")];
        return [...new Set(texts.map((text) => getComputedStyle(text).fill))];"""
    )
    assert ink in map(hexadecimal, drawn)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_of_the_page_can_be_read(seen: Reader, scheme: str) -> None:
    seen.emulate(scheme=scheme)
    background, _ = seen.colours()
    colours = seen.run(
        """const found = {};
        const words = "h1, h2, h3, p, li, td, th, a, dt, dd, figcaption, button, input, .mark, .id";
        for (const each of document.querySelectorAll(words)) {
          found[getComputedStyle(each).color] = each.className || each.tagName;
        }
        return found;"""
    )
    assert len(colours) >= 3
    for colour, where in colours.items():
        assert contrast(hexadecimal(colour), background) >= 4.5 - 1.5 * (where in ("mark", "A")), (where, colour)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_button_exchanges_light_and_dark(page: Reader, scheme: str) -> None:
    page.emulate(scheme=scheme)
    before = page.colours()
    page.run('document.getElementById("theme").click()')
    exchanged = page.colours()
    assert exchanged != before
    assert exchanged[0] == PALETTE["paper"][int(scheme == "light")]
    page.run('document.getElementById("theme").click()')
    assert page.colours() == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_print_is_light_whatever_the_screen_is(page: Reader, scheme: str) -> None:
    for clicks in (0, 1):
        page.emulate(scheme=scheme)
        for _ in range(clicks):
            page.run('document.getElementById("theme").click()')
        page.emulate(media="print", scheme=scheme)
        assert page.colours() == (PALETTE["paper"][0], PALETTE["ink"][0])
        hidden = page.run(
            'return ["nav", "#filters", "#theme"].map((e) => getComputedStyle(document.querySelector(e)).display)'
        )
        assert hidden == ["none"] * 3


def test_no_page_is_wider_than_its_screen(page: Reader) -> None:
    page.show_all()
    page.run('document.querySelectorAll("details").forEach((each) => { each.open = true; })')
    for width in (1400, 768, 400, 320):
        page.resize(width)
        measured = page.run("return [document.documentElement.scrollWidth, innerWidth]")
        assert measured[1] == width
        assert measured[0] <= width, width


def test_a_page_without_script_says_what_it_lacks(page: Reader) -> None:
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.load()
        source = page.driver.page_source
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "This table needs JavaScript" in source
    assert source.count("<figure") == len(page.opened.figures())


@pytest.mark.parametrize("task", ["multiclass", "ordinal"])
def test_the_rows_of_other_tasks_are_shown_sorted_and_filtered(
    driver: webdriver.Chrome, tmp_path: Path, unpainted: None, task: str
) -> None:
    train_models(task_workspace(tmp_path, task))
    opened = compete.open(tmp_path, quiet=True)
    assert opened.chosen is not None
    reader = Reader(driver, write_report(opened), opened)
    reader.load()
    found = hard_rows(opened, opened.chosen)
    text, output, shown, predicted, *_ = max(found.rows, key=lambda row: row[4])
    first = reader.rows()[0]
    assert (first["id"], first["label"]) == (found.ids[text], opened.labels[output])
    assert first["truth"] == (CLASSES[shown] if task == "multiclass" else f"{shown:g}")
    assert float(first["p"]) == pytest.approx(predicted, abs=6e-4)
    reader.run("document.querySelector('#rows th[data-key=p]').click()")
    values = [float(row["p"]) for row in reader.rows()]
    assert values == sorted(values) and len(values) == 25
    reader.fill("label", str(len(opened.labels) - 1))
    assert {row["label"] for row in reader.rows()} == {opened.labels[-1]}
    asked = reader.run("return ['truth', 'suspects'].map((id) => document.getElementById(id) !== null)")
    assert asked == [False, task == "multiclass"]
    assert driver.get_log("browser") == []  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("needs", "outcome"), [("", "Skipped"), ("1", "Failed")])
def test_without_a_browser_they_are_skipped_unless_one_is_needed(
    monkeypatch: pytest.MonkeyPatch, needs: str, outcome: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("COMPETE_NEEDS_BROWSER", needs)
    with pytest.raises((pytest.skip.Exception, pytest.fail.Exception)) as ended:
        found_programs()
    assert ended.type.__name__ == outcome
    assert "chromium" in str(ended.value)
