"""A diagnosis: checks of the computer, of the installation and of a bundle, each with what mends it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

CheckStatus = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check. A `warning` costs time or room, a `fault` makes work fail or changes its results.

    `mend` is the command that mends it, or a short sentence where no command can.
    """

    name: str
    status: CheckStatus
    text: str
    mend: str = ""

    def as_json(self) -> dict[str, Any]:
        """The check as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The checks in the order in which they are shown."""

    checks: tuple[Check, ...]

    def count(self, status: CheckStatus) -> int:
        """The number of checks with this status."""
        return sum(check.status == status for check in self.checks)

    @property
    def healthy(self) -> bool:
        """Whether there is no fault; there may be warnings."""
        return self.count("fault") == 0

    def as_json(self) -> dict[str, Any]:
        """Whether all is well, the counts, and the checks."""
        return {
            "healthy": self.healthy,
            "warnings": self.count("warning"),
            "faults": self.count("fault"),
            "checks": [check.as_json() for check in self.checks],
        }
