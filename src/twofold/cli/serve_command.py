"""twofold serve"""

import os
import stat
import sys
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final

import typer

from twofold.cli import terminal
from twofold.core.errors import UsageError
from twofold.core.files import reason
from twofold.core.hints import require
from twofold.core.options import RuntimeOptions, ServiceOptions
from twofold.core.parallel import available_processors

_VARIABLE: Final = "TWOFOLD_TOKEN"
_MIN_TOKEN: Final = 16  # characters


def serve(
    bundles: Annotated[
        list[str], typer.Argument(help="Bundles; NAME=PATH gives one a name.", metavar="BUNDLE…", show_default=False)
    ],
    options: ServiceOptions,
    runtime_options: RuntimeOptions,
    quiet: Annotated[bool, typer.Option("--quiet", help="Write no line for each request.")] = False,
) -> int:
    """Answer requests over HTTP with the predictions of bundles, until Ctrl-C or SIGTERM.

    A bundle that is replaced is loaded without a break. Lines of JSON on stderr tell of requests and of replaced bundles.
    """
    require("twofold serve", "fastapi", "uvicorn", "prometheus_client", "python_multipart", extra="serve")
    token = _token(options)
    _check_exposure(options, token)

    from twofold.serving.http_server import HttpServer
    from twofold.serving.model_repository import ModelRepository, name_bundles
    from twofold.serving.served_lives import ServedLives
    from twofold.serving.service import Service
    from twofold.serving.service_app import build_service

    runtime = terminal.runtime(runtime_options, quiet=quiet)
    paths = name_bundles(bundles)
    repository = ModelRepository(paths, runtime, ServedLives(options.watch_state, options.watch_interval))
    repository.load()
    service = Service(repository, options, runtime_options.threads or available_processors())
    server = HttpServer(service)
    app = build_service(service, token, None if quiet else _write_line)

    def tell() -> None:
        sys.stdout.write(f"Serving {', '.join(repository.names)} on {server.address}\n")
        sys.stdout.flush()

    server.run(app, tell)
    return 0


def _write_line(line: str) -> None:
    with suppress(OSError):  # stderr may be closed
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _token(options: ServiceOptions) -> str | None:
    """The token of the file or of the environment. Raises UsageError where others can read it, or it is too short."""
    file = options.token_file
    if file is None:
        source, token = f"The variable {_VARIABLE}", os.environ.get(_VARIABLE)
    else:
        source, token = f"The file {file}", _read_token(file)
    if token is None:
        return None
    if len(token) < _MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"{source} must hold a token of at least {_MIN_TOKEN} letters and digits: make one with: openssl rand -hex 32"
        )
    return token


def _read_token(file: Path) -> str:
    try:
        open_to_others = os.name == "posix" and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        token = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"The token in {file} cannot be read ({reason(error)}).") from error
    except ValueError as error:
        raise UsageError(f"The token in {file} cannot be read: it is not text.") from error
    if open_to_others:
        raise UsageError(f"Others can read the token in {file}: run chmod 600 {file}.")
    return token


def _check_exposure(options: ServiceOptions, token: str | None) -> None:
    """Raises UsageError for an address that other machines reach, where there is no token."""
    if token is None and not options.insecure and not _is_loopback(options.host):
        raise UsageError(
            f"Other machines reach {options.host}: give `token_file`, set {_VARIABLE}, or allow all with `insecure`."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
