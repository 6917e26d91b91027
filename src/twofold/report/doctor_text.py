"""A diagnosis as text."""

from collections.abc import Iterator

from twofold.core.notes import count_text
from twofold.report.layout import table
from twofold.workflows.diagnosis import Diagnosis


def doctor_text(diagnosis: Diagnosis) -> str:
    """A line for each check, the command that mends it below, and the count of warnings and faults."""
    firsts = table([(check.status, check.name, "") for check in diagnosis.checks], left=3)
    width = max(map(len, firsts))
    return "\n".join([*_lines(diagnosis, firsts, width), "", _summary(diagnosis)])


def _lines(diagnosis: Diagnosis, firsts: list[str], width: int) -> Iterator[str]:
    for first, check in zip(firsts, diagnosis.checks, strict=True):
        yield f"{first:<{width}}  {check.text}"
        if check.mend:
            yield f"{'':{width}}  -> {check.mend}"


def _summary(diagnosis: Diagnosis) -> str:
    """
    >>> _summary(Diagnosis(()))
    'Nothing is wrong.'
    """
    counts = [count_text(diagnosis.count(status), status) for status in ("fault", "warning") if diagnosis.count(status)]
    return f"{' and '.join(counts)}." if counts else "Nothing is wrong."
