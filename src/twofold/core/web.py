"""HTTP requests for files: limits on what a server may send, redirects, and error messages without credentials."""

import base64
import http.client
import io
import re
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

from twofold.core.errors import DownloadError
from twofold.core.files import reason
from twofold.core.privacy import public_address

_TIMEOUT: Final = 30  # seconds without a byte
_MIN_RATE: Final = 500  # bytes per second
_MAX_HEAD: Final = 200_000  # bytes of status lines and headers
_NOT_VALID: Final = "it is not a valid address"
_ADVICE: Final = "check the address and the network, or download it elsewhere and give the file"


class ConnectionLostError(Exception):
    """The connection ended before the file did."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a file; its `str()` is the form for messages and records."""

    url: str  # without user and password
    user: str  # user:password, quoted as in the address
    public: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        """The address of a URL. Raises DownloadError if it is not valid."""
        try:
            split_url = urlsplit(url)
            user, _, host = split_url.netloc.rpartition("@")
            valid = bool(split_url.hostname) and split_url.port != 0
        except ValueError:  # its message may contain the password
            valid = False
        if not valid:
            raise _unreachable(public_address(url), _NOT_VALID)
        return cls(urlunsplit(split_url._replace(netloc=host)), user, public_address(url))

    def __str__(self) -> str:
        return self.public

    @property
    def key(self) -> str:
        """A folder name made of the address and the user. The password is left out: it could be guessed from the hash."""
        user = self.user.partition(":")[0]
        return sha256((f"{user}@" * bool(user) + self.url).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    @property
    def file_name(self) -> str:
        """The last part of the path, made safe for all file systems."""
        name = unquote(urlsplit(self.url).path).rpartition("/")[2]
        return re.sub(r"[^\w.-]", "_", name).strip(".")[-60:] or "archive"


def request_file(address: Address, headers: dict[str, str]) -> Any:
    """The response of the server, whose status may be 416. Raises DownloadError if the server does not send the file."""
    # The messages of urllib contain the address with its credentials, so they are not passed on.
    try:
        request = urllib.request.Request(address.url, headers={"User-Agent": "twofold", **headers})
        if address.user:  # for this server only, not after a redirect
            credentials = base64.b64encode(unquote(address.user).encode("utf-8", "surrogateescape")).decode()
            request.add_unredirected_header("Authorization", f"Basic {credentials}")
        return urllib.request.build_opener(_Redirects, _Http, _Https).open(request, timeout=_TIMEOUT)
    except HTTPError as error:
        if error.code == 416:
            return error
        error.close()
        cause, advice = _explain_status(error.code)
        raise DownloadError(f"{address} cannot be downloaded: {cause}; {advice}.", cause) from None
    except URLError as error:
        cause = reason(error.reason) if isinstance(error.reason, OSError) else _NOT_VALID
    except (ValueError, http.client.InvalidURL):
        cause = _NOT_VALID
    except OSError as error:  # before HTTPException: a connection that ends without a response raises both
        cause = reason(error)
    except http.client.HTTPException:
        cause = "it is not a web server"
    raise _unreachable(str(address), cause)


def _unreachable(address: str, cause: str) -> DownloadError:
    return DownloadError(f"{address} cannot be reached ({cause}): {_ADVICE}.", cause)


def _explain_status(code: int) -> tuple[str, str]:
    """The reason, and what to do."""
    match code:
        case 404 | 410:
            return f"the server has no such file (status {code})", "check the address"
        case 401 | 403:
            return f"the server denies access (status {code})", "download it with your browser, and give the file"
        case _ if 300 <= code < 400:
            return (
                f"the server redirects in a circle, from https to http, or to another protocol ({code})",
                "find the address of the file itself",
            )
        case _:
            return f"the server returned status {code}", "try again later"


def read_chunks(response: Any, size: int) -> Iterator[bytes]:
    """The content of the response in chunks of this size. Raises ConnectionLostError if it ends early."""
    try:
        while chunk := response.read(size):
            yield chunk
    except (
        OSError,
        ValueError,
        http.client.HTTPException,
    ) as error:  # ValueError: the length of a chunk is not a number
        raise ConnectionLostError(str(error) or type(error).__name__) from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only (urllib also follows ftp), and not from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        fp.close()  # urllib would read the whole body, without a limit
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            raise HTTPError(newurl, code, "not followed", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _LimitedReader(io.RawIOBase):
    """Reads from a socket. TimeoutError if the server is too slow, HTTPException if its headers are too long."""

    def __init__(self, raw: Any) -> None:
        self.in_head = True
        self._raw, self._total, self._received, self._since = raw, 0, 0, time.monotonic()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._raw.readinto(buffer)
        self._total += count
        self._received += count
        if self.in_head and self._total > _MAX_HEAD:
            raise http.client.HTTPException("its headers do not end")
        seconds = time.monotonic() - self._since
        if seconds > _TIMEOUT:
            if self._received < _MIN_RATE * seconds and count:
                raise TimeoutError(f"it sends fewer than {_MIN_RATE} bytes per second")
            self._received, self._since = 0, time.monotonic()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limited = _LimitedReader(self.fp.detach())  # the raw reader of the buffered one
        self.fp = io.BufferedReader(self._limited)

    def begin(self) -> None:
        super().begin()
        self._limited.in_head = False


class _HttpConnection(http.client.HTTPConnection):
    response_class = _Response


class _HttpsConnection(http.client.HTTPSConnection):
    response_class = _Response


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: Any) -> Any:
        return self.do_open(_HttpConnection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: Any) -> Any:
        return self.do_open(_HttpsConnection, req)
