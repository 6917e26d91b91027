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

INK, GREY, PALE, ACCENT = "#1a1a1a", "#8c8c8c", "#d9d9d9", "#1f5fa8"
SECOND = "#b3540a"
"""The colour of a second model: told from `ACCENT` with any kind of colour blindness; drawn dashed, for greys."""

DASHED: Any = (0, (4, 3))

PAD = 20
"""Points between the axes and their title, with room for a line of text."""

FORMATS = (".svg", ".png")
"""Each figure is written in both: SVG for pages, PNG for tools that take no SVG."""

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "font.size": 9,
    "grid.color": "#ececec",
    "grid.linewidth": 0.8,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.9,
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


def entitle(axes: "Axes", title: str, text: str) -> None:
    """A title, and a line of text below it."""
    axes.set_title(title, pad=PAD)
    axes.annotate(text, (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points", in_layout=False)
