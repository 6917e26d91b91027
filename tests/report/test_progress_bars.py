import io
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console

from twofold.report.progress_bars import notebook_bars, terminal_bars


class Cell:
    """A cell of a notebook: what it showed, one HTML after the other."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def show(self, html: str) -> Callable[[str], None]:
        self.shown.append(html)
        return self.shown.append


def seconds() -> Iterator[float]:
    """A clock that is a quarter of a second later at each look."""
    now = 0.0
    while True:
        yield now
        now += 0.25


def test_a_bar_in_a_notebook_counts_and_is_removed_at_the_end() -> None:
    cell = Cell()
    bars = notebook_bars(cell.show, seconds().__next__)
    assert list(bars(iter("abc"), 3, "weights, <MB>")) == ["a", "b", "c"]
    assert cell.shown[0].startswith('<label>weights, &lt;MB&gt; <progress value="0" max="3">')
    assert [f'value="{count}"' in html for count, html in enumerate(cell.shown[:-1])] == [True] * 4
    assert "3/3" in cell.shown[-2]
    assert "/s" in cell.shown[1]
    assert cell.shown[-1] == ""


def test_a_bar_in_a_notebook_is_drawn_a_few_times_a_second_and_removed_after_an_error() -> None:
    cell = Cell()

    def failing() -> Iterator[int]:
        yield from range(1000)
        raise RuntimeError

    bar = notebook_bars(cell.show, lambda: 0.0)(failing(), 2000, "images")
    with pytest.raises(RuntimeError):
        list(bar)
    assert len(cell.shown) == 2
    assert cell.shown[-1] == ""


def test_a_bar_on_a_terminal_passes_the_stream_on() -> None:
    file = io.StringIO()
    bars = terminal_bars(lambda: Console(file=file, force_terminal=True, width=80))
    assert list(bars(iter(range(5)), 5, "images")) == [0, 1, 2, 3, 4]
    assert "images" in file.getvalue()
