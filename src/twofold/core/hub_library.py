"""The library of the Hugging Face hub: its import, and its exceptions as errors of twofold."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twofold.core.errors import TwofoldError
from twofold.core.third_party import summarise_error


def import_hub() -> Any:
    """The module huggingface_hub, with its errors and constants. Check first that it is installed."""
    import huggingface_hub
    import huggingface_hub.constants
    import huggingface_hub.errors

    return huggingface_hub


@contextmanager
def hub_errors(hub: Any, name: str, error_type: type[TwofoldError], *, what: str, folder: str) -> Iterator[None]:
    """Turns any exception of the library in the block into an `error_type` of one sentence.

    `what` is the kind of repository, such as "dataset"; `folder` says what to do with a folder that was downloaded.
    """
    try:
        yield
    except TwofoldError:
        raise
    except hub.errors.GatedRepoError as error:
        text = f"Access to hf:{name} is restricted; request it on its page, then set HF_TOKEN to your token."
        raise error_type(text) from error
    except (hub.errors.RepositoryNotFoundError, hub.errors.HFValidationError) as error:
        text = (
            f"There is no {what} hf:{name} on the hub, or it is private; check the name, or set HF_TOKEN to your token."
        )
        raise error_type(text) from error
    except Exception as error:  # its HTTP library has changed three times, and each has its own errors
        why = summarise_error(error)
        raise error_type(
            f"hf:{name} could not be fetched ({why}); go online once, or download the {what} elsewhere and {folder}."
        ) from error
