"""The result of `watch` as text."""

from collections.abc import Iterator
from typing import Final

from twofold.core.notes import count_text
from twofold.report.layout import interval_text, note_lines, short_number, table
from twofold.workflows.monitor_reading import Reading
from twofold.workflows.watch import WatchResult

_MEANINGS: Final = {
    "familiarity": "the images are not like the training images as a whole",
    "logit": "the model calls another fraction of the images positive",
    "brightness": "the images are brighter or darker",
    "sharpness": "the images are sharper or more blurred",
    "pixels": "the images have another size in pixels",
    "bytes per pixel": "the files are compressed more or less",
}
_WEALTH: Final = (
    "wealth: what a bet of 1 that the images have changed has become; it does not gain while they are the same."
)
_ADVICE: Final = (
    "Look at the last images. Then train again with images like these, or begin anew with another state file."
)


def watch_text(result: WatchResult, name: str) -> str:
    """The images, the monitors, the alarms, and what is estimated without labels."""
    lines = [f"{name}: {_counts(result)}"]
    lines += ["", *_monitor_lines(result.readings), "", _WEALTH, "", *_alarm_lines(result)]
    lines += ["", *_estimate_lines(result), *note_lines(result.notes)]
    return "\n".join(lines)


def _counts(result: WatchResult) -> str:
    parts = [f"{count_text(result.new, 'new image')}, {result.state.images} since the beginning"]
    if result.repeated:
        parts.append(f"{count_text(result.repeated, 'repeated image')} not counted")
    if result.training_images:
        parts.append(f"{count_text(result.training_images, 'training image')} not counted")
    if result.read_errors:
        codes = ", ".join(f"{count} {code}" for code, count in sorted(result.read_errors.items()))
        parts.append(f"{count_text(result.read_errors.total(), 'unreadable file')} ({codes})")
    return "; ".join(parts)


def _monitor_lines(readings: tuple[Reading, ...]) -> list[str]:
    rows = [["", "training median", "recent median", "wealth", "highest", "alarm at"]]
    for reading in readings:
        recent = "" if reading.recent is None else short_number(reading.recent)
        numbers = (_wealth(value) for value in (reading.wealth, reading.highest, reading.limit))
        rows.append([reading.name, short_number(reading.reference), recent, *numbers])
    return table(rows)


def _wealth(value: float) -> str:
    """
    >>> _wealth(0.5), _wealth(285.714), _wealth(1.234e30)
    ('0.50', '286', '1e+30')
    """
    return f"{value:.2f}" if value < 10 else f"{value:.0f}" if value < 1e5 else f"{value:.0e}"


def _alarm_lines(result: WatchResult) -> Iterator[str]:
    for reading in result.alarms:
        yield f"ALARM: {reading.name}, at image {reading.alarm}: {_MEANINGS[reading.name]}."
    yield _ADVICE if result.alarms else "No alarm: nothing shows that the images have changed."


def _estimate_lines(result: WatchResult) -> list[str]:
    recent = f"the last {count_text(result.recent, 'image')}"
    lines, estimates = [], result.estimates
    if estimates.prevalence is not None:
        lines.append(f"{result.classes[1]} among {recent}: {interval_text(estimates.prevalence.prevalence)}")
    if estimates.accuracy is not None:
        accuracy, decided = interval_text(estimates.accuracy.accuracy), estimates.accuracy.decided
        lines.append(f"accuracy of {count_text(decided, 'decision')} on these, without labels: {accuracy}")
    if estimates.unknown:
        what = "accuracy" if estimates.prevalence is not None else f"fraction of {result.classes[1]}, and accuracy"
        lines.append(f"{what}: cannot tell: {estimates.unknown}")
    return lines
