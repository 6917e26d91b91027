"""Asking a server for a file: what it may answer, how much of that and how slowly, and what is said where it does not."""

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

from twofold.core.errors import DataError
from twofold.core.files import reason
from twofold.core.privacy import public_address

_PATIENCE: Final = 30  # seconds without a byte
_SLOWEST: Final = 500  # bytes a second
_HEAD: Final = 200_000  # bytes before the content begins
_WAYS_OUT: Final = "check the address and the network, or download it elsewhere and give the file"


class BrokenOffError(Exception):
    """The connection ended before the file did."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a file is; as text, what messages and records may show of that."""

    url: str  # without user and password
    user: str  # user:password, as they stand in the address
    shown: str

    @classmethod
    def of(cls, url: str) -> "Address":
        """DataError where it is no legal address."""
        try:
            parts = urlsplit(url)
            user, _, host = parts.netloc.rpartition("@")
            legal = bool(parts.hostname) and parts.port != 0
        except ValueError:  # which repeats what may be a password
            legal = False
        if not legal:
            raise DataError(f"{public_address(url)} cannot be reached (it is no legal address): {_WAYS_OUT}.")
        return cls(urlunsplit(parts._replace(netloc=host)), user, public_address(url))

    def __str__(self) -> str:
        return self.shown

    @property
    def key(self) -> str:
        """A name for its folder: of the address and the user, but not of the password, which could be guessed by it."""
        user = self.user.partition(":")[0]
        return sha256((f"{user}@" * bool(user) + self.url).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    @property
    def file_name(self) -> str:
        """The last part of the address, as far as any file system bears it."""
        name = unquote(urlsplit(self.url).path).rpartition("/")[2]
        return re.sub(r"[^\w.-]", "_", name).strip(".")[-60:] or "archive"


def answer(address: Address, asked: dict[str, str]) -> Any:
    """The server's answer; DataError, in words, where it gives no file."""
    # What urllib says of a wrong address repeats it, with its secrets: so that is not passed on.
    try:
        request = urllib.request.Request(address.url, headers={"User-Agent": "twofold", **asked})
        if address.user:  # for this server alone, not for one that it sends on to
            known = base64.b64encode(unquote(address.user).encode("utf-8", "surrogateescape")).decode()
            request.add_unredirected_header("Authorization", f"Basic {known}")
        return urllib.request.build_opener(_Redirects, _Http, _Https).open(request, timeout=_PATIENCE)
    except HTTPError as error:
        if error.code == 416:
            return error
        error.close()
        raise DataError(f"{address} cannot be downloaded: {_refusal(error.code)}.") from None
    except URLError as error:
        why = reason(error.reason) if isinstance(error.reason, OSError) else "it is no legal address"
    except (ValueError, http.client.InvalidURL):
        why = "it is no legal address"
    except OSError as error:  # before the next: one that ends without an answer raises what is both
        why = reason(error)
    except http.client.HTTPException:
        why = "what answers there is no web server"
    raise DataError(f"{address} cannot be reached ({why}): {_WAYS_OUT}.")


def chunks_of(response: Any, size: int) -> Iterator[bytes]:
    """What the server sends, in pieces of this size; _BrokenOffError where it ends in the middle of one."""
    try:
        while chunk := response.read(size):
            yield chunk
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: the length of a part is no number
        raise BrokenOffError(str(error) or type(error).__name__) from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https alone (which urllib does by itself, but for ftp), and never from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        fp.close()  # urllib would read all that comes with it, without a limit
        if urlsplit(newurl).scheme not in ("https", urlsplit(req.full_url).scheme):
            raise HTTPError(newurl, code, "not followed", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Limited(io.RawIOBase):
    """What a server sends; TimeoutError where that is too slow, HTTPException where it is too much before the content."""

    def __init__(self, raw: Any) -> None:
        self.head = True
        self._raw, self._total, self._came, self._since = raw, 0, 0, time.monotonic()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._raw.readinto(buffer)
        self._total += count
        self._came += count
        if self.head and self._total > _HEAD:
            raise http.client.HTTPException("what it sends has no beginning")
        spent = time.monotonic() - self._since
        if spent > _PATIENCE:
            if self._came < _SLOWEST * spent and count:
                raise TimeoutError(f"fewer than {_SLOWEST} bytes a second came")
            self._came, self._since = 0, time.monotonic()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._limited = _Limited(self.fp.detach())  # of a buffered reader
        self.fp = io.BufferedReader(self._limited)

    def begin(self) -> None:
        super().begin()
        self._limited.head = False


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


def _refusal(code: int) -> str:
    match code:
        case 404 | 410:
            return f"there is no such file there (the server answered {code}); check the address"
        case 401 | 403:
            return (
                f"the server gives it only to those it knows (it answered {code}); download it with your browser, and "
                "give the file"
            )
        case _ if 300 <= code < 400:
            return f"the server sends on in a circle, or to what is not https ({code}); find the address of the file itself"
        case _:
            return f"the server answered {code}; try again later"
