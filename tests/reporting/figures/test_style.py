"""Style of the figures: the same bytes every time, ids of their own, and light and dark that differ in colour alone."""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from compete.opened import Opened
from compete.reporting.figures.style import (
    BLUE,
    INK,
    PALETTE,
    PAPER,
    SERIES,
    NotebookFigure,
    css_variables,
    drawn,
    new_figure,
    on_cell,
    png,
    shortened,
    svg,
    themed,
)

pytestmark = pytest.mark.slow

LIGHT = {light for light, _ in PALETTE.values()}
DARK = {dark for _, dark in PALETTE.values()}
ODD = 'a<b> & "c" #50% (d).$x$'


def plain() -> Figure:
    figure = new_figure(2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "o-", color=BLUE, label="series")
    axes.axvspan(0, 0.5, color=BLUE, alpha=0.5)
    axes.errorbar([0.5], [0.5], xerr=[[0.1], [0.2]], color=INK)
    axes.text(0.5, 0.2, 'text <i id="1">#1b1f24 url(#x)</i> 信頼 $x^2$')
    axes.legend()
    return figure


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_everything_but_the_grid_stands_out_from_the_paper(theme: int) -> None:
    colours = {name: pair[theme] for name, pair in PALETTE.items()}
    for name in set(colours) - {"grid", "paper"}:
        assert contrast(colours[name], colours["paper"]) >= (4.5 if name in ("ink", "muted") else 3), name
    assert contrast(colours["grid"], colours["paper"]) > 1.2


# Machado, Oliveira and Fernandes (2009), severity 1: what the colour-blind see, in linear RGB.
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("deficiency", sorted(DEFICIENCIES))
def test_the_colours_that_share_most_figures_differ_for_the_colour_blind(theme: int, deficiency: str) -> None:
    def seen(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        channels = np.array([int(PALETTE[name][theme][i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.array(DEFICIENCIES[deficiency]) @ channels**2.2
        return np.asarray(np.clip(linear, 0, 1) ** (1 / 2.2))

    for one, other in (("blue", "orange"), ("orange", "green"), ("blue", "green")):
        assert np.linalg.norm(seen(one) - seen(other)) > 0.15, (one, other)


def test_lines_that_share_a_figure_differ_in_more_than_colour() -> None:
    assert len({marker for _, marker in SERIES}) == len({colour for colour, _ in SERIES}) == len(SERIES)


def test_the_same_figure_gives_the_same_bytes() -> None:
    first, second = drawn(plain), drawn(plain)
    assert svg(first, "a") == svg(second, "a")
    assert png(first) == png(second)
    assert svg(first, "a") == svg(first, "a")  # and when it is saved again


def test_the_same_workspace_gives_the_same_bytes(opened: Opened) -> None:
    for name in ("scores", "co_occurrence", "precision_recall"):
        one, other = opened.figure(name), opened.figure(name)
        assert svg(one, name) == svg(other, name)
        assert png(one) == png(other)


def test_a_notebooks_own_style_changes_nothing() -> None:
    import matplotlib

    expected = png(drawn(plain))
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.fonttype": "path"}):
        assert png(drawn(plain)) == expected
        assert "信頼" in svg(drawn(plain), "a")


@pytest.mark.parametrize("name", ["scores", ODD, "_x", "a b", "50%"])
def test_svg_is_xml_without_a_date_and_its_text_is_text(name: str) -> None:
    text = svg(drawn(plain), name)
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert 'text <i id="1">#1b1f24 url(#x)</i> 信頼 $x^2$' in words
    assert "metadata" not in text and "<!DOCTYPE" not in text
    assert not re.search(r"\b20\d\d-\d\d-\d\d", text)


def ids_and_references(text: str) -> tuple[list[str], set[str]]:
    elements = list(ET.fromstring(text).iter())
    ids = [each.attrib["id"] for each in elements if "id" in each.attrib]
    values = [value for each in elements for value in each.attrib.values()]
    links = [
        value.removeprefix("#") for value in values if value.startswith("#") and not re.match(r"#[\da-f]{6}$", value)
    ]
    return ids, {*links, *(found for value in values for found in re.findall(r"url\(#([^)]+)\)", value))}


def test_ids_are_unique_over_figures_and_every_reference_is_to_its_own() -> None:
    names = ["a", "a-b", ODD, ODD.replace("<", ">"), "a.3c.b"]
    every: list[str] = []
    for name in names:
        ids, references = ids_and_references(svg(drawn(plain), name))
        assert references
        assert references <= set(ids)
        assert all(re.fullmatch(r"[\w.-]+", each) for each in ids)
        every += ids
    assert len(every) == len(set(every))


def test_in_the_page_colours_are_the_pages_and_words_stay_words() -> None:
    text = themed(svg(drawn(plain), "a"))
    tags = " ".join(re.findall(r"<[^>]*>", text))
    assert not [light for light in LIGHT if light in tags]
    assert "var(--blue)" in tags and "var(--ink)" in tags and "var(--paper)" in tags
    assert "#1b1f24 url(#x)" in text
    ET.fromstring(text)


def test_the_page_knows_every_colour_in_light_and_dark() -> None:
    for dark in (False, True):
        declared = dict(re.findall(r"--(\w+):(#\w{6});", css_variables(dark)))
        assert declared == {name: pair[int(dark)] for name, pair in PALETTE.items()}


def used(text: str) -> set[str]:
    return set(re.findall(r"#[\da-f]{6}\b", " ".join(re.findall(r"<[^>]*>", text))))


def test_dark_is_the_same_drawing_in_other_colours() -> None:
    exchange = dict(PALETTE.values())
    light, dark = svg(drawn(plain), "a"), svg(drawn(plain, dark=True), "a")
    assert used(light) & LIGHT
    assert not used(dark) & LIGHT
    assert used(dark) == {exchange.get(colour, colour) for colour in used(light)}

    def places(text: str) -> list[str]:
        return re.findall(r' (?:d|x|y|transform)="([^"]+)"', text)

    assert places(dark) == places(light)


def test_no_figure_has_a_light_colour_in_the_dark(opened: Opened) -> None:
    for name in opened.figures():
        dark, light = used(svg(opened.figure(name, dark=True), name)), used(svg(opened.figure(name), name))
        assert not dark & (LIGHT - DARK), name
        assert PALETTE["paper"][1] in dark and PALETTE["ink"][1] in dark, name
        assert dark - DARK == light - LIGHT, name  # the colours of cells stay


def test_a_figure_that_is_saved_is_the_one_that_matplotlib_saves(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not drawn for the layout alone, and lies where it would lie if it were."""

    def saved() -> list[str | bytes]:
        figures = [opened.figure(name) for name in ("scores", "co_occurrence", "precision_recall")]
        return [png(figures[0]), *(svg(figure, "a") for figure in figures)]

    quick = saved()
    monkeypatch.delattr(NotebookFigure, "draw")
    assert quick == saved()


@pytest.mark.parametrize("dark", [False, True])
def test_ticks_that_are_made_later_have_the_figures_colours(dark: bool) -> None:
    def draw() -> Figure:
        figure = new_figure(2)
        figure.subplots().plot([0, 1], [0, 1])
        return figure

    figure = drawn(draw, dark=dark)
    figure.axes[0].set_xlim(0, 1e6)
    figure.draw_without_rendering()  # outside of the style, as a notebook does
    ink, paper = PALETTE["ink"][int(dark)], PALETTE["paper"][int(dark)]
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        assert {to_hex(label.get_color()) for label in axis.get_ticklabels()} == {ink}
        assert {to_hex(line.get_color()) for line in axis.get_gridlines()} == {PALETTE["grid"][int(dark)]}
    assert to_hex(figure.get_facecolor()) == to_hex(figure.axes[0].get_facecolor()) == paper


def test_letters_that_the_font_lacks_are_no_noise() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for words in ("信頼", "🤝", "ﷺ", "怒り😡", "שלום"):

            def draw(words: str = words) -> Figure:
                figure = new_figure(2)
                figure.subplots().set_title(words)
                return figure

            assert words in svg(drawn(draw), "a")
            assert png(drawn(draw))


def test_what_acts_in_place_of_being_seen_is_written_out() -> None:
    """XML has no control characters: an SVG with one does not open."""

    def draw() -> Figure:
        figure = new_figure(2)
        axes = figure.subplots()
        axes.set_yticks([0, 1], [shortened("\x1b[2J"), shortened("\u202eyoj")])
        axes.set_title("\x00\x9b")
        return figure

    text = svg(drawn(draw), "a")
    assert ET.fromstring(text) is not None
    for written in ("\\x1b[2J", "\\u202eyoj", "\\x00\\x9b"):
        assert written in text


def test_dollars_and_underscores_are_letters() -> None:
    def draw() -> Figure:
        figure = new_figure(2)
        figure.subplots().set_title("_$\\frac$ $x$ %d")
        return figure

    assert "_$\\frac$ $x$ %d" in svg(drawn(draw), "a")


def test_text_on_a_cell_can_be_read_on_every_colour() -> None:
    import matplotlib

    colours = matplotlib.colormaps["cividis"]
    for value in np.linspace(0, 1, 101):
        assert contrast(to_hex(colours(value)), on_cell(float(value), 0.0, 1.0)) >= 3
    assert on_cell(0.3, 0.3, 0.3)


def test_names_are_shortened_only_where_they_are_too_long() -> None:
    assert shortened("a" * 32) == "a" * 32
    assert len(shortened("a" * 33)) == 32
    assert shortened("a" * 33).endswith("…")


def test_every_text_of_a_figure_is_in_the_palette(opened: Opened) -> None:
    texts = [text for text in opened.figure("scores").findobj(Text) if text.get_text()]
    assert {to_hex(text.get_color()) for text in texts} <= LIGHT - {PAPER}
