import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from twofold.core.data_frame import data_frame, records_frame
from twofold.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Record:
    name: str
    size: int | None


def test_records_are_columns_also_where_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    records = [Record("a", 1), Record("b", None)]
    assert records_frame(iter(records), Record) == {"name": ["a", "b"], "size": [1, None]}
    assert records_frame([], Record) == {"name": [], "size": []}


def test_without_pandas_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)  # as Python marks a package that is not there
    with pytest.raises(UsageError, match="`to_pandas` needs pandas; install it with: pip install pandas"):
        data_frame({})
