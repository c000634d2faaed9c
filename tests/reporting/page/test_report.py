"""The page of the report: complete, self-contained, true to the workspace, and safe from what texts and names say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

import compete
from compete.competition.workspace import Workspace
from compete.opened import Opened
from compete.reporting.figures.style import PALETTE
from compete.reporting.page.report import write_report
from support.lived_in import LABELS, NAME, ODD_STACK, PLANTED, copied
from support.report_page import MODEL_TABLE, ReportPage, read_page

pytestmark = pytest.mark.slow

SECTIONS = ["data", "models", "labels", "stack", "errors", "submissions", "experiments", "made"]


def test_every_section_is_there_in_order_and_linked(page: ReportPage) -> None:
    assert [attributes["id"] for tag, attributes in page.elements if tag == "section"] == SECTIONS
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert [link for link in links if link.startswith("#")] == [f"#{name}" for name in SECTIONS]


def test_every_figure_is_in_the_page_and_beside_it(page: ReportPage, report_page: Path, opened: Opened) -> None:
    figures = [attributes["id"] for tag, attributes in page.elements if tag == "figure"]
    assert sorted(figures) == sorted(f"figure-{name}" for name in opened.figures())
    assert page.count("svg") == len(figures)
    files = {path.name for path in (report_page.parent / "figures").iterdir()}
    assert files == {f"{name}.{kind}" for name in opened.figures() for kind in ("png", "svg")}
    for path in (report_page.parent / "figures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert len(path.read_bytes()) > 5000
    for path in (report_page.parent / "figures").glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("}svg")
    links = {attributes["href"] for tag, attributes in page.elements if tag == "a"}
    assert {unquote(link) for link in links if link.startswith("figures/")} == {f"figures/{name}" for name in files}
    assert not any(set(link) & set('<>" %') - {"%"} for link in links)


def test_nothing_is_fetched_from_anywhere(page: ReportPage, report_page: Path) -> None:
    for tag, attributes in page.elements:
        assert tag not in ("base", "iframe", "object", "embed", "img", "video", "audio", "source"), tag
        assert "src" not in attributes and "srcset" not in attributes
        for name in ("href", "xlink:href"):
            fetched = attributes.get(name, "#")
            expected = ("#", "figures/") if tag == "a" else ("#", "data:")
            assert fetched.startswith(expected), (tag, fetched[:80])
    text = report_page.read_text(encoding="utf-8")
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    script = next(code for code in page.scripts if "use strict" in code)
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|innerHTML|insertAdjacentHTML|document\.write|eval\(", script)
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_ids_are_unique_in_the_whole_page(page: ReportPage, report_page: Path) -> None:
    counted = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert [name for name, count in counted.items() if count > 1] == []
    text = report_page.read_text(encoding="utf-8")
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(counted)


def test_the_pages_drawings_have_the_pages_colours(report_page: Path) -> None:
    drawings = re.findall(r"<svg.*?</svg>", report_page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(drawings) > 15
    for drawing in drawings:
        tags = "".join(re.findall(r"<[^>]*>", drawing))
        assert not [light for light, _ in PALETTE.values() if light in tags]
        assert "var(--ink)" in tags and "var(--paper)" in tags


def test_markup_in_texts_and_names_stays_text(page: ReportPage, report_page: Path) -> None:
    assert page.headings["h1"] == [NAME]
    assert page.headings["title"] == [f"{NAME}: report"]
    assert page.count("script") == 2 and page.count("img") == page.count("i") == 0
    assert len([text for text in page.scripts if "alert" in text]) == 1  # where the texts are data
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    text = report_page.read_text(encoding="utf-8")
    assert "<script>alert" not in text and "<img" not in text and "<!--<script>" not in text
    assert "49" not in page.headings["h1"][0]
    source = text[text.index('id="hard-rows">') :]
    data = source[len('id="hard-rows">') : source.index("</script>")]
    assert not set(data) & set("<>&\u2028\u2029")
    assert data.isascii()


def test_texts_come_through_letter_by_letter(page: ReportPage, opened: Opened) -> None:
    found = page.hard_rows()
    assert found["labels"] == list(LABELS)
    for name, text in zip(found["ids"], found["texts"], strict=True):
        assert text == opened.train.loc[name, "text"]
    for planted in PLANTED:
        assert any(planted in text for text in found["texts"]), planted


def test_names_of_labels_are_drawn_as_they_are(page: ReportPage) -> None:
    drawn = set(page.headings["text"])
    assert {LABELS[0], LABELS[2]} <= drawn
    assert any(text.startswith('<img src=x onerror="alert(2)') for text in drawn)
    assert f"stack {ODD_STACK}" in drawn


SECRETS = {"KAGGLE_KEY": "5ecret0key", "KAGGLE_USERNAME": "5ecret0name", "HF_TOKEN": "hf_5ecret0token"}


def test_no_secret_and_no_place_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, lived: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        "compete.reporting.page.report.png", lambda figure: b""
    )  # the SVG says the same, and can be read
    lived.base_model("words").oof.write_bytes(b"torn")  # errors name files
    lived.stack("logistic").test.unlink()
    (lived.submissions / "kaggle.json").write_text('{"key": "5ecret0key"}', encoding="utf-8")
    folder = tmp_path_factory.mktemp("elsewhere")
    write_report(compete.open(lived.root), folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert b"5ecret0" not in content, path
        for place in (lived.root, folder, Path.home()):
            assert str(place).encode() not in content, path
    page = read_page(folder / "index.html")
    assert "words is not in the figures: damaged: oof/words/oof.parquet is not the file" in page.sections["models"]
    assert page.row(MODEL_TABLE, "words")["honest"] == "-"
    assert "stack logistic is not in the figures: oof/stacks/logistic/test.parquet is missing" in page.sections["stack"]


def test_figures_of_an_earlier_report_go_and_other_files_stay(
    monkeypatch: pytest.MonkeyPatch, lived: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr("compete.reporting.page.report.png", lambda figure: b"png")
    monkeypatch.setattr("compete.reporting.page.report.svg", lambda figure, name: "<svg></svg>")
    folder = tmp_path_factory.mktemp("written")
    figures = folder / "figures"
    figures.mkdir()
    (figures / "mine.png").write_bytes(b"mine")
    write_report(compete.open(lived.root), folder)
    assert (figures / f"labels_{ODD_STACK}.svg").is_file()
    (lived.stack_recipes / f"{ODD_STACK}.toml").unlink()
    write_report(compete.open(lived.root), folder)
    left = {path.name for path in figures.iterdir()}
    assert f"labels_{ODD_STACK}.svg" not in left and f"labels_{ODD_STACK}.png" not in left
    assert {"mine.png", "labels_words.svg", "labels_logistic.png"} <= left


def test_the_same_workspace_gives_the_same_report(untouched: Workspace, tmp_path: Path) -> None:
    one, other = (write_report(compete.open(untouched.root), tmp_path / name).parent for name in ("one", "other"))
    for path in (one / "figures").iterdir():
        assert path.read_bytes() == (other / "figures" / path.name).read_bytes()

    def page(folder: Path) -> str:
        return re.sub(r"written \d{4}-\d\d-\d\d \d\d:\d\d UTC", "", (folder / "index.html").read_text(encoding="utf-8"))

    assert page(one) == page(other)


def test_a_report_changes_nothing_else_in_the_workspace(untouched: Workspace, tmp_path: Path) -> None:
    workspace = copied(untouched, tmp_path)
    before = {path: path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()}
    written = compete.open(workspace.root).report().page
    assert written == workspace.root / "report" / "index.html"
    after = {path: path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()}
    assert {path: content for path, content in after.items() if written.parent not in path.parents} == before


def test_progress_counts_every_figure(untouched: Workspace, tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    write_report(compete.open(untouched.root), tmp_path, lambda fraction, doing: seen.append((fraction, doing)))
    assert seen == [(0.0, "figure 1 of 2"), (0.5, "figure 2 of 2")]
