"""A command that serves a page, as a process, and requests to it."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twofold.review.guard import TOKEN_HEADER

PROGRAM = """
import os, sys
os.environ["XDG_CACHE_HOME"] = sys.argv[1]
from twofold.cli import main
raise SystemExit(main(sys.argv[2:]))
"""


@contextmanager
def running_command(words: Sequence[object], cache: Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A command that serves a page as a process, the address of the page without the token, and the token."""
    command = [sys.executable, "-c", PROGRAM, str(cache), *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    address = process.stdout.readline().strip()
    try:
        assert address, process.stderr.read()
        base, _, token = address.partition("/?token=")
        yield process, base, token
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def post(base: str, token: str, path: str, body: object) -> dict[str, Any]:
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {TOKEN_HEADER: token})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
        return dict(json.loads(response.read()))
