"""Ctrl-C at moments when it must wait."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Within this context Ctrl-C waits for its end, and a process that is started has it blocked.

    A terminal sends Ctrl-C to both processes. In a new worker it would end the loading of modules with a traceback, before
    `run_worker` ignores it; in this one it would leave the worker without its first message. Windows: does nothing.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its start ends the blocking
    held: list[int] = []
    # The mask of this thread is inherited, but does not keep the signal from other threads, which wake the main one.
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda number, _: held.append(number)) if is_main else None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if is_main:
            signal.signal(signal.SIGINT, handler)
        if held:
            signal.raise_signal(signal.SIGINT)
