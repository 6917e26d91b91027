"""The style of figures, and their files: the same figure gives the same bytes."""

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twofold.core.errors import UsageError
from twofold.core.files import check_writable, open_binary_replacement
from twofold.core.hints import install

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE, GRID, PANEL = "#1a1d21", "#59616b", "#d9dde2", "#eceef1", "#f6f7f8"
ACCENT = NEGATIVE = "#1f5fa8"
POSITIVE = "#b8430b"
WARNING, WARNING_LINE = "#fff4dc", "#e0a82e"
"""The colours of the page, page/theme.css, in its light scheme. A difference is never shown by colour alone."""

SECOND = POSITIVE
"""The colour of a second model: told from `ACCENT` with any kind of colour blindness; drawn dashed, for greys."""

BAND: dict[str, Any] = {"alpha": 0.18, "linewidth": 0}
"""The look of the area of a 95% interval."""

DASHED: Any = (0, (4, 3))

_LINE_HEIGHT = 12
_PAD = 8  # points between the axes and the text above them

FORMATS = (".svg", ".png")
"""Each figure is written in both: SVG for pages, PNG for tools that take no SVG."""

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.9,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "svg.fonttype": "none",  # text stays text, so that a viewer draws class names in any script
    "svg.hashsalt": "twofold",  # otherwise the ids in the file are random
    "text.parse_math": False,  # a class may be named "$5"
}


def check_drawing(option: str, folder: Path) -> None:
    """Raises UsageError where matplotlib is missing or `folder` cannot be written to. Call it before long work.

    `option` is the option that names the folder, for the message.
    """
    if find_spec("matplotlib") is None:
        raise UsageError(f"{option} draws figures with matplotlib; {install('figures')}.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{option} must be a folder for figures, but {folder} is a file; give another path.")
    if (folder / "bundle.json").exists():
        raise UsageError(f"{option} must be a folder for figures, but {folder} is a bundle; give another path.")
    check_writable(folder / "figure")


def save_figure(draw: Callable[["Figure"], None], file: Path, size: tuple[float, float] = (4.4, 4.5)) -> list[Path]:
    """Writes the figure that `draw` draws as `file` in each of `FORMATS`, and returns the files. `size` is in inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)  # see svg.fonttype
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        files = [file.with_suffix(suffix) for suffix in FORMATS]
        for path in files:
            with open_binary_replacement(path) as raw:
                metadata = {"Date": None} if path.suffix == ".svg" else None
                figure.savefig(raw, format=path.suffix[1:], dpi=200, metadata=metadata)
            figure.set_layout_engine("none")  # all formats have the layout of the first, computed once
    return files


def entitle(axes: "Axes", title: str, *lines: str) -> None:
    """A title, and lines of text below it; all but the first are muted."""
    axes.set_title(title, pad=_PAD + _LINE_HEIGHT * len(lines))
    for number, text in enumerate(reversed(lines)):
        height, color = 7 + _LINE_HEIGHT * number, INK if number == len(lines) - 1 else MUTED
        at: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "in_layout": False}
        axes.annotate(text, (0, 1), (0, height), color=color, **at)
