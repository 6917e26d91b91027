"""The rows of parts: what computes them, and how they become the columns of a file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twofold.core.notes import Note
from twofold.data import ReadError


class PartRow(Protocol):
    """The row of an image. `reason` says why it has no answer, None where it has one."""

    @property
    def path(self) -> str: ...

    @property
    def reason(self) -> str | None: ...


AnyRow = TypeVar("AnyRow", bound=PartRow, covariant=True)
R = TypeVar("R", bound=PartRow)


class RowComputer(Protocol[AnyRow]):
    """What a worker needs: the rows of a stream of paths and bytes, in their order, and notes on them."""

    @property
    def notes(self) -> tuple[Note, ...]: ...

    def stream(self, sources: Iterable[Path | bytes]) -> Iterator[AnyRow]: ...


class RowFormat(Protocol[R]):
    """How rows are written. It goes to the worker, so it must be picklable."""

    def schema(self) -> Any:
        """The columns and their types, a pyarrow.Schema."""

    def values(self, rows: Sequence[R], model: str) -> Mapping[str, Any]:
        """The values of each column."""

    def unanswered(self, path: str, reason: str, error: ReadError | None = None) -> R:
        """The row of an image that could not be read, or at which the worker ended."""

    def at(self, row: R, path: str) -> R:
        """The row of an object, with its path instead of that of its bytes."""
