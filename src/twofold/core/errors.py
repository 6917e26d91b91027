"""All errors that twofold raises.

TwofoldError             exit code 1: the work could not be done
├── UsageError           exit code 2: an option or argument is not valid; also a ValueError, as in scikit-learn
├── DataError            the images, or the list of them, cannot be used; also a ValueError
│   └── DownloadError    a file cannot be downloaded
├── BackboneError        the network, its weights or its preprocessing cannot be used
├── LearningError        the network could not be trained
│   └── LearningInterruptedError  exit code 130: Ctrl-C before the first epoch ended
├── NotRankZeroError     exit code 0, no message: of several processes that trained together, the first writes the result
└── BundleError          the bundle is missing, damaged, altered or too new

A message is one sentence: what is wrong and where, then what to do.
"""


class TwofoldError(Exception):
    exit_code = 1


class UsageError(TwofoldError, ValueError):
    exit_code = 2


class DataError(TwofoldError, ValueError):
    pass


class DownloadError(DataError):
    """A file cannot be downloaded. `reason` is a part of the message, for a caller that adds its own advice."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class BackboneError(TwofoldError):
    pass


class LearningError(TwofoldError):
    pass


class LearningInterruptedError(LearningError):
    exit_code = 130


class NotRankZeroError(TwofoldError):
    exit_code = 0


class BundleError(TwofoldError):
    pass
