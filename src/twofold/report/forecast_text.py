"""A forecast as text."""

from twofold.core.notes import count_text
from twofold.workflows.forecast import Forecast


def forecast_text(forecast: Forecast) -> str:
    """One sentence.

    >>> forecast_text(Forecast(47.3, 8.1e8, 2000, 310))
    'About 45 s and 810 MB for 2,000 images (about 310 are in the cache).'
    >>> forecast_text(Forecast(4000, 2.34e9, 1))
    'About 67 min and 2.3 GB for 1 image.'
    """
    images = count_text(forecast.images, "image").replace(str(forecast.images), f"{forecast.images:,}", 1)
    known = f" (about {forecast.known:,} are in the cache)" if 0 < forecast.known < forecast.images else ""
    known = " (all are in the cache)" if forecast.known >= forecast.images else known
    return f"About {duration_text(forecast.seconds)} and {_size(forecast.bytes)} for {images}{known}."


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{10 * round(count / 1e7)} MB"


def duration_text(seconds: float) -> str:
    """The seconds, minutes or hours with no more digits than a forecast has.

    >>> [duration_text(seconds) for seconds in (7.6, 47.3, 170, 600, 30_000)]
    ['8 s', '45 s', '170 s', '10 min', '8.3 h']
    """
    if seconds < 20:
        return f"{seconds:.0f} s"
    if seconds < 100:
        return f"{5 * round(seconds / 5)} s"
    if seconds < 200:
        return f"{10 * round(seconds / 10)} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
