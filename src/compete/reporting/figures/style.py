"""How every figure looks: one palette that the colour-blind can tell apart, light and dark, PNG and SVG.

Figures are drawn in light colours. A dark one, and the one in the HTML page that follows the reader's setting, is the
same drawing with its colours exchanged, so that they cannot differ in what they show.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgba, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from compete.printable import on_one_line, printable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.backend_bases import RendererBase

Draw = Callable[[], Figure]

# Name -> (light, dark). The hues are those of Okabe and Ito (2008), darker or lighter where the contrast to the
# background was below 3 to 1.
PALETTE = {
    "ink": ("#1b1f24", "#e8eaed"),
    "muted": ("#5b6470", "#a9b1bb"),
    "grid": ("#dde1e6", "#343a42"),
    "paper": ("#ffffff", "#14171b"),
    "blue": ("#0072b2", "#56a8e0"),
    "orange": ("#c06000", "#f0a04b"),
    "green": ("#007a5a", "#3fc39b"),
    "purple": ("#a8558a", "#d893be"),
    "sky": ("#3d94c4", "#86c5e8"),
    "brown": ("#7a5c00", "#d9b84a"),
}
INK, MUTED, GRID, PAPER, BLUE, ORANGE, GREEN, PURPLE, SKY, BROWN = (light for light, _ in PALETTE.values())
# For a few lines in one picture: a colour and a marker each, so that a print in grey can be read too.
SERIES = [(BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (SKY, "v"), (BROWN, "P")]
# Low to high, perceptually even, readable by the colour-blind and in grey (Nuñez et al. 2018).
SEQUENTIAL = "cividis"
CELL_DARK, CELL_LIGHT = "#0a0a0a", "#fdfdfd"  # on coloured cells; the same in light and dark

DPI = 150
WIDTH = 8.0  # inches: 600 points, a page's width in the report

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    # A dollar in a label or a model's name begins no formula.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "auto",
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "svg.fonttype": "none",  # text stays text: small files that can be searched and edited
}
_SVG_FONTS = "system-ui, 'DejaVu Sans', Verdana, sans-serif"


class NotebookFigure(Figure):
    """A figure that a notebook shows as a picture, also where pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        return png(self)

    def draw(self, renderer: RendererBase) -> None:
        """To save a figure, matplotlib draws it twice, the first time only to lay it out: that needs no drawing."""
        layout = self.get_layout_engine()
        if isinstance(layout, ConstrainedLayoutEngine) and self.canvas.is_saving():
            layout.execute(self)
        else:
            super().draw(renderer)


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure, sizes in inches."""
    return NotebookFigure(figsize=(width, height))


def shortened(name: str, most: int = 32) -> str:
    """A name as figures have room for it, with what acts in place of being seen written out: XML, which SVG is, has no
    control characters, and a mark that turns a line round would turn more than the name."""
    name = on_one_line(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def drawn(draw: Draw, *, dark: bool = False) -> Figure:
    """Draw a figure in the project's style."""
    with matplotlib.rc_context(_STYLE):
        figure = draw()
        # A canvas attaches itself to its figure, as pyplot would do it.
        FigureCanvasAgg(figure)
    if dark:
        _darken(figure)
    for axes in figure.axes:  # ticks that are not made before the figure is shown have these colours too
        axes.tick_params(color=_colour(MUTED, dark), labelcolor=_colour(INK, dark), grid_color=_colour(GRID, dark))
    return figure


def png(figure: Figure) -> bytes:
    return _saved(figure, "png")


def svg(figure: Figure, name: str) -> str:
    """As a text without XML prolog. name: makes its ids unique in a page that holds several."""
    text = _saved(figure, "svg", {"svg.hashsalt": name}).decode("utf-8")
    text = printable(text[text.index("<svg") :])
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    prefix = re.sub(r"[^A-Za-z0-9_-]", lambda sign: f".{ord(sign[0]):x}.", name)  # a stack's name may hold anything
    text = _in_tags(text, lambda tag: re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", tag))
    return text.replace("'DejaVu Sans', sans-serif", _SVG_FONTS).replace("DejaVu Sans,sans-serif", _SVG_FONTS)


def themed(svg_text: str) -> str:
    """With the page's CSS variables in place of the light colours: --ink, --blue, and so on."""
    names = {light: name for name, (light, _) in PALETTE.items()}
    colours = re.compile("|".join(names))
    return _in_tags(svg_text, lambda tag: colours.sub(lambda light: f"var(--{names[light[0]]})", tag))


def css_variables(dark: bool) -> str:
    """The palette as CSS declarations."""
    return "".join(f"--{name}:{colours[int(dark)]};" for name, colours in PALETTE.items())


def on_cell(value: float, low: float, high: float) -> str:
    """The colour of text on a cell of the sequential colours."""
    return CELL_LIGHT if (value - low) / max(high - low, 1e-12) < 0.55 else CELL_DARK


def _in_tags(svg_text: str, change: Callable[[str], str]) -> str:
    """Changed in the tags alone: text between them is a label's or a model's, and stays as it is."""
    return re.sub(r"<[^>]*>", lambda tag: change(tag[0]), svg_text)


def _saved(figure: Figure, format_: str, style: dict[Any, Any] | None = None) -> bytes:
    buffer = io.BytesIO()
    # Without a date, the same numbers give the same bytes.
    with matplotlib.rc_context({**_STYLE, **(style or {})}), warnings.catch_warnings():
        # A letter that the font lacks is a box in the PNG; in the SVG it is text, and the reader's own fonts have it.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        warnings.filterwarnings("ignore", r"constrained_layout not applied", UserWarning)  # no room: names overlap
        metadata = {"Date": None} if format_ == "svg" else {"Software": None}
        figure.savefig(buffer, format=format_, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def _darken(figure: Figure) -> None:
    """Exchange the palette's light colours for the dark ones, in every artist."""
    exchange = dict(PALETTE.values())
    for artist in figure.findobj(include_self=True):
        for what in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            _exchange(artist, what, exchange)


def _colour(light: str, dark: bool) -> str:
    return dict(PALETTE.values())[light] if dark else light


def _exchange(artist: Artist, what: str, exchange: dict[str, str]) -> None:
    get, put = getattr(artist, f"get_{what}", None), getattr(artist, f"set_{what}", None)
    if get is None or put is None:
        return
    try:
        colours = to_rgba_array(get())
    except (ValueError, TypeError):
        return  # "auto" and its like
    dark = [_exchanged(colour, exchange) for colour in colours]
    if dark != [tuple(colour) for colour in colours]:
        put(dark[0] if len(dark) == 1 else dark)


def _exchanged(colour: Sequence[float], exchange: dict[str, str]) -> tuple[float, ...]:
    light = to_hex((colour[0], colour[1], colour[2]))
    return to_rgba(exchange[light], float(colour[3])) if light in exchange else tuple(colour)
