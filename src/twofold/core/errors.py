"""Every error twofold raises.

TwofoldError             exit code 1: it could not be done
├── UsageError           exit code 2: an option or argument is not legal; a ValueError, too, as scikit-learn's users expect
├── DataError            the pictures or their list cannot be used as they are; a ValueError, too
├── BackboneError        the network, its weights or its preprocessing cannot be used
├── LearningError        the network could not be learned
│   └── LearningInterruptedError  exit code 130: Ctrl-C came before there was a network
├── NotRankZeroError     exit code 0, no message: of several processes that trained together, the first writes the result
└── BundleError          the bundle is missing, damaged, altered or too new

Each message is one sentence that says what is wrong and where, then what to do.
"""


class TwofoldError(Exception):
    exit_code = 1


class UsageError(TwofoldError, ValueError):
    exit_code = 2


class DataError(TwofoldError, ValueError):
    pass


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
